"""Which rows count how much, step by step, while a network is trained on normals that may be contaminated.

The two rules are those of :mod:`unseen.nn.reweighting`; here is when they apply and from which losses.

``"alpha"``: each mini-batch by its own losses, after a burn-in of 6 % of the steps. λ is the median loss of
the batch unless it is given as a number, since the losses of a table have no natural unit.
``"confident"``: all rows by the losses they had in the epoch before; the first epochs (the same 6 %, at least
one) weigh all rows the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from unseen.checks import check_choice, check_real
from unseen.nn.reweighting import Reweighting, confident_weights, scheduled_alpha_weights

REWEIGHTINGS: tuple[str, ...] = get_args(Reweighting)
BURN_IN = 0.06

Scale = float | Literal["median"]


@dataclass(frozen=True)
class WeightingRule:
    """A rule and its numbers, as a detector was given them.

    Attributes
    ----------
    name : {"alpha", "confident"}
        The rule.
    alpha : float
        α of ``"alpha"``.
    scale : float > 0 or "median"
        λ of ``"alpha"``; ``"median"``: the median loss of the batch.
    """

    name: Reweighting
    alpha: float
    scale: Scale

    def schedule(
        self, n_rows: int, *, epochs: int, batch_size: int, burn_in: float = BURN_IN
    ) -> ScheduledWeights:
        """Start a training.

        Parameters
        ----------
        n_rows : int
            Rows of the training.
        epochs, batch_size : int
            Its course.
        burn_in : float in [0, 1]
            First part of it in which all rows weigh the same.

        Returns
        -------
        ScheduledWeights
        """
        return ScheduledWeights(self, n_rows, epochs=epochs, batch_size=batch_size, burn_in=burn_in)


class ScheduledWeights:
    """Weights of the batches of one training, in their order.

    Parameters
    ----------
    rule : WeightingRule
        What to do.
    n_rows, epochs, batch_size, burn_in
        See :meth:`WeightingRule.schedule`.
    """

    def __init__(
        self, rule: WeightingRule, n_rows: int, *, epochs: int, batch_size: int, burn_in: float
    ) -> None:
        self._rule = rule
        self._n_steps = epochs * math.ceil(n_rows / batch_size)
        self._burn_in = burn_in
        self._flat_epochs = max(1, math.ceil(burn_in * epochs))
        self._step = 0
        self._epoch = 1
        self._last_losses = torch.zeros(n_rows)
        self._weights = torch.ones(n_rows)

    def __call__(self, losses: Tensor, rows: Tensor, epoch: int) -> Tensor:
        """Return the weights of a batch.

        Parameters
        ----------
        losses : Tensor of shape (n_batch,)
            Loss of each row of the batch; no gradient flows through them.
        rows : int64 Tensor of shape (n_batch,)
            Which rows of the training these are.
        epoch : int
            From 1.

        Returns
        -------
        Tensor of shape (n_batch,)
            Sum 1; the loss of the batch is the sum of weight times loss.
        """
        losses = losses.detach()
        self._step += 1
        if self._rule.name == "alpha":
            unit = losses.median().clamp(min=1e-12) if self._rule.scale == "median" else 1.0
            scale = 1.0 if isinstance(self._rule.scale, str) else self._rule.scale
            return scheduled_alpha_weights(
                losses / unit,
                self._step - 1,
                self._n_steps,
                alpha=self._rule.alpha,
                scale=scale,
                burn_in=self._burn_in,
            )
        if epoch != self._epoch:
            self._epoch = epoch
            if epoch > self._flat_epochs:
                self._weights = confident_weights(self._last_losses)
        self._last_losses[rows.cpu()] = losses.float().cpu()
        mine = self._weights[rows.cpu()].to(losses)
        return mine / mine.sum()


def weighting_rule(name: Reweighting | None, alpha: float, scale: Scale) -> WeightingRule | None:
    """Return the rule, or None where all rows weigh the same; the values are those of a detector."""
    return None if name is None else WeightingRule(name, alpha, scale)


def check_weighting(owner: object, name: object, alpha: object, scale: object) -> None:
    """Raise ParameterError unless these are values that :func:`weighting_rule` takes.

    Parameters
    ----------
    owner : object
        Whose parameters these are, for the message.
    name, alpha, scale : object
        ``reweighting``, ``reweighting_alpha`` and ``reweighting_scale`` of its constructor.
    """
    if name is not None:
        check_choice(owner, "reweighting", name, REWEIGHTINGS)
    check_real(owner, "reweighting_alpha", alpha)
    if isinstance(scale, str):
        check_choice(owner, "reweighting_scale", scale, ["median"])
    else:
        check_real(owner, "reweighting_scale", scale, minimum=0, open_minimum=True)
