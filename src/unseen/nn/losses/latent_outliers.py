r"""Losses of latent outlier exposure, as pure functions.

C. Qiu, A. Li, M. Kloft, M. Rudolph, S. Mandt, "Latent Outlier Exposure for Anomaly Detection with
Contaminated Data", ICML 2022. With a loss :math:`\ell_n` that is small for normals and :math:`\ell_a` that
is small for anomalies, and doubtful labels :math:`\tilde y`,

.. math:: \mathcal L = \sum_i (1 - \tilde y_i)\, \ell_n(x_i) + \tilde y_i\, \ell_a(x_i)

In each batch the share :math:`\epsilon` of the unlabelled samples with the largest
:math:`\ell_n - \ell_a` are taken for anomalies: :math:`\tilde y = 1` (hard), or 1/2 (soft: sure of nothing);
0 for all others.

The losses are those of neural transformation learning (C. Qiu et al., ICML 2021): learned transformations
:math:`T_k` of a feature z, an encoder f, and with cosine similarity :math:`h(a, b) = \exp(\cos(a, b) / \tau)`

.. math::
    p_k = \frac{h(f(T_k z), f(z))}{h(f(T_k z), f(z)) + \sum_{l \ne k} h(f(T_k z), f(T_l z))}, \qquad
    \ell_n = -\frac1K \sum_k \log p_k, \qquad \ell_a = -\frac1K \sum_k \log(1 - p_k)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("soft", "hard")


def inferred_labels(preference: Tensor, share: float, kind: str = "soft") -> Tensor:
    """Return the doubtful labels of a batch.

    Parameters
    ----------
    preference : float tensor of shape (n,)
        l_n - l_a of unlabelled samples.
    share : float in [0, 1]
        ε; ε n is rounded.
    kind : {"soft", "hard"}
        Whether they become 1/2 or 1.

    Returns
    -------
    float tensor of shape (n,)
        In {0, 1/2} or {0, 1}.
    """
    labels = torch.zeros_like(preference, requires_grad=False)
    count = int(share * len(preference) + 0.5)
    labels[preference.detach().topk(count).indices] = 0.5 if kind == "soft" else 1.0
    return labels


def transformation_losses(
    anchors: Tensor, views: Tensor, *, temperature: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Return the losses of normals and of anomalies of each sample.

    Parameters
    ----------
    anchors : float tensor of shape (n, dimensions)
        f(z).
    views : float tensor of shape (n, n_transformations, dimensions)
        f(T_k z), at least two.
    temperature : float > 0
        τ.

    Returns
    -------
    tuple of two float tensors of shape (n,)
        l_n and l_a, both >= 0.
    """
    unit, anchor = F.normalize(views, dim=2), F.normalize(anchors, dim=1)
    to_anchor = (unit * anchor[:, None]).sum(dim=2) / temperature
    among = unit @ unit.transpose(1, 2) / temperature
    own = torch.eye(unit.shape[1], dtype=torch.bool, device=unit.device)
    others = torch.logsumexp(among.masked_fill(own, -torch.inf), dim=2)
    # p = e^a / (e^a + e^o), so log p = -softplus(o - a) and log(1 - p) = -softplus(a - o)
    gap = others - to_anchor
    return F.softplus(gap).mean(dim=1), F.softplus(-gap).mean(dim=1)
