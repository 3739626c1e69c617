"""The two nested loops of multi-directional meta-learning.

Inner loop, normals of the episode's domains, over θ (encoder and decoder)::

    BCE(p_normal(x; T = 1), 1) + λ_rec · variance-normalised reconstruction

Outer loop, normals and the episode's few anomalies, over φ (head) and, if it is learned, T::

    BCE(p_normal, 1) on normals + BCE(p_normal, 0) on anomalies + α [m − gap]₊

θ, φ and T are carried from episode to episode (Roy, Mili & Boker, eq. 3 to 7 and appendix A). Beside the head
that meets all known kinds, one *companion* head a kind is tuned on the same encoder without that kind; what a
companion does on its own kind is the AUROC on an "inner left-out" kind, by which the episode is chosen.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from unseen.detectors.episodes import Episode, EpisodeSampler
from unseen.detectors.meta_rows import MetaData
from unseen.metrics.ranking import auroc
from unseen.nn.hypergradient import Parameters, implicit_hypergradient
from unseen.nn.losses.margin import confidence_gap, margin_loss
from unseen.nn.losses.one_class import anomaly_logit, one_class_loss
from unseen.nn.losses.variance_normalised_reconstruction import variance_normalised_reconstruction
from unseen.nn.residual_encoder import NormalityHead
from unseen.nn.reweighting import Reweighting
from unseen.nn.row_weighting import ScheduledWeights, WeightingRule

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.5, 10.0

_CLIP_NORM = 1.0
_OUTER_NORMALS = 1024


class CalibratedHead(nn.Module):
    """A head φ and its temperature T.

    Parameters
    ----------
    latent : int
        Latent dimensions.
    temperature : float in (0.5, 10)
        T, or where it starts.
    learn : bool
        Whether T is learned: T = 0.5 + 9.5 · sigmoid(u) over u.
    """

    def __init__(self, latent: int, *, temperature: float, learn: bool) -> None:
        super().__init__()
        self.head = NormalityHead(latent)
        share = (temperature - LOWEST_TEMPERATURE) / (HIGHEST_TEMPERATURE - LOWEST_TEMPERATURE)
        self.raw_temperature = nn.Parameter(
            torch.tensor(math.log(share / (1 - share)), dtype=torch.float32), requires_grad=learn
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return ℓ, shape (n_rows, 2)."""
        logits: Tensor = self.head(z)
        return logits

    def temperature(self) -> Tensor:
        """Return T, a scalar."""
        return bounded_temperature(self.raw_temperature)


def bounded_temperature(raw: Tensor) -> Tensor:
    """Return ``0.5 + 9.5 · sigmoid(raw)``."""
    return LOWEST_TEMPERATURE + (HIGHEST_TEMPERATURE - LOWEST_TEMPERATURE) * torch.sigmoid(raw)


@dataclass(frozen=True)
class MetaSettings:
    """Numbers of the loops; the names are those of the detector's parameters."""

    inner_steps: int
    outer_steps: int
    batch_size: int
    lr: float
    weight_decay: float
    outer_batch_size: int
    outer_lr: float
    reconstruction_weight: float
    margin: float
    margin_weight: float
    order: str
    damping: float
    cg_iterations: int
    patience: int | None
    reweighting: Reweighting | None


@dataclass
class MetaResult:
    """What comes out: networks of the chosen episode, and the course of training.

    Attributes
    ----------
    encoder, decoder : nn.Module
        θ.
    head : CalibratedHead
        φ and T.
    companions : dict of str to CalibratedHead
        For each known kind the head that never met it; empty with fewer than two kinds.
    history : dict of str to float64 array of shape (n_episodes,)
        See :class:`unseen.detectors.multi_directional_meta.MultiDirectionalMeta`.
    best_episode : int
        Which episode the networks are from, from 0.
    """

    encoder: nn.Module
    decoder: nn.Module
    head: CalibratedHead
    companions: dict[str, CalibratedHead]
    history: dict[str, NDArray[np.float64]]
    best_episode: int


