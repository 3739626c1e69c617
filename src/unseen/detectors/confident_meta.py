"""Confident contrastive meta-learning for rows: score a domain that was never trained on, with no labels.

Our reconstruction of M. Aqeel, D. Skočaj, M. Cristani, F. Setti, "A Contrastive Learning-Guided Confident
Meta-learning for Zero Shot Anomaly Detection" (2025), whose formulas are not public; what is from its
summary and what is ours is said in ``docs/methods/confident_meta.md``.

::

    z = g(x),  s = D(z)                            encoder, discriminator; s is higher for anomalies
    ℓ = [m + s(x)]₊ + [m − s(x̃)]₊ + [m − s(a)]₊    x̃ with feature noise, a a synthetic anomaly made from x
    L = Σ w ℓ / Σ w + λ_c InfoNCE_w                w soft confident weights (IQR fence, κ) of the rows
    θ'= θ − a ∇L_support, five times               a task is a domain: 70 % support, 30 % query
    θ ← Adam(ρ ∇L_query(θ) + (1 − ρ) ∇L_query(θ') + ∇ λ₀ (1 + u/2) ‖θ‖²)
                                                   u from the covariance of support and query losses
    d = min ‖z − p‖                                p features of normals: the prototypes

Without named domains the normals are clustered into pseudo-domains. The loops are in
:mod:`unseen.nn.confident_training`, the loss in :mod:`unseen.nn.confident_objective`, the anomalies in
:mod:`unseen.nn.row_anomalies`. The score is log(1 + e^s), or d, or their sum. ``adapt`` runs the inner loop
on the references of a domain, as unlabelled normals, and takes their features as its prototypes; rows of
other domains are scored by θ, and by the features of some training normals: zero-shot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.base import BaseDetector
from unseen.errors import ParameterError
from unseen.nn.confident_network import ConfidentNetwork, parameters_of, vector_of
from unseen.nn.confident_objective import ObjectiveSettings
from unseen.nn.confident_training import (
    METAS,
    WEIGHTINGS,
    Task,
    TrainingSettings,
    Weighting,
    adapt_parameters,
    meta_train,
)
from unseen.nn.device import resolve_device
from unseen.nn.multilayer_perceptron import check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_anomalies import row_anomalies
from unseen.nn.row_scores import RowScore, path_contributions, score_rows, scoring_copy
from unseen.nn.threads import suitable_threads
from unseen.references.pseudo_domains import named_or_pseudo_domains
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_MADE_OF_EACH = 4
_MADE_OF_REFERENCES = 32
_MOST_BANK_ROWS = 2048

SCORES = ("discriminator", "prototypes", "both")

_WHOLE_NUMBERS = {
    "latent": 1, "epochs": 0, "warm_up": 0, "steps": 1, "tasks": 1, "items": 2, "inner_steps": 0,
    "adaptation_steps": 0, "n_pseudo_domains": 1,
}  # fmt: skip
_NOT_NEGATIVE = ("kappa", "regularisation", "contrastive_weight", "margin", "noise")


class ConfidentMeta(BaseDetector):
    """Confident contrastive meta-learning over domains of normals (our reconstruction of CoZAD).

    Labels are not used: labelled anomalies and rows without a label take no part.

    Parameters
    ----------
    score : {"discriminator", "prototypes", "both"}
        Which of the two terms a row's score has: log(1 + e^s), the method's; d; or their sum.
    weighting : {"soft", "hard", "none"}
        Weights of training rows from the interquartile fence of their scores within their domain: soft (the
        method), 0 above the fence, or all 1.
    kappa : float >= 0
        κ, interquartile ranges from the third quartile to the fence.
    regularisation : float >= 0
        λ₀ of the penalty on the weights, raised by up to a half by the covariance of support and query
        losses; 0 leaves it out.
    meta : {"first", "second", "none"}
        Order of the outer gradient; none: the same network trained on rows of all domains together, with as
        many gradients as both loops take.
    contrastive_weight : float >= 0
        λ_c; 0 leaves the contrastive term out.
    temperature : float > 0
        τ of the contrastive term.
    noise : float >= 0
        σ of the feature noise that the discriminator is to recognise; 0 leaves the term out.
    margin : float >= 0
        m.
    synthetic : bool
        Whether the discriminator is trained on synthetic anomalies.
    hidden : sequence of int
        Widths of the hidden layers of g.
    latent : int
        Size of z.
    epochs, warm_up, steps : int
        Epochs; those before the first weights; outer steps an epoch.
    tasks, items : int
        Domains an outer step, and rows of each in a support or query batch.
    inner_steps : int
        Steps of the inner loop in training.
    inner_lr, lr : float
        Learning rates of the inner gradient descent and of the outer Adam.
    start_share : float in [0, 1]
        ρ, the share of the outer gradient at θ itself, which zero-shot scores are from.
    adaptation_steps : int
        Steps of the inner loop that ``adapt`` runs on references; 0: references act as prototypes and
        through the view only.
    n_pseudo_domains : int
        Clusters of normals that stand in for domains where the data names fewer than two.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    network_ : ConfidentNetwork
        g and D at θ.
    adapted_ : dict of str to float32 array of shape (n_parameters,)
        Parameters of each domain given to ``adapt``.
    prototypes_ : dict of str to float32 array of shape (n_references, latent)
        Features of its references.
    bank_ : float32 array of shape (n_bank, n_features)
        Up to 2048 training normals that synthetic anomalies are mixed from and whose features are prototypes
        of rows without references; training rows are part of this model, and of what is saved of it.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        See :class:`unseen.nn.confident_training.TrainingResult`.

    Notes
    -----
    ``explain`` gives integrated gradients of the score, with s in place of log(1 + e^s), from the median of
    the training normals to the row, in eight steps; up to the error of those they sum to the difference of
    the two.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "a few steps of training on them give their domain its own weights, and its rows are compared with "
        "their features, beside what the view does; with view='residual-nearest' through the view only"
    )

    network_: ConfidentNetwork
    adapted_: dict[str, NDArray[np.float32]]
    prototypes_: dict[str, NDArray[np.float32]]
    bank_: NDArray[np.float32]
    origin_: NDArray[np.float32]
    history_: dict[str, NDArray[np.float64]]

    def __init__(
        self,
        *,
        score: str = "prototypes",
        weighting: Weighting = "soft",
        kappa: float = 1.5,
        regularisation: float = 1e-4,
        meta: str = "first",
        contrastive_weight: float = 0.1,
        temperature: float = 0.1,
        noise: float = 0.015,
        margin: float = 0.5,
        synthetic: bool = True,
        hidden: Sequence[int] = (128,),
        latent: int = 128,
        epochs: int = 6,
        warm_up: int = 2,
        steps: int = 20,
        tasks: int = 4,
        items: int = 64,
        inner_steps: int = 5,
        inner_lr: float = 0.01,
        lr: float = 3e-3,
        start_share: float = 0.0,
        adaptation_steps: int = 5,
        n_pseudo_domains: int = 8,
        device: str = "auto",
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.score = score
        self.weighting = weighting
        self.kappa = kappa
        self.regularisation = regularisation
        self.meta = meta
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.noise = noise
        self.margin = margin
        self.synthetic = synthetic
        self.hidden = hidden
        self.latent = latent
        self.epochs = epochs
        self.warm_up = warm_up
        self.steps = steps
        self.tasks = tasks
        self.items = items
        self.inner_steps = inner_steps
        self.inner_lr = inner_lr
        self.lr = lr
        self.start_share = start_share
        self.adaptation_steps = adaptation_steps
        self.n_pseudo_domains = n_pseudo_domains
        self.device = device
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_choice(self, "score", self.score, SCORES)
        check_choice(self, "weighting", self.weighting, WEIGHTINGS)
        check_choice(self, "meta", self.meta, METAS)
        for name, least in _WHOLE_NUMBERS.items():
            check_int(self, name, getattr(self, name), minimum=least)
        for name in _NOT_NEGATIVE:
            check_real(self, name, getattr(self, name), minimum=0)
        for name in ("temperature", "inner_lr", "lr"):
            check_real(self, name, getattr(self, name), minimum=0, open_minimum=True)
        check_real(self, "start_share", self.start_share, minimum=0, maximum=1)
        if not isinstance(self.synthetic, bool):
            raise ParameterError(
                f"{type(self).__name__}: synthetic must be True or False, got {self.synthetic!r}."
            )
        check_widths(self, self.hidden)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        count = sum(value.numel() for value in self.network_.parameters())
        if any(vector.shape != (count,) for vector in self.adapted_.values()):
            raise ValueError("the weights of a domain are not those of this network")
        if any(values.shape[1:] != (self.latent,) for values in self.prototypes_.values()):
            raise ValueError("the prototypes of a domain are not of this network")
        if self.bank_.shape[1:] != (self.n_features_in_,) or self.origin_.shape != (self.n_features_in_,):
            raise ValueError("the bank or the origin is not of these features")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        draw = np.random.default_rng(self.seed)
        normals = np.ascontiguousarray(V[labels.normal], dtype=np.float32)
        domains = named_or_pseudo_domains(normals, labels.domains[labels.normal], self.n_pseudo_domains, draw)
        self.bank_ = normals[np.sort(draw.permutation(len(normals))[:_MOST_BANK_ROWS])]
        self.origin_ = np.median(normals, axis=0).astype(np.float32)
        self.adapted_, self.prototypes_ = {}, {}
        with isolated_randomness(self.seed):
            network = self._build_network()
        network.measure(torch.from_numpy(normals))
        network = network.to(resolve_device(self.device))
        of_domains = [normals[domains == name] for name in np.unique(domains)]
        tasks = [self._task(rows, rows, _MADE_OF_EACH, self.seed + i) for i, rows in enumerate(of_domains)]
        with suitable_threads(network):
            result = meta_train(network, tasks, self._settings(), torch.Generator().manual_seed(self.seed))
        network.load_state_dict({**network.state_dict(), **result.parameters})
        self.network_ = network.cpu().requires_grad_(False).eval()
        self.history_ = result.history

    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        adapted = {name: vector for name, vector in self.adapted_.items() if name not in domains}
        prototypes = {name: values for name, values in self.prototypes_.items() if name not in domains}
        for name in np.unique(domains) if self.view != "residual-nearest" else ():
            references = V_ref[domains == name]
            if self.adaptation_steps > 0:
                adapted[str(name)] = self._weights_for(references)
            network = self._network_of(adapted.get(str(name)))
            prototypes[str(name)] = _features(network, references).float().numpy()
        self.adapted_, self.prototypes_ = adapted, prototypes

    def _weights_for(self, references: FloatArray) -> NDArray[np.float32]:
        """The parameters after the inner loop on references."""
        task = self._task(references, self.bank_, _MADE_OF_REFERENCES, self.seed)
        network = self._build_network().to(task.normals.device)
        network.load_state_dict(self.network_.state_dict())
        with suitable_threads(network):
            found = adapt_parameters(
                network,
                dict(network.named_parameters()),
                task,
                self._settings(),
                steps=self.adaptation_steps,
                generator=torch.Generator().manual_seed(self.seed),
            )
        return vector_of(found)

    def _task(self, rows: FloatArray, partners: FloatArray, n_each: int, seed: int) -> Task:
        """Rows as a task: each is its own single part."""
        made = row_anomalies(rows, self.bank_, partners, n_each, np.random.default_rng(seed))
        place = resolve_device(self.device)
        normals = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)).to(place)
        return Task(normals[:, None, :], torch.from_numpy(made).to(place))

    def _settings(self) -> TrainingSettings:
        objective = ObjectiveSettings(
            margin=self.margin,
            noise=self.noise,
            synthetic=self.synthetic,
            contrastive_weight=self.contrastive_weight,
            temperature=self.temperature,
        )
        return TrainingSettings(
            objective=objective,
            weighting=self.weighting,
            kappa=self.kappa,
            meta=self.meta,
            regularisation=self.regularisation,
            epochs=self.epochs,
            warm_up=self.warm_up,
            steps=self.steps,
            tasks=self.tasks,
            items=self.items,
            inner_steps=self.inner_steps,
            inner_lr=self.inner_lr,
            outer_lr=self.lr,
            start_share=self.start_share,
        )

    # ---------------------------------------------------------------- scoring
    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(len(V), dtype=np.float64)
        device = resolve_device(self.device)
        for rows, network, prototypes in self._by_domain(domains):
            with scoring_copy(network, device) as double:
                out[rows] = score_rows(self._row_score(double, prototypes), V[rows], device)
        return out

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(V.shape, dtype=np.float64)
        device = resolve_device(self.device)
        for rows, network, prototypes in self._by_domain(domains):
            with scoring_copy(network, device) as double:
                score = self._row_score(double, prototypes, bounded=False)
                out[rows] = path_contributions(score, V[rows], self.origin_, device)
        return out

    def _row_score(self, double: ConfidentNetwork, prototypes: Tensor, *, bounded: bool = True) -> RowScore:
        """The terms asked for; not bounded: s in place of log(1 + e^s)."""
        known = prototypes.to(double.length)

        def score(rows: Tensor) -> Tensor:
            judged = double(rows)
            total = torch.zeros_like(judged.scores)
            if self.score != "prototypes":
                total = total + (F.softplus(judged.scores) if bounded else judged.scores)
            if self.score != "discriminator":
                z = judged.features
                nearest = (z.detach() @ known.T - known.square().sum(dim=1) / 2).argmax(dim=1)
                total = total + torch.linalg.vector_norm(z - known[nearest], dim=1)
            return total

        return score

    def _by_domain(self, domains: StrArray) -> Iterator[tuple[NDArray[np.int64], ConfidentNetwork, Tensor]]:
        """Yield row numbers, the network with the weights of their domain, and its prototypes."""
        names, codes = np.unique(domains, return_inverse=True)
        zero_shot = [code for code, name in enumerate(names) if str(name) not in self.prototypes_]
        if zero_shot:
            rows = np.flatnonzero(np.isin(codes, zero_shot))
            yield rows, self.network_, _features(self.network_, self.bank_)
        for code, name in enumerate(names):
            if code not in zero_shot:
                network = self._network_of(self.adapted_.get(str(name)))
                prototypes = torch.from_numpy(self.prototypes_[str(name)])
                yield np.flatnonzero(codes == code), network, prototypes

    def _network_of(self, weights: NDArray[np.float32] | None) -> ConfidentNetwork:
        """The network with the weights of a domain; with θ where it has none."""
        if weights is None:
            return self.network_
        network = self._build_network()
        own = parameters_of(network, torch.from_numpy(weights))
        network.load_state_dict({**self.network_.state_dict(), **own})
        return network

    def _build_network(self) -> ConfidentNetwork:
        """An untrained network of this shape."""
        return ConfidentNetwork(self.n_features_in_, hidden=self.hidden, latent=self.latent)


def _features(network: ConfidentNetwork, rows: FloatArray) -> Tensor:
    """Features, in double precision."""
    with scoring_copy(network, torch.device("cpu")) as double, torch.no_grad():
        found: Tensor = double(torch.from_numpy(rows.astype(np.float64))).features
        return found
