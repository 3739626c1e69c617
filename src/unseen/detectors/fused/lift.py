"""Labels lift a row to where its likeness would put it, and only a share of the false alarms is theirs.

::

    score(x) = max( novelty(x), Q(p_l(x) · (1 − w) / w) )

p_l(x) is the share of normals that are at least as like the labelled anomalies as x, Q(p) the novelty that a
share p of the normals reaches, both over normals that the fit has not met, with exponential tails. It is the
smaller of two p-values, p_n(x) / (1 − w) and p_l(x) / w (a Bonferroni split of the false alarms), written on
the scale of novelty: of the normals above any threshold at most a share w was lifted there. So whatever
labels say, exchangeable normals ahead of a row become more by the factor 1 / (1 − w) at most::

    1 − AUROC  ≤  (1 − AUROC of novelty alone) / (1 − w)

for every kind, also one that nobody labelled. A sum has no such bound. What a labelled kind gains does not
depend on how novel it is: a row of likeness p_l ranks like a normal of novelty p_l (1 − w) / w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL = 0.02
"""Of normals are in the tail; what lies beyond is placed by how far they reach on average."""

SHORTEST_NOVELTY_TAIL = 1e-3
SHORTEST_LIKENESS_TAIL = 0.3
_KNOTS = 41


@dataclass(frozen=True)
class Exceedance:
    """Which share of normals reaches a value, as its depth −log(share).

    Attributes
    ----------
    values : float64 array of shape (n_knots,)
        Quantiles of the normals, strictly increasing.
    depths : float64 array of shape (n_knots,)
        Their depths, from 0 on; straight lines in between.
    tail : float > 0
        By so much a value grows for each unit of depth beyond the last knot.
    """

    values: NDArray[np.float64]
    depths: NDArray[np.float64]
    tail: float

    def depth(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return −log of the share of normals that reaches each value, from 0 on, shape (n_rows,)."""
        beyond = np.maximum(values - self.values[-1], 0.0) / self.tail
        return np.asarray(np.interp(values, self.values, self.depths) + beyond)

    def value(self, depths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value that a share exp(−depth) of the normals reaches, shape (n_rows,)."""
        beyond = np.maximum(depths - self.depths[-1], 0.0) * self.tail
        return np.asarray(np.interp(depths, self.depths, self.values) + beyond)

    def check(self) -> None:
        """Raise ValueError unless values and depths rise together."""
        shapes = self.values.shape == self.depths.shape and self.values.ndim == 1 and len(self.values) > 0
        if not shapes or not (np.isfinite(self.values) & np.isfinite(self.depths)).all():
            raise ValueError("the quantiles of the normals are no numbers")
        if not (np.diff(self.values) > 0).all() or not (np.diff(self.depths) >= 0).all():
            raise ValueError("the quantiles of the normals do not rise")
        if not 0 < self.tail < np.inf or self.depths[0] < 0:
            raise ValueError("the tail of the normals has no length")


def exceedance_of(normals: NDArray[np.float64], shortest: float) -> Exceedance:
    """Read depths off normals.

    Parameters
    ----------
    normals : float64 array of shape (n_normals,)
        Their values, at least one.
    shortest : float > 0
        Least length of the tail.

    Returns
    -------
    Exceedance
        Knots for shares from 1 to a fiftieth, or to 2 / (n + 1) if that is more; of equal values the one that
        most normals reach. The tail is the mean excess over the last knot.
    """
    least = max(TAIL, 2.0 / (len(normals) + 1))
    depths = np.linspace(0.0, -np.log(min(least, 1.0)), _KNOTS)
    values = np.quantile(normals, -np.expm1(-depths))
    rises = np.r_[True, np.diff(values) > 0]
    values, depths = values[rises], depths[rises]
    excess = normals[normals > values[-1]] - values[-1]
    return Exceedance(values, depths, max(float(excess.mean()) if len(excess) else 0.0, shortest))


def shallowest(found: Sequence[Exceedance]) -> Exceedance:
    """Return the least depth of each value among several sorts of normals.

    Parameters
    ----------
    found : sequence of Exceedance
        At least one.

    Returns
    -------
    Exceedance
        With the knots of all, and the longest tail.
    """
    values = np.unique(np.concatenate([own.values for own in found]))
    depths = np.min([own.depth(values) for own in found], axis=0)
    return Exceedance(values, depths, max(own.tail for own in found))


@dataclass(frozen=True)
class Lift:
    """How far likeness to labelled anomalies lifts rows.

    Attributes
    ----------
    share : float
        w, in (0, 1): of the false alarms at any threshold at most this share is due to labels.
    novelty, likeness : Exceedance
        Of normals that the fit has not met; those of likeness may be of regions that it has not met, either.
    """

    share: float
    novelty: Exceedance
    likeness: Exceedance

    def raised(self, novelty: NDArray[np.float64], likeness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what likeness adds to novelty, shape (n_rows,), never negative.

        Parameters
        ----------
        novelty, likeness : float64 array of shape (n_rows,)
            Of the rows.
        """
        depths = self.likeness.depth(likeness) + np.log(self.share / (1 - self.share))
        lifted = np.where(depths > 0, self.novelty.value(depths), -np.inf)
        return np.maximum(lifted - novelty, 0.0)

    def check(self) -> None:
        """Raise ValueError if the parts are not those of a lift."""
        if not 0 < self.share < 1:
            raise ValueError("labels have no share of the false alarms")
        self.novelty.check()
        self.likeness.check()


@dataclass(frozen=True)
class Raise:
    """How likeness is added to novelty.

    Attributes
    ----------
    level : float
        c. Below it hardly anything is added.
    strength : float
        b.
    most : float > 0
        m, in the unit of novelty.
    """

    level: float
    strength: float
    most: float

    def raised(self, _novelty: NDArray[np.float64], likeness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what likeness adds to novelty, shape (n_rows,), from 0 to ``most``.

        Parameters
        ----------
        _novelty, likeness : float64 array of shape (n_rows,)
            Of the rows; how novel they are does not matter here.
        """
        steps = np.logaddexp(0, likeness - self.level)
        return np.asarray(self.most * -np.expm1(-self.strength / self.most * steps))

    def check(self) -> None:
        """Raise ValueError unless what is added has an end."""
        if not 0 < self.most < np.inf or not 0 <= self.strength < np.inf or not np.isfinite(self.level):
            raise ValueError("what likeness adds has no end")
