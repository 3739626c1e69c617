"""Which training normals are believed to be anomalies: look at these first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FENCE = 1.5
"""Interquartile ranges above the upper quartile."""


@dataclass(frozen=True)
class Suspects:
    """Training normals, the most doubtful first.

    Attributes
    ----------
    rows : int64 array of shape (n_normals,)
        Their places among the rows or pictures of the fit.
    doubts : float64 array of shape (n_normals,)
        Falling; higher = less normal.
    n_believed : int
        So many of them, the first ones, are believed to be anomalies.
    """

    rows: NDArray[np.int64]
    doubts: NDArray[np.float64]
    n_believed: int

    @property
    def believed(self) -> NDArray[np.int64]:
        """Places of those that are believed to be anomalies, shape (n_believed,)."""
        return self.rows[: self.n_believed]

    @classmethod
    def of(
        cls,
        rows: NDArray[np.int64],
        doubts: NDArray[np.float64],
        *,
        fence: float = FENCE,
        limit: float | None = None,
    ) -> Suspects:
        """Rank training normals by their doubts.

        Parameters
        ----------
        rows : int64 array of shape (n_normals,)
            Their places.
        doubts : float64 array of shape (n_normals,)
            Higher = less normal.
        fence : float >= 0
            Those more than so many interquartile ranges above the upper quartile are believed anomalous.
        limit : float or None
            Those with larger doubts are, whatever the quartiles. None: the fence decides.

        Returns
        -------
        Suspects

        Examples
        --------
        >>> import numpy as np
        >>> found = Suspects.of(np.arange(6), np.array([0.1, 0.2, 0.1, 5.0, 0.2, 0.1]))
        >>> found.believed.tolist()
        [3]
        """
        order = np.argsort(-doubts, kind="stable")
        if limit is None:
            limit = fence_of(doubts, fence)
        return cls(rows[order], doubts[order], int(np.sum(doubts > limit)))


def fence_of(doubts: NDArray[np.float64], fence: float = FENCE) -> float:
    """Return the doubt that lies some interquartile ranges above the upper quartile.

    Parameters
    ----------
    doubts : float64 array of shape (n_normals,)
        Higher = less normal.
    fence : float >= 0
        How many interquartile ranges.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> fence_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0]))
    6.0
    """
    first, third = np.quantile(doubts, [0.25, 0.75])
    return float(third + fence * (third - first))
