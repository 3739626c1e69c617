"""The nearest of normals that rows are among themselves, and of a few normals that stand for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.exact_search import nearest_rows
from unseen.types import FloatArray

Distances = NDArray[np.float64]
Positions = NDArray[np.int64]

SPARSE_SHARE = 30
"""One in so many normals is drawn to stand for all; 20 at least, 1000 at most."""

SPARSE_NEIGHBOUR = 10
_FEWEST_SPARSE, _MOST_SPARSE = 20, 1_000


def others(
    V: FloatArray, bank: FloatArray, centre: NDArray[np.float64], k: int, own: Positions
) -> tuple[Distances, Positions]:
    """Return the nearest rows of a bank that each row is itself a row of, without itself.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        Rows.
    bank : float array of shape (n_bank, n_features)
        At least two rows.
    centre : float64 array of shape (n_features,)
        Near the middle of the bank.
    k : int
        How many.
    own : int64 array of shape (n_rows,)
        Position of each row in the bank; -1 where it is not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, min(k, n_bank - 1))
    """
    return without_itself(*nearest_rows(V, bank, centre, k + 1), own)


def without_itself(distances: Distances, positions: Positions, own: Positions) -> tuple[Distances, Positions]:
    """Drop the row itself from its neighbours, or the last one where it is not among them.

    Parameters
    ----------
    distances, positions : arrays of shape (n_rows, k + 1)
        Of the neighbours.
    own : int64 array of shape (n_rows,)
        Position of each row in the bank; -1 where it is not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, k)
    """
    width = distances.shape[1] - 1
    itself = positions == own[:, None]
    itself[~itself.any(axis=1), -1] = True
    kept = ~itself
    shape = (len(distances), width)
    return distances[kept].reshape(shape), positions[kept].reshape(shape)


def evenly_drawn(n_rows: int) -> NDArray[np.int64]:
    """Return the positions of the rows that stand for all where only a few are looked at.

    Parameters
    ----------
    n_rows : int
        How many there are, at least one.

    Returns
    -------
    int64 array of shape (n_sparse,)
        Evenly spaced, rising.
    """
    count = min(n_rows, max(_FEWEST_SPARSE, min(n_rows // SPARSE_SHARE, _MOST_SPARSE)))
    return np.linspace(0, n_rows - 1, count).round().astype(np.int64)


def sparse_distances(
    bank: FloatArray,
    sparse: Positions,
    centre: NDArray[np.float64],
    V: FloatArray,
    itself: Positions | None = None,
) -> tuple[NDArray[np.float64], Positions]:
    """Return the distance to the tenth nearest of the drawn rows (the last of fewer), and which row it is.

    Parameters
    ----------
    bank : float array of shape (n_bank, n_features)
        Normals.
    sparse : int64 array of shape (n_sparse,)
        Positions of the drawn ones, rising, at least one.
    centre : float64 array of shape (n_features,)
        Near the middle of the bank.
    V : float array of shape (n_rows, n_features)
        Rows.
    itself : int64 array of shape (n_rows,) or None
        Position of each row in the bank, which it is not to meet; None: they are not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows,)
        Positions in the bank.
    """
    few, k = bank[sparse], min(SPARSE_NEIGHBOUR, len(sparse))
    if itself is None or len(few) < 2:
        distances, places = nearest_rows(V, few, centre, k)
    else:
        at = np.minimum(np.searchsorted(sparse, itself), len(few) - 1)
        own = np.where(sparse[at] == itself, at, -1)
        distances, places = others(V, few, centre, min(k, len(few) - 1), own)
    return distances[:, -1], sparse[places[:, -1]]
