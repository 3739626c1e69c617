"""Distance to the nearest normal rows.

S. Ramaswamy, R. Rastogi, K. Shim, "Efficient algorithms for mining outliers from large data sets",
SIGMOD 2000 (distance to the k-th neighbour); F. Angiulli, C. Pizzuti, "Fast outlier detection in high
dimensional spaces", PKDD 2002 (mean over the k neighbours)::

    s(x) = ‖x − b_(k)‖                    aggregation = "kth"
    s(x) = 1/k Σ_{i=1..k} ‖x − b_(i)‖     aggregation = "mean"

``b_(1), b_(2), …`` are the rows of the bank in the order of their Euclidean distance to ``x``. The bank holds
the normals of the fit and, for rows of a domain with references, that domain's references.

The search is exact (:mod:`unseen.detectors.exact_search`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unseen.checks import check_choice, check_int
from unseen.detectors.base import BaseDetector
from unseen.detectors.concentration import Trim, check_trim, kept_after_trimming
from unseen.detectors.exact_search import nearest_rows
from unseen.types import FloatArray, Labels, StrArray

AGGREGATIONS = ("kth", "mean")


class KNearestNeighbours(BaseDetector):
    """Distance to the nearest normal rows, exact.

    Parameters
    ----------
    n_neighbours : int
        How many neighbours count, k. A bank with fewer rows uses all it has.
    aggregation : {"mean", "kth"}
        Whether the score is the mean distance to the k neighbours or the distance to the k-th.
    max_bank_rows : int or None
        If the fit has more normals than this, so many of them are drawn by ``seed`` for the bank. None: all.
    trim : float in [0, 0.5], "auto" or None
        Leave out the most suspicious share of the normals before anything is learned from them, for normals
        that may hold unnoticed anomalies; ``"auto"``: as many as are believed to be anomalous. See
        :mod:`unseen.detectors.concentration`. None: nothing is left out.
    view : {"raw", "residual-centre", "scaled-centre", "residual-nearest"}
        How rows are seen from the references of their domain.
    n_references : int
        References of each training domain where ``view`` is not ``"raw"``.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Draws the calibration rows, and the bank if it is limited.

    Attributes
    ----------
    bank_ : float array of shape (n_bank, n_features)
        The normals of the fit: training rows are part of this model, and of what is saved of it.
    centre_ : float64 array of shape (n_features,)
        Mean of the bank.
    reference_domains_ : str array of shape (n_domains,)
        The domains whose references joined the bank, sorted.
    reference_rows_ : float array of shape (n_references, n_features)
        Their references, domain by domain.
    reference_offsets_ : int64 array of shape (n_domains + 1,)
        Rows ``reference_offsets_[i]:reference_offsets_[i + 1]`` belong to domain ``i``.

    Notes
    -----
    ``explain`` gives the squared difference in each feature, averaged over the k neighbours; it sums to
    their mean squared distance.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "joined to the neighbour bank, for rows of their own domain only, beside what the view does; "
        "with view='residual-nearest' through the view only, where every reference lies at zero"
    )

    bank_: FloatArray
    centre_: NDArray[np.float64]
    reference_domains_: StrArray
    reference_rows_: FloatArray
    reference_offsets_: NDArray[np.int64]

    def __init__(
        self,
        *,
        n_neighbours: int = 5,
        aggregation: str = "mean",
        max_bank_rows: int | None = 50_000,
        trim: Trim = None,
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.n_neighbours = n_neighbours
        self.aggregation = aggregation
        self.max_bank_rows = max_bank_rows
        self.trim = trim
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_int(self, "n_neighbours", self.n_neighbours, minimum=1)
        check_choice(self, "aggregation", self.aggregation, AGGREGATIONS)
        if self.max_bank_rows is not None:
            check_int(self, "max_bank_rows", self.max_bank_rows, minimum=1)
        check_trim(self, self.trim)

    def _check_fitted_values(self) -> None:
        offsets, n_features = self.reference_offsets_, self.n_features_in_
        shapes = (self.bank_.shape[1:], self.reference_rows_.shape[1:], self.centre_.shape)
        if shapes != ((n_features,),) * 3 or len(self.bank_) == 0:
            raise ValueError("the bank and the references differ in their number of features")
        ends = offsets.tolist()[:1] + offsets.tolist()[-1:]
        if len(offsets) != len(self.reference_domains_) + 1 or ends != [0, len(self.reference_rows_)]:
            raise ValueError("the references do not add up")
        if (np.diff(offsets) < 1).any():
            raise ValueError("a domain has no references")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        rows = np.flatnonzero(labels.normal)
        if self.max_bank_rows is not None and len(rows) > self.max_bank_rows:
            draw = np.random.default_rng(self.seed)
            rows = np.sort(draw.choice(rows, self.max_bank_rows, replace=False))
        rows = rows[kept_after_trimming(V[rows], self.trim, self.seed, labels.domains[rows])]
        self.bank_ = np.ascontiguousarray(V[rows])
        self.centre_ = self.bank_.mean(axis=0, dtype=np.float64)
        self.reference_domains_ = np.array([], dtype=np.str_)
        self.reference_rows_ = self.bank_[:0]
        self.reference_offsets_ = np.zeros(1, dtype=np.int64)

    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        if self.view == "residual-nearest":
            return
        blocks = {
            str(name): self.reference_rows_[self.reference_offsets_[i] : self.reference_offsets_[i + 1]]
            for i, name in enumerate(self.reference_domains_)
        }
        blocks |= {str(name): V_ref[domains == name] for name in np.unique(domains)}
        names = sorted(blocks)
        self.reference_domains_ = np.array(names, dtype=np.str_)
        self.reference_rows_ = np.concatenate([blocks[name] for name in names])
        self.reference_offsets_ = np.cumsum([0, *(len(blocks[name]) for name in names)]).astype(np.int64)

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._aggregate(self._neighbours(V, domains)[0])

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._differences(V, *self._neighbours(V, domains))

    def _score_and_explain(
        self, V: FloatArray, domains: StrArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        distances, positions = self._neighbours(V, domains)
        return self._aggregate(distances), self._differences(V, distances, positions)

    def _aggregate(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean or largest of the finite distances of each row."""
        counted = np.isfinite(distances)
        if self.aggregation == "kth":
            last = counted.sum(axis=1) - 1
            return np.asarray(np.take_along_axis(distances, last[:, None], axis=1)[:, 0])
        return np.asarray(np.where(counted, distances, 0.0).sum(axis=1) / counted.sum(axis=1))

    def _differences(
        self, V: FloatArray, distances: NDArray[np.float64], positions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Mean over the neighbours of the squared difference in each feature."""
        rows = np.concatenate([self.bank_, self.reference_rows_])
        counted = np.isfinite(distances)
        total = np.zeros(V.shape, dtype=np.float64)
        for i in range(distances.shape[1]):
            difference = V - rows[positions[:, i]]
            difference *= difference
            difference[~counted[:, i]] = 0.0
            total += difference
        total /= counted.sum(axis=1)[:, None]
        return total

    def _neighbours(self, V: FloatArray, domains: StrArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances (n_rows, k), inf where there is none, and positions in bank + references."""
        distances, positions = nearest_rows(V, self.bank_, self.centre_, self.n_neighbours)
        if len(self.reference_domains_) == 0:
            return distances, positions
        width = self.n_neighbours - distances.shape[1]
        distances = np.pad(distances, ((0, 0), (0, width)), constant_values=np.inf)
        positions = np.pad(positions, ((0, 0), (0, width)))
        for i, name in enumerate(self.reference_domains_):
            mine = np.flatnonzero(domains == name)
            if len(mine) == 0:
                continue
            start, stop = self.reference_offsets_[i], self.reference_offsets_[i + 1]
            own, where = nearest_rows(
                V[mine], self.reference_rows_[start:stop], self.centre_, self.n_neighbours
            )
            merged = np.concatenate([distances[mine], own], axis=1)
            places = np.concatenate([positions[mine], where + len(self.bank_) + start], axis=1)
            first = np.argsort(merged, axis=1, kind="stable")[:, : self.n_neighbours]
            distances[mine] = np.take_along_axis(merged, first, axis=1)
            positions[mine] = np.take_along_axis(places, first, axis=1)
        return distances, positions
