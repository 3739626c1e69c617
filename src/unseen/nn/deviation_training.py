r"""Train cue heads where some of the normal pictures are not.

Algorithm 1 of A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data
Contamination". Half of each batch are pictures taken for normal, half are anomalies, made up or real:

.. math::
    \mathcal L = \sum_i w^{(1)}_i \ell_\mathrm{soft}(x_i) + \sum_i w^{(2)}_i \ell_\mathrm{bce}(x_i)
               + \sum_i \ell_\mathrm{focal}(x_i)

with the weights of :mod:`unseen.nn.reweighting`, each normalised to a sum of 1. During burn-in all weights
are equal, and the label stands for p in the soft deviation loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.losses.deviation import focal_loss_of_pictures, reference_moments, soft_deviation_loss
from unseen.nn.reweighting import alpha_weights, burn_in_steps
from unseen.nn.training import History, StepLoss, train

IndexArray: TypeAlias = NDArray[np.int64]

REWEIGHTINGS = ("normals", "all", "none")

_DROPS = (0.4, 0.8)
"""The learning rate falls to a tenth after these shares of the epochs."""

_CLIP = 1.0

SeenAs: TypeAlias = Callable[[IndexArray, IndexArray], tuple[Tensor, Tensor]]
"""``seen(rows, looks)``: inputs of the heads (n, channels, height, width), and how much of each place is
defective (n, height, width), NaN where that is not known."""


class Known(NamedTuple):
    """Pictures to learn from.

    Attributes
    ----------
    seen : callable
        Gives them to the heads.
    normal, anomalous : int64 array
        Rows taken for normal, and rows known to be anomalies.
    made_up : int
        Looks 1 to ``made_up`` of a normal row have a made-up defect.
    """

    seen: SeenAs
    normal: IndexArray
    anomalous: IndexArray
    made_up: int


@dataclass(frozen=True)
class HeadSchedule:
    """How the heads are trained.

    Attributes
    ----------
    epochs : int
        Passes over the normals.
    batch_size : int
        Half normals, half anomalies.
    lr : float
        Learning rate of Adam; a tenth after two and after four fifths of the epochs.
    weight_decay : float
        Of Adam.
    margin : float
        γ.
    reweighting : {"normals", "all", "none"}
        Whose losses decide their weight.
    alpha, scale : float
        α and λ of the weights.
    burn_in : float in [0, 1]
        Share of the steps.
    real_share : float in [0, 1]
        Share of real ones among the anomalies of a batch, if there are both.
    deviation_rate : float >= 0
        Times ``lr`` for the deviation head; small where ψ starts as a distance that is good as it is.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    margin: float
    reweighting: str
    alpha: float
    scale: float
    burn_in: float
    real_share: float
    deviation_rate: float = 1.0


class Trained(NamedTuple):
    """What training leaves beside the weights.

    Attributes
    ----------
    history : dict of str to float64 array of shape (epochs,)
        Losses.
    doubts : float64 array of shape (n_normal,)
        Mean over the epochs of what the heads said of each normal: the larger, the less normal it looks.
    """

    history: History
    doubts: NDArray[np.float64]


