"""How many rows of a training set are believed to be anomalous, from their scores alone.

Nothing can tell an anomaly from a rare normal by scores alone. What scores can show is a *second heap*: the
density of normals falls towards high scores, so if it rises again far up, something else sits there. Scores
are brought to z = asinh((s − median) / (1.4826 · MAD)), which leaves their order as it is and shortens long
tails, and their density f is estimated with a Gaussian kernel of width 0.25 σ n^(−1/5). A valley v
counts if

    f(v) <= .45 max_{z > v} f(z),    at most 35 % of the rows lie above v, and at least max(20, 0.5 %) do,

and among those the deepest one (smallest f(v) / max f) is taken. Rows beyond the fence Q₃ + 1.5 (Q₃ − Q₁) of
z are believed to be anomalous in any case. The three numbers were chosen on NSL-KDD with seeds 0 to 2; the
figures in the documentation are of other seeds and other tables.

Contaminants that score like normals are in no heap and are not counted; a heap of rare normals is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.types import BoolArray

_FEWEST_ROWS = 20
_GRID = 1024
_LARGEST_SHARE = 0.35
_DEPTH = 0.45
_WIDTH = 0.25
_FENCE = 1.5


@dataclass(frozen=True)
class ContaminationEstimate:
    """What the scores of training rows say about how many are anomalous.

    Attributes
    ----------
    threshold : float
        Rows with a score above it are believed to be anomalous; inf if none is.
    count : int
        How many there are.
    share : float
        ``count`` by the number of rows.
    heap : bool
        Whether there is a second heap; False: only rows beyond the fence are counted.
    """

    threshold: float
    count: int
    share: float
    heap: bool


def estimate_contamination(scores: NDArray[np.float64]) -> ContaminationEstimate:
    """Estimate how many rows are anomalous.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Finite; higher = more anomalous. Of a model that did not learn from the row it scores, and that gave
        suspicious rows little weight, else contaminants look normal.

    Returns
    -------
    ContaminationEstimate
        With fewer than 20 rows nothing is said: the count is 0.
    """
    n_rows = len(scores)
    if n_rows < _FEWEST_ROWS or np.ptp(z := _shortened(scores)) == 0:
        return ContaminationEstimate(float("inf"), 0, 0.0, False)
    first, third = np.quantile(z, [0.25, 0.75])
    cut = float(third + _FENCE * (third - first))
    valley = _valley(z)
    above: BoolArray = z > (cut if valley is None else min(cut, valley))
    count = int(above.sum())
    threshold = float(scores[~above].max()) if count else float("inf")
    return ContaminationEstimate(threshold, count, count / n_rows, valley is not None)


def _shortened(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores with both tails shortened, in their order."""
    centred = scores - np.median(scores)
    spread = 1.4826 * float(np.median(np.abs(centred)))
    if spread == 0:
        spread = float(np.mean(np.abs(centred)))
    return np.arcsinh(centred / spread) if spread > 0 else np.zeros(len(scores))


def _valley(z: NDArray[np.float64]) -> float | None:
    """Where the second heap begins, or None if there is none."""
    n_rows = len(z)
    grid, density = _density(z)
    ordered = np.sort(z)
    n_above = n_rows - np.searchsorted(ordered, grid, side="right")
    enough = (n_above >= max(20, 0.005 * n_rows)) & (n_above <= _LARGEST_SHARE * n_rows)
    peak_beyond = np.maximum.accumulate(density[::-1])[::-1]
    lowest = np.zeros(len(grid), dtype=np.bool_)
    lowest[1:-1] = (density[1:-1] <= density[:-2]) & (density[1:-1] <= density[2:])
    places = np.flatnonzero(lowest & enough & (density <= _DEPTH * peak_beyond))
    if len(places) == 0:
        return None
    return float(grid[places[int(np.argmin(density[places] / peak_beyond[places]))]])


def _density(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A grid over ``z`` and the kernel density on it (up to a factor)."""
    first, third = np.quantile(z, [0.25, 0.75])
    spread = min(float(z.std()), float(third - first) / 1.34) or float(z.std())
    width = _WIDTH * spread * len(z) ** -0.2
    counts, edges = np.histogram(z, bins=_GRID)
    step = float(edges[1] - edges[0])
    reach = min(int(np.ceil(4 * width / step)), _GRID // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    centres = (edges[:-1] + edges[1:]) / 2
    return centres, np.convolve(counts, kernel / kernel.sum(), mode="same")
