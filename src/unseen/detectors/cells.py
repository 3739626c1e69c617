"""Cells of rows: k-means, small, with the same result on any number of threads.

S. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28, 1982; the first
centres are drawn as by D. Arthur, S. Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.types import FloatArray

_ROUNDS = 10
_CHUNK_CELLS = 4_000_000


def find_centres(rows: FloatArray, n_cells: int, seed: int) -> NDArray[np.float64]:
    """Return the centres of cells.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        At least one row.
    n_cells : int
        Most cells; fewer where there are fewer distinct rows.
    seed : int
        Draws the first centres.

    Returns
    -------
    float64 array of shape (at most n_cells, n_features)
    """
    X = np.asarray(rows, dtype=np.float64)
    centres = _first_centres(X, n_cells, np.random.default_rng(seed))
    for _ in range(_ROUNDS):
        nearest = cell_of(X, centres)
        counts = np.bincount(nearest, minlength=len(centres))
        order = np.argsort(nearest, kind="stable")
        filled = np.flatnonzero(counts)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[filled]
        moved = centres.copy()
        moved[filled] = np.add.reduceat(X[order], starts, axis=0) / counts[filled, None]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def cell_of(rows: FloatArray, centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nearest centre of each row, shape (n_rows,).

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        Rows.
    centres : float64 array of shape (n_cells, n_features)
        From :func:`find_centres`.
    """
    squares = np.einsum("ij,ij->i", centres, centres)
    out = np.empty(len(rows), dtype=np.int64)
    step = max(1, _CHUNK_CELLS // len(centres))
    for start in range(0, len(rows), step):
        out[start : start + step] = np.argmin(squares - 2 * (rows[start : start + step] @ centres.T), axis=1)
    return out


def _first_centres(X: NDArray[np.float64], n_cells: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """Draw each further centre in proportion to the squared distance from those before it."""
    chosen = [int(draw.integers(len(X)))]
    away = np.square(X - X[chosen[0]]).sum(axis=1)
    while len(chosen) < n_cells and away.max() > 0:
        chosen.append(int(np.searchsorted(np.cumsum(away), draw.random() * away.sum(), side="right")))
        chosen[-1] = min(chosen[-1], len(X) - 1)
        away = np.minimum(away, np.square(X - X[chosen[-1]]).sum(axis=1))
    return X[chosen]
