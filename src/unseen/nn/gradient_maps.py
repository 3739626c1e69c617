r"""Where a change of the picture would change the cues of an anomaly most.

A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data Contamination", eq. 11 to
13. For each cue :math:`s_c`, with the picture x and the last feature map :math:`F_l`,

.. math::
    g^x_c = \sum_\mathrm{channels} |\nabla_x s_c|, \qquad g^F_c = \sum_\mathrm{channels} |\nabla_{F_l} s_c|,
    \qquad \mathcal H = \mathcal S\Big(\tfrac13 \sum_c \tfrac12 \big(N(g^x_c) + N(U g^F_c)\big)\Big)

U: bilinear to the size of the picture; N: each map to [0, 1] by its own minimum and maximum;
:math:`\mathcal S`: Gaussian smoothing. ``"cues"`` is this even mean; ``"fused"`` has given
weights, :math:`w_c / \sum w`, in place of a third.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.backbones.differentiable import differentiable_maps
from unseen.nn.backbones.extraction import patch_grid
from unseen.nn.backbones.protocol import Backbone
from unseen.nn.cues import CUES, WEIGHTS
from unseen.nn.patches.maps import gaussian_smoothing
from unseen.pixels import Pixels

GRADIENTS = ("fused", "cues", *CUES, "input")

_SIGMA, _SIZE_OF_SIGMA = 4.0, 256


def gradient_maps(
    backbone: Backbone,
    images: Pixels,
    cues_of: Callable[[Tensor], Tensor],
    fused: Callable[[Tensor], Tensor],
    *,
    strides: tuple[int, ...],
    pool: int = 1,
    gradients: str = "fused",
    weights: tuple[float, float, float] = WEIGHTS,
) -> NDArray[np.float32]:
    """Return the gradient maps of pictures.

    Parameters
    ----------
    backbone : Backbone
        In torch, or with its network in torch.
    images : uint8 array of shape (n, height, width, 3)
        The pictures.
    cues_of : callable
        From patch features (n, channels, grid height, grid width) to cues (n, 3).
    fused : callable
        From cues to scores (n,).
    strides : tuple of int
        Feature maps that are joined; F_l is the coarsest.
    pool : int, odd
        As for the detector.
    gradients : {"fused", "cues", "deviation", "uncertainty", "segmentation", "input"}
        The mean over all cues, each by its weight or evenly, one of them, or the plain gradient
        of the score by the pixels.
    weights : tuple of three floats >= 0
        Of the maps of the cues; not all 0.

    Returns
    -------
    float32 array of shape (n, height, width)
        In [0, 1].
    """
    with torch.enable_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).requires_grad_(True)
        maps = differentiable_maps(backbone, pixels, strides)
        last = maps[max(strides)]
        cues = cues_of(patch_grid(maps, pool=pool))
        if gradients == "input":
            (by_pixels,) = torch.autograd.grad(fused(cues).sum(), pixels)
            found = to_unit(by_pixels.abs().sum(dim=1))
        else:
            counted = weights_of(gradients, weights)
            each = [
                count * _of_cue(cues[:, place], pixels, last) for place, count in enumerate(counted) if count
            ]
            found = torch.stack(each).sum(dim=0)
    sigma = _SIGMA * max(images.shape[1:3]) / _SIZE_OF_SIGMA
    return np.asarray(gaussian_smoothing(found[:, None], sigma)[:, 0].cpu().numpy())


def weights_of(gradients: str, weights: tuple[float, float, float]) -> tuple[float, ...]:
    """Return how much the maps of the cues count in a gradient map.

    Parameters
    ----------
    gradients : {"fused", "cues", "deviation", "uncertainty", "segmentation"}
        As for :func:`gradient_maps`.
    weights : tuple of three floats >= 0
        Of the maps of the cues.

    Returns
    -------
    tuple of three floats
        Of sum 1.
    """
    if gradients == "fused":
        return tuple(weight / sum(weights) for weight in weights)
    wanted = CUES if gradients == "cues" else (gradients,)
    return tuple(float(cue in wanted) / len(wanted) for cue in CUES)


def to_unit(maps: Tensor) -> Tensor:
    """Bring each map to [0, 1] by its own minimum and maximum; a constant map becomes 0.

    Parameters
    ----------
    maps : float tensor of shape (n, height, width)
        Any values.

    Returns
    -------
    float tensor of the same shape
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1.0), 0.0)


def _of_cue(cue: Tensor, pixels: Tensor, last: Tensor) -> Tensor:
    """Mean of the two gradient maps of one cue, at the size of the pictures."""
    by_pixels, by_features = torch.autograd.grad(cue.sum(), (pixels, last), retain_graph=True)
    coarse = by_features.abs().sum(dim=1, keepdim=True)
    size = pixels.shape[-2:]
    fine = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)[:, 0]
    return (to_unit(by_pixels.abs().sum(dim=1)) + to_unit(fine)) / 2
