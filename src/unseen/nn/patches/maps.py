"""From scores of patches to scores of pictures and maps over their pixels."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUNCATE = 4.0


def top_mean(patch_scores: Tensor, share: float) -> Tensor:
    """Return the mean of the largest patch scores of each picture.

    Parameters
    ----------
    patch_scores : float tensor of shape (n, height, width)
        Higher = more anomalous.
    share : float in [0, 1]
        Share of the patches that counts, at least one patch. 0: the largest score; 1: the mean of all.

    Returns
    -------
    float tensor of shape (n,)
    """
    flat = patch_scores.flatten(1)
    return flat.topk(top_count(flat.shape[1], share), dim=1).values.mean(dim=1)


def top_count(n_patches: int, share: float) -> int:
    """Return how many patches a share of them is.

    Parameters
    ----------
    n_patches : int
        Patches of a picture.
    share : float in [0, 1]
        Share that counts.

    Returns
    -------
    int >= 1
    """
    return max(1, math.floor(share * n_patches + 0.5))


def score_images(patch_scores: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Bring patch scores to the size of pictures: bilinearly, then smoothed.

    Parameters
    ----------
    patch_scores : float tensor of shape (n, height, width)
        Higher = more anomalous.
    size : (int, int)
        Height and width of the maps.
    sigma : float >= 0
        Standard deviation of the Gaussian in pixels of the maps; 0: no smoothing.

    Returns
    -------
    float tensor of shape (n, height of maps, width of maps)
    """
    rows, columns = (
        to_pixels(cells, pixels, sigma).to(patch_scores)
        for cells, pixels in zip(patch_scores.shape[1:], size, strict=True)
    )
    return rows @ patch_scores @ columns.T


@lru_cache(maxsize=16)
def to_pixels(n_cells: int, n_pixels: int, sigma: float) -> Tensor:
    """Return the matrix that brings one axis of patch scores to pixels.

    Interpolation and smoothing are both linear and work on one axis at a time; this is their product.

    Parameters
    ----------
    n_cells : int
        Patches along the axis.
    n_pixels : int
        Pixels along the axis.
    sigma : float >= 0
        Standard deviation of the Gaussian in pixels; 0: no smoothing.

    Returns
    -------
    float32 tensor of shape (n_pixels, n_cells)
        Rows sum to 1. It is shared: not to be changed.
    """
    cells = torch.eye(n_cells, dtype=torch.float64)[None, None]
    pixels = F.interpolate(cells, size=(n_pixels, n_cells), mode="bilinear", align_corners=False)
    columns = pixels[0, 0].T[:, None, :, None]
    return gaussian_smoothing(columns, sigma)[:, 0, :, 0].T.float().contiguous()


def gaussian_smoothing(maps: Tensor, sigma: float) -> Tensor:
    """Smooth maps by a Gaussian, one axis after the other; values beyond the border repeat the border's.

    Parameters
    ----------
    maps : float tensor of shape (n, channels, height, width)
        Any values.
    sigma : float >= 0
        In pixels; 0: returned as they are. Cut off at four sigma.

    Returns
    -------
    float tensor of the same shape
    """
    radius = int(_TRUNCATE * sigma + 0.5)
    if radius == 0:
        return maps
    steps = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    n, channels, height, width = maps.shape
    flat = maps.reshape(n * channels, 1, height, width)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.reshape(n, channels, height, width)