class CueTraining:
    """Trains heads, and parameters in front of them if there are any.

    Parameters
    ----------
    heads : CueHeads
        Updated in place.
    known : Known
        What to learn from.
    schedule : HeadSchedule
        How.
    judge : callable
        ``judge(outputs)``: a score of each picture, kept as ``doubts``.
    seed : int
        Of all draws.
    place : torch.device
        Where ``heads`` and the inputs are.
    """

    def __init__(
        self,
        heads: CueHeads,
        known: Known,
        schedule: HeadSchedule,
        *,
        judge: Callable[[HeadOutputs], Tensor],
        seed: int,
        place: torch.device,
    ) -> None:
        self._heads, self._known, self._schedule = heads, known, schedule
        self._judge, self._place, self._seed = judge, place, seed
        self._draw = np.random.default_rng(seed)
        self._references = torch.Generator().manual_seed(seed)
        self._doubts = np.zeros(len(known.normal))
        self._step, self._half = 0, max(1, schedule.batch_size // 2)
        self._burn_in = burn_in_steps(schedule.epochs * -(-len(known.normal) // self._half), schedule.burn_in)

    def run(self, module: nn.Module) -> Trained:
        """Train.

        Parameters
        ----------
        module : nn.Module
            Whose parameters are updated: the heads, or something that holds them.

        Returns
        -------
        Trained
        """
        schedule = self._schedule
        slow = list(self._heads.deviation.parameters())
        rest = [one for one in module.parameters() if all(one is not other for other in slow)]
        self._optimizer = torch.optim.Adam(
            [{"params": rest, "rate": 1.0}, {"params": slow, "rate": schedule.deviation_rate}],
            lr=schedule.lr,
            weight_decay=schedule.weight_decay,
        )
        self._parameters = list(module.parameters())
        history = train(
            module,
            self._one_step,
            (torch.arange(len(self._known.normal)),),
            epochs=schedule.epochs,
            batch_size=self._half,
            lr=schedule.lr,
            generator=torch.Generator().manual_seed(self._seed),
            optimizer=self._optimizer,
        )
        return Trained(history, self._doubts / max(1, schedule.epochs))

    def _one_step(self, batch: tuple[Tensor, ...], epoch: int) -> StepLoss:
        schedule = self._schedule
        drops = sum(epoch > max(1, round(share * schedule.epochs)) for share in _DROPS)
        for group in self._optimizer.param_groups:
            group["lr"] = schedule.lr * group["rate"] * 0.1**drops
        chosen = batch[0].numpy()
        rows, looks = self._anomalies(len(chosen))
        inputs, defects = self._known.seen(
            np.concatenate([self._known.normal[chosen], rows]),
            np.concatenate([np.zeros(len(chosen), dtype=np.int64), looks]),
        )
        labels = (torch.arange(len(inputs)) >= len(chosen)).float().to(self._place)
        outputs: HeadOutputs = self._heads(inputs)
        result = self._losses(outputs, labels, defects)
        result.loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, _CLIP)
        with torch.no_grad():
            self._doubts[chosen] += self._judge(outputs)[: len(chosen)].double().cpu().numpy()
        self._step += 1
        return StepLoss(result.loss.detach(), result.parts)

    def _anomalies(self, count: int) -> tuple[IndexArray, IndexArray]:
        """Rows and looks of as many anomalies, drawn from the real and the made-up ones."""
        known = self._known
        share = self._schedule.real_share if len(known.anomalous) else 0.0
        real = self._draw.random(count) < (share if known.made_up else 1.0)
        rows = self._draw.choice(known.normal, count)
        looks = (
            self._draw.integers(1, known.made_up + 1, count) if known.made_up else np.zeros(count, np.int64)
        )
        if real.any():
            rows[real], looks[real] = self._draw.choice(known.anomalous, int(real.sum())), 0
        return rows, looks

    def _losses(self, outputs: HeadOutputs, labels: Tensor, defects: Tensor) -> StepLoss:
        schedule = self._schedule
        burning = self._step < self._burn_in
        soft = soft_deviation_loss(
            outputs.deviation,
            labels if burning else outputs.probability,
            reference_moments(self._references),
            margin=schedule.margin,
        )
        entropy = F.binary_cross_entropy_with_logits(outputs.log_odds, labels, reduction="none")
        parts = {
            "deviation": (self._weights(soft, labels, burning) * soft).sum(),
            "probability": (self._weights(entropy, labels, burning) * entropy).sum(),
        }
        if outputs.segmentation is not None:
            masked = torch.isfinite(defects).flatten(1).all(dim=1)
            truth = (torch.nan_to_num(defects) > 0).float()
            focal = focal_loss_of_pictures(outputs.segmentation, truth)
            parts["segmentation"] = (focal * masked).sum()
        return StepLoss(torch.stack(list(parts.values())).sum(), parts)

    def _weights(self, losses: Tensor, labels: Tensor, burning: bool) -> Tensor:
        """Weights of sum 1; among normals only, these share the half that they make up of the batch."""
        schedule = self._schedule
        even = torch.full_like(losses, 1 / len(losses), requires_grad=False)
        if burning or schedule.reweighting == "none":
            return even
        if schedule.reweighting == "all":
            return alpha_weights(losses, alpha=schedule.alpha, scale=schedule.scale)
        normal = labels < 0.5
        of_normals = alpha_weights(losses[normal], alpha=schedule.alpha, scale=schedule.scale)
        even[normal] = of_normals * even[normal].sum()
        return even
