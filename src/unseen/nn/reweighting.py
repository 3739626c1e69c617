"""Weights of training samples, so that anomalies which nobody noticed among the normals pull less.

**α-divergence weights** (multi-cue detection under contamination). For the losses l_i of a mini-batch

    w_i ∝ [(1 − α) l_i + λ]₊^{1/(α−1)},   Σ_i w_i = 1,        α → 1:  w_i ∝ exp(−l_i / λ)

The weighted loss is Σ_i w_i l_i, a sum and not a further mean. For the first steps (*burn-in*, 6 % of them)
every sample weighs 1/n, since the losses of an untrained network say nothing about its samples.

**Soft confident weights** (our reconstruction of confident contrastive meta-learning). For training scores s
that are shifted to be positive, with quartiles Q₁ and Q₃,

    s_i ← s_i − min s + 10⁻⁶,   T = Q₃ + κ (Q₃ − Q₁),   w_i = min(1, T / s_i)

Every weight is above 0: a sample counts less, and is never dropped. The weighted loss is Σ w l / Σ w.

All functions are pure. They take a tensor or a numpy array and return the same; no gradient flows through a
weight.
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Reweighting = Literal["alpha", "confident"]
"""Names of the two rules, as detectors spell them; None there: every sample weighs the same."""

Values = TypeVar("Values", Tensor, NDArray[np.float64])

_NEAR_ONE = 1e-9
_SHIFT = 1e-6


def alpha_weights(losses: Values, *, alpha: float = 0.1, scale: float = 0.1) -> Values:
    """Return the α-divergence weights of the losses of a batch.

    Parameters
    ----------
    losses : Tensor or float64 array of shape (n_samples,)
        l_i >= 0; for α < 1 a loss below −λ/(1 − α) has no weight by the formula and counts as one just above.
    alpha : float
        α, any real number. Below 1 the weights fall as a power of the loss, at 1 exponentially, and above 1
        they are exactly 0 from a loss of λ/(α − 1) on.
    scale : float > 0
        λ, the loss that still counts as small.

    Returns
    -------
    Tensor or float64 array of shape (n_samples,)
        Weights in [0, 1] of sum 1. Where the formula gives 0 to all of them (α > 1, all losses large), all
        losses are first reduced by the smallest.
    """
    if isinstance(losses, np.ndarray):
        return _as_array(alpha_weights(torch.from_numpy(losses), alpha=alpha, scale=scale))
    values = losses.detach()
    if abs(alpha - 1) < _NEAR_ONE:
        return torch.softmax(-(values - values.min()) / scale, dim=0)
    inside = values * ((1 - alpha) / scale)  # the base of the power is λ (1 + inside)
    if alpha > 1:
        inside = torch.where(inside.max() > -1, inside, inside - inside.max())
    else:
        inside = inside.clamp(min=torch.finfo(values.dtype).eps - 1)
    # clamped at −1: log(0) = −∞, a weight of 0, is what [·]₊ asks for where α > 1
    return torch.softmax(torch.log1p(inside.clamp(min=-1)) / (alpha - 1), dim=0)


def burn_in_steps(n_steps: int, share: float = 0.06) -> int:
    """Return how many of the first steps weigh all samples the same.

    Parameters
    ----------
    n_steps : int >= 0
        Steps of the whole training.
    share : float in [0, 1]
        Which part of them is burn-in.

    Returns
    -------
    int
        ``share`` of the steps, rounded up.
    """
    return math.ceil(share * n_steps - 1e-9)


def scheduled_alpha_weights(
    losses: Values, step: int, n_steps: int, *, alpha: float = 0.1, scale: float = 0.1, burn_in: float = 0.06
) -> Values:
    """Return 1/n for each sample during burn-in, and the α-divergence weights after it.

    Parameters
    ----------
    losses : Tensor or float64 array of shape (n_samples,)
        l_i.
    step : int
        Which step of the training this is, from 0.
    n_steps : int
        Steps of the whole training.
    alpha, scale : float
        See :func:`alpha_weights`.
    burn_in : float in [0, 1]
        See :func:`burn_in_steps`.

    Returns
    -------
    Tensor or float64 array of shape (n_samples,)
        Weights of sum 1.
    """
    if step >= burn_in_steps(n_steps, burn_in):
        return alpha_weights(losses, alpha=alpha, scale=scale)
    if isinstance(losses, np.ndarray):
        return np.full(len(losses), 1 / len(losses))
    return torch.full_like(losses, 1 / len(losses), requires_grad=False)


def confident_weights(scores: Values, *, kappa: float = 1.5) -> Values:
    """Return the soft confident weights of training scores.

    Parameters
    ----------
    scores : Tensor or float64 array of shape (n_samples,)
        Any finite numbers; higher = more anomalous. Of all training samples, not of a batch.
    kappa : float >= 0
        κ, how many interquartile ranges above Q₃ the fence lies.

    Returns
    -------
    Tensor or float64 array of shape (n_samples,)
        Weights in (0, 1]; 1 up to the fence. Their sum is not normalised.
    """
    if isinstance(scores, np.ndarray):
        return _as_array(confident_weights(torch.from_numpy(scores), kappa=kappa))
    values = scores.detach()
    shifted = values - values.min() + _SHIFT
    ordered = shifted.sort().values
    first, third = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    fence = third + kappa * (third - first)
    return (fence / shifted).clamp(max=1.0)


def rejection_weights(scores: Values, *, kappa: float = 1.5) -> Values:
    """Return 1 for scores up to the fence and 0 above it: hard rejection, the rival of soft weights.

    Parameters
    ----------
    scores, kappa
        As for :func:`confident_weights`, with the same fence.

    Returns
    -------
    Tensor or float64 array of shape (n_samples,)
        Weights in {0, 1}.
    """
    if isinstance(scores, np.ndarray):
        return _as_array(rejection_weights(torch.from_numpy(scores), kappa=kappa))
    return (confident_weights(scores, kappa=kappa) >= 1).to(scores.dtype)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    """Linear interpolation between sorted values; ``torch.quantile`` refuses more than 16 million."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _as_array(weights: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = weights.numpy()
    return array
