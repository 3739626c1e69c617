r"""Nearest rows of a large bank, searched in the cells around a row only.

The bank is cut into cells of k-means (an inverted file: H. Jégou, M. Douze, C. Schmid, "Product quantization
for nearest neighbor search", IEEE TPAMI 33, 2011, without the quantisation). A row is compared with the rows
of the ``n_probes`` cells whose centres are nearest. What it misses are neighbours in cells farther away, so
distances are never too short; how many neighbours are found has to be measured
(``benchmarks/neighbour_search.py``).

The nearest cell comes first. Rows of another cell lie beyond the plane halfway between its centre c and that
of the nearest cell, h, so a row x need not look there if

.. math:: \frac{|x - c|^2 - |x - h|^2}{2 |c - h|}

is more than the distance of the neighbours that it has found. The result is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.cells import cell_of, find_centres
from unseen.detectors.exact_search import GROUP, smallest_columns
from unseen.types import FloatArray

_ROWS_FOR_CENTRES = 20_000
_CELLS_A_ROOT = 1.0
_SPARE = 3
_CHUNK_ROWS = 8_192
_ROWS_AT_ONCE = 256
"""Rows whose distances from all centres are held at once, as they should stay in the cache."""

_ROUNDING = 1e-5
"""Of squared distances in single precision."""


@dataclass(frozen=True)
class CellIndex:
    """Which rows of a bank are in which cell.

    Attributes
    ----------
    centres : float64 array of shape (n_cells, n_features)
        Centres of the cells.
    rows : int64 array of shape (n_bank,)
        Row numbers of the bank, cell by cell and ascending in each.
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
        firsts = self.offsets[1:-1][np.diff(self.offsets)[1:] > 0]
        falls = np.flatnonzero(np.diff(self.rows) < 0) + 1
        if not np.isin(falls, firsts).all():
            raise ValueError("the rows of a cell are not in order")
        if self.n_probes < 1:
            raise ValueError("no cell is searched")

    def of_cell(self, cell: int) -> NDArray[np.int64]:
        """Return the row numbers of a cell.

        Parameters
        ----------
        cell : int
            Which.
        """
        return self.rows[self.offsets[cell] : self.offsets[cell + 1]]


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


def in_order_of_cells(bank: FloatArray, index: CellIndex) -> tuple[FloatArray, CellIndex, NDArray[np.int64]]:
    """Put the rows of each cell side by side, where they are searched faster.

    Parameters
    ----------
    bank : float array of shape (n_bank, n_features)
        The rows that were indexed.
    index : CellIndex
        Of the bank.

    Returns
    -------
    bank : float array of shape (n_bank, n_features)
        The rows, cell by cell.
    index : CellIndex
        Of these.
    places : int64 array of shape (n_bank,)
        Where each row of the bank went.
    """
    places = np.empty(len(bank), dtype=np.int64)
    places[index.rows] = np.arange(len(bank))
    return bank[index.rows], replace(index, rows=np.arange(len(bank))), places


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
    asked = _cells_to_search(X, index, k)
    width = k + _SPARE
    best = np.full((len(X), width), np.inf, dtype=np.float32)
    found = np.zeros((len(X), width), dtype=np.int64)
    everyone = np.arange(len(X))
    _visit(X, bank, index, (everyone, asked.home), best, found)
    near = asked.beyond <= best.max(axis=1)[asked.rows] + _ROUNDING * asked.home_squared[asked.rows]
    _visit(X, bank, index, (asked.rows[near], asked.cells[near]), best, found)
    return _exact(X, bank, best, found, k)


def _visit(
    X: FloatArray,
    bank: FloatArray,
    index: CellIndex,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    best: NDArray[np.float32],
    found: NDArray[np.int64],
) -> None:
    """Compare rows with the cells that they ask for, cell by cell."""
    for rows, cell in _by_cell(*pairs):
        members = index.of_cell(cell)
        if len(members):
            side_by_side = members[-1] - members[0] == len(members) - 1
            own = bank[members[0] : members[-1] + 1] if side_by_side else bank[members]
            squared = _squared(X[rows], own, index.centres[cell])
            _keep_nearest(best, found, rows, squared, members)


