r"""The most alike normal pictures first, then the nearest patch in them.

N. Cohen, Y. Hoshen, "Sub-Image Anomaly Detection with Deep Pyramid Correspondences", 2020. With
:math:`\bar z` the mean of a picture's patch features and :math:`N_k` the k normal pictures nearest to it,

.. math:: s_{\text{picture}} = \frac1k \sum_{x \in N_k} \lVert \bar z - \bar z_x \rVert, \qquad
          s_{\text{patch}} = \min_{x \in N_k} \min_{z' \in x} \lVert z - z' \rVert

The picture's score sees nothing of where a difference lies, the patches' nothing of pictures that are unlike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.checks import check_int
from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.nn.patches import nearest_by_distance
from unseen.nn.patches.turns import useful_looks
from unseen.pixels import Size
from unseen.types import FloatArray


class Spade(BaseImageDetector):
    """Distance of a picture to the nearest normal pictures, and of its patches to theirs.

    Parameters
    ----------
    n_neighbours : int
        Normal pictures that a picture is compared with, k; all if there are fewer.
    rotations : int or "auto"
        The references are also remembered turned by so many equal parts of a circle. auto: by eight if each
        reference is then more like the others.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in [0, 1]
        Not read by this method.
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
        ``galleries``: float32 (n_pictures, places, channels); ``means``: (n_pictures, channels).
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = "the most alike of them give the patches to compare with"

    def __init__(
        self,
        *,
        n_neighbours: int = 50,
        rotations: int | str = 1,
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
        self.n_neighbours = n_neighbours
        self.rotations = rotations
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
        check_int(self, "n_neighbours", self.n_neighbours, minimum=1)

    def _check_fitted_values(self) -> None:
        for memory in (self.memory_, *self.domain_memories_.values()):
            if memory["galleries"].ndim != 3 or len(memory["galleries"]) != len(memory["means"]):
                raise ValueError("the galleries and their means differ")

    def _remember(self, V: FloatArray) -> Memory:
        looks = useful_looks(V, self.rotations, 0.0)[:, :, :-2]
        galleries = np.moveaxis(looks, 2, -1).reshape(looks.shape[0] * looks.shape[1], -1, looks.shape[2])
        galleries = np.ascontiguousarray(galleries, dtype=np.float32)
        return {"galleries": galleries, "means": galleries.mean(axis=1)}

    def _nearest_pictures(self, features: Tensor, memory: Tensors) -> tuple[Tensor, Tensor]:
        """Distances to the nearest normal pictures and which they are, each (n, k)."""
        means = features.flatten(2).mean(dim=2)
        distances = (means[:, None] - memory["means"][None]).square().sum(dim=2).sqrt()
        count = min(self.n_neighbours, distances.shape[1])
        found = distances.topk(count, dim=1, largest=False)
        return found.values, found.indices

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, _, height, width = features.shape
        _, pictures = self._nearest_pictures(features, memory)
        scores = [
            nearest_by_distance(
                features[i].flatten(1).T, memory["galleries"][pictures[i]].flatten(0, 1)
            ).values
            for i in range(n)
        ]
        return torch.stack(scores).reshape(n, height, width)

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        return self._nearest_pictures(features, memory)[0].mean(dim=1)
