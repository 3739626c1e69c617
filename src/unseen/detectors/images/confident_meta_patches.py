r"""Confident contrastive meta-learning for pictures: score a category that was never trained on, zero-shot.

Our reconstruction of M. Aqeel, D. Skočaj, M. Cristani, F. Setti, "A Contrastive Learning-Guided Confident
Meta-learning for Zero Shot Anomaly Detection" (2025), whose formulas are not public; what is from its
summary and what is ours is said in ``docs/methods/confident_meta.md``. Frozen patch features, seen from their
own picture (:mod:`unseen.nn.patches.context`), go through a projection g and a discriminator D, whose score s
is higher for anomalies; s starts from the length of what is seen, and training adds to it. With soft
confident weights w of the pictures, the same patches with feature noise, and patches under synthetic defects
on the same pictures,

.. math::
    L = \frac{\sum_i w_i \ell_i}{\sum_i w_i} + \lambda_c\, \mathrm{InfoNCE}_w, \qquad
    \theta' = \theta - a \nabla L_\text{support}\ (K\ \text{times}), \qquad
    \theta \leftarrow \mathrm{Adam}\big(\rho \nabla L_\text{query}(\theta)
        + (1 - \rho) \nabla L_\text{query}(\theta')
        + \nabla \lambda_0 (1 + \tfrac12 d) \lVert \theta \rVert^2\big)

over tasks, which are the domains of the fit (:mod:`unseen.nn.confident_training`). A patch scores
:math:`\log(1 + e^s)`, or its distance d from prototypes (:mod:`unseen.nn.patches.prototypes`), or the sum,
and a picture the mean of its highest patches. Pictures of a domain without references are scored by θ;
``adapt`` gives a domain its own weights by the inner loop on its unlabelled normals, whose patches explain
what is normal, and whose features are prototypes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.detectors.images.inputs import all_normal
from unseen.detectors.images.looking import Look
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
from unseen.nn.meta_gradient import Parameters
from unseen.nn.patches.context import CONTEXTS, in_context
from unseen.nn.patches.prototypes import draw_prototypes, prototype_distance
from unseen.nn.randomness import isolated_randomness
from unseen.nn.synthetic import SyntheticAnomalies
from unseen.nn.threads import suitable_threads
from unseen.pixels import Pixels, Size
from unseen.references.pseudo_domains import named_or_pseudo_domains
from unseen.types import BoolArray, FloatArray, Labels

SCORES = ("discriminator", "prototypes", "both")

_REMEMBERED = {"weights", "prototypes", "references"}

_DEFECT_SHARE = 0.05
_DEFECT_EXPONENTS = (2, 5)
"""Small spots: a defect over much of the picture is what the rest of it looks like."""

_MADE = 128
_MOSTLY = 0.5
_MEASURED = 20_000
_MOST_SCORED = 64

_WHOLE_NUMBERS = {
    "latent": 1, "epochs": 0, "warm_up": 0, "steps": 1, "tasks": 1, "items": 2, "parts": 1,
    "inner_steps": 0, "adaptation_steps": 0, "n_pseudo_domains": 1, "prototypes": 1,
}  # fmt: skip
_NOT_NEGATIVE = ("kappa", "regularisation", "contrastive_weight", "margin", "noise")


class _Known(NamedTuple):
    """Unit patches (n, channels) of pictures of a domain, and which picture (n,) each is of."""

    patches: Tensor
    owners: Tensor


class ConfidentMetaPatches(BaseImageDetector):
    """Confident contrastive meta-learning over categories of pictures (our reconstruction of CoZAD).

    Labels are not used: labelled anomalies change nothing.

    Parameters
    ----------
    context : {"absolute", "centred", "similarity", "both", "contrast"}
        How patches are seen; see :mod:`unseen.nn.patches.context`. ``"absolute"``: the features themselves,
        which is how the summary of the method reads.
    base : bool
        Whether s starts from the length of what is seen of a patch: how unlike it is to what explains it.
    score : {"discriminator", "prototypes", "both"}
        Which of the two terms a patch's score has: log(1 + e^s), the method's; d; or their sum.
    prototypes : int
        Reference patches, at most, that pictures of their domain are compared with, in ``"contrast"`` and
        in d.
    weighting : {"soft", "hard", "none"}
        Weights of training pictures from the interquartile fence of their scores within their domain: soft
        (the method), 0 above the fence, or all 1.
    kappa : float >= 0
        κ, interquartile ranges from the third quartile to the fence.
    regularisation : float >= 0
        λ₀ of the penalty on the weights; 0 leaves it out.
    meta : {"first", "second", "none"}
        Order of the outer gradient; none: the same network trained on pictures of all domains together, with
        as many gradients as both loops take.
    contrastive_weight : float >= 0
        λ_c; 0 leaves the contrastive term out.
    temperature : float > 0
        τ of the contrastive term.
    noise : float >= 0
        σ of the feature noise; 0 leaves the term out.
    margin : float >= 0
        m.
    synthetic : bool
        Whether the discriminator is trained on synthetic defects.
    latent : int
        Size of g's features.
    epochs, warm_up, steps : int
        Epochs; those before the first weights; outer steps an epoch.
    tasks, items, parts : int
        Domains an outer step, pictures of each in a support or query batch, patches drawn of each picture.
    inner_steps : int
        K, in training.
    inner_lr, lr : float
        Learning rates of the inner gradient descent and of the outer Adam.
    start_share : float in [0, 1]
        ρ, the share of the outer gradient at θ itself, which zero-shot scores are from.
    adaptation_steps : int
        K of ``adapt``; 0: references act as prototypes only.
    n_pseudo_domains : int
        Clusters of pictures (by their mean features) that stand in for domains where fewer than two are
        named.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in [0, 1]
        A picture's score is the mean over this share of its patches, the highest ones; 0: the highest.
    smoothing : float >= 0
        Standard deviation of the smoothing of maps, in pixels of a picture of 448 pixels.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        A folder where features are kept.
    device : str
        ``"auto"`` or a torch device.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration; 0: calibrated on the normals of the fit.
    calibration_folds : int
        Folds of the leaving out, for domains with references; 0: no calibration but by held-back normals.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Seed of every random choice.

    Attributes
    ----------
    network_ : ConfidentNetwork
        g and D at θ.
    history_ : dict of str to float64 array of shape (epochs,)
        See :class:`unseen.nn.confident_training.TrainingResult`.
    memory_ : dict
        ``weights``: float32 (n_parameters,), the parameters that score pictures of the domain, θ for domains
        without references; ``prototypes``: float32 (n_prototypes, latent), and ``references``: float32
        (n_prototypes, channels), unit patches that ``"contrast"`` sees with, none of either for such domains.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "a few steps of training on them give their domain its own weights, and its pictures are compared "
        "with their patches"
    )

    network_: ConfidentNetwork
    history_: dict[str, NDArray[np.float64]]

    def __init__(
        self,
        *,
        context: str = "contrast",
        base: bool = True,
        score: str = "discriminator",
        prototypes: int = 2048,
        weighting: Weighting = "soft",
        kappa: float = 1.5,
        regularisation: float = 0.005,
        meta: str = "first",
        contrastive_weight: float = 0.1,
        temperature: float = 0.1,
        noise: float = 0.015,
        margin: float = 0.5,
        synthetic: bool = True,
        latent: int = 128,
        epochs: int = 3,
        warm_up: int = 1,
        steps: int = 10,
        tasks: int = 3,
        items: int = 8,
        parts: int = 32,
        inner_steps: int = 5,
        inner_lr: float = 0.05,
        lr: float = 3e-4,
        start_share: float = 0.5,
        adaptation_steps: int = 5,
        n_pseudo_domains: int = 4,
        backbone: str = "efficientnet-lite0",
        image_size: Size = 256,
        strides: Sequence[int] = (8, 16),
        pool: int = 1,
        top_share: float = 0.01,
        smoothing: float = 4.0,
        batch_size: int = 16,
        cache_dir: str | None = None,
        device: str = "auto",
        calibration_fraction: float = 0.0,
        calibration_folds: int = 8,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.context = context
        self.base = base
        self.score = score
        self.prototypes = prototypes
        self.weighting = weighting
        self.kappa = kappa
        self.regularisation = regularisation
        self.meta = meta
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.noise = noise
        self.margin = margin
        self.synthetic = synthetic
        self.latent = latent
        self.epochs = epochs
        self.warm_up = warm_up
        self.steps = steps
        self.tasks = tasks
        self.items = items
        self.parts = parts
        self.inner_steps = inner_steps
        self.inner_lr = inner_lr
        self.lr = lr
        self.start_share = start_share
        self.adaptation_steps = adaptation_steps
        self.n_pseudo_domains = n_pseudo_domains
        self.backbone = backbone
        self.image_size = image_size
        self.strides = strides
        self.pool = pool
        self.top_share = top_share
        self.smoothing = smoothing
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.device = device
        self.calibration_fraction = calibration_fraction
        self.calibration_folds = calibration_folds
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_choice(self, "context", self.context, CONTEXTS)
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
        for name in ("synthetic", "base"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(
                    f"{type(self).__name__}: {name} must be True or False, got {getattr(self, name)!r}."
                )

    def _check_fitted_values(self) -> None:
        shape = vector_of(dict(self.network_.named_parameters())).shape
        for memory in (self.memory_, *self.domain_memories_.values()):
            if set(memory) != _REMEMBERED or memory["weights"].shape != shape:
                raise ValueError("the weights of a domain are not those of this network")
            widths = (memory["prototypes"].shape[1:], memory["references"].shape[1:])
            if widths != ((self.latent,), (self.n_features_in_,)):
                raise ValueError("the prototypes of a domain are not of this network")

    def _build_network(self) -> ConfidentNetwork:
        """An untrained network of this shape."""
        channels = self.n_features_in_ * (2 if self.context == "both" else 1)
        return ConfidentNetwork(channels, latent=self.latent, base=self.base)

    # ---------------------------------------------------------------- training
    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        """A copy with a made-up defect of each normal picture; others stay as they are."""
        make = SyntheticAnomalies(share=_DEFECT_SHARE, exponents=_DEFECT_EXPONENTS)
        copies, defects = images.copy(), np.zeros(images.shape[:3], dtype=np.bool_)
        for row in np.flatnonzero(normal).tolist():
            draw = np.random.default_rng([self.seed, zlib.crc32(np.ascontiguousarray(images[row]).data)])
            copies[row], defects[row], _ = make(images[row], draw)
        return [Look(copies, defects)]

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        self._learn(self._tasks(V, labels))

    def _tasks(self, V: FloatArray, labels: Labels) -> list[Task]:
        """The pictures of each domain."""
        draw = np.random.default_rng(self.seed)
        means = V[:, 0, :-2].mean(axis=(2, 3))
        domains = named_or_pseudo_domains(means, labels.domains, self.n_pseudo_domains, draw)
        return [self._task(V[domains == name]) for name in np.unique(domains)]

    def _learn(self, tasks: Sequence[Task]) -> None:
        place = resolve_device(self.device)
        with isolated_randomness(self.seed):
            network = self._build_network()
        network.measure(_spread_out([task.normals for task in tasks]))
        network = network.to(place)
        with suitable_threads(network):
            result = meta_train(network, tasks, self._settings(), torch.Generator().manual_seed(self.seed))
        network.load_state_dict({**network.state_dict(), **result.parameters})
        self.network_ = network.cpu().requires_grad_(False).eval()
        self.history_ = result.history

    def _task(self, V: FloatArray, known: _Known | None = None) -> Task:
        """Pictures with a made-up defect each as a task; each is seen with patches of the others."""
        place = resolve_device(self.device)
        draw = torch.Generator().manual_seed(self.seed)
        normals, made = [], []
        for number, picture in enumerate(V):
            looks = torch.from_numpy(np.ascontiguousarray(picture)).to(place)
            others = None if known is None else known.patches[known.owners != number]
            shares = looks[1, -1].flatten()
            under = torch.nonzero(shares >= min(_MOSTLY, float(shares.max())))[:, 0]
            chosen = under[torch.randint(len(under), (_MADE,), generator=draw)]
            normals.append(in_context(looks[:1, :-2], self.context, others)[0])
            made.append(in_context(looks[1:2, :-2], self.context, others, places=chosen)[0])
        return Task(torch.stack(normals), torch.stack(made))

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
            parts=self.parts,
            inner_steps=self.inner_steps,
            inner_lr=self.inner_lr,
            outer_lr=self.lr,
            start_share=self.start_share,
        )

    # ---------------------------------------------------------------- scoring
    def _memorise(self, V: FloatArray, labels: Labels, *, calibrated: bool) -> None:
        """Adapt to each domain, if there are several; θ is for all pictures without one."""
        self.domain_memories_, self.domain_calibrations_ = {}, {}
        names = np.unique(labels.domains)
        for name in names if len(names) > 1 else ():
            self._memorise_domain(str(name), V[labels.domains == name], calibrated=calibrated)
        theta = vector_of(dict(self.network_.named_parameters()))
        self.memory_ = {
            "weights": theta,
            "prototypes": np.zeros((0, self.latent), dtype=np.float32),
            "references": np.zeros((0, self.n_features_in_), dtype=np.float32),
        }
        if calibrated and self.calibration_folds >= 2:
            some = np.random.default_rng(self.seed).permutation(len(V))[:_MOST_SCORED]
            scores = self._scorer().views(V[some], np.full(len(some), "")).scores
            self._calibrate(scores, all_normal(len(some)))

    def _remember(self, V: FloatArray) -> Memory:
        known = self._known(V)
        return self._adapted(known, self._task(V, known))

    def _adapted(self, known: _Known, task: Task) -> Memory:
        """The memory of a domain after the steps of adaptation."""
        network = self._build_network()
        network.load_state_dict(self.network_.state_dict())
        network = network.to(resolve_device(self.device))
        parameters: Parameters = dict(network.named_parameters())
        draw = torch.Generator().manual_seed(self.seed)
        with suitable_threads(network), torch.no_grad():
            parameters = adapt_parameters(
                network, parameters, task, self._settings(), steps=self.adaptation_steps, generator=draw
            )
            found = [functional_call(network, parameters, (picture,)).features for picture in task.normals]
            prototypes = draw_prototypes(torch.cat(found), self.prototypes, draw)
        return {
            "weights": vector_of(parameters),
            "prototypes": prototypes.cpu().numpy(),
            "references": known.patches.cpu().numpy(),
        }

    def _known(self, V: FloatArray) -> _Known:
        """Patches of pictures that others are seen with; none where the context does not ask for them."""
        draw = torch.Generator().manual_seed(self.seed)
        patches = torch.from_numpy(np.ascontiguousarray(V[:, 0, :-2])).flatten(2).transpose(1, 2)
        owners = torch.arange(len(V)).repeat_interleave(patches.shape[1])
        most = self.prototypes if self.context == "contrast" else 0
        kept = torch.randperm(len(owners), generator=draw)[:most].sort().values
        unit = torch.nn.functional.normalize(patches.flatten(0, 1)[kept], dim=1)
        place = resolve_device(self.device)
        return _Known(unit.to(place), owners[kept].to(place))

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        seen = in_context(features, self.context, memory["references"])
        return self._scores_of(seen, memory).reshape(len(features), *features.shape[2:])

    def _scores_of(self, seen: Tensor, memory: Tensors) -> Tensor:
        """Scores (n_pictures, n_patches) of patches as their context shows them."""
        network = self.network_.to(seen.device)
        judged = functional_call(network, parameters_of(network, memory["weights"]), (seen,))
        scores = torch.zeros_like(judged.scores)
        if self.score != "prototypes":
            scores = scores + torch.nn.functional.softplus(judged.scores)
        if self.score != "discriminator":
            scores = scores + prototype_distance(judged.features, memory["prototypes"])
        return scores


def _spread_out(parts: list[Tensor]) -> Tensor:
    """Patches of all tasks, evenly spaced, as many as are enough to measure their spread."""
    rows = torch.cat([values.flatten(0, 1) for values in parts])
    return rows[:: max(1, len(rows) // _MEASURED)]
