r"""Uncertainty of a model from how its support and query losses move together, as pure functions.

Part of our reconstruction of confident contrastive meta-learning. Over the outer steps so far, the support
loss a and the query loss b are each brought to mean 0 and variance 1; Σ is the 2 × 2 covariance of the last
five of these pairs. Then

.. math:: d = \frac{\log(1 + \mathrm{clip}(\det(\Sigma + 10^{-8} I), 10^{-6}, 100))}{\log 101}, \qquad
          R = \lambda_0 (1 + \tfrac12 d) \lVert \theta \rVert^2

so that the penalty on the weights lies between λ₀ and 1.5 λ₀ times their squared length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

WINDOW = 5
"""Outer steps that the covariance is taken over."""

_RIDGE = 1e-8
_LEAST, _MOST = 1e-6, 100.0
_SHARE = 0.5


def loss_uncertainty(
    support_losses: Sequence[float], query_losses: Sequence[float], *, window: int = WINDOW
) -> float:
    """Return d from the losses of the outer steps so far.

    Parameters
    ----------
    support_losses, query_losses : sequence of float, equally long
        One value an outer step, oldest first.
    window : int >= 2
        The last so many steps enter Σ. Means and variances are those of all steps, with 1/n.

    Returns
    -------
    float in [0, 1]
        Smallest, log(1 + 1e-6) / log(101), while there are fewer than two steps.
    """
    pairs = np.array([support_losses, query_losses], dtype=np.float64)
    determinant = 0.0
    if pairs.shape[1] >= 2:
        spread = pairs.std(axis=1, keepdims=True)
        scaled = (pairs - pairs.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
        covariance = np.cov(scaled[:, -window:], ddof=0) + _RIDGE * np.eye(2)
        determinant = float(np.linalg.det(covariance))
    return math.log1p(min(max(determinant, _LEAST), _MOST)) / math.log1p(_MOST)


def uncertainty_penalty(parameters: Iterable[Tensor], uncertainty: float, base: float = 0.005) -> Tensor:
    """Return R.

    Parameters
    ----------
    parameters : iterable of Tensor, at least one
        θ.
    uncertainty : float in [0, 1]
        d.
    base : float >= 0
        λ₀.

    Returns
    -------
    scalar Tensor, >= 0
    """
    squares = torch.stack([parameter.square().sum() for parameter in parameters]).sum()
    return base * (1 + _SHARE * uncertainty) * squares
