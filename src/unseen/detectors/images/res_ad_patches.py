r"""ResAD on patches: the residual to the nearest normal patch, brought inside a boundary.

X. Yao et al., "ResAD: A Simple Framework for Class Generalizable Anomaly Detection", NeurIPS 2024. With the
nearest reference patch :math:`z^*` of a patch :math:`z` by cosine,

.. math::
    r = (z - z^*) / s, \qquad u = r + h(r), \qquad \text{score} = \lVert u \rVert / R

h is a small network without offsets, 0 before training, that draws the residuals of normal patches into a
ball and leaves those of defective patches as they are: the loss is in :mod:`unseen.nn.residual_constraint`.
s is the root mean square length of the residuals of normal patches, R the 95 % quantile of their
:math:`\lVert u \rVert`. All three are learned on the domains of the fit, where each picture is compared with
other normals of its domain. New domains give references only; no kind and no domain enters the network.

Deviations from the paper: a length and a quantile are the one-class boundary, without its normalising flow;
where no defect is masked, made-up ones stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.checks import check_int
from unseen.detectors.images.base import FOREGROUND_SHARE, BaseImageDetector, Memory, Tensors
from unseen.detectors.images.looking import Look
from unseen.detectors.images.made_up import made_up_looks
from unseen.errors import LabelError
from unseen.nn.anomaly_pool import AnomalyPool, PseudoAnomalies, check_pseudo_anomalies
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import MultilayerPerceptron, check_widths
from unseen.nn.patches.source_residuals import nearest_residuals, normal_patches, source_residuals
from unseen.nn.patches.turns import useful_looks
from unseen.nn.randomness import isolated_randomness
from unseen.nn.residual_constraint import constrained_length, train_constraint
from unseen.nn.training import History, check_schedule
from unseen.pixels import Pixels, Size
from unseen.types import BoolArray, FloatArray, Labels

_INSIDE = 0.95
_BLOCK = 8192
_TINY = 1e-12


class ResADPatches(BaseImageDetector):
    """Length of the residual to the nearest normal patch, after a network trained on other parts.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers of h.
    pseudo_anomalies : {"without-labels", "always"}
        When made-up defects are trained on: in domains without a labelled anomaly with a mask, or in every
        domain.
    n_references : int
        Normals in the memory of a domain of the fit, and most references of a picture in training.
        ``adapt`` takes all that it is given.
    training_patches : int or None
        Most patches drawn of a picture in training. None: all.
    epochs : int
        Passes over the normal patches; 0: no training, h stays 0.
    head_batch : int
        Normal patches a step; as many defective ones join them.
    lr : float
        Learning rate of Adam.
    rotations : int or "auto"
        The references are also remembered turned by so many equal parts of a circle. auto: by eight if each
        reference is then more like the others. Training does without.
    foreground : {"all", "estimate", "hull"}
        estimate: only patches on the part count, as references and where pictures are judged; hull: also
        those between them.
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
        Share of the normals held back for calibration; 0: calibrated by leaving out.
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
    network_ : MultilayerPerceptron
        h.
    scale_ : float
        s.
    radius_ : float
        R.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, ``"normals"`` and ``"anomalies"``, its two terms.
    memory_ : dict
        ``bank``: (n_patches, channels), of length 1; ``lengths``: what they were, (n_patches,).
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = "their patches are what residuals are taken to; the network stays"

    network_: MultilayerPerceptron
    scale_: float
    radius_: float
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64,),
        pseudo_anomalies: PseudoAnomalies = "without-labels",
        n_references: int = 8,
        training_patches: int | None = 256,
        epochs: int = 20,
        head_batch: int = 512,
        lr: float = 1e-3,
        rotations: int | str = 1,
        foreground: str = "all",
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
        self.hidden = hidden
        self.pseudo_anomalies = pseudo_anomalies
        self.n_references = n_references
        self.training_patches = training_patches
        self.epochs = epochs
        self.head_batch = head_batch
        self.lr = lr
        self.rotations = rotations
        self.foreground = foreground
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
        check_widths(self, self.hidden)
        check_pseudo_anomalies(self, self.pseudo_anomalies)
        check_schedule(self, epochs=self.epochs, batch_size=self.head_batch, lr=self.lr)
        if self.training_patches is not None:
            check_int(self, "training_patches", self.training_patches, minimum=1)

    def _check_fitted_values(self) -> None:
        if not (0 < self.scale_ < np.inf and 0 < self.radius_ < np.inf):
            raise ValueError("the scale and the radius must be positive")
        for memory in (self.memory_, *self.domain_memories_.values()):
            if memory["bank"].ndim != 2 or memory["lengths"].shape != memory["bank"].shape[:1]:
                raise ValueError("the bank and its lengths differ")

    def _build_network(self) -> MultilayerPerceptron:
        """An untrained network of this shape."""
        return MultilayerPerceptron([self.n_features_in_, *self.hidden, self.n_features_in_], bias=False)

    # ---------------------------------------------------------------- training
    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        """A copy with a made-up defect of each normal picture, then turned ones; others stay as they are."""
        made_up = made_up_looks(images, normal, count=1, seed=self.seed)
        return [*made_up, *super()._further_looks(images, normal)]

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        known = source_residuals(
            V[:, :2],
            labels,
            n_references=self.n_references,
            patches=self.training_patches,
            always_made_up=self.pseudo_anomalies == "always",
            least_on_part=self._least_on_part(),
            seed=self.seed,
        )
        if known is None:
            raise LabelError("ResADPatches: fit needs two normal pictures of one domain; give more.")
        place = resolve_device(self.device)
        length = float(known.normals.square().sum(dim=1).mean().sqrt())
        self.scale_ = length if length > _TINY else 1.0
        normals = (known.normals / self.scale_).to(place)
        self._train(normals, AnomalyPool((known.anomalies / self.scale_).to(place), known.kinds))
        self.radius_ = 1.0
        lengths = self._lengths(normals).double().cpu().numpy()
        radius = float(np.quantile(lengths, _INSIDE))
        self.radius_ = radius if radius > _TINY else 1.0

    def _train(self, normals: Tensor, pool: AnomalyPool) -> None:
        with isolated_randomness(self.seed):
            network = self._build_network().to(normals.device)
        generator = seeded_generator(self.seed, normals.device)
        self.history_ = train_constraint(
            network,
            normals,
            lambda n: pool.rows[pool.draw(n, generator)],
            epochs=self.epochs,
            batch_size=self.head_batch,
            lr=self.lr,
            generator=generator,
        )
        self.network_ = network.cpu().eval().requires_grad_(False)

    # ---------------------------------------------------------------- scoring
    def _least_on_part(self) -> float:
        return FOREGROUND_SHARE if self.foreground != "all" else 0.0

    def _remembered(self, labels: Labels) -> NDArray[np.int64]:
        draw = np.random.default_rng(self.seed)
        return np.sort(draw.permutation(len(labels))[: self.n_references])

    def _remember(self, V: FloatArray) -> Memory:
        least = self._least_on_part()
        looks = useful_looks(np.delete(V, 1, axis=1), self.rotations, least)
        patches = normal_patches(looks.reshape(-1, *looks.shape[2:]), least)
        return {"bank": F.normalize(patches, dim=1).numpy(), "lengths": patches.norm(dim=1).numpy()}

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, channels, height, width = features.shape
        queries = features.permute(0, 2, 3, 1).reshape(-1, channels)
        residuals = nearest_residuals(queries, memory["bank"], memory["lengths"]) / self.scale_
        return self._lengths(residuals).reshape(n, height, width)

    def _lengths(self, residuals: Tensor) -> Tensor:
        """Scores (n,) of scaled residuals (n, channels)."""
        network = self.network_.to(residuals.device)
        with torch.inference_mode():
            parts = [constrained_length(network, part) for part in torch.split(residuals, _BLOCK)]
        return torch.cat(parts) / self.radius_
