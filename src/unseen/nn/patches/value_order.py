r"""Value-order decomposition of residuals, and how alike a patch is to normal and to abnormal ones.

M. Zhao et al., "Value-order Decomposition for Generalist Anomaly Detection". The residual of a patch is its
absolute difference to the nearest normal patch by cosine (eq. 1). Sorting it parts it in two: the values in
falling order (eq. 3) and the rank of each channel (eq. 4). How much a patch is off lies in the values; which
channels are off, and with them the sort of part and of defect, lies in the ranks, which are dropped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST_LENGTH = 1e-12


class ValueOrderParts(NamedTuple):
    """A residual in two parts.

    Attributes
    ----------
    values : float tensor of shape (n, channels)
        The residual's entries in falling order.
    order : int64 tensor of shape (n, channels)
        Rank of each channel, 0 for the largest entry; equal entries in the order of the channels.
    """

    values: Tensor
    order: Tensor


def decompose(residuals: Tensor) -> ValueOrderParts:
    """Part residuals in values and order; ``values.gather(1, order)`` is the residual again.

    Parameters
    ----------
    residuals : float tensor of shape (n, channels)
        Absolute differences.

    Returns
    -------
    ValueOrderParts

    Examples
    --------
    >>> import torch
    >>> parts = decompose(torch.tensor([[0.9, 0.6, 0.7, 0.5, 0.8]]))
    >>> [round(value, 1) for value in parts.values[0].tolist()], parts.order[0].tolist()
    ([0.9, 0.8, 0.7, 0.6, 0.5], [0, 3, 2, 4, 1])
    """
    values, channels = residuals.sort(dim=1, descending=True, stable=True)
    return ValueOrderParts(values, channels.argsort(dim=1))


def value_component(residuals: Tensor, *, sorting: bool = True) -> Tensor:
    """Return residuals in falling order; as they are if ``sorting`` is off, for comparison.

    Parameters
    ----------
    residuals : float tensor of shape (n, channels)
        Absolute differences.
    sorting : bool
        Whether to sort.

    Returns
    -------
    float tensor of shape (n, channels)
    """
    if not sorting:
        return residuals
    if residuals.requires_grad or residuals.device.type != "cpu":
        return residuals.sort(dim=1, descending=True).values
    falling = np.negative(residuals.numpy())
    falling.sort(axis=1)  # many times as fast as torch's
    return torch.from_numpy(np.negative(falling, out=falling))


def compare_with_normal(queries: Tensor, bank: Tensor) -> tuple[Tensor, Tensor]:
    """Return how alike patches are to the nearest normal one, and their residuals; differentiable.

    Parameters
    ----------
    queries : float tensor of shape (n, channels)
        Patches.
    bank : float tensor of shape (n_bank, channels)
        Normal patches.

    Returns
    -------
    similarity : float tensor of shape (n,)
        (cosine + 1) / 2 in [0, 1], eq. 5.
    residuals : float tensor of shape (n, channels)
        Absolute differences, eq. 1.
    """
    with torch.no_grad():
        places = (F.normalize(queries, dim=1) @ F.normalize(bank, dim=1).T).argmax(dim=1)
    nearest = bank[places]
    similarity = (F.cosine_similarity(queries, nearest, dim=1) + 1) / 2
    return similarity, (queries - nearest).abs()


def abnormal_similarity(values: Tensor, directions: Tensor, mean_length: Tensor) -> Tensor:
    """Return the largest projection of values on abnormal directions, eq. 6, scaled and cut off at 1.

    Parameters
    ----------
    values : float tensor of shape (n, channels)
        Value components of patches.
    directions : float tensor of shape (n_abnormal, channels)
        Value components of abnormal patches, of length 1.
    mean_length : float tensor of shape () or (1,)
        Mean of the lengths that they had.

    Returns
    -------
    float tensor of shape (n,)
        In [0, 1].
    """
    projection = (values @ directions.T).amax(dim=1)
    return (projection / mean_length.clamp_min(_LEAST_LENGTH)).clamp_max(1.0)


def abnormal_directions(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return value components of abnormal patches brought to length 1, and the mean of their lengths.

    Parameters
    ----------
    values : float tensor of shape (n_abnormal, channels)
        Value components.

    Returns
    -------
    tuple of (float tensor of shape (n_abnormal, channels), float tensor of shape ())
    """
    lengths = torch.sqrt(values.square().sum(dim=1) + _LEAST_LENGTH)
    return values / lengths[:, None], lengths.mean()
