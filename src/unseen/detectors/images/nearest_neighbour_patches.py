r"""Distance of each patch to the nearest patch of normal pictures.

S. Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2", WACV 2025. For a
patch with features :math:`z` and the bank :math:`Z^n` of all patches of the references,

.. math:: z^* = \arg\max_{z' \in Z^n} \cos(z, z'), \qquad
          s = 1 - \cos(z, z^*) \quad\text{or}\quad s = \lVert z - z^* \rVert

and a picture's score is the mean of its highest 1 % of patches. No training.

The search has two stages by default. The bank is divided in cells (k-means of directions). For the maps, a
patch is compared with the mean direction of its nearest cell (cosine) or with a patch of its nearest cell or
of those that lie second nearest to that cell, the nearest along the bank's first principal directions (length
of the residual). The patches that come out highest are then compared with all patches of their eight nearest
cells, and the picture's score is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.checks import check_choice, check_int
from unseen.detectors.images.base import FOREGROUND_SHARE, BaseImageDetector, Memory, Tensors
from unseen.nn.patches import greedy_k_centre, largest_cosine, nearest_by_cosine
from unseen.nn.patches.maps import top_count
from unseen.nn.patches.staged_search import (
    check_cells,
    highest_patches,
    in_cells,
    nearest_closely,
    nearest_roughly,
)
from unseen.nn.patches.turns import useful_looks
from unseen.pixels import Size
from unseen.types import FloatArray

SCORES = ("cosine", "residual-norm")
THINNINGS = ("random", "coreset")
SEARCHES = ("two-stage", "exact")

_SMALL_BANK = 1024
_CELLS = {"cosine": 1.2, "residual-norm": 1.06}
"""Cells over the root of the number of patches."""

_BLOCK_ROWS = 1024

LEAST_CANDIDATES = {"cosine": 48, "residual-norm": 40}
CANDIDATES = 4
"""So many times as many patches as count for a picture's score are looked for again."""


