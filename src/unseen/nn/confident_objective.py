r"""The objective of confident contrastive meta-learning on one batch of a task.

Our reconstruction; the formulas of the method are not public. An *item* (a picture, or a row) has parts (its
patches; a row is its own single part) and a weight w. With the discriminator's scores s, the margin m, parts
x of the item, the same parts with feature noise x̃, and parts a of a synthetic anomaly made from the item

.. math:: \ell = \overline{[m + s(x)]_+}
              + \tfrac12 \big(\overline{[m - s(\tilde x)]_+} + \overline{[m - s(a)]_+}\big), \qquad
          L = \frac{\sum_i w_i \ell_i}{\sum_i w_i} + \lambda_c\, \mathrm{InfoNCE}_w

The bars are means over parts. Each of the terms can be left out; where one of the two in brackets is, the
other counts fully. Together they weigh as much as the normals: were each of them to weigh that much, noise
too small to be recognised would make "everything is anomalous" the cheapest answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from unseen.nn.confident_network import ConfidentNetwork, Judged
from unseen.nn.losses.contrastive import weighted_info_nce
from unseen.nn.losses.discrimination import anomaly_hinge, normal_hinge
from unseen.nn.meta_gradient import Parameters


class ConfidentBatch(NamedTuple):
    """Items of one task, or of several.

    Attributes
    ----------
    normals : float Tensor of shape (n_items, n_parts, n_inputs)
        Parts of the items.
    anomalies : float Tensor of shape (n_items, n_made, n_inputs)
        Parts of synthetic anomalies made from the same items.
    noise : float Tensor of shape (n_items, n_parts, latent)
        Standard normal.
    weights : float Tensor of shape (n_items,)
        w.
    groups : int64 Tensor of shape (n_items,)
        Which task each item is of.
    """

    normals: Tensor
    anomalies: Tensor
    noise: Tensor
    weights: Tensor
    groups: Tensor


@dataclass(frozen=True)
class ObjectiveSettings:
    """Terms of the objective.

    Attributes
    ----------
    margin : float
        m.
    noise : float
        σ; 0 leaves the second term out.
    synthetic : bool
        Whether the third term is there.
    contrastive_weight : float
        λ_c; 0 leaves the term out.
    temperature : float
        τ of the contrastive term.
    anchors : int
        Parts of an item that the contrastive term compares, the first ones.
    """

    margin: float = 0.5
    noise: float = 0.015
    synthetic: bool = True
    contrastive_weight: float = 0.1
    temperature: float = 0.1
    anchors: int = 16


def confident_objective(
    network: ConfidentNetwork, parameters: Parameters, batch: ConfidentBatch, settings: ObjectiveSettings
) -> Tensor:
    """Return L at some parameters of the network.

    Parameters
    ----------
    network : ConfidentNetwork
        Its own parameters are not read, its buffers are.
    parameters : dict of str to Tensor
        θ.
    batch : ConfidentBatch
        The items.
    settings : ObjectiveSettings
        The terms.

    Returns
    -------
    scalar Tensor, >= 0
    """
    normal: Judged = functional_call(network, parameters, (batch.normals, batch.noise, settings.noise))
    contrasting = settings.contrastive_weight > 0
    made: Judged | None = None
    if settings.synthetic or contrasting:
        made = functional_call(network, parameters, (batch.anomalies,))
    unlike = [normal.noisy_scores] if settings.noise > 0 else []
    if settings.synthetic and made is not None:
        unlike.append(made.scores)
    each = normal_hinge(normal.scores, settings.margin).mean(dim=1)
    if unlike:
        terms = [anomaly_hinge(scores, settings.margin).mean(dim=1) for scores in unlike]
        each = each + torch.stack(terms).mean(dim=0)
    loss = (batch.weights * each).sum() / batch.weights.sum().clamp(min=1e-12)
    if contrasting and made is not None:
        loss = loss + settings.contrastive_weight * _contrast(normal, made, batch, settings)
    return loss


def _contrast(normal: Judged, made: Judged, batch: ConfidentBatch, settings: ObjectiveSettings) -> Tensor:
    """The contrastive term over the first parts of each item."""
    anchors, negatives = (judged.features[:, : settings.anchors] for judged in (normal, made))
    count = anchors.shape[1]
    return weighted_info_nce(
        anchors.flatten(0, 1),
        negatives.flatten(0, 1),
        torch.repeat_interleave(batch.groups, count),
        torch.repeat_interleave(batch.weights, count),
        temperature=settings.temperature,
    )
