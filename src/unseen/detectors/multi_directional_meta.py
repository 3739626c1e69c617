"""Multi-directional meta-learning: learn the normals inside, calibrate on a few anomalies outside.

::

    z = f_θ(x),  x̂ = g_θ(z),  ℓ = h_φ(z)          encoder, decoder, head (index 0 normal, 1 anomaly)
    p_normal(x) = softmax(ℓ(x) / T)_0
    inner   min_θ     BCE(p_normal at T = 1, 1) + λ_rec · variance-normalised reconstruction     (normals)
    outer   min_φ,T   BCE(p_normal, 1) on normals + BCE(p_normal, 0) on anomalies + α [m − gap]₊

Each episode pairs some domains of normals with some known kinds (a *direction*); the course of the episodes
is in :mod:`unseen.detectors.episodes`, the two loops in :mod:`unseen.detectors.meta_training` (Roy, Mili &
Boker, "A Multi-directional Meta-Learning Framework for Class-Generalizable Anomaly Detection").

Scores::

    head     a(x) = (ℓ_1 − ℓ_0)/T                  the paper's 1 − p_normal, in an order without ties
    novelty  n(x) = mean of the cues c'(x)         what the encoder has learned about normals, no label
    fused    n(x) + w · log(1 + exp(a'(x)))        a'(x) = (a(x) − median)/spread over validation normals

The cues are in :mod:`unseen.detectors.latent_novelty`. The head knows some anomalies and not others, so in
the fused score it can add to the novelty of a row and hardly take away from it. Its weight w is chosen on
known kinds, each scored by the companion head that never met it: if heads do not help there, w = 0 and the
labels change nothing but the choice of the episode.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.base import BaseDetector
from unseen.detectors.episodes import EpisodeSampler, validation_rows
from unseen.detectors.head_weight import HEAD_WEIGHTS, USUAL_HEAD_WEIGHT, guarded_weight, left_out_table
from unseen.detectors.latent_novelty import (
    CUES,
    CueScale,
    cue_scale,
    neighbour_distance,
    robust_location,
    whitening,
)
from unseen.detectors.meta_training import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    CalibratedHead,
    MetaData,
    MetaResult,
    MetaSettings,
    meta_train,
)
from unseen.errors import ParameterError
from unseen.nn.conv_encoder import ConvEncoder
from unseen.nn.device import resolve_device
from unseen.nn.losses.one_class import anomaly_logit
from unseen.nn.losses.variance_normalised_reconstruction import variance_normalised_reconstruction
from unseen.nn.randomness import isolated_randomness
from unseen.nn.residual_encoder import ResidualDecoder, ResidualEncoder
from unseen.references.pseudo_domains import pseudo_domains
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

ScoreRule = Literal["fused", "head", "novelty"]
SCORE_RULES: tuple[str, ...] = get_args(ScoreRule)
ENCODERS = ("mlp", "conv1d")
ORDERS = ("first", "implicit")

_WHOLE_NUMBERS = {
    "latent": 1, "width": 1, "blocks": 0, "episodes": 1, "inner_steps": 1, "outer_steps": 0,
    "batch_size": 1, "outer_batch_size": 1, "first_shots": 1, "n_pseudo_domains": 1, "cg_iterations": 1,
    "n_neighbours": 1, "bank_rows": 1,
}  # fmt: skip
_NOT_NEGATIVE = (
    "weight_decay", "reconstruction_weight", "margin_weight", "damping", "head_tolerance", "perturbation",
)  # fmt: skip
_CHUNK_ROWS = 4096
_MOST_VALIDATION_NORMALS = 1024
_PATH_STEPS = 8


class MultiDirectionalMeta(BaseDetector):
    """Multi-directional meta-learning over domains of normals and known kinds of anomalies.

    Without labelled anomalies there is no outer loop, and ``"fused"`` is ``"novelty"``.

    Parameters
    ----------
    encoder : {"mlp", "conv1d"} or nn.Module
        f_θ: the paper's residual network, a small convolutional one for rows that are signals, or any module
        from (n_rows, n_features) to (n_rows, L); a copy of it is trained on, from the weights it has. A
        detector with a module of yours cannot be saved by :func:`unseen.persistence.save`.
    latent : int
        L, of the named encoders.
    width : int
        Hidden width of the residual encoder.
    blocks : int
        Residual blocks of the residual encoder.
    dropout, drop_path : float in [0, 1)
        Of the residual encoder, in the inner loop.
    episodes : int
        Number of episodes.
    inner_steps, outer_steps : int
        Steps of each loop in an episode; ``outer_steps=0`` leaves the outer loop out.
    batch_size, outer_batch_size : int
        Rows a step; half of an outer batch are normals.
    lr, outer_lr : float
        Learning rates of AdamW on θ and of Adam on φ and T.
    weight_decay : float
        Of AdamW on θ.
    reconstruction_weight : float >= 0
        λ_rec. With 0 the inner loop has the trivial solution that everything is normal, and the encoder
        collapses: see ``latent_variance`` in ``history_``.
    margin : float in [0, 1]
        m, the gap of mean p_normal that the hinge asks for.
    margin_weight : float >= 0
        α; 0 leaves the hinge out.
    temperature : float in (0.5, 10)
        T, or where it starts.
    learn_temperature : bool
        Whether the outer loop learns T beside φ.
    multi_directional : bool
        False: one fixed pairing of domains and kinds in every episode.
    curriculum : bool
        False: kinds are drawn evenly, with all kinds and shots from the first episode on.
    first_shots : int
        Anomalies a kind in the first episode of the curriculum.
    domain_share : float in (0, 1]
        Share of the domains whose normals an episode's inner loop sees.
    n_pseudo_domains : int
        Clusters of normals that stand in for domains where the data names fewer than two.
    patience : int or None
        Stop after so many episodes without a better one. None: run all. The best episode is kept in either
        case.
    order : {"first", "implicit"}
        Gradient of the outer loop: θ taken as constant, or the implicit hypergradient through θ*(φ).
    damping : float >= 0
        Added to the inner Hessian of ``"implicit"``.
    cg_iterations : int
        Conjugate-gradient steps of ``"implicit"``.
    score : {"fused", "head", "novelty"}
        Which score; see the top of this file.
    novelty_cues : sequence of str or "auto"
        Some of ``"neighbours"``, ``"mahalanobis"``, ``"reconstruction"``, ``"reference"``. ``"auto"``:
        neighbours and mahalanobis for ``view="raw"``, reference for all other views.
    n_neighbours : int
        k of the neighbours cue.
    bank_rows : int
        Latent normals kept for the neighbours cue.
    head_weight : float >= 0 or "auto"
        w. ``"auto"``: chosen on known kinds left out in turn.
    head_tolerance : float >= 0
        Largest loss of AUROC on any left-out kind, against w = 0, that ``"auto"`` accepts.
    perturbation : float >= 0
        ε of the step x + ε ∇p_normal/‖∇p_normal‖ that is taken before the head is read; 0: none.
    validation_fraction : float in (0, 0.5]
        Share of the training normals (of the named domains, where there are five or more) that train
        nothing: they give the history's AUROCs, the scales of the cues and w.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    encoder_, decoder_ : nn.Module
        f_θ and g_θ of the best episode.
    head_ : CalibratedHead
        h_φ and T.
    temperature_ : float
        T.
    input_centre_ : float32 array of shape (n_features,)
        Subtracted from viewed rows before the encoder: the mean of the normals for ``view="raw"``, else 0.
    input_scale_ : float
        Divides them: the mean over features of the normals' standard deviation.
    feature_variance_ : float32 array of shape (n_features,)
        v of the reconstruction term, on the encoder's input.
    bank_ : float32 array of shape (n_bank, L)
        Latent normals.
    latent_mean_, whitening_ : float32 arrays of shape (L,) and (L, L)
        μ and W with ‖(z − μ) W‖² the squared Mahalanobis distance.
    cues_ : list of str
        The cues of the novelty.
    cue_scales_ : float64 array of shape (n_cues, 2)
        Unit and spread of each; see :class:`unseen.detectors.latent_novelty.CueScale`.
    head_centre_, head_spread_ : float
        Median and spread of a(x) over validation normals.
    head_weight_ : float
        w.
    history_ : dict of str to float64 array of shape (n_episodes_run,)
        Per episode: ``known_auroc`` and ``left_out_auroc`` (means over known kinds of the AUROC of the head,
        and of the head that never met the kind), ``margin`` (gap of mean p_normal), ``temperature``,
        ``latent_variance`` (over validation normals of the latent vectors brought to mean 0 and variance 1
        as the head's LayerNorm does, mean over dimensions: near 0 for a collapsed encoder, at most 1),
        ``inner_loss``, ``reconstruction``, ``outer_loss``, ``n_kinds``, ``shots``. NaN where there is nothing
        to measure.
    best_episode_ : int
        Which episode the networks are from, counted from 0.

    Notes
    -----
    ``explain`` gives integrated gradients of the score along the straight line from the normals' mean (from
    the references, where the view is a residual) to the row, in eight steps; up to the error of the eight
    steps they sum to the score of the row minus the score at the start of the line.
    """

    uses_labels: ClassVar[bool] = True

    encoder_: nn.Module
    decoder_: nn.Module
    head_: CalibratedHead
    temperature_: float
    input_centre_: NDArray[np.float32]
    input_scale_: float
    feature_variance_: NDArray[np.float32]
    bank_: NDArray[np.float32]
    latent_mean_: NDArray[np.float32]
    whitening_: NDArray[np.float32]
    cues_: list[str]
    cue_scales_: NDArray[np.float64]
    head_centre_: float
    head_spread_: float
    head_weight_: float
    history_: dict[str, NDArray[np.float64]]
    best_episode_: int

    def __init__(
        self,
        *,
        encoder: str | nn.Module = "mlp",
        latent: int = 128,
        width: int = 256,
        blocks: int = 3,
        dropout: float = 0.1,
        drop_path: float = 0.05,
        episodes: int = 12,
        inner_steps: int = 50,
        outer_steps: int = 20,
        batch_size: int = 256,
        outer_batch_size: int = 128,
        lr: float = 1e-3,
        outer_lr: float = 1e-3,
        weight_decay: float = 1e-4,
        reconstruction_weight: float = 1.0,
        margin: float = 0.05,
        margin_weight: float = 0.1,
        temperature: float = 1.0,
        learn_temperature: bool = True,
        multi_directional: bool = True,
        curriculum: bool = True,
        first_shots: int = 5,
        domain_share: float = 0.5,
        n_pseudo_domains: int = 8,
        patience: int | None = None,
        order: str = "first",
        damping: float = 1.0,
        cg_iterations: int = 5,
        score: ScoreRule = "fused",
        novelty_cues: Sequence[str] | Literal["auto"] = "auto",
        n_neighbours: int = 5,
        bank_rows: int = 2048,
        head_weight: float | Literal["auto"] = "auto",
        head_tolerance: float = 0.005,
        perturbation: float = 0.0,
        validation_fraction: float = 0.2,
        device: str = "auto",
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.latent = latent
        self.width = width
        self.blocks = blocks
        self.dropout = dropout
        self.drop_path = drop_path
        self.episodes = episodes
        self.inner_steps = inner_steps
        self.outer_steps = outer_steps
        self.batch_size = batch_size
        self.outer_batch_size = outer_batch_size
        self.lr = lr
        self.outer_lr = outer_lr
        self.weight_decay = weight_decay
        self.reconstruction_weight = reconstruction_weight
        self.margin = margin
        self.margin_weight = margin_weight
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.multi_directional = multi_directional
        self.curriculum = curriculum
        self.first_shots = first_shots
        self.domain_share = domain_share
        self.n_pseudo_domains = n_pseudo_domains
        self.patience = patience
        self.order = order
        self.damping = damping
        self.cg_iterations = cg_iterations
        self.score = score
        self.novelty_cues = novelty_cues
        self.n_neighbours = n_neighbours
        self.bank_rows = bank_rows
        self.head_weight = head_weight
        self.head_tolerance = head_tolerance
        self.perturbation = perturbation
        self.validation_fraction = validation_fraction
        self.device = device
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    # ------------------------------------------------------------------ hooks
    def _check_parameters(self) -> None:
        for name, least in _WHOLE_NUMBERS.items():
            check_int(self, name, getattr(self, name), minimum=least)
        for name in _NOT_NEGATIVE:
            check_real(self, name, getattr(self, name), minimum=0)
        for name in ("lr", "outer_lr"):
            check_real(self, name, getattr(self, name), minimum=0, open_minimum=True)
        for name in ("dropout", "drop_path"):
            check_real(self, name, getattr(self, name), minimum=0, maximum=1, open_maximum=True)
        check_real(self, "margin", self.margin, minimum=0, maximum=1)
        for name, most in (("domain_share", 1.0), ("validation_fraction", 0.5)):
            check_real(self, name, getattr(self, name), minimum=0, maximum=most, open_minimum=True)
        check_real(
            self,
            "temperature",
            self.temperature,
            minimum=LOWEST_TEMPERATURE,
            maximum=HIGHEST_TEMPERATURE,
            open_minimum=True,
            open_maximum=True,
        )
        if self.patience is not None:
            check_int(self, "patience", self.patience, minimum=1)
        self._check_choices()

    def _check_choices(self) -> None:
        if not isinstance(self.encoder, nn.Module):
            check_choice(self, "encoder", self.encoder, ENCODERS)
        check_choice(self, "order", self.order, ORDERS)
        check_choice(self, "score", self.score, SCORE_RULES)
        if isinstance(self.head_weight, str):
            check_choice(self, "head_weight", self.head_weight, ["auto"])
        else:
            check_real(self, "head_weight", self.head_weight, minimum=0)
        if isinstance(self.novelty_cues, str):
            check_choice(self, "novelty_cues", self.novelty_cues, ["auto"])
        else:
            for cue in self.novelty_cues:
                check_choice(self, "novelty_cues", cue, CUES)
            if len(self.novelty_cues) == 0:
                raise ParameterError(
                    f"{type(self).__name__}: novelty_cues must name at least one cue, got none."
                )
        resolve_device(self.device)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        draw = np.random.default_rng(self.seed)
        normals = V[labels.normal]
        self.input_centre_ = np.zeros(V.shape[1], dtype=np.float32)
        if self.view == "raw":
            self.input_centre_ = normals.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = float(normals.std(axis=0, dtype=np.float64).mean())
        self.input_scale_ = spread if spread > 0 else 1.0
        rows = self._input(normals)
        domains = labels.domains[labels.normal]
        held = validation_rows(domains, self.validation_fraction, draw)
        if len(np.unique(domains)) < 2:
            domains = pseudo_domains(rows.cpu().numpy(), self.n_pseudo_domains, draw)
        validation = np.flatnonzero(held) if held.any() else np.arange(len(rows))
        data = MetaData(
            normals=rows[~held],
            domains=domains[~held],
            anomalies=self._input(V[labels.anomaly]),
            kinds=labels.kinds[labels.anomaly],
            validation=rows[draw.permutation(validation)[:_MOST_VALIDATION_NORMALS]],
            variance=rows[~held].var(dim=0, unbiased=False),
        )
        self.feature_variance_ = data.variance.cpu().numpy()
        result = self._train(data, draw)
        self.cues_ = self._cue_names()
        with torch.no_grad():
            self._learn_novelty(data, draw)
            self._choose_head_weight(data, result)

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(len(V), dtype=np.float64)
        with torch.no_grad():
            for start in range(0, len(V), _CHUNK_ROWS):
                x = self._input(V[start : start + _CHUNK_ROWS])
                out[start : start + _CHUNK_ROWS] = self._rate(x).double().cpu().numpy()
        return out

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.zeros(V.shape, dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            x = self._input(V[start : start + _CHUNK_ROWS])
            total = torch.zeros_like(x)
            for step in range(_PATH_STEPS):
                point = (x * (step + 0.5) / _PATH_STEPS).requires_grad_()
                (gradient,) = torch.autograd.grad(self._rate(point).sum(), point)
                total += gradient / _PATH_STEPS
            out[start : start + _CHUNK_ROWS] = (total * x).double().cpu().numpy()
        return out

    # ------------------------------------------------------------------ fit
    def _train(self, data: MetaData, draw: np.random.Generator) -> MetaResult:
        device = data.normals.device
        kinds, counts = np.unique(data.kinds, return_counts=True)
        sampler = EpisodeSampler(
            [str(name) for name in np.unique(data.domains)],
            {str(kind): int(count) for kind, count in zip(kinds, counts, strict=True)},
            n_episodes=self.episodes,
            domain_share=self.domain_share,
            first_shots=self.first_shots,
            multi_directional=self.multi_directional,
            curriculum=self.curriculum,
            generator=draw,
        )
        settings = MetaSettings(**{name: getattr(self, name) for name in MetaSettings.__dataclass_fields__})
        with isolated_randomness(self.seed):
            encoder = self._build_encoder().to(device)
            decoder = self._build_decoder().to(device)
            head = self._build_head().to(device)
            result = meta_train(
                encoder, decoder, head, data, sampler, settings, n_episodes=self.episodes, generator=draw
            )
        self.encoder_, self.decoder_, self.head_ = (
            result.encoder.eval(),
            result.decoder.eval(),
            result.head.eval(),
        )
        self.temperature_ = float(head.temperature().detach())
        self.history_, self.best_episode_ = result.history, result.best_episode
        return result

    def _learn_novelty(self, data: MetaData, draw: np.random.Generator) -> None:
        """Bank, moments and scales of the cues."""
        latents = self.encoder_(data.normals).cpu().numpy()
        kept = np.arange(len(latents))
        if len(latents) > self.bank_rows:
            kept = np.sort(draw.choice(len(latents), self.bank_rows, replace=False))
        self.bank_ = latents[kept]
        self.latent_mean_, self.whitening_ = whitening(latents)
        scales = []
        z = self.encoder_(data.validation)
        for cue in self.cues_:
            scale = cue_scale(self._cue(cue, data.validation, z).double().cpu().numpy())
            scales.append((scale.unit, scale.spread))
        self.cue_scales_ = np.array(scales, dtype=np.float64)
        values = anomaly_logit(self.head_(z), self.temperature_).double().cpu().numpy()
        self.head_centre_, self.head_spread_ = robust_location(values)

    def _choose_head_weight(self, data: MetaData, result: MetaResult) -> None:
        if not isinstance(self.head_weight, str):
            self.head_weight_ = float(self.head_weight) if len(data.kinds) else 0.0
            return
        self.head_weight_ = 0.0
        if not result.companions:
            return
        x = torch.cat([data.validation, data.anomalies])
        z = self.encoder_(x)
        y = np.arange(len(x)) >= len(data.validation)
        evidence = {}
        for kind, head in result.companions.items():
            log_odds = anomaly_logit(head(z)).double().cpu().numpy()
            centre, spread = robust_location(log_odds[~y])
            evidence[kind] = (log_odds - centre) / spread
        kinds = np.concatenate([np.full(len(data.validation), NORMAL_KIND), data.kinds])
        table = left_out_table(self._novelty(x, z).double().cpu().numpy(), evidence, y, kinds)
        self.head_weight_ = guarded_weight(
            table, HEAD_WEIGHTS, usual_weight=USUAL_HEAD_WEIGHT, tolerance=self.head_tolerance
        )

    # ------------------------------------------------------------------ scoring
    def _input(self, V: FloatArray) -> Tensor:
        rows = (V - self.input_centre_) / np.float32(self.input_scale_)
        return torch.from_numpy(rows.astype(np.float32)).to(resolve_device(self.device))

    def _rate(self, x: Tensor) -> Tensor:
        """Return the score of encoder inputs, shape (n_rows,); can be differentiated."""
        z = self.encoder_(x)
        if self.score == "head":
            return self._head_logit(x, z)
        novelty = self._novelty(x, z)
        if self.score == "novelty" or self.head_weight_ == 0:
            return novelty
        evidence = (self._head_logit(x, z) - self.head_centre_) / self.head_spread_
        return novelty + self.head_weight_ * torch.nn.functional.softplus(evidence)

    def _head_logit(self, x: Tensor, z: Tensor) -> Tensor:
        """Return a(x), after the perturbation if there is one."""
        if self.perturbation > 0:
            z = self.encoder_(self._perturbed(x))
        return anomaly_logit(self.head_(z), self.temperature_)

    def _perturbed(self, x: Tensor) -> Tensor:
        """Return x + ε ∇p_normal/‖∇p_normal‖; the step itself is not differentiated."""
        with torch.enable_grad():
            point = x.detach().requires_grad_()
            # log p_normal has the direction of p_normal, and does not vanish where p_normal saturates.
            log_p = -torch.nn.functional.softplus(
                anomaly_logit(self.head_(self.encoder_(point)), self.temperature_)
            )
            (gradient,) = torch.autograd.grad(log_p.sum(), point)
        length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True).clamp_min(1e-12)
        return torch.add(x, gradient / length, alpha=self.perturbation)

    def _novelty(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the mean of the scaled cues, shape (n_rows,)."""
        scaled = [
            CueScale(*(float(number) for number in row)).apply(self._cue(cue, x, z))
            for cue, row in zip(self.cues_, self.cue_scales_, strict=True)
        ]
        return torch.stack(scaled).mean(dim=0)

    def _cue(self, cue: str, x: Tensor, z: Tensor) -> Tensor:
        """Return one cue, shape (n_rows,), >= 0."""
        device = x.device
        if cue == "neighbours":
            bank, centre = (
                torch.from_numpy(self.bank_).to(device),
                torch.from_numpy(self.latent_mean_).to(device),
            )
            return neighbour_distance(z, bank, centre, self.n_neighbours)
        if cue == "mahalanobis":
            centred = z - torch.from_numpy(self.latent_mean_).to(device)
            return torch.mm(centred, torch.from_numpy(self.whitening_).to(device)).square().sum(1)
        if cue == "reconstruction":
            variance = torch.from_numpy(self.feature_variance_).to(device)
            return variance_normalised_reconstruction(self.decoder_(z), x, variance)
        return torch.sqrt(x.square().sum(1) + 1e-12)

    def _cue_names(self) -> list[str]:
        if not isinstance(self.novelty_cues, str):
            return [str(cue) for cue in self.novelty_cues]
        return ["neighbours", "mahalanobis"] if self.view == "raw" else ["reference"]

    # ------------------------------------------------------------------ networks
    def _build_encoder(self) -> nn.Module:
        """An untrained encoder of this shape."""
        if isinstance(self.encoder, nn.Module):
            return copy.deepcopy(self.encoder)
        if self.encoder == "conv1d":
            return ConvEncoder(self.n_features_in_, self.latent)
        return ResidualEncoder(
            self.n_features_in_,
            self.latent,
            width=self.width,
            blocks=self.blocks,
            dropout=self.dropout,
            drop_path=self.drop_path,
        )

    def _build_decoder(self) -> ResidualDecoder:
        """An untrained decoder of this shape."""
        return ResidualDecoder(self._latent_size(), self.n_features_in_)

    def _build_head(self) -> CalibratedHead:
        """An untrained head of this shape."""
        return CalibratedHead(self._latent_size(), temperature=self.temperature, learn=self.learn_temperature)

    def _latent_size(self) -> int:
        if not isinstance(self.encoder, nn.Module):
            return self.latent
        probe = copy.deepcopy(self.encoder).cpu().eval()
        with torch.no_grad():
            z = cast(Tensor, probe(torch.zeros(2, self.n_features_in_)))
        if z.ndim != 2 or len(z) != 2:
            raise ParameterError(
                f"{type(self).__name__}: encoder must map (n_rows, n_features) to (n_rows, latent), "
                f"got {tuple(z.shape)} for 2 rows."
            )
        return int(z.shape[1])