class NearestNeighbourPatches(BaseImageDetector):
    """Distance of each patch to the nearest reference patch by cosine.

    Parameters
    ----------
    score : {"cosine", "residual-norm"}
        Whether a patch's score is 1 - cosine to the nearest reference patch, or the Euclidean length of the
        difference to it, which also sees how much weaker or stronger the features are.
    rotations : int or "auto"
        The references are also remembered turned by so many equal parts of a circle; 1: as they are. For
        parts that lie at any angle. auto: 8 if each reference is then more like the others, else 1; see
        :func:`unseen.nn.patches.turns.turns_help`.
    foreground : {"all", "estimate", "hull"}
        estimate: only patches on the part count, in references and in pictures that are judged (the others
        score 0); see :func:`unseen.nn.synthetic.estimate_foreground`. hull: also all that lies between them,
        so that gaps in a part are seen.
    search : {"two-stage", "exact"}
        Whether patches are compared with a part of the bank, those that the picture's score depends on with a
        larger one, or all with the whole bank. Banks of less than 1024 patches are always searched as a
        whole.
    max_patches : int or None
        A larger bank is thinned out to so many patches. None: never.
    thinning : {"random", "coreset"}
        How: by a draw, or by the greedy choice of the farthest.
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
        ``bank``: float32 (n_patches, channels), rows of length 1; ``lengths``: what they were, (n_patches,).
        For the search in two stages the rows lie cell after cell, with ``centres``: (n_cells, channels) and
        ``starts``: int64 (n_cells + 1,); for the length of the residual also the further parts that
        :func:`unseen.nn.patches.staged_search.in_cells` adds.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "their patches are the bank that pictures of their domain are compared with"
    )

    def __init__(
        self,
        *,
        score: str = "cosine",
        rotations: int | str = 1,
        foreground: str = "all",
        search: str = "two-stage",
        max_patches: int | None = 50_000,
        thinning: str = "random",
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
        self.score = score
        self.rotations = rotations
        self.foreground = foreground
        self.search = search
        self.max_patches = max_patches
        self.thinning = thinning
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
        check_choice(self, "score", self.score, SCORES)
        check_choice(self, "thinning", self.thinning, THINNINGS)
        check_choice(self, "search", self.search, SEARCHES)
        if self.max_patches is not None:
            check_int(self, "max_patches", self.max_patches, minimum=1)

    def _check_fitted_values(self) -> None:
        for memory in (self.memory_, *self.domain_memories_.values()):
            tensors = {name: torch.from_numpy(array) for name, array in memory.items()}
            check_cells(tensors, short=self.score == "residual-norm")

    def _remember(self, V: FloatArray) -> Memory:
        patches = torch.from_numpy(self._on_part(V))
        if self.max_patches is not None and len(patches) > self.max_patches:
            draw = torch.Generator().manual_seed(self.seed)
            if self.thinning == "random":
                kept = torch.randperm(len(patches), generator=draw)[: self.max_patches].sort().values
            else:
                kept = greedy_k_centre(F.normalize(patches, dim=1), self.max_patches, generator=draw)
            patches = patches[kept]
        if self.search == "exact" or len(patches) < _SMALL_BANK:
            return {
                "bank": F.normalize(patches, dim=1).numpy(),
                "lengths": patches.norm(dim=1).numpy(),
            }
        n_cells = round(_CELLS[self.score] * math.sqrt(len(patches)))
        memory = in_cells(patches, n_cells, short=self.score == "residual-norm", seed=self.seed)
        return {name: values.numpy() for name, values in memory.items()}

    def _on_part(self, V: FloatArray) -> FloatArray:
        """The patches (n_patches, channels) of the useful looks, without those of the ground."""
        V = useful_looks(V, self.rotations, FOREGROUND_SHARE if self.foreground != "all" else 0.0)
        rows = np.moveaxis(V, 2, -1).reshape(-1, V.shape[2])
        on_part = rows[:, -2] >= FOREGROUND_SHARE
        chosen = rows[on_part] if self.foreground != "all" and on_part.any() else rows
        return np.ascontiguousarray(chosen[:, :-2], dtype=np.float32)

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, channels, height, width = features.shape
        queries = features.permute(0, 2, 3, 1).reshape(-1, channels)
        if "centres" not in memory:
            scores = self._exactly(queries, memory)
        elif self.score == "cosine":
            scores = 1 - largest_cosine(queries, memory["centres"])
        else:
            scores = self._lengths(queries, nearest_roughly(queries, memory), memory)
        return scores.reshape(n, height, width)

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        if "centres" not in memory:
            return super()._image_scores(patch_scores, features, memory)
        count = top_count(patch_scores[0].numel(), self.top_share)
        most = max(LEAST_CANDIDATES[self.score], CANDIDATES * count)
        highest, queries = highest_patches(patch_scores, features, most)
        found = nearest_closely(queries, memory)
        if self.score == "cosine":
            cosines = (F.normalize(queries, dim=1) * memory["bank"][found]).sum(dim=1)
            scores = 1 - cosines.clamp(-1.0, 1.0)
        else:
            scores = self._lengths(queries, found, memory)
        counting = scores.reshape(highest.shape) * (highest > 0)
        return counting.topk(count, dim=1).values.mean(dim=1)

    def _exactly(self, queries: Tensor, memory: Tensors) -> Tensor:
        """Scores of patches (n, channels) by the whole bank."""
        cosines, places = nearest_by_cosine(queries, memory["bank"])
        return 1 - cosines if self.score == "cosine" else self._lengths(queries, places, memory)

    def _lengths(self, queries: Tensor, places: Tensor, memory: Tensors) -> Tensor:
        lengths = queries.new_empty(len(queries))
        blocks = (torch.split(values, _BLOCK_ROWS) for values in (queries, places, lengths))
        for block, found, of_block in zip(*blocks, strict=True):  # stays in the processor's cache
            nearest = memory["bank"].index_select(0, found)
            nearest *= memory["lengths"].index_select(0, found)[:, None]
            torch.linalg.vector_norm(nearest.sub_(block), dim=1, out=of_block)
        return lengths
