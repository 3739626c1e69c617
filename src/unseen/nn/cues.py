r"""Three cues of an anomaly brought to [0, 1] and fused, as pure functions.

A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data Contamination", eq. 7 to 10.
The paper asks for monotone maps :math:`\phi_c` onto [0, 1] and does not say which; here

.. math::
    \hat s_\mathrm{dev} = 1 - e^{-s_\mathrm{dev} / \gamma}, \qquad
    \hat s_\mathrm{ent} = \frac{\log(1 + H(p))}{\log(1 + \ln 2)}, \qquad
    \hat s_\mathrm{seg} = s_\mathrm{seg}, \qquad
    s = \prod_c \max(\hat s_c, 0.05)^{w_c / \sum w}

:math:`H(p)` is the entropy of the anomaly's probability p in nats. It falls again for confident anomalies;
``"probability"`` puts p itself in its place, which never does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CUES = ("deviation", "uncertainty", "segmentation")
"""In the order of every array over cues."""

WEIGHTS = (0.55, 0.10, 0.35)
"""The paper's weights."""

UNCERTAINTIES = ("entropy", "probability")
SCALINGS = ("exponential", "ratio", "clipped")

FLOOR = 0.05
"""No cue counts for less, so that one silent cue cannot veto the others."""

_FULL_ENTROPY = math.log1p(math.log(2.0))


def entropy_cue(probabilities: Tensor) -> Tensor:
    """Return log(1 + H(p)), H in nats (eq. 7): 0 where p is 0 or 1, log(1 + ln 2) at 1/2.

    Parameters
    ----------
    probabilities : float tensor of any shape
        In [0, 1].

    Returns
    -------
    float tensor of the same shape
    """
    entropy = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    return torch.log1p(entropy)


def scaled_deviation(scores: Tensor, *, margin: float = 5.0, scaling: str = "exponential") -> Tensor:
    """Return deviation scores on [0, 1].

    Parameters
    ----------
    scores : float tensor of any shape
        >= 0.
    margin : float > 0
        γ of the loss.
    scaling : "exponential", "ratio" or "clipped"
        1 - exp(-s / γ), s / (s + γ), or min(1, s / γ).

    Returns
    -------
    float tensor of the same shape
    """
    ratio = scores / margin
    if scaling == "exponential":
        return -torch.expm1(-ratio)
    return ratio / (1 + ratio) if scaling == "ratio" else ratio.clamp(max=1.0)


def scaled_uncertainty(probabilities: Tensor, uncertainty: str = "entropy") -> Tensor:
    """Return the cue of the probability head on [0, 1].

    Parameters
    ----------
    probabilities : float tensor of any shape
        p in [0, 1].
    uncertainty : "entropy" or "probability"
        log(1 + H(p)) / log(1 + ln 2), or p.

    Returns
    -------
    float tensor of the same shape
    """
    return entropy_cue(probabilities) / _FULL_ENTROPY if uncertainty == "entropy" else probabilities


def fuse(cues: Tensor, weights: tuple[float, float, float] = WEIGHTS) -> Tensor:
    """Return the weighted geometric mean of cues (eq. 10).

    Parameters
    ----------
    cues : float tensor of shape (n, 3, ...)
        On [0, 1]; lower than 0.05 counts as 0.05.
    weights : tuple of three floats >= 0
        Not all 0.

    Returns
    -------
    float tensor of shape (n, ...)
        In [0.05, 1].
    """
    return torch.exp(_weighted_logs(cues, weights).sum(dim=1))


def shares(cues: Tensor, weights: tuple[float, float, float] = WEIGHTS) -> Tensor:
    """Return how much of a score each cue accounts for.

    The logarithm of the fused score over that of three silent cues is a sum over cues of
    w_c log(max(s_c, 0.05) / 0.05); the shares are its terms over the sum.

    Parameters
    ----------
    cues : float tensor of shape (n, 3)
        On [0, 1].
    weights : tuple of three floats >= 0
        As for :func:`fuse`.

    Returns
    -------
    float tensor of shape (n, 3)
        Rows sum to 1; all three are 1/3 where every cue is silent.
    """
    above = _weighted_logs(cues, weights) - _weighted_logs(torch.full_like(cues, FLOOR), weights)
    total = above.sum(dim=1, keepdim=True)
    return torch.where(total > 0, above / total.clamp(min=1e-12), torch.full_like(above, 1 / len(CUES)))


def _weighted_logs(cues: Tensor, weights: tuple[float, float, float]) -> Tensor:
    parts = torch.tensor(weights, dtype=cues.dtype, device=cues.device) / sum(weights)
    shape = (1, -1) + (1,) * (cues.ndim - 2)
    return cues.clamp(min=FLOOR).log() * parts.view(shape)
