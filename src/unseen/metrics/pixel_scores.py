"""Pixels' scores as they are collected: kept for exact figures, or counted in classes for bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ParameterError
from unseen.metrics.levels import Levels

MAX_BINS = 2**24
_SIGN = np.uint32(0x80000000)


class KeptPixels:
    """The scores of one kind's pictures, all of them.

    The normal ones are sorted once, when figures are first asked for; numbers above a score are then found by
    bisection. That is several times faster than sorting all pixels together with their labels.

    Attributes
    ----------
    n_normal, n_regions, n_images : int
        What was added.
    """

    def __init__(self) -> None:
        self.n_normal = self.n_regions = self.n_images = 0
        self._normal: list[NDArray[Any]] = []
        self._anomalous: list[NDArray[Any]] = []
        self._weights: list[NDArray[np.float64]] = []
        self._sorted: NDArray[Any] | None = None

    def add(
        self, normal: NDArray[Any], anomalous: NDArray[Any], weights: NDArray[np.float64], n_regions: int
    ) -> None:
        """Take in the pixels of one picture: normal scores, defect scores and the weights of the latter."""
        if self._sorted is not None:
            self._normal, self._sorted = [self._sorted], None
        self._normal.append(normal.copy() if normal.base is not None else normal)
        self._anomalous.append(anomalous)
        self._weights.append(weights)
        self.n_normal += normal.size
        self.n_regions += n_regions
        self.n_images += 1

    def defects(self) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """Return score, number of pixels (1) and weight of each defect pixel."""
        scores = np.concatenate(self._anomalous)
        return scores, np.ones(len(scores), dtype=np.int64), np.concatenate(self._weights)

    def normal_counts(self, scores: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many normal pixels lie above, and at or above, each score."""
        if self._sorted is None:
            self._sorted = np.concatenate(self._normal)
            self._sorted.sort()
            self._normal = []
        above = self.n_normal - np.searchsorted(self._sorted, scores, side="right")
        not_below = self.n_normal - np.searchsorted(self._sorted, scores, side="left")
        return above, not_below


class CountedPixels:
    """Numbers of pixels of one kind's pictures in classes of scores.

    The class of a score is given by the leading bits of its float32 form, made to rise with the score (the
    sign bit turned for positive numbers, all bits for negative ones).

    Parameters
    ----------
    bins : int
        Number of classes, a power of two.

    Attributes
    ----------
    n_normal, n_regions, n_images : int
        What was added.

    Raises
    ------
    ParameterError
        If ``bins`` is no power of two.
    """

    def __init__(self, bins: int) -> None:
        if bins & (bins - 1):
            raise ParameterError(f"LocalisationMeter: bins must be a power of two, got {bins}.")
        self.n_normal = self.n_regions = self.n_images = 0
        self._shift = np.uint32(32 - (bins.bit_length() - 1))
        self._normal = np.zeros(bins, dtype=np.int64)
        self._anomalous = np.zeros(bins, dtype=np.int64)
        self._weights = np.zeros(bins)

    def add(
        self, normal: NDArray[Any], anomalous: NDArray[Any], weights: NDArray[np.float64], n_regions: int
    ) -> None:
        """Take in the pixels of one picture: normal scores, defect scores and the weights of the latter."""
        np.add.at(self._normal, *self._tally(normal))
        classes = self._classes(anomalous)
        np.add.at(self._anomalous, classes, 1)
        np.add.at(self._weights, classes, weights)
        self.n_normal += normal.size
        self.n_regions += n_regions
        self.n_images += 1

    def defects(self) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """Return lower edge, number of defect pixels and sum of their weights of each class that has some."""
        filled = np.flatnonzero(self._anomalous)
        return self._lower_edges(filled), self._anomalous[filled], self._weights[filled]

    def normal_counts(self, scores: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many normal pixels lie above, and at or above, the class of each score."""
        not_below = np.cumsum(self._normal[::-1])[::-1]
        classes = self._classes(scores)
        return not_below[classes] - self._normal[classes], not_below[classes]

    def _tally(self, scores: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        classes = np.sort(self._classes(scores))
        starts = np.flatnonzero(np.append(True, classes[1:] != classes[:-1])) if len(classes) else classes
        return classes[starts], np.diff(np.append(starts, len(classes)))

    def _classes(self, scores: NDArray[Any]) -> NDArray[np.int64]:
        bits = (np.asarray(scores, dtype=np.float32) + np.float32(0)).view(np.uint32)
        rising = np.where(bits & _SIGN, ~bits, bits | _SIGN)
        return (rising >> self._shift).astype(np.int64)

    def _lower_edges(self, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        rising = classes.astype(np.uint32) << self._shift
        return np.where(rising & _SIGN, rising ^ _SIGN, ~rising).astype(np.uint32).view(np.float32)


def joint_levels(parts: Sequence[KeptPixels | CountedPixels]) -> Levels:
    """Return the levels of several kinds' pictures together.

    Parameters
    ----------
    parts : sequence of KeptPixels or of CountedPixels
        At least one with a defect.

    Returns
    -------
    Levels
    """
    defects = [part.defects() for part in parts if part.n_regions]
    scores = np.concatenate([scores for scores, _, _ in defects])
    order = np.argsort(scores)
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    distinct = ordered[starts]
    above = np.zeros(len(distinct), dtype=np.int64)
    not_below = np.zeros(len(distinct), dtype=np.int64)
    for part in parts:
        higher, not_lower = part.normal_counts(distinct)
        above += higher
        not_below += not_lower
    numbers = np.concatenate([numbers for _, numbers, _ in defects])[order]
    weights = np.concatenate([weights for _, _, weights in defects])[order]
    return Levels(
        scores=distinct[::-1],
        anomalous=np.add.reduceat(numbers, starts)[::-1],
        weights=np.add.reduceat(weights, starts)[::-1],
        normal_above=above[::-1],
        normal_not_below=not_below[::-1],
        n_normal=sum(part.n_normal for part in parts),
        n_regions=sum(part.n_regions for part in parts),
    )
