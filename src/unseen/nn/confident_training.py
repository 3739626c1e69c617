"""Meta-training over tasks, and adaptation to a new one: the loops of confident contrastive meta-learning.

Our reconstruction. A task is one source domain: its normals, split 70/30 into support and query, and
synthetic anomalies made from them. Each outer step takes a few tasks, adapts to each by some steps of
gradient descent on a support batch, and updates θ by Adam with the gradient of the query loss at the adapted
parameters (in part at θ itself, which zero-shot scores are from), plus the penalty of
:mod:`unseen.nn.losses.covariance_regularisation`. For the first epochs all items weigh the same; then each
item's score (the largest of its parts) gives its weight within its task, and the weights are made anew after
every epoch. ``meta="none"`` trains the same network on the pooled batches instead, with as many gradients as
the inner and outer loops take together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.errors import ParameterError
from unseen.nn.confident_network import ConfidentNetwork
from unseen.nn.confident_objective import ConfidentBatch, ObjectiveSettings, confident_objective
from unseen.nn.losses.covariance_regularisation import loss_uncertainty, uncertainty_penalty
from unseen.nn.meta_gradient import Parameters, TaskLoss, gradient_and_loss, inner_steps, meta_gradient
from unseen.nn.reweighting import confident_weights, rejection_weights

Weighting = Literal["soft", "hard", "none"]
WEIGHTINGS = ("soft", "hard", "none")
METAS = ("first", "second", "none")

_SUPPORT_SHARE = 0.7
_SCORED_PARTS = 65_536


@dataclass(frozen=True)
class Task:
    """The normals of one domain.

    Attributes
    ----------
    normals : float Tensor of shape (n_items, n_parts, n_inputs)
        Parts of each item.
    made : float Tensor of shape (n_items, n_made, n_inputs)
        Parts of a synthetic anomaly made from each item, all of them anomalous.
    """

    normals: Tensor
    made: Tensor


@dataclass(frozen=True)
class TrainingSettings:
    """How θ is learned.

    Attributes
    ----------
    objective : ObjectiveSettings
        Terms of the loss.
    weighting : {"soft", "hard", "none"}
        Weights of items after the warm-up: soft, 0 above the fence, or all 1.
    kappa : float
        κ of the fence.
    meta : {"first", "second", "none"}
        Order of the outer gradient, or plain training on pooled batches.
    regularisation : float
        λ₀ of the penalty; 0 leaves it out.
    epochs, warm_up, steps : int
        Epochs, epochs before the first weights, outer steps an epoch.
    tasks : int
        Tasks an outer step.
    items, parts : int
        Items of a batch, and parts drawn of each.
    inner_steps : int
        Steps of adaptation in training.
    inner_lr, outer_lr : float
        Of the gradient descent inside, and of Adam outside.
    start_share : float in [0, 1]
        Share of the query gradient that is taken at θ itself, before any step of adaptation.
    """

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    weighting: Weighting = "soft"
    kappa: float = 1.5
    meta: str = "first"
    regularisation: float = 0.005
    epochs: int = 10
    warm_up: int = 2
    steps: int = 20
    tasks: int = 4
    items: int = 16
    parts: int = 64
    inner_steps: int = 5
    inner_lr: float = 0.05
    outer_lr: float = 1e-3
    start_share: float = 0.0


@dataclass
class TrainingResult:
    """What training leaves behind.

    Attributes
    ----------
    parameters : dict of str to Tensor
        θ.
    history : dict of str to float64 array of shape (n_epochs,)
        Means over an epoch's outer steps: ``support_loss`` (before adaptation), ``query_loss`` (after it),
        ``uncertainty`` (d), ``least_weight`` (smallest weight of an item during the epoch).
    weights : list of Tensor
        Last weights of each task's items.
    """

    parameters: Parameters
    history: dict[str, NDArray[np.float64]]
    weights: list[Tensor]


def meta_train(
    network: ConfidentNetwork, tasks: Sequence[Task], settings: TrainingSettings, generator: torch.Generator
) -> TrainingResult:
    """Learn θ from tasks.

    Parameters
    ----------
    network : ConfidentNetwork
        Its parameters are where θ starts; they are not changed.
    tasks : sequence of Task
        At least one.
    settings : TrainingSettings
        How.
    generator : torch.Generator
        Draws splits, tasks, items, parts and noise.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ParameterError
        If the loss is no longer finite.
    """
    training = _Training(network, tasks, settings, generator)
    for epoch in range(settings.epochs):
        if epoch >= settings.warm_up:
            training.weigh()
        for _ in range(settings.steps):
            training.step()
        training.close_epoch()
    return TrainingResult(training.detached(), training.history(), training.weights)


def adapt_parameters(
    network: ConfidentNetwork,
    parameters: Parameters,
    task: Task,
    settings: TrainingSettings,
    *,
    steps: int,
    generator: torch.Generator,
) -> Parameters:
    """Return θ after the inner loop on unlabelled normals of a new domain, all items at once.

    Parameters
    ----------
    network : ConfidentNetwork
        As in :func:`meta_train`.
    parameters : dict of str to Tensor
        θ.
    task : Task
        The references.
    settings : TrainingSettings
        As in training; weights are those of θ's own scores.
    steps : int >= 0
        0: θ itself.
    generator : torch.Generator
        Draws parts and noise.

    Returns
    -------
    dict of str to Tensor
    """
    if steps == 0:
        return dict(parameters)
    weights = item_weights(item_scores(network, parameters, task.normals), settings)
    everything = torch.arange(len(task.normals))
    batch = draw_batch([(task, everything, weights)], settings, latent_size(network), generator)
    loss = _loss_of(network, batch, settings)
    return inner_steps(loss, parameters, steps=steps, lr=settings.inner_lr)


def item_scores(network: ConfidentNetwork, parameters: Parameters, normals: Tensor) -> Tensor:
    """Return the score of each item, the largest of its parts.

    Parameters
    ----------
    network : ConfidentNetwork
        As in :func:`meta_train`.
    parameters : dict of str to Tensor
        θ.
    normals : Tensor of shape (n_items, n_parts, n_inputs)
        The items.

    Returns
    -------
    Tensor of shape (n_items,)
    """
    at_once = max(1, _SCORED_PARTS // normals.shape[1])
    with torch.no_grad():
        found = [
            torch.func.functional_call(network, parameters, (some,)).scores.amax(dim=1)
            for some in torch.split(normals, at_once)
        ]
    return torch.cat(found).cpu()


def item_weights(scores: Tensor, settings: TrainingSettings) -> Tensor:
    """Return the weights of the items of one task, shape (n_items,).

    Parameters
    ----------
    scores : Tensor of shape (n_items,)
        Higher = more anomalous; any sign.
    settings : TrainingSettings
        ``weighting`` and ``kappa``.

    Returns
    -------
    Tensor of shape (n_items,)
    """
    if settings.weighting == "none":
        return torch.ones_like(scores)
    rule = confident_weights if settings.weighting == "soft" else rejection_weights
    return rule(scores, kappa=settings.kappa)


def draw_batch(
    chosen: Sequence[tuple[Task, Tensor, Tensor]],
    settings: TrainingSettings,
    latent: int,
    generator: torch.Generator,
) -> ConfidentBatch:
    """Draw parts of items of some tasks.

    Parameters
    ----------
    chosen : sequence of (Task, int64 Tensor, float Tensor)
        Tasks, the items to take, and the weights of all items of the task.
    settings : TrainingSettings
        ``parts``: at most so many of each item, without replacement for normals, with it for anomalies.
    latent : int
        Size of the noise.
    generator : torch.Generator
        Draws.

    Returns
    -------
    ConfidentBatch
    """
    normals, made, weights, groups = [], [], [], []
    for number, (task, items, of_items) in enumerate(chosen):
        count = min(settings.parts, task.normals.shape[1])
        lots = torch.rand(len(items), task.normals.shape[1], generator=generator)
        normals.append(task.normals[items[:, None], lots.topk(count, dim=1).indices])
        places = torch.randint(task.made.shape[1], (len(items), count), generator=generator)
        made.append(task.made[items[:, None], places])
        weights.append(of_items[items])
        groups.append(torch.full((len(items),), number))
    parts = torch.cat(normals)
    noise = torch.randn(*parts.shape[:2], latent, generator=generator)
    rest = (value.to(parts.device) for value in (noise, torch.cat(weights), torch.cat(groups)))
    return ConfidentBatch(parts, torch.cat(made), *rest)


def latent_size(network: ConfidentNetwork) -> int:
    """Return the size of z."""
    last = network.encoder[-1]
    assert isinstance(last, torch.nn.Linear)
    return last.out_features


def _loss_of(network: ConfidentNetwork, batch: ConfidentBatch, settings: TrainingSettings) -> TaskLoss:
    return lambda parameters: confident_objective(network, parameters, batch, settings.objective)


class _Training:
    """The state of one training."""

    def __init__(
        self,
        network: ConfidentNetwork,
        tasks: Sequence[Task],
        settings: TrainingSettings,
        generator: torch.Generator,
    ) -> None:
        self.network, self.tasks, self.settings, self.generator = network, tasks, settings, generator
        self.theta = {
            name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()
        }
        self.optimizer = torch.optim.Adam(self.theta.values(), lr=settings.outer_lr)
        self.weights = [torch.ones(len(task.normals)) for task in tasks]
        self.splits = [self._split(len(task.normals)) for task in tasks]
        self.losses: tuple[list[float], list[float]] = ([], [])
        self.steps: list[dict[str, float]] = []
        self.epochs: list[dict[str, float]] = []

    def _split(self, n_items: int) -> tuple[Tensor, Tensor]:
        """Support and query items; the same where there is one item only."""
        order = torch.randperm(n_items, generator=self.generator)
        cut = min(max(1, round(_SUPPORT_SHARE * n_items)), max(1, n_items - 1))
        return order[:cut], order[cut:] if n_items > 1 else order

    def weigh(self) -> None:
        """Give every item the weight that its score has within its task."""
        theta = self.detached()
        self.weights = [
            item_weights(item_scores(self.network, theta, task.normals), self.settings) for task in self.tasks
        ]

    def step(self) -> None:
        """One outer step."""
        chosen = torch.randperm(len(self.tasks), generator=self.generator)[: self.settings.tasks].tolist()
        if self.settings.meta == "none":
            self._pooled_steps(chosen)
            return
        found = []
        for number in chosen:
            support, query = (self._batch([number], part) for part in (0, 1))
            found.append(
                meta_gradient(
                    _loss_of(self.network, support, self.settings),
                    _loss_of(self.network, query, self.settings),
                    self.theta,
                    steps=self.settings.inner_steps,
                    lr=self.settings.inner_lr,
                    order=self.settings.meta,
                    start_share=self.settings.start_share,
                )
            )
        mean = {name: torch.stack([g.gradient[name] for g in found]).mean(dim=0) for name in self.theta}
        support_loss = float(torch.stack([g.support_loss for g in found]).mean())
        self._update(mean, support_loss, float(torch.stack([g.query_loss for g in found]).mean()))

    def _pooled_steps(self, chosen: list[int]) -> None:
        """As many updates as the loops would take gradients; support and query take turns."""
        for number in range(self.settings.inner_steps + 1):
            support, query = (_loss_of(self.network, self._batch(chosen, p), self.settings) for p in (0, 1))
            here, there = (support, query) if number % 2 == 0 else (query, support)
            gradient, loss = gradient_and_loss(here, self.theta)
            with torch.no_grad():
                other = there(self.theta)
            pair = (loss, other) if number % 2 == 0 else (other, loss)
            self._update(gradient, *(float(value.detach()) for value in pair))

    def _update(self, gradient: Parameters, support_loss: float, query_loss: float) -> None:
        """One step of Adam against a gradient and that of the penalty."""
        if not np.isfinite(query_loss):
            raise ParameterError(
                f"training diverged: the loss is {query_loss}; use a smaller inner_lr (now "
                f"{self.settings.inner_lr:g}) or outer_lr (now {self.settings.outer_lr:g})."
            )
        self.losses[0].append(support_loss)
        self.losses[1].append(query_loss)
        uncertainty = loss_uncertainty(*self.losses)
        self.optimizer.zero_grad()
        if self.settings.regularisation > 0:
            penalty = uncertainty_penalty(self.theta.values(), uncertainty, self.settings.regularisation)
            penalty.backward()  # type: ignore[no-untyped-call]
        for name, value in self.theta.items():
            value.grad = gradient[name] if value.grad is None else value.grad + gradient[name]
        self.optimizer.step()
        self.steps.append(
            {"support_loss": support_loss, "query_loss": query_loss, "uncertainty": uncertainty}
        )

    def _batch(self, chosen: list[int], part: int) -> ConfidentBatch:
        """Items of some tasks, as many in all as a batch has for one task."""
        each = max(2, self.settings.items // len(chosen)) if len(chosen) > 1 else self.settings.items
        drawn = []
        for number in chosen:
            items = self.splits[number][part]
            order = torch.randperm(len(items), generator=self.generator)[:each]
            drawn.append((self.tasks[number], items[order], self.weights[number]))
        return draw_batch(drawn, self.settings, latent_size(self.network), self.generator)

    def close_epoch(self) -> None:
        """Note the means of the epoch."""
        means = {name: float(np.mean([step[name] for step in self.steps])) for name in self.steps[0]}
        least = min(float(weights.min()) for weights in self.weights)
        self.epochs.append({**means, "least_weight": least})
        self.steps = []

    def detached(self) -> Parameters:
        """Return θ without a graph."""
        return {name: value.detach().clone() for name, value in self.theta.items()}

    def history(self) -> dict[str, NDArray[np.float64]]:
        """Return the means of all epochs by name."""
        names = list(self.epochs[0]) if self.epochs else []
        return {name: np.array([epoch[name] for epoch in self.epochs]) for name in names}
