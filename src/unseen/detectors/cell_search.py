"""Nearest rows of a large bank, searched in the cells around a row only.

The bank is cut into cells of k-means (an inverted file: H. Jégou, M. Douze, C. Schmid, "Product quantization
for nearest neighbor search", IEEE TPAMI 33, 2011, without the quantisation). A row is compared with the rows
of the ``n_probes`` cells whose centres are nearest. What it misses are neighbours in cells farther away, so
distances are never too short; how many neighbours are found has to be measured
(``benchmarks/neighbour_search.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.cells import cell_of, find_centres
from unseen.detectors.exact_search import GROUP, smallest_columns
from unseen.types import FloatArray

_ROWS_FOR_CENTRES = 20_000
_CELLS_A_ROOT = 1.0
_SPARE = 3
_CHUNK_ROWS = 8_192


@dataclass(frozen=True)
class CellIndex:
    """Which rows of a bank are in which cell.

    Attributes
    ----------
    centres : float64 array of shape (n_cells, n_features)
        Centres of the cells.
    rows : int64 array of shape (n_bank,)
        Row numbers of the bank, cell by cell.
    offsets : int64 array of shape (n_cells + 1,)
        ``rows[offsets[i]:offsets[i + 1]]`` are those of cell i.
    n_probes : int
        So many cells are searched.
    """

    centres: NDArray[np.float64]
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]
    n_probes: int

    def check(self, n_bank: int, n_features: int) -> None:
        """Raise ValueError if the arrays do not fit a bank."""
        if self.centres.shape != (len(self.offsets) - 1, n_features) or len(self.centres) == 0:
            raise ValueError("the cells are of other features")
        if self.offsets[0] != 0 or self.offsets[-1] != n_bank or np.any(np.diff(self.offsets) < 0):
            raise ValueError("the cells do not add up")
        if not np.array_equal(np.sort(self.rows), np.arange(n_bank)):
            raise ValueError("the cells do not hold each row once")
        if self.n_probes < 1:
            raise ValueError("no cell is searched")


def build_index(bank: FloatArray, n_probes: int, seed: int) -> CellIndex:
    """Cut a bank into about as many cells as a cell has rows.

    Parameters
    ----------
    bank : float array of shape (n_bank, n_features)
        At least one row.
    n_probes : int
        How many cells will be searched for a row.
    seed : int
        Draws the rows that the centres are found on.

    Returns
    -------
    CellIndex
    """
    few = np.random.default_rng(seed).permutation(len(bank))[:_ROWS_FOR_CENTRES]
    n_cells = max(1, round(_CELLS_A_ROOT * len(bank) ** 0.5))
    centres = find_centres(bank[np.sort(few)], n_cells, seed)
    cells = cell_of(bank, centres)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=len(centres)))])
    return CellIndex(centres, np.argsort(cells, kind="stable"), offsets.astype(np.int64), n_probes)


def near_rows(
    X: FloatArray, bank: FloatArray, index: CellIndex, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the nearest bank rows among those of the nearest cells.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        Query rows.
    bank : float array of shape (n_bank, n_features)
        The rows that were indexed.
    index : CellIndex
        Of the bank; its nearest cells must hold k rows, or more of them are searched.
    k : int
        How many to return, at most ``n_bank``.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, k)
        Ascending; as :func:`unseen.detectors.exact_search.nearest_rows`.
    """
    distances = np.empty((len(X), k), dtype=np.float64)
    positions = np.empty((len(X), k), dtype=np.int64)
    for start in range(0, len(X), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        distances[part], positions[part] = _search(X[part], bank, index, k)
    return distances, positions


def _search(
    X: FloatArray, bank: FloatArray, index: CellIndex, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Go through the cells; each is compared with the rows that ask for it, first those nearest to it."""
    probed, nearest = _cells_to_search(X, index, k)
    width = k + _SPARE
    best = np.full((len(X), width), np.inf, dtype=np.float32)
    found = np.zeros((len(X), width), dtype=np.int64)
    at_home = np.zeros_like(probed)
    at_home[np.arange(len(X)), nearest] = True
    for asked in (at_home, probed & ~at_home):
        for rows, cell in _by_cell(asked):
            members = index.rows[index.offsets[cell] : index.offsets[cell + 1]]
            if len(members):
                squared = _squared(X[rows], bank[members], index.centres[cell])
                _keep_nearest(best, found, rows, squared, members)
    return _exact(X, bank, best, found, k)


def _by_cell(asked: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield the rows that ask for each cell."""
    cells, rows = np.nonzero(asked.T)
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    for start, own in zip(starts, np.split(rows, starts[1:]), strict=False):  # nobody may ask for any cell
        yield own, int(cells[start])


def _keep_nearest(
    best: NDArray[np.float32],
    found: NDArray[np.int64],
    rows: NDArray[np.int64],
    squared: NDArray[np.float32],
    members: NDArray[np.int64],
) -> None:
    """Put members of a cell among the nearest so far of those rows that they are nearer to."""
    width = best.shape[1]
    nearer = squared.min(axis=1) < best[rows].max(axis=1)
    if not nearer.any():
        return
    rows, squared = rows[nearer], squared[nearer]
    if len(members) > width:
        spare = -len(members) % GROUP
        padded = np.pad(squared, ((0, 0), (0, spare)), constant_values=np.inf)
        at = smallest_columns(padded, width)
        squared, names = np.take_along_axis(padded, at, axis=1), members[np.minimum(at, len(members) - 1)]
    else:
        names = np.broadcast_to(members, squared.shape)
    merged = np.concatenate([best[rows], squared], axis=1)
    first = np.argpartition(merged, width - 1, axis=1)[:, :width]
    best[rows] = np.take_along_axis(merged, first, axis=1)
    found[rows] = np.take_along_axis(np.concatenate([found[rows], names], axis=1), first, axis=1)


def _cells_to_search(X: FloatArray, index: CellIndex, k: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Mark the nearest cells of each row, as many as asked for and as hold k rows; and the nearest one."""
    squares = np.einsum("ij,ij->i", index.centres, index.centres)
    away = squares - 2 * (X.astype(np.float64) @ index.centres.T)
    n_probes = min(index.n_probes, len(index.centres))
    order = np.argpartition(away, n_probes - 1, axis=1)[:, :n_probes]
    probed = np.zeros(away.shape, dtype=np.bool_)
    np.put_along_axis(probed, order, values=True, axis=1)
    sizes, enough = np.diff(index.offsets), min(k, int(index.offsets[-1]))
    few = np.flatnonzero(sizes[order].sum(axis=1) < enough)
    if len(few):
        further = np.argsort(away[few], axis=1, kind="stable")
        needed = np.argmax(np.cumsum(sizes[further], axis=1) >= enough, axis=1) + 1
        places = np.arange(len(sizes)) < needed[:, None]
        marked = np.zeros((len(few), len(sizes)), dtype=np.bool_)
        np.put_along_axis(marked, further, places, axis=1)
        probed[few] |= marked
    return probed, np.argmin(away, axis=1)


def _squared(X: FloatArray, members: FloatArray, centre: NDArray[np.float64]) -> NDArray[np.float32]:
    """Squared distances by a product around the centre of the cell, in single precision."""
    middle = centre.astype(X.dtype)  # any point does, if it is the same for both
    x, b = (X - middle).astype(np.float32), (members - middle).astype(np.float32)
    squares = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", b, b)
    return np.asarray(np.maximum(squares - 2 * (x @ b.T), 0.0), dtype=np.float32)


def _exact(
    X: FloatArray,
    bank: FloatArray,
    best: NDArray[np.float32],
    found: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Compute the distances of the candidates by differences and return the k smallest."""
    difference = bank[found] - X[:, None, :]
    exact = np.einsum("rcf,rcf->rc", difference, difference, dtype=np.float64)
    exact[np.isinf(best)] = np.inf
    order = np.lexsort((found, exact), axis=1)[:, :k]
    return np.sqrt(np.take_along_axis(exact, order, axis=1)), np.take_along_axis(found, order, axis=1)
