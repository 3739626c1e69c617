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
    fused    n(x) + v · e(x) + w · log(1 + exp(a'(x)))
             a'(x) = (a(x) − median)/spread over validation normals, e(x) bounded log-odds of boosted trees

The cues are in :mod:`unseen.detectors.latent_novelty`, the trees in :mod:`unseen.detectors.labelled_trees`.
The head knows some anomalies and not others, so in the fused score it can add to the novelty of a row and
hardly take away from it. The trees may do both, within bounds. The weights v and w are chosen on known kinds,
each scored by trees and by a companion head that never met it: if these do not help there, v = w = 0 and the
labels change nothing but the choice of the episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.detectors.base import BaseDetector
from unseen.detectors.episodes import sampler_for
from unseen.detectors.head_weight import weight_of_head
from unseen.detectors.labelled_trees import (
    FreshNormals,
    LabelledTrees,
    TreeMaterial,
    TreeOptions,
    weighted_trees,
)
from unseen.detectors.latent_novelty import CueScale, cue_scale, latent_cue, robust_location, whitening
from unseen.detectors.meta_networks import latent_size, path_contributions, perturbed, untrained_encoder
from unseen.detectors.meta_parameters import ScoreRule, check_meta_parameters
from unseen.detectors.meta_rows import MetaData, arranged
from unseen.detectors.meta_training import CalibratedHead, MetaResult, MetaSettings, meta_train
from unseen.nn.device import resolve_device
from unseen.nn.losses.one_class import anomaly_logit
from unseen.nn.losses.variance_normalised_reconstruction import variance_normalised_reconstruction
from unseen.nn.randomness import isolated_randomness
from unseen.nn.residual_encoder import ResidualDecoder
from unseen.nn.reweighting import Reweighting
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_CHUNK_ROWS = 4096


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
        Stop after so many episodes without a better one. None: run all. The best episode is kept anyway.
    order : {"first", "implicit"}
        Gradient of the outer loop: θ taken as constant, or the implicit hypergradient through θ*(φ).
    damping, cg_iterations : float >= 0, int
        Of ``"implicit"``: what is added to the inner Hessian; conjugate-gradient steps.
    reweighting : {"alpha", "confident"} or None
        How much each normal counts in the inner loop (α → 1, λ the median): :mod:`unseen.nn.row_weighting`.
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
    n_trees, tree_depth : int
        Boosted trees of the fused score, 0 for none, and the depth of each.
    tree_weight : float >= 0 or "auto"
        v. ``"auto"``: chosen on known kinds, and domains, left out in turn.
    head_tolerance : float >= 0
        Largest loss of AUROC that ``"auto"`` accepts: for w on any left-out kind, for v in their mean.
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
    trees_ : LabelledTrees or None
        Trees on the encoder's input; None where v = 0.
    tree_weight_ : float
        v.
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
    trees_: LabelledTrees | None
    tree_weight_: float
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
        outer_lr: float = 1e-4,
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
        reweighting: Reweighting | None = None,
        cg_iterations: int = 5,
        score: ScoreRule = "fused",
        novelty_cues: Sequence[str] | Literal["auto"] = "auto",
        n_neighbours: int = 5,
        bank_rows: int = 2048,
        head_weight: float | Literal["auto"] = "auto",
        n_trees: int = 0,
        tree_depth: int = 6,
        tree_weight: float | Literal["auto"] = "auto",
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
        self.reweighting = reweighting
        self.cg_iterations = cg_iterations
        self.score = score
        self.novelty_cues = novelty_cues
        self.n_neighbours = n_neighbours
        self.bank_rows = bank_rows
        self.head_weight = head_weight
        self.n_trees = n_trees
        self.tree_depth = tree_depth
        self.tree_weight = tree_weight
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

    def _check_parameters(self) -> None:
        check_meta_parameters(self)

    def _check_fitted_values(self) -> None:
        if self.trees_ is not None:
            self.trees_.check(self.n_features_in_)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        draw = np.random.default_rng(self.seed)
        normals = V[labels.normal]
        self.input_centre_ = np.zeros(V.shape[1], dtype=np.float32)
        if self.view == "raw":
            self.input_centre_ = normals.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = float(normals.std(axis=0, dtype=np.float64).mean())
        self.input_scale_ = spread if spread > 0 else 1.0
        data = arranged(
            self._input(normals),
            self._input(V[labels.anomaly]),
            labels,
            validation_fraction=self.validation_fraction,
            n_pseudo_domains=self.n_pseudo_domains,
            generator=draw,
        )
        self.feature_variance_ = data.variance.cpu().numpy()
        result = self._train(data, draw)
        self.cues_ = self._cue_names()
        with torch.no_grad():
            self._learn_novelty(data, draw)
            self._learn_trees(data, np.random.default_rng(self.seed))
            self._choose_head_weight(data, result)

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(len(V), dtype=np.float64)
        with torch.no_grad():
            for start in range(0, len(V), _CHUNK_ROWS):
                x = self._input(V[start : start + _CHUNK_ROWS])
                out[start : start + _CHUNK_ROWS] = self._rate(x).double().cpu().numpy()
                out[start : start + _CHUNK_ROWS] += self._tree_part(x)
        return out

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.zeros(V.shape, dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            x = self._input(V[start : start + _CHUNK_ROWS])
            out[start : start + _CHUNK_ROWS] = path_contributions(x, self._rate).double().cpu().numpy()
            if self.score == "fused" and self.trees_ is not None:
                out[start : start + _CHUNK_ROWS] += self.tree_weight_ * self.trees_.credits(x.cpu().numpy())
        return out

    # ------------------------------------------------------------------ fit
    def _train(self, data: MetaData, draw: np.random.Generator) -> MetaResult:
        device = data.normals.device
        settings = MetaSettings(**{name: getattr(self, name) for name in MetaSettings.__dataclass_fields__})
        with isolated_randomness(self.seed):
            encoder = self._build_encoder().to(device)
            decoder = self._build_decoder().to(device)
            head = self._build_head().to(device)
            sampler = sampler_for(self, data.domains, data.kinds, draw)
            result = meta_train(
                encoder, decoder, head, data, sampler, settings, n_episodes=self.episodes, generator=draw
            )
        self.encoder_, self.decoder_ = result.encoder.eval(), result.decoder.eval()
        self.head_ = result.head.eval()
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

    def _learn_trees(self, data: MetaData, draw: np.random.Generator) -> None:
        """Grow the trees and choose v."""
        self.trees_, self.tree_weight_ = None, 0.0
        if self.n_trees == 0 or len(data.kinds) == 0:
            return
        numbers = data.normals.cpu().numpy(), data.anomalies.cpu().numpy()
        rows = [data.validation, data.anomalies]
        novelty = [self._novelty(x, self.encoder_(x)).double().cpu().numpy() for x in rows]
        fresh = FreshNormals(data.validation.cpu().numpy(), *novelty)
        self.trees_, self.tree_weight_ = weighted_trees(
            TreeMaterial(numbers[0], data.named_domains, numbers[1], data.kinds, data.anomaly_domains),
            fresh,
            TreeOptions(self.n_trees, self.tree_depth, draw),
            weight=None if isinstance(self.tree_weight, str) else float(self.tree_weight),
            tolerance=self.head_tolerance,
        )

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
        odds = {k: anomaly_logit(h(z)).double().cpu().numpy() for k, h in result.companions.items()}
        novelty = self._novelty(x, z).double().cpu().numpy()
        self.head_weight_ = weight_of_head(novelty, odds, y, data.kinds, tolerance=self.head_tolerance)

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

    def _tree_part(self, x: Tensor) -> NDArray[np.float64]:
        """Return v · e(x), shape (n_rows,); 0 where the score has no trees."""
        if self.score != "fused" or self.trees_ is None:
            return np.zeros(len(x))
        return self.tree_weight_ * self.trees_.evidence(x.cpu().numpy())

    def _plain_logit(self, x: Tensor) -> Tensor:
        return anomaly_logit(self.head_(self.encoder_(x)), self.temperature_)

    def _head_logit(self, x: Tensor, z: Tensor) -> Tensor:
        """Return a(x), after the perturbation if there is one."""
        if self.perturbation > 0:
            moved = perturbed(x, self._plain_logit, self.perturbation)
            z = self.encoder_(moved)
        return anomaly_logit(self.head_(z), self.temperature_)

    def _novelty(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the mean of the scaled cues, shape (n_rows,)."""
        scaled = [
            CueScale(*(float(number) for number in row)).apply(self._cue(cue, x, z))
            for cue, row in zip(self.cues_, self.cue_scales_, strict=True)
        ]
        return torch.stack(scaled).mean(dim=0)

    def _cue(self, cue: str, x: Tensor, z: Tensor) -> Tensor:
        """Return one cue, shape (n_rows,), >= 0."""
        if cue == "reconstruction":
            variance = torch.from_numpy(self.feature_variance_).to(x.device)
            return variance_normalised_reconstruction(self.decoder_(z), x, variance)
        if cue == "reference":
            return torch.sqrt(x.square().sum(1) + 1e-12)
        known = (self.bank_, self.latent_mean_, self.whitening_)
        parts = (torch.from_numpy(part).to(x.device) for part in known)
        return latent_cue(cue, z, *parts, k=self.n_neighbours)

    def _cue_names(self) -> list[str]:
        if not isinstance(self.novelty_cues, str):
            return [str(cue) for cue in self.novelty_cues]
        return ["neighbours", "mahalanobis"] if self.view == "raw" else ["reference"]

    # ------------------------------------------------------------------ networks
    def _build_encoder(self) -> nn.Module:
        """An untrained encoder of this shape."""
        return untrained_encoder(self)

    def _build_decoder(self) -> ResidualDecoder:
        """An untrained decoder of this shape."""
        return ResidualDecoder(latent_size(self), self.n_features_in_)

    def _build_head(self) -> CalibratedHead:
        """An untrained head of this shape."""
        return CalibratedHead(latent_size(self), temperature=self.temperature, learn=self.learn_temperature)
