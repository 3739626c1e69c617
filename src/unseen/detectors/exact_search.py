r"""Nearest rows of a bank, exact.

A matrix product in single precision around the centre of the bank proposes candidates, and their distances
are computed again by differences. A bound on the rounding error of the product shows whether a closer row can
have been missed. The few rows for which it can are searched again, at last in double precision.

Many rows of many features that move together are first compared along fewer directions. With orthonormal
directions U that hold most of the variance of the bank, and a row split into :math:`q = U^T (x - c)` and the
length :math:`r` of what is left of :math:`x - c`,

.. math:: |x - b|^2 \ge |q_x - q_b|^2 + (r_x - r_b)^2,

so the k nearest candidates are the nearest rows wherever they are closer than the right side says of every
other row. Only where they are not is a row compared along all features. The result is the same.

Rows that are equally far are taken in the order of the bank, so it does not matter which others are searched
for at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.types import FloatArray

_SPARE_CANDIDATES = 11
GROUP = 16
_CHUNK_CELLS, _MOST_CHUNK_CELLS, _CHUNK_ROWS = 1_000_000, 4_000_000, 128
"""So many products are held at once, as they should stay in the cache; more for so many rows."""
_LEAST_ROWS, _LEAST_BANK, _LEAST_FEATURES, _MOST_FEATURES = 512, 2_048, 48, 512
"""Fewer directions are worth looking for from so many rows and features on, and up to so many features."""

_ROWS_FOR_DIRECTIONS = 2_000
_TRIED, _LEAST_PROVEN = 128, 0.7
"""So many rows show whether it is worth it: if so large a share of them is proven."""

_VARIANCE_LEFT = 0.005
_DIFFERENCES = 250_000
"""So many differences are held at once."""


def nearest_rows(
    X: FloatArray, bank: FloatArray, centre: NDArray[np.float64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the Euclidean distances and positions of the nearest bank rows.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        Query rows.
    bank : float array of shape (n_bank, n_features)
        Rows to search.
    centre : float64 array of shape (n_features,)
        A point near the middle of the bank; only the speed depends on it.
    k : int
        How many to return; ``min(k, n_bank)`` are.

    Returns
    -------
    distances : float64 array of shape (n_rows, min(k, n_bank))
        Ascending.
    positions : int64 array of shape (n_rows, min(k, n_bank))
        Row numbers in ``bank``.
    """
    k = min(k, len(bank))
    search = _Search(X, bank, centre, np.empty((len(X), k)), np.empty((len(X), k), dtype=np.int64))
    rows = np.arange(len(X))
    directions = _directions(X, bank, centre)
    if directions is not None:
        rows = _along_directions(search, rows, directions)
    for precision in (torch.float32, torch.float64):
        if len(rows):
            rows = rows[~search.fill(rows, _prepare(bank - centre, precision))]
    return np.sqrt(search.squared), search.positions


