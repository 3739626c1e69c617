r"""Distance of each patch to the nearest patch of normal pictures.

S. Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2", WACV 2025. For a
patch with features :math:`z` and the bank :math:`Z^n` of all patches of the references,

.. math:: z^* = \arg\max_{z' \in Z^n} \cos(z, z'), \qquad
          s = 1 - \cos(z, z^*) \quad\text{or}\quad s = \lVert z - z^* \rVert

and a picture's score is the mean of its highest 1 % of patches. No training.

The search has two stages by default. The bank is divided in cells (k-means). For the maps, a patch is
compared with the mean of its nearest cell (cosine) or with the nearest patch of that cell (length of the
residual); the patches that come out highest are then compared with the whole bank, and the picture's score is
theirs.
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
from unseen.nn.patches import (
    divide,
    greedy_k_centre,
    largest_cosine,
    nearest_by_cosine,
    nearest_in_cells,
)
from unseen.nn.patches.maps import top_count
from unseen.nn.patches.turns import useful_looks
from unseen.pixels import Size
from unseen.types import FloatArray

SCORES = ("cosine", "residual-norm")
THINNINGS = ("random", "coreset")
SEARCHES = ("two-stage", "exact")

_SMALL_BANK = 1024
_CELLS = {"cosine": 1.4, "residual-norm": 0.7}
"""Cells over the root of the number of patches."""

LEAST_CANDIDATES = 64
CANDIDATES = 4
"""So many times as many patches as count for a picture's score are compared with the whole bank."""


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
        Whether only the highest patches of a picture, those that its score may depend on, are compared with
        the whole bank, or all of them are. Banks of less than 1024 patches are always searched as a whole.
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
        ``starts``: int64 (n_cells + 1,).
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
            if memory["bank"].ndim != 2 or memory["lengths"].shape != memory["bank"].shape[:1]:
                raise ValueError("the bank and its lengths differ")
            if ("centres" in memory) != ("starts" in memory):
                raise ValueError("the bank is divided by half")
            if "starts" in memory:
                starts = memory["starts"]
                ends = (int(starts[0]), int(starts[-1])) if starts.size > 1 else (-1, -1)
                whole = ends == (0, len(memory["bank"])) and bool((np.diff(starts) > 0).all())
                if starts.dtype != np.int64 or len(starts) != len(memory["centres"]) + 1 or not whole:
                    raise ValueError("the cells of the bank do not add up")

    def _remember(self, V: FloatArray) -> Memory:
        patches = torch.from_numpy(self._on_part(V))
        if self.max_patches is not None and len(patches) > self.max_patches:
            draw = torch.Generator().manual_seed(self.seed)
            if self.thinning == "random":
                kept = torch.randperm(len(patches), generator=draw)[: self.max_patches].sort().values
            else:
                kept = greedy_k_centre(F.normalize(patches, dim=1), self.max_patches, generator=draw)
            patches = patches[kept]
        lengths, bank = patches.norm(dim=1), F.normalize(patches, dim=1)
        if self.search == "exact" or len(bank) < _SMALL_BANK:
            return {"bank": bank.numpy(), "lengths": lengths.numpy()}
        n_cells = round(_CELLS[self.score] * math.sqrt(len(bank)))
        cells = divide(bank, n_cells, generator=torch.Generator().manual_seed(self.seed))
        return {
            "bank": bank[cells.order].numpy(),
            "lengths": lengths[cells.order].numpy(),
            "centres": cells.centres.numpy(),
            "starts": cells.starts.numpy(),
        }

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
            scores = 1 - largest_cosine(queries, F.normalize(memory["centres"], dim=1))
        else:
            found = nearest_in_cells(queries, memory["bank"], memory["centres"], memory["starts"])
            scores = self._lengths(queries, found.places, memory)
        return scores.reshape(n, height, width)

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        flat = patch_scores.flatten(1)
        count = top_count(flat.shape[1], self.top_share)
        n_candidates = min(flat.shape[1], max(LEAST_CANDIDATES, CANDIDATES * count))
        if "centres" not in memory:
            return super()._image_scores(patch_scores, features, memory)
        highest, places = flat.topk(n_candidates, dim=1)
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)
        queries = rows[torch.arange(len(rows), device=rows.device)[:, None], places]
        scores = self._exactly(queries.flatten(0, 1), memory).reshape(highest.shape)
        return (scores * (highest > 0)).topk(count, dim=1).values.mean(dim=1)

    def _exactly(self, queries: Tensor, memory: Tensors) -> Tensor:
        """Scores of patches (n, channels) by the whole bank."""
        cosines, places = nearest_by_cosine(queries, memory["bank"])
        return 1 - cosines if self.score == "cosine" else self._lengths(queries, places, memory)

    def _lengths(self, queries: Tensor, places: Tensor, memory: Tensors) -> Tensor:
        nearest = memory["bank"][places] * memory["lengths"][places, None]
        return (queries - nearest).square().sum(dim=1).sqrt()
