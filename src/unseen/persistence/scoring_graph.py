"""The whole way from pixels to scores as one torch module of plain tensor operations, for export.

It computes what the detectors compute, step by step: resizing as Pillow does it, normalisation, the backbone,
one grid of patch features, nearest neighbours, scores of patches, score and map of each picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.backbones.frozen import FrozenBackbone, normalised
from unseen.nn.patches.maps import to_pixels, top_count
from unseen.nn.patches.staged_search import CLOSE_PROBES
from unseen.pixels import resize_image

_BITS = 22
"""Pillow's weights are whole numbers over 2^22."""


class PictureScores(NamedTuple):
    """What a graph returns.

    Attributes
    ----------
    score : float tensor of shape (n,)
        Of each picture.
    map : float tensor of shape (n, height, width)
        At the size of the detector.
    """

    score: Tensor
    map: Tensor


class PillowResize(nn.Module):
    """Pillow's bilinear resizing of 8-bit pictures, to the last bit, as a matrix for each axis.

    Pillow shrinks with a triangle as wide as the pixels that a new one covers, one axis after the other, and
    rounds after each. Its weights are whole numbers over 2^22, so that float64 holds the sums exactly. Which
    axis comes first depends on the sizes and on Pillow's version: the installed one is asked.

    Parameters
    ----------
    given, wanted : (int, int)
        Height and width before and after.
    """

    columns: Tensor
    rows: Tensor

    def __init__(self, given: tuple[int, int], wanted: tuple[int, int]) -> None:
        super().__init__()
        self.axes = [axis for axis in (1, 0) if given[axis] != wanted[axis]]
        self.register_buffer("rows", torch.from_numpy(pillow_weights(given[0], wanted[0])))
        self.register_buffer("columns", torch.from_numpy(pillow_weights(given[1], wanted[1])))
        probe = np.random.default_rng(0).integers(0, 256, (*given, 3), dtype=np.uint8)
        seen = self(torch.from_numpy(probe).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        if not np.array_equal(seen, resize_image(probe, wanted)):
            self.axes.reverse()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return resized pictures, (n, 3, height, width) with values 0 to 255 -> float32."""
        if not self.axes:
            return pixels.float()
        values = pixels.double()
        for axis in self.axes:
            values = _rounded(self.rows @ values if axis == 0 else values @ self.columns.T)
        return values.float()


def pillow_weights(given: int, wanted: int) -> NDArray[np.float64]:
    """Return Pillow's bilinear weights of one axis, times 2^22, as whole numbers.

    Parameters
    ----------
    given, wanted : int
        Pixels before and after.

    Returns
    -------
    float64 array of shape (wanted, given)
    """
    scale = given / wanted
    reach = max(1.0, scale)
    weights = np.zeros((wanted, given))
    for place in range(wanted):
        centre = (place + 0.5) * scale
        first, last = max(0, int(centre - reach + 0.5)), min(given, int(centre + reach + 0.5))
        row = np.maximum(0.0, 1.0 - np.abs((np.arange(first, last) - centre + 0.5) / reach))
        weights[place, first:last] = np.floor(row / row.sum() * 2**_BITS + 0.5)
    return weights


def _rounded(sums: Tensor) -> Tensor:
    return torch.floor((sums + 2 ** (_BITS - 1)) / 2**_BITS).clamp(0, 255)


class StagedBank(nn.Module):
    """A bank of normal patches and where in it the nearest ones are, as detectors look for them.

    Parameters
    ----------
    memory : dict of str to array
        Of the detector.
    """

    bank: Tensor
    lengths: Tensor
    centres: Tensor
    projection: Tensor
    short: Tensor
    short_centres: Tensor
    cell_of: Tensor
    near: Tensor
    near_cell_of: Tensor

    def __init__(self, memory: dict[str, NDArray[np.float32]]) -> None:
        super().__init__()
        self.staged = "centres" in memory
        for name in ("bank", "lengths", "centres", "projection", "short", "near"):
            if name in memory:
                self.register_buffer(name, torch.from_numpy(memory[name]))
        if self.staged:
            self.register_buffer("cell_of", _cell_of(memory["starts"]))
        if "short" in memory:
            self.register_buffer("near_cell_of", _cell_of(memory["near_starts"]))
            self.register_buffer("short_centres", self.centres @ self.projection)

    def exactly(self, patches: Tensor) -> Tensor:
        """Return the places of the nearest patches, (n, n_patches, channels) -> (n, n_patches)."""
        return (patches @ self.bank.T).argmax(dim=2)

    def roughly(self, patches: Tensor) -> Tensor:
        """Return the places of near patches, (n, n_patches, channels) -> (n, n_patches)."""
        short = patches @ self.projection
        return self.near[_probed(short, self.short, self.short_centres, self.near_cell_of, 1)]

    def closely(self, patches: Tensor) -> Tensor:
        """Return the places of the nearest patches, (n, n_patches, channels) -> (n, n_patches)."""
        return _probed(patches, self.bank, self.centres, self.cell_of, CLOSE_PROBES)


def _cell_of(starts: NDArray[np.float32]) -> Tensor:
    sizes = torch.from_numpy(np.diff(starts))
    return torch.arange(len(sizes)).repeat_interleave(sizes)


def _probed(patches: Tensor, bank: Tensor, centres: Tensor, cell_of: Tensor, probes: int) -> Tensor:
    """The rows of the bank with the largest products, among those of the nearest cells."""
    products = patches @ centres.T
    cells = products.topk(min(probes, len(centres)), dim=2).indices
    open_cells = torch.zeros_like(products).scatter(2, cells, 1.0)
    allowed = open_cells[:, :, cell_of] > 0
    return torch.where(allowed, patches @ bank.T, torch.full((), -1e30)).argmax(dim=2)


class NearestPatchScores(nn.Module):
    """Scores of patches by their nearest neighbours, as ``nearest-neighbour-patches`` has them.

    Parameters
    ----------
    memory : dict of str to array
        Of the detector.
    score : {"cosine", "residual-norm"}
        As the detector.
    candidates, least_candidates : int
        How many patches are looked for again: the larger of the latter, and of the former times the patches
        that count.
    top_share : float
        Share of patches that count for the picture's score.
    """

    def __init__(
        self,
        memory: dict[str, NDArray[np.float32]],
        *,
        score: str,
        candidates: int,
        least_candidates: int,
        top_share: float,
    ) -> None:
        super().__init__()
        self.score, self.top_share = score, top_share
        self.candidates, self.least_candidates = candidates, least_candidates
        self.known = StagedBank(memory)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores of pictures (n,) and of their patches (n, n_patches, channels) -> (n, n_patches)."""
        count = top_count(patches.shape[1], self.top_share)
        if not self.known.staged:
            scores = self._at(patches, self.known.exactly(patches))
            return scores.topk(count, dim=1).values.mean(dim=1), scores
        if self.score == "cosine":
            unit = F.normalize(patches, dim=2)
            scores = 1 - (unit @ self.known.centres.T).amax(dim=2).clamp(-1.0, 1.0)
        else:
            scores = self._at(patches, self.known.roughly(patches))
        asked = asked_again(scores, patches, max(self.least_candidates, self.candidates * count))
        close = self._at(asked, self.known.closely(asked))
        return close.topk(count, dim=1).values.mean(dim=1), scores

    def _at(self, patches: Tensor, places: Tensor) -> Tensor:
        nearest = self.known.bank[places]
        if self.score == "cosine":
            return 1 - (F.normalize(patches, dim=2) * nearest).sum(dim=2).clamp(-1.0, 1.0)
        return (patches - nearest * self.known.lengths[places][:, :, None]).square().sum(dim=2).sqrt()


def asked_again(scores: Tensor, patches: Tensor, count: int) -> Tensor:
    """Return the patches that come out highest, (n, n_patches, channels) -> (n, count, channels).

    Parameters
    ----------
    scores : float tensor of shape (n, n_patches)
        Higher = more anomalous.
    patches : float tensor of shape (n, n_patches, channels)
        Patch features.
    count : int
        So many, or all.

    Returns
    -------
    float tensor of shape (n, count, channels)
    """
    places = scores.topk(min(patches.shape[1], count), dim=1).indices
    return patches.gather(1, places[:, :, None].expand(-1, -1, patches.shape[2]))


class ValueOrderScores(nn.Module):
    """Scores of patches by value-order decomposition, as ``value-order`` has them.

    Parameters
    ----------
    memory : dict of str to array
        Of the detector.
    adaptation : nn.Module
        Its layer.
    sorting, use_normal, use_abnormal : bool
        As the detector.
    picture_score : {"combined", "normal"}
        As the detector.
    candidates, least_candidates : int
        As for :class:`NearestPatchScores`.
    top_share : float
        Share of patches that count for the picture's score.
    """

    directions: Tensor
    mean_length: Tensor

    def __init__(
        self,
        memory: dict[str, NDArray[np.float32]],
        adaptation: nn.Module,
        *,
        sorting: bool,
        use_normal: bool,
        use_abnormal: bool,
        picture_score: str,
        candidates: int,
        least_candidates: int,
        top_share: float,
    ) -> None:
        super().__init__()
        self.adaptation, self.top_share = adaptation, top_share
        self.sorting, self.use_normal, self.use_abnormal = sorting, use_normal, use_abnormal
        self.for_pictures = self._unlike_at if picture_score == "normal" else self._at
        self.candidates, self.least_candidates = candidates, least_candidates
        self.known = StagedBank(memory)
        for name in ("directions", "mean_length"):
            self.register_buffer(name, torch.from_numpy(memory[name]))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores of pictures (n,) and of their patches (n, n_patches, channels) -> (n, n_patches)."""
        adapted = self.adaptation(patches)
        count = top_count(patches.shape[1], self.top_share)
        find = self.known.roughly if self.known.staged else self.known.exactly
        places = find(adapted)
        scores, counting = self._at(adapted, places), self.for_pictures(adapted, places)
        if self.known.staged:
            asked = asked_again(counting, adapted, max(self.least_candidates, self.candidates * count))
            counting = self.for_pictures(asked, self.known.closely(asked))
        return counting.topk(count, dim=1).values.mean(dim=1), scores

    def _unlike_at(self, adapted: Tensor, places: Tensor) -> Tensor:
        cosines = (F.normalize(adapted, dim=2) * self.known.bank[places]).sum(dim=2).clamp(-1.0, 1.0)
        return 1 - (cosines + 1) / 2

    def _at(self, adapted: Tensor, places: Tensor) -> Tensor:
        nearest = self.known.bank[places]
        residuals = (adapted - nearest * self.known.lengths[places][:, :, None]).abs()
        return self._combined(self._unlike_at(adapted, places), residuals)

    def _combined(self, unlike: Tensor, residuals: Tensor) -> Tensor:
        if not self.use_abnormal:
            return unlike
        if self.sorting:
            residuals = residuals.topk(residuals.shape[2], dim=2).values
        projection = (residuals @ self.directions.T).amax(dim=2)
        alike = (projection / self.mean_length.clamp_min(1e-12)).clamp_max(1.0)
        return (unlike + alike) / 2 if self.use_normal else alike


class ScoringGraph(nn.Module):
    """Pictures in, scores and maps out.

    Parameters
    ----------
    backbone : FrozenBackbone
        In float32 on the CPU.
    patch_scores : nn.Module
        Scores of pictures and patches.
    given, size : (int, int)
        Height and width of the pictures, and those that they are brought to.
    strides : sequence of int
        Maps that are joined.
    pool : int
        Side of the neighbourhood that is averaged.
    sigma : float
        Of the smoothing of maps, in pixels.
    """

    to_rows: Tensor
    to_columns: Tensor

    def __init__(
        self,
        backbone: FrozenBackbone,
        patch_scores: nn.Module,
        *,
        given: tuple[int, int],
        size: tuple[int, int],
        strides: Sequence[int],
        pool: int,
        sigma: float,
    ) -> None:
        super().__init__()
        self.resize = PillowResize(given, size)
        self.network, self.patch_scores = backbone.network, patch_scores
        self.mean, self.std = backbone.mean, backbone.std
        self.strides, self.pool = tuple(sorted(strides)), pool
        self.grid = tuple(math.ceil(side / min(strides)) for side in size)
        for name, cells, pixels in zip(("to_rows", "to_columns"), self.grid, size, strict=True):
            self.register_buffer(name, to_pixels(cells, pixels, sigma))

    def forward(self, pixels: Tensor) -> PictureScores:
        """Return scores and maps of uint8 pictures (n, height, width, 3)."""
        images = self.resize(pixels.permute(0, 3, 1, 2))
        maps = self.network(normalised(images, *self._scale()), self.strides)
        parts = [self._on_grid(maps[stride]) for stride in self.strides]
        patches = torch.cat(parts, dim=1).flatten(2).transpose(1, 2)
        score, of_patches = self.patch_scores(patches)
        of_patches = of_patches.unflatten(1, self.grid)
        return PictureScores(score, self.to_rows @ of_patches @ self.to_columns.T)

    def _scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for values of 0 to 255."""
        return tuple(255 * m for m in self.mean), tuple(255 * s for s in self.std)

    def _on_grid(self, values: Tensor) -> Tensor:
        if self.pool > 1:
            values = F.avg_pool2d(values, self.pool, 1, self.pool // 2, count_include_pad=False)
        if tuple(values.shape[-2:]) != self.grid:
            values = F.interpolate(values, size=self.grid, mode="bilinear", align_corners=False)
        return values
