r"""How odd training normals look in whichever way is oddest, and from where on that is no chance.

Positive scores of n normals, each by what was learned from others, are brought to one scale:

.. math::
    z_i = \frac{\log s_i - m}{(m - q_{1/4}) / 0.6745}

with their median :math:`m` and lower quartile :math:`q_{1/4}` on the logarithmic scale. Upper values are left
out of the scale since anomalies among the normals lie there; for a Gaussian it is the deviation. One kind of
score ranks the normals; another one counts where it lies beyond chance, if it is then the larger of both.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_QUARTILE = NormalDist().inv_cdf(0.75)
_LEAST = 1e-12
_BY_CHANCE = 0.5
"""So many of clean normals are expected beyond the limit."""


def oddness(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far above the usual scores lie, in deviations of their lower half.

    Parameters
    ----------
    scores : float64 array of shape (n,)
        > 0; higher = more anomalous.

    Returns
    -------
    float64 array of shape (n,)
        All 0 where the lower half does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> oddness(np.exp([-0.6745, -0.6745, 0.0, 0.0, 6.745])).round(2).tolist()
    [-1.0, -1.0, 0.0, 0.0, 10.0]
    """
    logs = np.log(np.maximum(scores, _LEAST))
    middle = float(np.median(logs))
    scale = (middle - float(np.quantile(logs, 0.25))) / _QUARTILE
    return np.asarray((logs - middle) / scale if scale > _LEAST else np.zeros(len(logs)))


def doubts_by(
    ranking: NDArray[np.float64], *others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return how odd normals look in whichever way is oddest, and the oddness that is beyond chance.

    Parameters
    ----------
    ranking : float64 array of shape (n,)
        Scores that rank the normals.
    *others : float64 arrays of shape (n,)
        Scores that count only for normals whose oddness by them is beyond the limit: a way that is not odd
        for anyone does not mix into the ranking.

    Returns
    -------
    doubts : float64 array of shape (n,)
        Oddness by the ranking, or by another kind of score where that is beyond the limit and larger.
    limit : float
        :func:`odd_limit` of these normals and kinds.
    """
    limit = odd_limit(len(ranking), 1 + len(others))
    found = oddness(ranking)
    for scores in others:
        z = oddness(scores)
        found = np.where(z > limit, np.maximum(found, z), found)
    return found, limit


def odd_limit(n_normals: int, n_kinds: int) -> float:
    """Return the oddness that half a normal is expected to exceed by chance, if logarithms are Gaussian.

    Parameters
    ----------
    n_normals : int >= 1
        How many there are.
    n_kinds : int >= 1
        Over how many kinds of scores.

    Returns
    -------
    float
        0 for a single normal and score.

    Examples
    --------
    >>> round(odd_limit(80, 2), 2)
    2.73
    """
    return NormalDist().inv_cdf(1 - _BY_CHANCE / max(1, n_normals * n_kinds))
