"""What a threshold does: precision, recall and false alarms at one operating point.

A row is flagged where ``score > threshold``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unseen.checks import check_real
from unseen.errors import InputError
from unseen.metrics.ranking import check_ranking, roc_curve


@dataclass(frozen=True)
class OperatingPoint:
    """Counts and rates at one threshold.

    Attributes
    ----------
    threshold : float
        Rows with ``score > threshold`` are flagged.
    true_positives, false_positives, false_negatives, true_negatives : int
        Flagged anomalies, flagged normals, missed anomalies, passed normals.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of anomalies among the flagged rows; 0 if none is flagged."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else 0.0

    @property
    def recall(self) -> float:
        """Share of the anomalies that are flagged."""
        return self.true_positives / (self.true_positives + self.false_negatives)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normals that are flagged."""
        return self.false_positives / (self.false_positives + self.true_negatives)

    @property
    def accuracy(self) -> float:
        """Share of the rows that are judged rightly; follows the share of anomalies among the rows."""
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, ``2 TP / (2 TP + FP + FN)``."""
        return (
            2 * self.true_positives / (2 * self.true_positives + self.false_positives + self.false_negatives)
        )


def confusion_at(y: ArrayLike, scores: ArrayLike, threshold: float) -> OperatingPoint:
    """Return what flagging ``score > threshold`` does.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.
    threshold : float
        ±inf allowed, NaN not.

    Returns
    -------
    OperatingPoint

    Raises
    ------
    InputError
        If scores or the threshold are NaN, or ``y`` is unusable (LabelError).
    """
    anomalous, values = check_ranking("confusion_at", y, scores)
    if np.isnan(threshold):
        raise InputError(
            "confusion_at: threshold must not be NaN (an F1 threshold is NaN without anomalies)."
        )
    flagged = values > threshold
    hits = int(np.sum(flagged & anomalous))
    alarms = int(np.sum(flagged)) - hits
    n_anomalies = int(np.sum(anomalous))
    return OperatingPoint(
        threshold=float(threshold),
        true_positives=hits,
        false_positives=alarms,
        false_negatives=n_anomalies - hits,
        true_negatives=len(values) - n_anomalies - alarms,
    )


def recall_at_false_alarm_rate(y: ArrayLike, scores: ArrayLike, rate: float) -> float:
    """Return the largest recall of any threshold that flags at most a share ``rate`` of these normals.

    Chosen on the rows themselves, so it describes a ranking; for a threshold to work with, calibrate on other
    rows (:class:`unseen.scoring.calibration.Calibration`).

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.
    rate : float in [0, 1]
        Share of the normals that may be flagged.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    InputError
        If scores are NaN, ``y`` is unusable (LabelError) or ``rate`` outside [0, 1].
    """
    level = check_real("recall_at_false_alarm_rate", "rate", rate, minimum=0, maximum=1)
    curve = roc_curve(y, scores)
    return float(curve.recall[curve.false_alarm_rate <= level].max())
