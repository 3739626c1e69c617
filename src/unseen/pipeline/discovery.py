"""Benjamini and Hochberg's selection over a stream, from counts of distinct p-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class PValueCounts:
    """How often each p-value occurs.

    With ``n`` calibration normals there are at most ``n + 1`` distinct conformal p-values, so the counts stay
    small however many rows there are. ``limit`` then equals what
    :func:`unseen.scoring.conformal.benjamini_hochberg` finds from all p-values together.
    """

    def __init__(self) -> None:
        self._values: NDArray[np.float64] = np.zeros(0)
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, p_values: NDArray[np.float64]) -> None:
        """Count some p-values.

        Parameters
        ----------
        p_values : float64 array of shape (n_rows,)
            In [0, 1].
        """
        values, counts = np.unique(p_values, return_counts=True)
        merged, place = np.unique(np.concatenate([self._values, values]), return_inverse=True)
        total = np.zeros(len(merged), dtype=np.int64)
        np.add.at(total, place, np.concatenate([self._counts, counts]))
        self._values, self._counts = merged, total

    def limit(self, rate: float) -> float | None:
        """Return the largest p-value that is selected, or None if none is.

        Parameters
        ----------
        rate : float in (0, 1)
            The false discovery rate.

        Returns
        -------
        float or None
        """
        if len(self._values) == 0:
            return None
        rank = np.cumsum(self._counts)
        passing = np.flatnonzero(self._values <= rank * rate / rank[-1])
        return float(self._values[passing[-1]]) if len(passing) else None
