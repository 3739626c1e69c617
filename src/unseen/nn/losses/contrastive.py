r"""Supervised InfoNCE with a weight on each anchor, as a pure function.

For anchors i with unit vectors :math:`z_i`, positives :math:`P(i)` (the other normals of its group),
negatives N (anomalies of all groups) and cosines :math:`s` divided by the temperature τ

.. math:: \ell_i = \frac{1}{|P(i)|} \sum_{p \in P(i)}
              -\log \frac{e^{s_{ip}}}{e^{s_{ip}} + \sum_{a \in N} e^{s_{ia}}},
          \qquad L = \frac{\sum_i w_i \ell_i}{\sum_i w_i}

(after P. Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020; other normals of other groups are
neither drawn together nor pushed apart.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_info_nce(
    normals: Tensor, negatives: Tensor, groups: Tensor, weights: Tensor, *, temperature: float = 0.1
) -> Tensor:
    """Return L.

    Parameters
    ----------
    normals : float tensor of shape (n, d)
        Vectors of any length > 0; they are brought to length 1.
    negatives : float tensor of shape (m, d)
        Vectors of anomalies; m >= 1.
    groups : int64 tensor of shape (n,)
        Positives of an anchor are the other normals of its group. Anchors that have none do not count.
    weights : float tensor of shape (n,)
        w >= 0.
    temperature : float > 0
        τ.

    Returns
    -------
    scalar tensor
        >= 0; exactly 0 where no anchor with a weight has a positive.
    """
    unit, other = F.normalize(normals, dim=1), F.normalize(negatives, dim=1)
    repelled = torch.logsumexp(unit @ other.T / temperature, dim=1)
    pairs = F.softplus(repelled[:, None] - unit @ unit.T / temperature)
    positive = (groups[:, None] == groups[None, :]) & ~torch.eye(
        len(groups), dtype=torch.bool, device=groups.device
    )
    counts = positive.sum(dim=1)
    each = (pairs * positive).sum(dim=1) / counts.clamp(min=1)
    counted = weights * (counts > 0)
    return (counted * each).sum() / counted.sum().clamp(min=1e-12)
