r"""Adaptive deviation learning: pictures whose worst patches deviate most from a Gaussian prior.

A. S. Das, G. Pang, M. Bhuyan, "Adaptive Deviation Learning for Visual Anomaly Detection with Data
Contamination", WACV 2025. It is multi-cue detection with its first cue alone: :math:`s_\mathrm{dev}`, the
mean of the highest :math:`\rho` of :math:`\psi = |w * F + b|`, is the score, :math:`\psi` the map. Trained on
normals, made-up and labelled anomalies by the soft deviation loss, with p from a head trained by
cross-entropy, both with weights that turn away from large losses (:mod:`unseen.nn.deviation_training`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.detectors.images.doubting import DoubtsNormals
from unseen.detectors.images.head_fitting import check_head_parameters, looks_of, train_heads
from unseen.detectors.images.looking import Look
from unseen.detectors.images.made_up import made_up_looks
from unseen.detectors.images.starting import Start
from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.losses.deviation import top_share_mean
from unseen.nn.patches.head_inputs import head_inputs, own_statistics
from unseen.nn.randomness import isolated_randomness
from unseen.pixels import Pixels, Size
from unseen.types import BoolArray, FloatArray, Labels


class AdaptiveDeviation(DoubtsNormals, BaseImageDetector):
    """The deviation cue alone, trained under contamination.

    Parameters
    ----------
    synthetic : int
        Copies with a made-up defect of each normal picture; 0: labelled anomalies only.
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
        α and λ of the weights.
    burn_in : float in [0, 1]
        Share of the steps before any weighting.
    real_share : float in [0, 1]
        Share of labelled ones among the anomalies of a batch.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in (0, 1]
        ρ: s_dev is the mean over this share of the places.
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
        The deviation and the probability head.
    history_ : dict of str to float64 array of shape (epochs,)
        Losses.
    doubts_ : float64 array of shape (n_normals,)
        Mean of the score of each normal over the training; see ``suspects``.
    doubted_rows_ : int64 array of shape (n_normals,)
        Where these normals are among the pictures of the fit.
    statistics_ : dict
        Empty; the detectors with other inputs keep what domains share here.
    memory_ : dict
        ``centre`` and ``scale``, float32 (channels,), of the features of the normals.
    """

    inputs = "features"
    deviation_rate = 1.0

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = "features are standardised on them; the heads stay"

    heads_: nn.Module
    history_: dict[str, NDArray[np.float64]]
    statistics_: dict[str, NDArray[np.float32]]

    def __init__(
        self,
        *,
        synthetic: int = 2,
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
        backbone: str = "efficientnet-lite0",
        image_size: Size = 256,
        strides: Sequence[int] = (8, 16),
        pool: int = 1,
        top_share: float = 0.1,
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
        self.synthetic = synthetic
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

    def _build_heads(self) -> nn.Module:
        return CueHeads(self.n_features_in_, width=0, top_share=self.top_share)

    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        return made_up_looks(images, normal, count=self.synthetic, seed=self.seed)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        with isolated_randomness(self.seed):
            heads = self._build_heads()
        assert isinstance(heads, CueHeads)
        looks = looks_of(self, V, labels, Start(self.inputs, None, {}))
        rows = np.flatnonzero(labels.normal), np.flatnonzero(labels.anomaly)
        trained = train_heads(self, heads, looks, *rows)
        self.heads_, self.history_, self.doubts_ = heads, trained.history, trained.doubts

    def _remember(self, V: FloatArray) -> Memory:
        return dict(own_statistics(torch.from_numpy(np.ascontiguousarray(V[:, 0, :-2]))))

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        outputs: HeadOutputs = self.heads_.to(features.device)(head_inputs(features, memory, self.inputs))
        return outputs.patches

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        return top_share_mean(patch_scores, self.top_share)
