"""What held-back rows say about scores: p-values, thresholds and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_real
from unseen.errors import LabelError
from unseen.scoring.conformal import check_scores, conformal_p_values, smallest_p
from unseen.scoring.domains import balanced_over_domains, guaranteed_on_new_domains
from unseen.scoring.holding_back import hold_back
from unseen.scoring.logistic import LogisticCurve, curve_without_anomalies, fit_logistic, probabilities
from unseen.scoring.thresholds import f1_threshold, false_alarm_threshold
from unseen.types import ANOMALY, NORMAL

__all__ = ["Calibration", "hold_back"]

_PRIOR_WITHOUT_ANOMALIES = 0.5


@dataclass(frozen=True)
class Calibration:
    """Numbers from rows that the fit has not seen, which turn scores into decisions.

    Make one with :meth:`from_scores`.

    Attributes
    ----------
    normal_scores : float64 array of shape (n_normals,)
        Scores of the calibration normals, sorted.
    false_alarm_rate : float
        The share of normals that may be flagged, as asked for.
    threshold : float
        A row is flagged where ``score > threshold``, which is where ``p <= false_alarm_rate``.
    guaranteed_false_alarm_rate : float
        The bound that holds for fresh normals: at most ``false_alarm_rate``, except where there are too few
        calibration normals for it; then the threshold is their largest score and the bound ``1 / (n + 1)``.
        Where whole domains calibrate, it is the bound for normals of a fresh *domain*, which is larger:
        see :func:`unseen.scoring.domains.guaranteed_on_new_domains`.
    f1_threshold : float
        The threshold with the largest F1 on the held-back rows; NaN without anomalies among them.
    prior : float
        Share of anomalies among the held-back rows, for which ``probabilities`` hold by default; 0.5 by
        convention if there were none.
    n_anomalies : float
        How many anomalies the probabilities rest on (a whole number).
    centre, scale, intercept, slope : float
        The logistic curve, see :class:`unseen.scoring.logistic.LogisticCurve`.
    n_domains : float
        How many whole domains calibrate (a whole number); 0 where single rows do.
    """

    normal_scores: NDArray[np.float64]
    false_alarm_rate: float
    threshold: float
    guaranteed_false_alarm_rate: float
    f1_threshold: float
    prior: float
    n_anomalies: float
    centre: float
    scale: float
    intercept: float
    slope: float
    n_domains: float = 0.0

    @classmethod
    def from_scores(
        cls, scores: ArrayLike, y: ArrayLike, *, false_alarm_rate: float, domains: ArrayLike | None = None
    ) -> Self:
        """Calibrate on held-back rows.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Scores of rows that were not fitted on; higher = more anomalous; ±inf allowed, NaN not.
        y : array-like of shape (n_rows,)
            0 normal, 1 anomaly of a known kind, -1 unlabelled (not used).
        false_alarm_rate : float in (0, 1)
            The share of normals that may be flagged.
        domains : array-like of shape (n_rows,) or None
            Domain of each row, if the rows of every domain were scored by a fit that had not met it, and
            rows to judge are of new domains. Each domain then has the same say, whatever its number of
            normals, and ``normal_scores`` are order statistics of the domains.

        Returns
        -------
        Calibration

        Raises
        ------
        LabelError
            If ``y`` has another length, or holds no normal.
        InputError
            If a score is NaN, or ``false_alarm_rate`` is outside (0, 1).
        """
        values = check_scores(cls.__name__, scores)
        labels = np.asarray(y)
        if labels.shape != values.shape:
            raise LabelError(
                f"{cls.__name__}: y must have one value a score ({len(values)}), got shape {labels.shape}."
            )
        normal_scores = np.sort(values[labels == NORMAL])
        if len(normal_scores) == 0:
            raise LabelError(f"{cls.__name__}: calibration needs normal rows (y = 0), got none.")
        anomaly_scores = values[labels == ANOMALY]
        if domains is not None:
            names = np.asarray(domains)[labels == NORMAL]
            normal_scores = balanced_over_domains(values[labels == NORMAL], names)
        threshold, guaranteed = false_alarm_threshold(normal_scores, false_alarm_rate)
        n_domains = 0
        if domains is not None:
            n_domains = len(np.unique(names))
            guaranteed = guaranteed_on_new_domains(n_domains, guaranteed)
        if len(anomaly_scores):
            pool = np.concatenate([normal_scores, anomaly_scores])
            curve = fit_logistic(pool, np.arange(len(pool)) >= len(normal_scores))
            prior = len(anomaly_scores) / len(pool)
        else:
            curve = curve_without_anomalies(normal_scores, threshold)
            prior = _PRIOR_WITHOUT_ANOMALIES
        return cls(
            normal_scores=normal_scores,
            false_alarm_rate=float(false_alarm_rate),
            threshold=threshold,
            guaranteed_false_alarm_rate=guaranteed,
            f1_threshold=f1_threshold(labels, values),
            prior=prior,
            n_anomalies=float(len(anomaly_scores)),
            centre=curve.centre,
            scale=curve.scale,
            intercept=curve.intercept,
            slope=curve.slope,
            n_domains=float(n_domains),
        )

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that the calibration normals allow, ``1 / (n_normals + 1)``."""
        return smallest_p(len(self.normal_scores))

    def p_values(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the split-conformal p-value of each score.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Anomaly scores.

        Returns
        -------
        float64 array of shape (n_rows,)
            In ``[smallest_p, 1]``; see :func:`unseen.scoring.conformal.conformal_p_values`.
        """
        return conformal_p_values(self.normal_scores, scores)

    def flags(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which scores lie above ``threshold``.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Anomaly scores.

        Returns
        -------
        bool array of shape (n_rows,)
        """
        return np.asarray(check_scores(self, scores) > self.threshold, dtype=np.bool_)

    def probabilities(self, scores: ArrayLike, *, prior: float | None = None) -> NDArray[np.float64]:
        """Return the probability that each row is an anomaly, rising with the score.

        A logistic curve over the log-scaled robust score, fitted on the held-back rows with a Gaussian prior
        on its slope (:func:`unseen.scoring.logistic.fit_logistic`). It speaks of anomalies like the *known*
        kinds; for other kinds it is an extrapolation. Without any held-back anomaly it is no frequency, only
        a monotone scale that is one half at ``threshold``
        (:func:`unseen.scoring.logistic.curve_without_anomalies`).

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Anomaly scores.
        prior : float in (0, 1) or None
            Share of anomalies among the rows scored. None: as among the held-back rows (``self.prior``),
            where anomalies are usually far more frequent than in the field.

        Returns
        -------
        float64 array of shape (n_rows,)
            In [0, 1].
        """
        share = self.prior
        if prior is not None:
            share = check_real(
                self, "prior", prior, minimum=0, maximum=1, open_minimum=True, open_maximum=True
            )
        curve = LogisticCurve(self.centre, self.scale, self.intercept, self.slope)
        return probabilities(check_scores(self, scores), curve, fitted_prior=self.prior, prior=share)