def meta_train(
    encoder: nn.Module,
    decoder: nn.Module,
    head: CalibratedHead,
    data: MetaData,
    sampler: EpisodeSampler,
    settings: MetaSettings,
    *,
    n_episodes: int,
    generator: np.random.Generator,
) -> MetaResult:
    """Run the episodes and keep the networks of the best one.

    Best is the largest mean of the AUROC on known kinds and the AUROC on inner left-out kinds (known kinds
    alone if there is only one). Only episodes count by which every head has met a kind; if there are none,
    the last episode is kept.

    Parameters
    ----------
    encoder, decoder : nn.Module
        Trained in place.
    head : CalibratedHead
        Trained in place.
    data : MetaData
        Rows, all on the networks' device.
    sampler : EpisodeSampler
        Which domains and kinds meet.
    settings : MetaSettings
        Step counts, rates, weights.
    n_episodes : int >= 1
        Most episodes.
    generator : numpy.random.Generator
        Draws the batches.

    Returns
    -------
    MetaResult
    """
    trainer = _Trainer(encoder, decoder, head, data, settings, generator, n_episodes)
    hardness: dict[str, float] = {}
    best_value, best_episode, best_state = -math.inf, 0, trainer.state()
    for number in range(n_episodes):
        episode = sampler.draw(hardness)
        trainer.inner_loop(episode)
        trainer.outer_loop(episode)
        value, hardness = trainer.record(episode)
        if value > best_value or best_value == -math.inf:
            best_value, best_episode, best_state = value, number, trainer.state()
        elif settings.patience is not None and number - best_episode >= settings.patience:
            break
    trainer.restore(best_state)
    history = {name: np.array(values, dtype=np.float64) for name, values in trainer.records.items()}
    return MetaResult(encoder, decoder, head, trainer.companions, history, best_episode)


