r"""A normal distribution of the features at each place of the picture.

T. Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization",
ICPR 2020. At each place :math:`(i, j)` of the grid, with mean and covariance over the normal pictures,

.. math:: s_{ij} = \sqrt{(z_{ij} - \mu_{ij})^\top (\Sigma_{ij} + \epsilon I)^{-1} (z_{ij} - \mu_{ij})}

over a random choice of channels. Parts must lie in the same place of every picture. Channels are divided by
their spread over all normal patches first, so that :math:`\epsilon` means the same for every backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.checks import check_int, check_real
from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.pixels import Size
from unseen.types import FloatArray

_LEAST_SPREAD = 1e-6


class PaDiM(BaseImageDetector):
    """Mahalanobis distance of each patch to the normal patches at the same place.

    Parameters
    ----------
    n_channels : int
        Channels that are drawn; all if there are no more.
    regularisation : float > 0
        What is added to the diagonal of every covariance, epsilon.
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
        ``channels``: int64 (n_channels,); ``spread``: (n_channels,); ``means``: (places, n_channels);
        ``factors``: (places, n_channels, n_channels), whose product with a difference has the length of its
        Mahalanobis distance.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = "mean and covariance at each place of the grid are theirs"

    def __init__(
        self,
        *,
        n_channels: int = 100,
        regularisation: float = 0.01,
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
        self.n_channels = n_channels
        self.regularisation = regularisation
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
        check_int(self, "n_channels", self.n_channels, minimum=1)
        check_real(self, "regularisation", self.regularisation, minimum=0, open_minimum=True)

    def _check_fitted_values(self) -> None:
        for memory in (self.memory_, *self.domain_memories_.values()):
            channels = memory["channels"]
            if channels.dtype != np.int64 or channels.min() < 0 or channels.max() >= self.n_features_in_:
                raise ValueError("there are no such channels")

    def _remember(self, V: FloatArray) -> Memory:
        available = V.shape[2] - 2
        draw = np.random.default_rng(self.seed)
        channels = np.sort(draw.permutation(available)[: self.n_channels]).astype(np.int64)
        rows = np.moveaxis(V[:, 0, channels], 1, -1).reshape(len(V), -1, len(channels))
        spread = rows.std(axis=(0, 1), dtype=np.float64)
        spread = np.where(spread > _LEAST_SPREAD, spread, 1.0).astype(np.float32)
        values = torch.from_numpy(np.ascontiguousarray((rows / spread).transpose(1, 0, 2)))
        means = values.mean(dim=1)
        centred = values - means[:, None]
        covariances = centred.transpose(1, 2) @ centred / max(1, len(V) - 1)
        covariances += self.regularisation * torch.eye(len(channels))
        lower = torch.linalg.cholesky(covariances)
        factors = torch.linalg.solve_triangular(lower, torch.eye(len(channels)).expand_as(lower), upper=False)
        return {
            "channels": channels,
            "spread": spread,
            "means": means.numpy(),
            "factors": np.ascontiguousarray(factors.numpy()),
        }

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, _, height, width = features.shape
        scaled = features[:, memory["channels"]] / memory["spread"][:, None, None]
        differences = scaled.flatten(2).permute(2, 1, 0) - memory["means"][:, :, None]
        distances = (memory["factors"] @ differences).square().sum(dim=1).sqrt()
        return distances.T.reshape(n, height, width)
