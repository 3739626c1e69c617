r"""How far patches are from the normal ones at the same place of the picture.

As in T. Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2020: with the mean :math:`\mu` and the covariance :math:`\Sigma` of the n normal patches
at a place, over 100 channels drawn at random, each divided by its spread around the means of all places,

.. math::
    d^2 = \tfrac{1}{c}\, (z - \mu)^\top
        \Big(\tfrac{n}{n + 9} \Sigma + \tfrac{9}{n + 9} I\Big)^{-1} (z - \mu)

The identity counts for nine pictures, so that few references give a plain distance rather than a singular
one. Features are not brought to length 1: how long they are tells defects from normal patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.patches.normal_folds import folds_of_normals

_MOST_CHANNELS = 100
_PICTURES_OF_THE_IDENTITY = 9
_LEAST_SPREAD = 1e-6
_MARGIN = 1e-12


def local_spread(features: Sequence[Tensor]) -> NDArray[np.float32]:
    """Return the deviation of each channel around its mean by place.

    Parameters
    ----------
    features : sequence of float tensors of shape (n, channels, height, width)
        Of the normal pictures of each domain.

    Returns
    -------
    float32 array of shape (channels,)
        1 for channels that do not vary.
    """
    rows = torch.cat([(some - some.mean(dim=0)).transpose(0, 1).flatten(1) for some in features], dim=1)
    spread = rows.square().mean(dim=1).sqrt()
    return torch.where(spread > _LEAST_SPREAD, spread, 1.0).numpy()


def local_distribution(
    features: Tensor, spread: NDArray[np.float32], *, seed: int
) -> dict[str, NDArray[Any]]:
    """Return the distribution of normal patches at each place.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of normal pictures.
    spread : float32 array of shape (channels,)
        Of :func:`local_spread`.
    seed : int
        Draws the channels.

    Returns
    -------
    dict of str to array
        ``channels`` int64 (c,); ``local_spread`` float32 (c,); ``local_centre`` float32 (places, c);
        ``factors`` float32 (places, c, c), whose product with a difference has the length of its distance.
    """
    draw = np.random.default_rng(seed)
    channels = np.sort(draw.permutation(features.shape[1])[:_MOST_CHANNELS]).astype(np.int64)
    chosen = np.ascontiguousarray(spread[channels])
    values = (features[:, channels] / torch.from_numpy(chosen)[:, None, None]).flatten(2).permute(2, 0, 1)
    centre = values.mean(dim=1)
    centred = values - centre[:, None]
    share = len(features) / (len(features) + _PICTURES_OF_THE_IDENTITY)
    identity = torch.eye(len(channels))
    covariances = centred.transpose(1, 2) @ centred * (share / max(1, len(features) - 1))
    lower = torch.linalg.cholesky(covariances + (1 - share) * identity)
    factors = torch.linalg.solve_triangular(lower, identity.expand_as(lower), upper=False)
    return {
        "channels": channels,
        "local_spread": chosen,
        "local_centre": centre.numpy(),
        "factors": np.ascontiguousarray(factors.numpy()),
    }


def local_length(features: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
    """Return how far patches are from the normal ones at their place; differentiable in the features.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of patches.
    memory : mapping of str to tensor
        Of :func:`local_distribution`.

    Returns
    -------
    float tensor of shape (n, 1, height, width)
    """
    n, _, height, width = features.shape
    scaled = features[:, memory["channels"]] / memory["local_spread"][:, None, None]
    differences = scaled.flatten(2).permute(2, 1, 0) - memory["local_centre"][:, :, None]
    squares = (memory["factors"] @ differences).square().mean(dim=1)
    return torch.sqrt(squares + _MARGIN).T.reshape(n, 1, height, width)


def left_out_lengths(
    V: NDArray[np.float32],
    normals: Sequence[NDArray[np.int64]],
    codes: NDArray[np.int64],
    spread: NDArray[np.float32],
    *,
    asked: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return the distances of looks of pictures to normal pictures other than themselves.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features.
    normals : sequence of int64 array
        Rows of the normals of each domain. Of four folds of them, each is compared with the other three.
    codes : int64 array of shape (n_pictures,)
        Which of these each picture is compared with.
    spread : float32 array of shape (channels,)
        Of :func:`local_spread`.
    asked : int
        So many looks are measured, from the first on.
    seed : int
        Draws the folds and the channels.
    groups : int64 array of shape (n_pictures,) or None
        As for :func:`~unseen.nn.patches.normal_folds.folds_of_normals`.

    Returns
    -------
    float32 array of shape (n_pictures, asked, height, width)
    """
    lengths = np.empty((len(V), asked, *V.shape[3:]), dtype=np.float32)
    for others, rows in folds_of_normals(normals, codes, seed=seed, groups=groups):
        remembered = torch.from_numpy(np.ascontiguousarray(V[others, 0, :-2]))
        found = local_distribution(remembered, spread, seed=seed)
        memory = {name: torch.from_numpy(values) for name, values in found.items()}
        for row in rows.tolist():
            features = torch.from_numpy(V[row, :asked, :-2])
            lengths[row] = local_length(features, memory)[:, 0].numpy()
    return lengths
