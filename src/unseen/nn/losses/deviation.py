r"""Losses of deviation learning with doubtful labels, as pure functions.

A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data Contamination", eq. 2 to 4,
after A. S. Das, G. Pang and M. Bhuyan, "Adaptive deviation learning", WACV 2025. With the picture's score
:math:`s`, and mean and deviation of draws :math:`S` from N(0, 1),

.. math::
    Z = \frac{s - \mu_S}{\sigma_S}, \qquad
    \ell_\mathrm{soft} = (1 - p)\,|Z| + p \max(0, \gamma - Z), \qquad
    \ell_\mathrm{bce} = -(1 - y) \log(1 - p) - y \log p

:math:`p`: how probable it is that the picture is anomalous; :math:`\gamma`: how many deviations anomalies
should lie above normals. All functions return one loss a picture, since each picture has its own weight.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

REFERENCE_DRAWS = 5000


class ReferenceMoments(NamedTuple):
    """Mean and standard deviation of reference scores.

    Attributes
    ----------
    mean, deviation : float
        Near 0 and 1.
    """

    mean: float
    deviation: float


def reference_moments(generator: torch.Generator, draws: int = REFERENCE_DRAWS) -> ReferenceMoments:
    """Draw reference scores from N(0, 1).

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    draws : int >= 2
        How many.

    Returns
    -------
    ReferenceMoments
    """
    scores = torch.randn(draws, generator=generator)
    return ReferenceMoments(float(scores.mean()), float(scores.std()))


def top_share_mean(values: Tensor, share: float) -> Tensor:
    """Return the mean over the highest ceil(share · n) places of each picture, at least one (eq. 2 and 8).

    Parameters
    ----------
    values : float tensor of shape (n_pictures, height, width)
        Of patches or pixels.
    share : float in (0, 1]
        ρ.

    Returns
    -------
    float tensor of shape (n_pictures,)
    """
    flat = values.flatten(1)
    count = max(1, math.ceil(share * flat.shape[1] - 1e-9))
    return flat.topk(count, dim=1).values.mean(dim=1)


def soft_deviation_loss(
    scores: Tensor, probabilities: Tensor, reference: ReferenceMoments, *, margin: float = 5.0
) -> Tensor:
    """Return the soft deviation loss of each picture (eq. 3).

    Parameters
    ----------
    scores : float tensor of shape (n_pictures,)
        Deviation scores.
    probabilities : float tensor of shape (n_pictures,)
        p in [0, 1], of being anomalous; no gradient flows through it.
    reference : ReferenceMoments
        Of this step's draws.
    margin : float > 0
        γ.

    Returns
    -------
    float tensor of shape (n_pictures,)
        >= 0.
    """
    z = (scores - reference.mean) / reference.deviation
    p = probabilities.detach()
    return (1 - p) * z.abs() + p * (margin - z).clamp(min=0)


def focal_loss_of_pictures(logits: Tensor, masks: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Return the mean over the pixels of each picture of the focal loss of a segmentation.

    T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, without the factor for the class.

    Parameters
    ----------
    logits : float tensor of shape (n_pictures, height, width)
        Log-odds of being defective.
    masks : float tensor of the same shape
        1 where a defect is, else 0.
    gamma : float >= 0
        0: plain cross-entropy.

    Returns
    -------
    float tensor of shape (n_pictures,)
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    missed = -torch.expm1(-entropy)  # 1 - probability of the truth
    return (missed**gamma * entropy).flatten(1).mean(dim=1)
