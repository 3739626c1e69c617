r"""Three cues of an anomaly, learned where some of the normal pictures are not normal.

A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data Contamination". Heads over
patch features F of a backbone say how far off each patch is (:math:`\psi`, eq. 2), how probable an anomaly is
(p) and where it is (A). With :math:`s_\mathrm{dev}` and :math:`s_\mathrm{seg}` the means of the highest
:math:`\rho` of :math:`\psi` and A, and :math:`s_\mathrm{ent} = \log(1 + H(p))`,

.. math::
    s = \big(\phi_d(s_\mathrm{dev})^{w_d}\, \phi_e(s_\mathrm{ent})^{w_e}\,
        \phi_s(s_\mathrm{seg})^{w_s}\big)^{1 / (w_d + w_e + w_s)}

(eq. 7 to 10; :mod:`unseen.nn.cues`). The heads are trained on the normals, on copies with made-up defects and
on labelled anomalies, if there are any, by the soft deviation, cross-entropy and focal losses, with weights
that turn away from pictures of large loss (:mod:`unseen.nn.deviation_training`).

Score maps are the same fusion place by place, on one scale for all pictures: :math:`\psi` for
:math:`s_\mathrm{dev}`, what the place adds to the log-odds for p, and A. ``localise`` gives the paper's
gradient maps, whose scale is each picture's own (:mod:`unseen.nn.gradient_maps`).

Differences to the paper, beside the backbone and the smaller schedule: features are brought to length 1 and
standardised on the normals of the domain; a frozen backbone is the default; weights of losses are shared out
among the pictures taken for normal only (``reweighting="all"`` is the paper's); labelled anomalies may change
the weights of cues. ``fine_tune=True`` trains the backbone with heads first, then the heads that are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.detectors.images.cue_explaining import ExplainsCues
from unseen.detectors.images.cue_fusing import FusesCues
from unseen.detectors.images.cue_weighing import weights_of
from unseen.detectors.images.doubting import DoubtsNormals
from unseen.detectors.images.head_fitting import (
    MOST_COMPARED,
    check_head_parameters,
    common_memory_of,
    looks_of,
    train_heads,
    tuned_network,
)
from unseen.detectors.images.inputs import labels_of
from unseen.detectors.images.looking import Look, Seeing
from unseen.detectors.images.made_up import made_up_looks
from unseen.detectors.images.memories import on_device
from unseen.detectors.images.starting import doubts_of, start_of
from unseen.detectors.images.turning import turned_looks, turns_of
from unseen.errors import ParameterError
from unseen.nn.backbones.differentiable import in_torch
from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.cues import (
    SCALINGS,
    UNCERTAINTIES,
    WEIGHTS,
)
from unseen.nn.device import resolve_device
from unseen.nn.fine_tuning import with_network
from unseen.nn.patches.bank_distance import check_divided_bank, divided_bank
from unseen.nn.patches.head_inputs import INPUTS, NEED_A_BANK, bank_of, head_inputs, n_inputs
from unseen.nn.patches.local_distance import local_distribution, local_spread
from unseen.nn.randomness import isolated_randomness
from unseen.pixels import Pixels, Size
from unseen.scoring.holding_back import group_codes
from unseen.types import BoolArray, FloatArray, Labels

PUBLISHED: dict[str, Any] = {
    "backbone": "microsoft/resnet-18",
    "image_size": 256,
    "strides": (8, 16, 32),
    "fine_tune": True,
    "epochs": 25,
    "lr": 2e-4,
    "reweighting": "all",
    "uncertainty": "entropy",
    "cue_weights": "fixed",
    "inputs": "features",
    "deviation_rate": 1.0,
    "top_share": 0.1,
    "head_width": 64,
}
"""The paper's backbone and schedule, as parameters; meant for a GPU."""