def smallest_columns(values: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the columns of the k smallest values of each row, in any order.

    The k smallest values lie in the k groups with the smallest minima, so only those are looked through.

    Parameters
    ----------
    values : float array of shape (n_rows, n_columns)
        At least k columns; faster where there are whole groups of 16.
    k : int
        How many.

    Returns
    -------
    int64 array of shape (n_rows, k)
    """
    n_groups = values.shape[1] // GROUP
    if n_groups <= 2 * k or values.shape[1] % GROUP:
        return np.argpartition(values, k - 1, axis=1)[:, :k]
    minima = values.reshape(len(values), GROUP, n_groups).min(axis=1)
    groups = smallest_columns(minima, k)
    columns = (groups[:, None, :] + n_groups * np.arange(GROUP)[:, None]).reshape(len(values), -1)
    starts = np.arange(len(values))[:, None] * values.shape[1]
    first = np.argpartition(values.ravel().take(columns + starts), k - 1, axis=1)[:, :k]
    return np.take_along_axis(columns, first, axis=1)


@dataclass(frozen=True)
class _Search:
    """What is searched in what, and what was found."""

    X: FloatArray
    bank: FloatArray
    centre: NDArray[np.float64]
    squared: NDArray[np.float64]
    positions: NDArray[np.int64]

    def fill(
        self, rows: NDArray[np.int64], table: torch.Tensor, directions: NDArray[np.float64] | None = None
    ) -> NDArray[np.bool_]:
        """Find the nearest of some rows; return for which of them they are proven to be the nearest."""
        k, precision = self.squared.shape[1], table.dtype
        n_candidates = min(len(self.bank), k + _SPARE_CANDIDATES)
        certain = np.ones(len(rows), dtype=np.bool_)
        step = _rows_at_once(len(table))
        room = torch.empty((min(step, len(rows)), len(table)), dtype=precision)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            queries = torch.from_numpy(_seen(self.X[part] - self.centre, directions))
            queries = torch.nn.functional.pad(queries, (0, 1), value=1.0).to(precision)
            closeness = torch.mm(queries, table.T, out=room[: len(part)]).numpy()
            candidates = smallest_columns(closeness, n_candidates)
            nearest = _nearest_candidates(self.X[part], self.bank, candidates, k)
            self.squared[part], self.positions[part] = nearest
            if n_candidates < len(self.bank):
                bound = np.take_along_axis(closeness, candidates, axis=1).max(axis=1)
                certain[start : start + step] = _proven(
                    self.squared[part, -1],
                    bound.astype(np.float64),
                    queries[:, :-1].double().square().sum(1).numpy(),
                    queries.shape[1] - 1,
                    precision,
                )
        return certain


def _along_directions(
    search: _Search, rows: NDArray[np.int64], directions: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Search along few directions, if a few rows show that this proves most; return the rows left over."""
    table = _prepare(_seen(search.bank - search.centre, directions), torch.float32)
    few, others = rows[:_TRIED], rows[_TRIED:]
    certain = search.fill(few, table, directions)
    if np.mean(certain) < _LEAST_PROVEN:
        return np.concatenate([few[~certain], others])
    return np.concatenate([few[~certain], others[~search.fill(others, table, directions)]])


def _directions(X: FloatArray, bank: FloatArray, centre: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the fewest orthonormal columns with nearly all variance of the bank; None if they are many."""
    n_features = bank.shape[1]
    if len(X) < _LEAST_ROWS or len(bank) < _LEAST_BANK or not _LEAST_FEATURES <= n_features <= _MOST_FEATURES:
        return None
    few = (bank[:: max(1, len(bank) // _ROWS_FOR_DIRECTIONS)] - centre).astype(np.float64)
    values, vectors = np.linalg.eigh(few.T @ few)
    left = np.cumsum(np.maximum(values, 0.0))  # ascending: what is left out with the first ones
    n_left_out = int(np.searchsorted(left, _VARIANCE_LEFT * left[-1], side="right"))
    if n_left_out < n_features // 2:
        return None
    return np.ascontiguousarray(vectors[:, n_left_out:])


def _seen(centred: FloatArray, directions: NDArray[np.float64] | None) -> FloatArray:
    """Return rows along the directions, and the length of what is left of them in one more column."""
    if directions is None:
        return centred
    along = centred @ directions
    left = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", along, along)
    return np.column_stack([along, np.sqrt(np.maximum(left, 0.0))])


def _rows_at_once(n_bank: int) -> int:
    """Return how many rows are compared with the bank at a time."""
    return max(16, min(max(_CHUNK_CELLS // n_bank, _CHUNK_ROWS), _MOST_CHUNK_CELLS // n_bank))


def _prepare(centred: FloatArray, precision: torch.dtype) -> torch.Tensor:
    """Return rows ``(−2 b, |b|²)`` of a centred bank; times ``(x, 1)`` they give ``|b|² − 2 x·b``.

    Rows are padded to whole groups; padding is infinitely far away.
    """
    rows = torch.from_numpy(centred).to(precision)
    table = torch.cat([-2 * rows, rows.square().sum(1, keepdim=True)], dim=1)
    padding = torch.zeros((-len(rows) % GROUP, table.shape[1]), dtype=precision)
    padding[:, -1] = torch.inf
    return torch.cat([table, padding])


def _nearest_candidates(
    X: FloatArray, bank: FloatArray, candidates: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the k smallest squared distances to the candidates, by differences, and their positions."""
    candidates = np.sort(candidates, axis=1)  # ties go to the first of the bank
    exact = np.empty(candidates.shape, dtype=np.float64)
    step = max(1, _DIFFERENCES // (candidates.shape[1] * bank.shape[1]))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        difference = bank[candidates[part]] - X[part, None, :]
        exact[part] = np.einsum("rcf,rcf->rc", difference, difference)
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(exact, order, axis=1), np.take_along_axis(candidates, order, axis=1)


def _proven(
    farthest: NDArray[np.float64],
    bound: NDArray[np.float64],
    query_norms: NDArray[np.float64],
    n_features: int,
    precision: torch.dtype,
) -> NDArray[np.bool_]:
    """Whether no row outside the candidates can be closer than the k-th one found.

    A row that was left out has ``|b|² − 2 x·b >= bound`` up to the rounding error of the product. If it were
    closer than the k-th, ``|b| <= |x| + d_k``, which limits that error: for n_features terms it stays below
    a few times ``sqrt(n_features)`` units of rounding (Higham and Mary, SIAM J. Sci. Comput. 41, 2019).
    Rounding the rows themselves moves their distance by no more than ``2 (|x| + |b|)`` units, and its square
    by no more than eight times the last factor below.
    """
    unit = torch.finfo(precision).eps / 2
    length = np.sqrt(query_norms)
    reach = length + np.sqrt(farthest)
    error = (4 * np.sqrt(n_features) + 24) * unit * (reach**2 + 2 * length * reach)
    return np.asarray((farthest == 0) | (farthest <= bound + query_norms - error))