def _by_cell(rows: NDArray[np.int64], cells: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield the rows that ask for each cell."""
    order = np.argsort(cells, kind="stable")
    rows, cells = rows[order], cells[order]
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


@dataclass(frozen=True)
class _Asked:
    """The nearest cell of each row, and which others it asks for, as pairs."""

    home: NDArray[np.int64]
    home_squared: NDArray[np.float64]
    rows: NDArray[np.int64]
    cells: NDArray[np.int64]
    beyond: NDArray[np.float64]
    """The squared distance that no row of that cell falls short of, for each pair."""


def _cells_to_search(X: FloatArray, index: CellIndex, k: int) -> _Asked:
    """Return the nearest cells of each row, as many as asked for and as hold k rows."""
    n_probes = min(index.n_probes, len(index.centres))
    order, away = _nearest_cells(X, index.centres, n_probes)
    nearest = np.argmin(away, axis=1)[:, None]
    home = np.take_along_axis(order, nearest, axis=1)[:, 0]
    home_squared = np.take_along_axis(away, nearest, axis=1)[:, 0]
    rows, cells, squared = np.repeat(np.arange(len(X)), n_probes), order.ravel(), away.ravel()
    sizes, enough = np.diff(index.offsets), min(k, int(index.offsets[-1]))
    few = np.flatnonzero(sizes[order].sum(axis=1) < enough)
    if len(few):
        further, away = _nearest_cells(X[few], index.centres, len(index.centres))
        closest = np.argsort(away, axis=1, kind="stable")
        further = np.take_along_axis(further, closest, axis=1)
        away = np.take_along_axis(away, closest, axis=1)
        needed = np.argmax(np.cumsum(sizes[further], axis=1) >= enough, axis=1) + 1
        more = np.arange(len(sizes)) < np.maximum(needed, n_probes)[:, None]
        others = np.isin(rows, few, invert=True)
        rows = np.concatenate([rows[others], np.repeat(few, more.sum(axis=1))])
        cells = np.concatenate([cells[others], further[more]])
        squared = np.concatenate([squared[others], away[more]])
    elsewhere = cells != home[rows]
    rows, cells, squared = rows[elsewhere], cells[elsewhere], squared[elsewhere]
    between = index.centres[cells] - index.centres[home[rows]]
    apart = np.einsum("ij,ij->i", between, between)
    beyond = np.divide(
        np.square(squared - home_squared[rows]), 4 * apart, out=np.zeros(len(rows)), where=apart > 0
    )
    return _Asked(home, home_squared, rows, cells, beyond)


def _nearest_cells(
    X: FloatArray, centres: NDArray[np.float64], n_cells: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest centres of each row, in any order, and their squared distances."""
    spare = -len(centres) % GROUP  # infinitely far away
    table = np.pad(centres, ((0, spare), (0, 0)))
    squares = np.pad(np.einsum("ij,ij->i", centres, centres), (0, spare), constant_values=np.inf)
    order = np.empty((len(X), n_cells), dtype=np.int64)
    squared = np.empty(order.shape)
    for start in range(0, len(X), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        rows = X[part].astype(np.float64)
        away = rows @ table.T
        away *= -2
        away += squares
        order[part] = smallest_columns(away, n_cells)
        own = np.take_along_axis(away, order[part], axis=1)
        squared[part] = np.maximum(own + np.einsum("ij,ij->i", rows, rows)[:, None], 0.0)
    return order, squared


def _squared(X: FloatArray, members: FloatArray, centre: NDArray[np.float64]) -> NDArray[np.float32]:
    """Squared distances by a product around the centre of the cell, in single precision."""
    middle = centre.astype(X.dtype)  # any point does, if it is the same for both
    x, b = (X - middle).astype(np.float32), (members - middle).astype(np.float32)
    squared = np.asarray(x @ b.T, dtype=np.float32)
    squared *= -2
    squared += np.einsum("ij,ij->i", x, x)[:, None]
    squared += np.einsum("ij,ij->i", b, b)
    return np.maximum(squared, 0.0, out=squared)


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
