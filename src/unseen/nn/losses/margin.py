"""Hinge on the gap of confidence between normals and anomalies, as a pure function.

    ĝ = mean p_normal over normals − mean p_normal over anomalies
    L = [m − ĝ]₊

(Roy, Mili & Boker, eq. 6.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from unseen.nn.losses.one_class import anomaly_logit


def confidence_gap(normal_logits: Tensor, anomaly_logits: Tensor, temperature: Tensor | float) -> Tensor:
    """Return ĝ, a scalar in [−1, 1].

    Parameters
    ----------
    normal_logits, anomaly_logits : Tensor of shape (n_rows, 2)
        Logits of normals and of anomalies, normal first.
    temperature : scalar Tensor or float > 0
        T.

    Returns
    -------
    scalar Tensor
    """
    of_normals = torch.sigmoid(-anomaly_logit(normal_logits, temperature)).mean()
    of_anomalies = torch.sigmoid(-anomaly_logit(anomaly_logits, temperature)).mean()
    return of_normals - of_anomalies


def margin_loss(gap: Tensor, margin: float) -> Tensor:
    """Return [m − ĝ]₊, a scalar >= 0.

    Parameters
    ----------
    gap : scalar Tensor
        ĝ.
    margin : float
        m.

    Returns
    -------
    scalar Tensor
    """
    return torch.clamp(margin - gap, min=0.0)
