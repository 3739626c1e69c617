"""Two sets of calibration scores: for rows of domains that a fit knows, and for all other rows.

Normals of a domain whose rows the fit has met score lower than those of a new one. A conformal p-value is
valid where a row is exchangeable with the normals it is compared with, so each row is compared with normals
that were as well known to their fit as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.scoring.calibration import Calibration
from unseen.scoring.thresholds import false_alarm_threshold
from unseen.types import StrArray


def _nowhere() -> StrArray:
    return np.zeros(0, dtype=np.str_)


@dataclass(frozen=True)
class CalibrationSets:
    """What scores are compared with, row by row.

    Attributes
    ----------
    usual : Calibration
        For rows of domains that the fit does not know, and for rows without a domain.
    known : Calibration or None
        For rows of the domains it knows; None: for all rows ``usual``.
    known_domains : str array of shape (n_known,)
        Their names.
    """

    usual: Calibration
    known: Calibration | None = None
    known_domains: StrArray = field(default_factory=_nowhere)

    def is_known(self, domains: StrArray) -> NDArray[np.bool_]:
        """Return which rows are compared with ``known``.

        Parameters
        ----------
        domains : str array of shape (n_rows,)
            Domain of each row.

        Returns
        -------
        bool array of shape (n_rows,)
        """
        if self.known is None:
            return np.zeros(len(domains), dtype=np.bool_)
        return np.asarray(np.isin(domains, self.known_domains))

    def p_values(self, scores: ArrayLike, domains: StrArray) -> NDArray[np.float64]:
        """Return the split-conformal p-value of each row, among the normals of its set.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Anomaly scores.
        domains : str array of shape (n_rows,)
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        return self._by_set(scores, domains, lambda found, own: found.p_values(own))

    def probabilities(self, scores: ArrayLike, domains: StrArray) -> NDArray[np.float64]:
        """Return the probability that each row is an anomaly, rising with the score within each set.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Anomaly scores.
        domains : str array of shape (n_rows,)
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows,)
            For the share of anomalies that ``usual`` has among its rows, in both sets.
        """
        prior = self.usual.prior
        return self._by_set(scores, domains, lambda found, own: found.probabilities(own, prior=prior))

    def thresholds(self, domains: StrArray, *, rate: float | None = None) -> NDArray[np.float64]:
        """Return the score above which each row is flagged.

        Parameters
        ----------
        domains : str array of shape (n_rows,)
            Domain of each row.
        rate : float in (0, 1) or None
            Share of normals that may be flagged; None: that of the calibration.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        limits = np.full(len(domains), threshold_of(self.usual, rate))
        known = self.is_known(domains)
        if self.known is not None and known.any():
            limits[known] = threshold_of(self.known, rate)
        return limits

    def _by_set(
        self,
        scores: ArrayLike,
        domains: StrArray,
        turn: Callable[[Calibration, NDArray[np.float64]], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        values = np.asarray(scores, dtype=np.float64)
        turned = np.empty(len(values))
        for found, rows in self._sets(domains):
            turned[rows] = turn(found, values[rows])
        return turned

    def _sets(self, domains: StrArray) -> Iterator[tuple[Calibration, NDArray[np.bool_]]]:
        known = self.is_known(domains)
        yield self.usual, ~known
        if self.known is not None:
            yield self.known, known


def threshold_of(calibration: Calibration, rate: float | None) -> float:
    """Return the threshold of a calibration, or the one at another false-alarm rate.

    Parameters
    ----------
    calibration : Calibration
        On held-back rows.
    rate : float in (0, 1) or None
        The share of normals that may be flagged; None: what it was made for.

    Returns
    -------
    float
    """
    if rate is None:
        return calibration.threshold
    return false_alarm_threshold(calibration.normal_scores, rate)[0]
