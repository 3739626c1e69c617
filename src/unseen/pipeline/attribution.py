"""The columns that say most about why a row scores as it does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.types import FloatArray

_BLOCK_ROWS = 2048


def top_columns(contributions: FloatArray, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the ``k`` columns with the largest contributions of each row, and their shares.

    A share is a contribution divided by the sum of the row's positive contributions. Columns that do not
    speak for an anomaly (contribution <= 0) are not listed.

    Parameters
    ----------
    contributions : float array of shape (n_rows, n_columns)
        Contribution of each column to each row's score.
    k : int
        How many columns to name, >= 0.

    Returns
    -------
    codes : int32 array of shape (n_rows, k)
        Column positions, largest contribution first; -1 where there are fewer than ``k``.
    shares : float32 array of shape (n_rows, k)
        In (0, 1]; NaN where the code is -1.
    """
    n_rows = len(contributions)
    codes = np.full((n_rows, k), -1, dtype=np.int32)
    shares = np.full((n_rows, k), np.nan, dtype=np.float32)
    for start in range(0, n_rows, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        _top_of_block(contributions[block], codes[block], shares[block])
    return codes, shares


def _top_of_block(contributions: FloatArray, codes: NDArray[np.int32], shares: NDArray[np.float32]) -> None:
    """Fill ``codes`` and ``shares`` for rows that fit into the cache."""
    n_rows, n_columns = contributions.shape
    remaining = np.maximum(contributions, 0, dtype=np.float32, casting="same_kind")
    total = remaining.sum(axis=1)
    rows = np.arange(n_rows)
    for place in range(min(codes.shape[1], n_columns)):
        best = remaining.argmax(axis=1)
        value = remaining[rows, best]
        positive = value > 0
        codes[positive, place] = best[positive]
        shares[positive, place] = value[positive] / total[positive]
        remaining[rows, best] = 0