@dataclass
class _Trainer:
    encoder: nn.Module
    decoder: nn.Module
    head: CalibratedHead
    data: MetaData
    settings: MetaSettings
    generator: np.random.Generator
    n_episodes: int
    companions: dict[str, CalibratedHead] = field(default_factory=dict)
    records: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows_of = {
            name: np.flatnonzero(self.data.domains == name) for name in np.unique(self.data.domains)
        }
        kinds = [str(kind) for kind in np.unique(self.data.kinds)]
        self._kinds = kinds
        if len(kinds) > 1:
            self.companions = {kind: copy.deepcopy(self.head) for kind in kinds}
        self._met: set[str] = set()
        self._weights_of = {name: self._schedule() for name in ("confidence", "error")}
        self._inner_optimizer = torch.optim.AdamW(
            [*self.encoder.parameters(), *self.decoder.parameters()],
            lr=self.settings.lr,
            weight_decay=self.settings.weight_decay,
        )
        self._outer_optimizers = {
            name: torch.optim.Adam(
                [p for p in head.parameters() if p.requires_grad], lr=self.settings.outer_lr
            )
            for name, head in self._heads().items()
        }

    def _heads(self) -> dict[str, CalibratedHead]:
        return {"": self.head, **self.companions}

    # ------------------------------------------------------------------ inner loop
    def inner_loop(self, episode: Episode) -> None:
        """Update θ on normals of the episode's domains; φ stays as it is."""
        rows = np.concatenate([self._rows_of[name] for name in episode.domains])
        self.encoder.train()
        self.decoder.train()
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        losses, errors = [], []
        for _ in range(self.settings.inner_steps):
            numbers = self._draw(rows, self.settings.batch_size)
            batch = self.data.normals[numbers]
            z = self.encoder(batch)
            logits = self.head(z)
            by_row = variance_normalised_reconstruction(self.decoder(z), batch, self.data.variance)
            if self.settings.reweighting is None:
                confidence, error = one_class_loss(logits, normal=True), by_row.mean()
            else:
                doubts = nn.functional.softplus(anomaly_logit(logits))
                confidence = self._weighted("confidence", doubts, numbers, episode)
                error = self._weighted("error", by_row, numbers, episode)
            loss = confidence + self.settings.reconstruction_weight * error
            self._inner_optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
            self._inner_optimizer.step()
            losses.append(loss.detach())
            errors.append(error.detach())
        self.encoder.eval()
        self.decoder.eval()
        self._note("inner_loss", _mean(losses))
        self._note("reconstruction", _mean(errors))

    def _schedule(self) -> ScheduledWeights | None:
        """Weights of the inner loop; an episode is an epoch of ``inner_steps`` batches."""
        if self.settings.reweighting is None:
            return None
        rule = WeightingRule(self.settings.reweighting, 1.0, "median")
        n_rows = len(self.data.normals)
        a_step = math.ceil(n_rows / self.settings.inner_steps)
        return rule.schedule(n_rows, epochs=self.n_episodes, batch_size=a_step)

    def _weighted(self, name: str, losses: Tensor, numbers: NDArray[np.int64], episode: Episode) -> Tensor:
        """Σ w l of one term; the terms are weighted separately."""
        weights_of = self._weights_of[name]
        assert weights_of is not None
        return weights_of(losses, torch.from_numpy(numbers), episode.number + 1) @ losses

    # ------------------------------------------------------------------ outer loop
    def outer_loop(self, episode: Episode) -> None:
        """Update φ and T of every head on frozen θ; companions without their own kind."""
        pool = self._draw(np.arange(len(self.data.normals)), _OUTER_NORMALS)
        with torch.no_grad():
            normals = self.encoder(self.data.normals[pool])
            anomalies = self.encoder(self.data.anomalies) if self._kinds else None
        support = {kind: self._shots(kind, episode.shots) for kind in episode.kinds}
        losses = []
        for name, head in self._heads().items():
            rows = {kind: shots for kind, shots in support.items() if kind != name}
            if not rows or anomalies is None:
                continue
            self._met.add(name)
            for _ in range(self.settings.outer_steps):
                a, b = self._outer_batch(len(pool), rows)
                optimizer = self._outer_optimizers[name]
                optimizer.zero_grad(set_to_none=True)
                if self.settings.order == "implicit" and name == "":
                    loss = self._implicit_step(self.data.normals[pool[a]], self.data.anomalies[b])
                else:
                    loss = self._outer_loss(head(normals[a]), head(anomalies[b]), head.temperature())
                    loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if name == "":
                    losses.append(loss.detach())
        self._note("outer_loss", _mean(losses))

    def _outer_loss(self, of_normals: Tensor, of_anomalies: Tensor, temperature: Tensor) -> Tensor:
        loss = one_class_loss(of_normals, normal=True, temperature=temperature)
        loss = loss + one_class_loss(of_anomalies, normal=False, temperature=temperature)
        if self.settings.margin_weight > 0:
            gap = confidence_gap(of_normals, of_anomalies, temperature)
            loss = loss + self.settings.margin_weight * margin_loss(gap, self.settings.margin)
        return loss

    def _implicit_step(self, normals: Tensor, anomalies: Tensor) -> Tensor:
        """Put the implicit hypergradient into the head's gradients; return the outer loss."""
        autoencoder = _Autoencoder(self.encoder, self.decoder)

        def outer(theta: Parameters, phi: Parameters) -> Tensor:
            both = torch.cat([normals, anomalies])
            z, _ = functional_call(autoencoder, theta, (both,))
            logits = functional_call(self.head, phi, (z,))
            temperature = bounded_temperature(phi["raw_temperature"])
            return self._outer_loss(logits[: len(normals)], logits[len(normals) :], temperature)

        def inner(theta: Parameters, phi: Parameters) -> Tensor:
            z, output = functional_call(autoencoder, theta, (normals,))
            error = variance_normalised_reconstruction(output, normals, self.data.variance).mean()
            logits = functional_call(self.head, phi, (z,))
            return one_class_loss(logits, normal=True) + self.settings.reconstruction_weight * error

        theta = {name: p.detach() for name, p in autoencoder.named_parameters()}
        phi = {name: p.detach() for name, p in self.head.named_parameters()}
        gradient = implicit_hypergradient(
            inner,
            outer,
            theta,
            phi,
            damping=self.settings.damping,
            iterations=self.settings.cg_iterations,
        )
        for name, parameter in self.head.named_parameters():
            if parameter.requires_grad:
                parameter.grad = gradient[name].detach()
        with torch.no_grad():
            return outer(theta, phi)

    def _shots(self, kind: str, shots: int) -> NDArray[np.int64]:
        rows = np.flatnonzero(self.data.kinds == kind)
        return rows if len(rows) <= shots else np.sort(self.generator.choice(rows, shots, replace=False))

    def _outer_batch(
        self, n_pool: int, support: Mapping[str, NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Half normals, half anomalies with the same share of each kind."""
        half = max(1, self.settings.outer_batch_size // 2)
        normals = self.generator.integers(n_pool, size=half)
        each = max(1, half // len(support))
        anomalies = [self.generator.choice(rows, each) for rows in support.values()]
        return normals, np.concatenate(anomalies)

    def _draw(self, rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        return rows[self.generator.integers(len(rows), size=min(size, len(rows)))]

    # ------------------------------------------------------------------ course of training
    def record(self, episode: Episode) -> tuple[float, dict[str, float]]:
        """Note one episode; return what it is chosen by, and how hard each kind is."""
        with torch.no_grad():
            z = self.encoder(self.data.validation)
            logits = self.head(z)
            temperature = self.head.temperature()
            self._note("temperature", float(temperature))
            normalised = nn.functional.layer_norm(z, z.shape[1:])
            self._note("latent_variance", float(normalised.var(dim=0, unbiased=False).mean()))
            self._note("n_kinds", len(episode.kinds))
            self._note("shots", episode.shots if episode.kinds else 0)
            if not self._kinds:
                for name in ("known_auroc", "left_out_auroc", "margin"):
                    self._note(name, math.nan)
                return -math.inf, {}
            anomalies = self.encoder(self.data.anomalies)
            of_anomalies = self.head(anomalies)
            self._note("margin", float(confidence_gap(logits, of_anomalies, temperature)))
            confidence = torch.sigmoid(-anomaly_logit(of_anomalies, temperature)).cpu().numpy()
            known, hardness, left_out = [], {}, []
            for kind in self._kinds:
                mine = self.data.kinds == kind
                known.append(_head_auroc(self.head, z, anomalies[mine]))
                hardness[kind] = (1 - known[-1] + float(confidence[mine].mean())) / 2
                if kind in self.companions:
                    left_out.append(_head_auroc(self.companions[kind], z, anomalies[mine]))
        self._note("known_auroc", float(np.mean(known)))
        self._note("left_out_auroc", float(np.mean(left_out)) if left_out else math.nan)
        value = float(np.mean([np.mean(known), np.mean(left_out)] if left_out else known))
        return value if self._met.issuperset(self._heads()) else -math.inf, hardness

    def _note(self, name: str, value: float) -> None:
        self.records.setdefault(name, []).append(value)

    def state(self) -> list[dict[str, Any]]:
        """Return copies of all weights."""
        return [copy.deepcopy(module.state_dict()) for module in self._modules()]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Put weights back that ``state`` returned."""
        for module, weights in zip(self._modules(), state, strict=True):
            module.load_state_dict(weights)

    def _modules(self) -> list[nn.Module]:
        return [self.encoder, self.decoder, self.head, *self.companions.values()]


class _Autoencoder(nn.Module):
    """θ as one module: rows to latent vectors and reconstructions."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        return z, self.decoder(z)


def _head_auroc(head: CalibratedHead, normals: Tensor, anomalies: Tensor) -> float:
    scores = anomaly_logit(head(torch.cat([normals, anomalies]))).double().cpu().numpy()
    return float(auroc(np.arange(len(scores)) >= len(normals), scores))


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack(values).mean()) if values else math.nan
