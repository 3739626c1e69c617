"""Losses on scores in [0, 1] of patches that are mostly normal."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-6


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of scores that are probabilities.

    Parameters
    ----------
    scores : float tensor of any shape
        In [0, 1].
    targets : float tensor of the same shape
        0 or 1.

    Returns
    -------
    scalar tensor
    """
    p = scores.clamp(_EPSILON, 1 - _EPSILON)
    return -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()


def focal(scores: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Return the focal loss: cross-entropy weighted by (1 - p of the truth)^gamma.

    T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Parameters
    ----------
    scores : float tensor of any shape
        In [0, 1].
    targets : float tensor of the same shape
        0 or 1.
    gamma : float >= 0
        0: plain cross-entropy.

    Returns
    -------
    scalar tensor
    """
    p = scores.clamp(_EPSILON, 1 - _EPSILON)
    of_truth = torch.where(targets > 0.5, p, 1 - p)
    return -((1 - of_truth) ** gamma * of_truth.log()).mean()


def dice(scores: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - the soft overlap of scores and targets (F. Milletari, N. Navab, S.-A. Ahmadi, 3DV 2016).

    Parameters
    ----------
    scores : float tensor of any shape
        In [0, 1].
    targets : float tensor of the same shape
        0 or 1; where all are 0, low scores bring the loss down to 1 - 1 / (1 + their sum).

    Returns
    -------
    scalar tensor
    """
    both = (scores * targets).sum()
    return 1 - (2 * both + 1) / (scores.square().sum() + targets.sum() + 1)
