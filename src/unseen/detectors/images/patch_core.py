r"""A thinned-out bank of normal patches; a picture's score looks at the neighbourhood of the nearest one.

K. Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. Patch features are averages
over 3 x 3 neighbours; a greedy coreset of them is the bank :math:`M`. With the patch :math:`z` of a picture
that lies farthest from its nearest :math:`m^* \in M`, and the :math:`b` patches :math:`N_b(m^*)` of the bank
around :math:`m^*`,

.. math:: s = \Big(1 - \frac{\exp \lVert z - m^*\rVert}{\sum_{m \in N_b(m^*)} \exp \lVert z - m\rVert}\Big)
          \, \lVert z - m^*\rVert

A distance counts for less where the bank itself is dense around the neighbour. :math:`N_b` holds
:math:`m^*` itself. Distances are divided by the square root of the number of channels first, without which
the exponentials decide everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.checks import check_int, check_real
from unseen.detectors.images.base import FOREGROUND_SHARE, BaseImageDetector, Memory, Tensors
from unseen.nn.patches import greedy_k_centre, nearest_by_distance
from unseen.nn.patches.turns import useful_looks
from unseen.pixels import Size
from unseen.types import FloatArray


class PatchCore(BaseImageDetector):
    """Distance to the nearest patch of a coreset of normal patches.

    Parameters
    ----------
    coreset_share : float in (0, 1]
        Share of the patches that is kept; 1: all of them.
    max_patches : int
        More patches than this are first thinned out by a draw to so many.
    n_neighbours : int
        Patches of the bank around the nearest one that the picture's score looks at, b. 1: the picture's
        score is not reweighted.
    projection : int
        Channels of the random projection that the coreset is chosen in.
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
        Read only where ``n_neighbours`` is 1: the share of the patches, the highest ones, that is averaged.
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
        ``bank``: float32 (n_patches, channels).
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = "a coreset of their patches is the bank of their domain"

    def __init__(
        self,
        *,
        coreset_share: float = 0.1,
        max_patches: int = 50_000,
        n_neighbours: int = 9,
        projection: int = 128,
        rotations: int | str = 1,
        foreground: str = "all",
        backbone: str = "efficientnet-lite0",
        image_size: Size = 256,
        strides: Sequence[int] = (8, 16),
        pool: int = 3,
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
        self.coreset_share = coreset_share
        self.max_patches = max_patches
        self.n_neighbours = n_neighbours
        self.projection = projection
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
        check_real(self, "coreset_share", self.coreset_share, minimum=0, maximum=1, open_minimum=True)
        check_int(self, "max_patches", self.max_patches, minimum=1)
        check_int(self, "n_neighbours", self.n_neighbours, minimum=1)
        check_int(self, "projection", self.projection, minimum=1)

    def _remember(self, V: FloatArray) -> Memory:
        V = useful_looks(V, self.rotations, FOREGROUND_SHARE if self.foreground != "all" else 0.0)
        rows = np.moveaxis(V, 2, -1).reshape(-1, V.shape[2])
        on_part = rows[:, -2] >= FOREGROUND_SHARE
        rows = (rows[on_part] if self.foreground != "all" and on_part.any() else rows)[:, :-2]
        draw = torch.Generator().manual_seed(self.seed)
        if len(rows) > self.max_patches:
            rows = rows[torch.randperm(len(rows), generator=draw)[: self.max_patches].numpy()]
        patches = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
        kept = max(1, round(self.coreset_share * len(patches)))
        chosen = greedy_k_centre(patches, kept, generator=draw, projection=self.projection)
        return {"bank": patches[chosen].numpy()}

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, channels, height, width = features.shape
        queries = features.permute(0, 2, 3, 1).reshape(-1, channels)
        distances = nearest_by_distance(queries, memory["bank"]).values
        return (distances / math.sqrt(channels)).reshape(n, height, width)

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        bank, channels = memory["bank"], features.shape[1]
        count = min(self.n_neighbours, len(bank))
        if count == 1:
            return super()._image_scores(patch_scores, features, memory)
        farthest, places = patch_scores.flatten(1).max(dim=1)
        queries = features.flatten(2)[torch.arange(len(places)), :, places]
        nearest = bank[nearest_by_distance(queries, bank).places]
        around = torch.cdist(nearest, bank).topk(count, dim=1, largest=False).indices
        distances = (queries[:, None] - bank[around]).norm(dim=2) / math.sqrt(channels)
        # the nearest patch is the first of those around it, at distance 0 from itself
        own = torch.softmax(torch.cat([farthest[:, None], distances[:, 1:]], dim=1), dim=1)[:, 0]
        return (1 - own) * farthest
