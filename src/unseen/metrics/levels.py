"""How many normal pixels lie above each score of a defect: what every pixel measure is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Levels:
    """The distinct scores of defect pixels, falling, and what lies at and above each.

    Attributes
    ----------
    scores : float array of shape (n_levels,)
        Distinct scores of defect pixels, falling.
    anomalous : int64 array of shape (n_levels,)
        Defect pixels with that score.
    weights : float64 array of shape (n_levels,)
        Sum of 1 / (pixels of its region) over them.
    normal_above : int64 array of shape (n_levels,)
        Normal pixels with a higher score.
    normal_not_below : int64 array of shape (n_levels,)
        Normal pixels with that score or a higher one.
    n_normal : int
        Normal pixels in all.
    n_regions : int
        Defect regions in all.
    """

    scores: NDArray[Any]
    anomalous: NDArray[np.int64]
    weights: NDArray[np.float64]
    normal_above: NDArray[np.int64]
    normal_not_below: NDArray[np.int64]
    n_normal: int
    n_regions: int


def area_under_roc(levels: Levels) -> float:
    r"""Return :math:`P(S_1 > S_0) + \tfrac12 P(S_1 = S_0)` over pixels."""
    beaten = levels.n_normal - (levels.normal_above + levels.normal_not_below) / 2.0
    return float(levels.anomalous @ beaten) / (float(levels.anomalous.sum()) * levels.n_normal)


def largest_f1(levels: Levels) -> tuple[float, float]:
    r"""Return the largest :math:`2 TP / (TP + FP + P)` over thresholds, and that threshold."""
    hits = np.cumsum(levels.anomalous)
    f1 = 2.0 * hits / (hits + levels.normal_not_below + hits[-1])
    best = int(np.argmax(f1))
    lowest = levels.scores[best]
    return float(f1[best]), float(np.nextafter(lowest, np.array(-np.inf, dtype=levels.scores.dtype)))


def area_under_pro(levels: Levels, limit: float) -> float:
    r"""Return the normalised area under the per-region overlap for false-positive rates up to a limit.

    A defect pixel of a region of :math:`m` pixels adds :math:`1 / (m R)` to the overlap as soon as the
    threshold falls to its score. Where the false-positive rate goes from :math:`a` to :math:`b` at that score
    (ties with normal pixels), it does so in a ramp, which is the trapezoidal rule. So the area is a sum over
    defect pixels, of

    .. math:: \frac{1}{m R} \times \begin{cases} L - (a + b) / 2 & b \le L \\
              (L - a)^2 / (2 (b - a)) & a < L < b \\ 0 & \text{else} \end{cases}

    divided by :math:`L`.
    """
    a = levels.normal_above / levels.n_normal
    b = levels.normal_not_below / levels.n_normal
    ramp = np.divide((limit - a) ** 2, 2.0 * (b - a), out=np.zeros_like(a), where=b > a)
    width = np.where(b <= limit, limit - (a + b) / 2.0, np.where(a < limit, ramp, 0.0))
    return min(1.0, float(levels.weights @ width) / (limit * levels.n_regions))
