r"""What is left of a patch when the directions in which normal patches vary are taken away.

The subspace of most of the variance of normal patches (H. Hotelling, 1933; over patch features of a frozen
backbone as in "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling"). With the mean
:math:`\mu` and the leading directions :math:`U` of the reference patches,

.. math:: s = \lVert (I - U U^\top) (z - \mu) \rVert^2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.checks import check_real
from unseen.detectors.images.base import FOREGROUND_SHARE, BaseImageDetector, Memory, Tensors
from unseen.nn.patches.turns import useful_looks
from unseen.pixels import Size
from unseen.types import FloatArray


class PCAResidual(BaseImageDetector):
    """Squared distance of each patch to the subspace of the normal patches.

    Parameters
    ----------
    variance : float in (0, 1)
        Share of the variance of normal patches that the subspace holds at least.
    rotations : int or "auto"
        The references are also remembered turned by so many equal parts of a circle. auto: by eight if each
        reference is then more like the others.
    foreground : {"all", "estimate", "hull"}
        estimate: only patches on the part count; hull: also those between them.
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
    memory_ : dict
        ``mean``: float32 (channels,); ``directions``: (channels, n_directions), orthonormal columns.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = "their patches span the subspace of their domain"

    def __init__(
        self,
        *,
        variance: float = 0.99,
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
        self.variance = variance
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
        check_real(
            self, "variance", self.variance, minimum=0, maximum=1, open_minimum=True, open_maximum=True
        )

    def _remember(self, V: FloatArray) -> Memory:
        V = useful_looks(V, self.rotations, FOREGROUND_SHARE if self.foreground != "all" else 0.0)
        rows = np.moveaxis(V, 2, -1).reshape(-1, V.shape[2])
        on_part = rows[:, -2] >= FOREGROUND_SHARE
        chosen = rows[on_part] if self.foreground != "all" and on_part.any() else rows
        patches = chosen[:, :-2].astype(np.float64)
        mean = patches.mean(axis=0)
        centred = patches - mean
        variances, directions = np.linalg.eigh(centred.T @ centred)
        held = np.cumsum(np.maximum(variances[::-1], 0.0))
        count = int(np.searchsorted(held, self.variance * held[-1])) + 1 if held[-1] > 0 else 0
        kept = np.ascontiguousarray(directions[:, ::-1][:, :count], dtype=np.float32)
        return {"mean": mean.astype(np.float32), "directions": kept}

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, channels, height, width = features.shape
        centred = features.permute(0, 2, 3, 1).reshape(-1, channels) - memory["mean"]
        within = centred @ memory["directions"]
        left = centred - within @ memory["directions"].T
        return torch.reshape(left.square().sum(dim=1), (n, height, width))