class MultiCue(ExplainsCues, FusesCues, DoubtsNormals, BaseImageDetector):
    """Deviation, uncertainty and segmentation cues, fused; trained under contamination.

    Parameters
    ----------
    inputs : {"auto", "local", "neighbours", "whitened", "features", "distance", "residual", "both"}
        What the heads see: features whitened by the normals, and how far they are from those at the same
        place by the covariance there, or from the nearest patch of a bank; whitened features and their
        length; the features (the paper); and others, see :mod:`unseen.nn.patches.head_inputs`. auto: local
        or, where turned copies help, the better of local and neighbours for the anomalies of the fit; see
        :mod:`unseen.detectors.images.starting`.
    rotations : int or "auto"
        For neighbours: normals are also remembered turned by so many equal parts of a circle; 1: as they
        are. auto: 8 if each normal is then clearly more like the others, else 1; see
        :func:`unseen.nn.patches.turns.left_out_ratio`.
    bank_size : int
        Patches drawn for the bank of neighbours; other banks have 4000 at most.
    trimmed : float in [0, 1)
        Share of the bank that is left out again, the patches most unlike those of other pictures.
    synthetic : int
        Copies with a made-up defect of each normal picture; 0: labelled anomalies only.
    synthetic_foreground : {"all", "estimate"}
        Whether made-up defects may lie anywhere, or on the part only.
    epochs : int
        Passes over the normals.
    head_batch : int
        Pictures a step, half of them normal.
    lr : float
        Learning rate of Adam.
    weight_decay : float
        Of Adam.
    margin : float
        γ: anomalies should deviate by so many deviations of the reference scores.
    reweighting : {"normals", "all", "none"}
        Whose losses decide how much they weigh.
    alpha, reweighting_scale : float
        α and λ of these weights.
    burn_in : float in [0, 1]
        Share of the steps before any weighting.
    real_share : float in [0, 1]
        Share of labelled ones among the anomalies of a batch.
    deviation_rate : float >= 0
        Times ``lr`` for the deviation head; ψ starts as a distance, unless the heads see features alone.
    head_width : int
        Channels inside the segmentation head.
    weights : tuple of three floats
        w of deviation, uncertainty, segmentation.
    cue_weights : {"learned", "fixed"}
        Whether labelled anomalies may change them for the scores of pictures, by how heads that have not seen
        them tell them from normals; see :mod:`unseen.scoring.cue_weights`. Score maps keep ``weights``.
    uncertainty : {"entropy", "probability"}
        Cue of the probability head: log(1 + H(p)), which falls again for sure anomalies, or p itself.
    scaling : {"exponential", "ratio", "clipped"}
        φ of the deviation, see :func:`unseen.nn.cues.scaled_deviation`.
    fine_tune : bool
        Whether the backbone is trained too, before the heads; slow without a GPU.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in (0, 1]
        ρ: s_dev and s_seg are means over this share of the places.
    smoothing : float >= 0
        Standard deviation of the smoothing of maps, in pixels of a picture of 448 pixels.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        A folder where features are kept.
    device : str
        ``"auto"`` or a torch device.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration; 0: calibrated by leaving out of the memory. The heads
        have learned from all normals then, which makes p-values of fresh normals too small: hold some back.
    calibration_folds : int
        Folds of the leaving out; 0: no calibration by it.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Seed of every random choice.

    Attributes
    ----------
    heads_ : nn.Module
        The heads.
    inputs_ : str
        What they see: ``inputs``, or the choice of auto.
    merits_ : dict of str to float
        AUROC of each distance that auto chose from, on the pictures of the fit; else empty.
    turns_ : int
        Turned copies that a picture is remembered by, itself included.
    weights_, gradient_weights_ : float64 arrays of shape (3,)
        Of the cues in the scores of pictures, and in fused gradient maps; of sum 1.
    tuned_ : nn.Module or None
        The backbone's network after fine-tuning.
    history_ : dict of str to float64 array of shape (epochs,)
        Losses of the heads.
    doubts_ : float64 array of shape (n_normals,)
        How odd each normal looks to the others; see :func:`unseen.detectors.images.starting.doubts_of`.
    doubt_limit_ : float
        Doubts above it are believed in.
    doubted_rows_ : int64 array of shape (n_normals,)
        Where these normals are among the pictures of the fit.
    statistics_ : dict
        What the memories of all domains share: ``whitening``, ``length_centre``, ``length_scale`` and, with
        distances by place, ``spread``; or ``residual_centre`` and ``residual_scale``; empty for features.
    memory_ : dict
        ``statistics_``, and ``centre``, float32 (channels, height, width), for whitened features;
        ``channels``, ``local_spread``, ``local_centre`` and ``factors`` with distances by place
        (:func:`unseen.nn.patches.local_distance.local_distribution`); ``bank``, ``bank_lengths``,
        ``cell_centres`` and ``cell_starts`` with neighbours
        (:func:`unseen.nn.patches.bank_distance.divided_bank`); ``centre`` and ``scale``, float32
        (channels,), else; ``bank``, float32 (n_patches, channels), where patches are compared with the
        nearest normal one.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = (
        "features are standardised on them and, where residuals are seen, compared with them; the heads stay"
    )

    heads_: nn.Module
    inputs_: str
    weights_: NDArray[np.float64]
    gradient_weights_: NDArray[np.float64]
    merits_: dict[str, float]
    turns_: int
    doubt_limit_: float
    tuned_: nn.Module | None
    history_: dict[str, NDArray[np.float64]]
    statistics_: dict[str, NDArray[np.float32]]

    def __init__(
        self,
        *,
        inputs: str = "auto",
        rotations: int | str = "auto",
        bank_size: int = 150_000,
        trimmed: float = 0.15,
        synthetic: int = 2,
        synthetic_foreground: str = "all",
        epochs: int = 10,
        head_batch: int = 32,
        lr: float = 3e-3,
        weight_decay: float = 1e-5,
        margin: float = 5.0,
        reweighting: str = "normals",
        alpha: float = 0.1,
        reweighting_scale: float = 0.1,
        burn_in: float = 0.06,
        real_share: float = 0.3,
        deviation_rate: float = 0.02,
        head_width: int = 32,
        weights: Sequence[float] = WEIGHTS,
        cue_weights: str = "learned",
        uncertainty: str = "probability",
        scaling: str = "exponential",
        fine_tune: bool = False,
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
        self.inputs = inputs
        self.rotations = rotations
        self.bank_size = bank_size
        self.trimmed = trimmed
        self.synthetic = synthetic
        self.synthetic_foreground = synthetic_foreground
        self.epochs = epochs
        self.head_batch = head_batch
        self.lr = lr
        self.weight_decay = weight_decay
        self.margin = margin
        self.reweighting = reweighting
        self.alpha = alpha
        self.reweighting_scale = reweighting_scale
        self.burn_in = burn_in
        self.real_share = real_share
        self.deviation_rate = deviation_rate
        self.head_width = head_width
        self.weights = weights
        self.cue_weights = cue_weights
        self.uncertainty = uncertainty
        self.scaling = scaling
        self.fine_tune = fine_tune
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
        check_head_parameters(self)
        check_choice(self, "inputs", self.inputs, ("auto", *INPUTS))
        check_int(self, "bank_size", self.bank_size, minimum=1)
        check_real(self, "trimmed", self.trimmed, minimum=0, maximum=1, open_maximum=True)
        check_choice(self, "synthetic_foreground", self.synthetic_foreground, ("all", "estimate"))
        check_int(self, "head_width", self.head_width, minimum=1)
        check_choice(self, "cue_weights", self.cue_weights, ("learned", "fixed"))
        check_choice(self, "uncertainty", self.uncertainty, UNCERTAINTIES)
        check_choice(self, "scaling", self.scaling, SCALINGS)
        if not isinstance(self.fine_tune, bool):
            raise ParameterError(f"MultiCue: fine_tune must be True or False, got {self.fine_tune!r}.")
        if not isinstance(self.weights, Sequence) or len(self.weights) != 3 or sum(self.weights) <= 0:
            raise ParameterError("MultiCue: weights must be three numbers >= 0, not all 0.")
        for weight in self.weights:
            check_real(self, "weights", weight, minimum=0)

    def _build_heads(self) -> CueHeads:
        channels = n_inputs(self.inputs_, self.n_features_in_)
        return CueHeads(channels, width=self.head_width, top_share=self.top_share)

    def _build_tuned(self) -> nn.Module:
        network: nn.Module = copy.deepcopy(in_torch(super()._seeing().backbone).network)
        return network

    def _seeing(self) -> Seeing:
        seeing = super()._seeing()
        if self.tuned_ is None:
            return seeing
        return replace(seeing, tuned=with_network(seeing.backbone, self.tuned_))

    def _check_fitted_values(self) -> None:
        if self.inputs_ not in INPUTS or self.turns_ < 1:
            raise ValueError("there are no such inputs")
        for weights in (self.weights_, self.gradient_weights_):
            if weights.shape != (3,) or not weights.min() >= 0 or not 0 < weights.sum() < np.inf:
                raise ValueError("there are no such weights")
        for memory in (self.memory_, *self.domain_memories_.values()):
            check_divided_bank(memory)
            channels = memory.get("channels", np.zeros(1, dtype=np.int64))
            if channels.dtype != np.int64 or channels.min() < 0 or channels.max() >= self.n_features_in_:
                raise ValueError("there are no such channels")

    # ---------------------------------------------------------------- training
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        masks: Sequence[BoolArray | None] | None = None,
    ) -> Self:
        """Learn from normal pictures, some of which may not be, and from anomalies, made up and labelled.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        y, kinds, domains, groups : array-like of shape (n_pictures,) or None
            As for every detector. None: as the ImageSet says; all normal, of one domain, if it is none.
        masks : sequence of bool arrays of shape (height, width) or None
            Where the defects of labelled anomalies are. None: as the ImageSet says.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If pictures, labels or parameters cannot be used.
        """
        self.tuned_, self.turns_ = None, 1
        self._check_common_parameters()
        self._check_parameters()
        self.weights_ = np.asarray(self.weights, dtype=np.float64) / np.sum(self.weights)
        known: dict[str, Any] = {"kinds": kinds, "domains": domains, "groups": groups, "masks": masks}
        if self.fine_tune is True:
            self.tuned_ = tuned_network(self, super()._seeing(), X, y, self._judge, **known)
        if self.inputs in ("auto", "neighbours"):
            labels = labels_of(self, X, len(X), y, kinds, domains, groups)
            self.turns_ = turns_of(self, self._seeing(), X, labels)
        super().fit(X, y, **known)
        labels = labels_of(self, X, len(X), y, kinds, domains, groups)
        self.gradient_weights_ = self._gradient_weights(X, labels, masks)
        return self

    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        made = made_up_looks(
            images, normal, count=self.synthetic, seed=self.seed, foreground=self.synthetic_foreground
        )
        return made + turned_looks(images, self.turns_)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        start = start_of(self, V, labels, self.inputs)
        self.inputs_, self.merits_ = start.kind, start.merits
        self.turns_ = self.turns_ if start.kind == "neighbours" else 1
        self.doubts_, self.doubt_limit_ = doubts_of(self, V, labels, start)
        looks = looks_of(self, V, labels, start)
        normal, anomalous = np.flatnonzero(labels.normal), np.flatnonzero(labels.anomaly)
        if self.cue_weights == "learned":
            believed = normal[self.doubts_ <= self.doubt_limit_]
            tied, build, cues_of = group_codes(labels.groups, len(labels)), self._new_heads, self._cues_of
            known = (believed, anomalous)
            self.weights_ = weights_of(self, looks, *known, groups=tied, build=build, cues_of=cues_of)
        heads = self._new_heads()
        trained = train_heads(self, heads, looks, normal, anomalous)
        self.heads_, self.history_ = heads, trained.history

    def _new_heads(self) -> CueHeads:
        with isolated_randomness(self.seed):
            heads = self._build_heads()
        if self.inputs_ != "features":
            heads.start_from(-1)
        return heads

    def _doubt_limit(self) -> float:
        return self.doubt_limit_

    def _remember(self, V: FloatArray) -> Memory:
        features = torch.from_numpy(np.ascontiguousarray(V[:, 0, :-2]))
        memory: Memory = common_memory_of(self, features, self.inputs_)
        if self.inputs_ == "local":
            spread = local_spread([features]) if len(features) > 1 else self.statistics_["spread"]
            memory |= local_distribution(features, spread, seed=self.seed)
        elif self.inputs_ == "neighbours":
            turned = V[:, 1 + self.synthetic :, :-2].swapaxes(0, 1).reshape(-1, *features.shape[1:])
            looks = torch.cat([features, torch.from_numpy(np.ascontiguousarray(turned))])
            memory |= divided_bank(looks, size=self.bank_size, seed=self.seed)
        elif self.inputs_ in NEED_A_BANK:
            size = min(self.bank_size, MOST_COMPARED)
            memory["bank"] = bank_of(features, size=size, trimmed=self.trimmed, seed=self.seed)["bank"]
        return memory

    # ---------------------------------------------------------------- scoring
    def _outputs(self, features: Tensor, memory: Tensors) -> HeadOutputs:
        outputs: HeadOutputs = self.heads_.to(features.device)(head_inputs(features, memory, self.inputs_))
        return outputs

    def _memory_of(self, domain: str) -> Tensors:
        memory = self.domain_memories_.get(domain, self.memory_)
        return on_device(memory, resolve_device(self.device))
