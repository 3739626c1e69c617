"""How well scores rank anomalies above normals: AUROC, average precision, maximal F1, and their curves.

``y`` is 1 for anomalies and 0 for normals; higher scores mean more anomalous. Tied scores share one point
of every curve. Scores may be ±inf but not NaN. Pass raw scores: clamped or rounded ones make ties.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import InputError, LabelError
from unseen.types import ANOMALY, NORMAL, BoolArray


class RocCurve(NamedTuple):
    """Points of a receiver operating characteristic, from "nothing flagged" to "everything flagged".

    Attributes
    ----------
    false_alarm_rate : float64 array of shape (n_points,)
        Share of normals at or above each threshold; starts at 0, ends at 1.
    recall : float64 array of shape (n_points,)
        Share of anomalies at or above each threshold; starts at 0, ends at 1.
    thresholds : float64 array of shape (n_points,)
        Rows with ``score >= threshold`` are flagged; the first one is NaN (nothing is flagged).
    """

    false_alarm_rate: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, by falling threshold (rising recall).

    Attributes
    ----------
    precision : float64 array of shape (n_distinct_scores,)
        Share of anomalies among the rows at or above each threshold.
    recall : float64 array of shape (n_distinct_scores,)
        Share of the anomalies at or above each threshold; ends at 1.
    thresholds : float64 array of shape (n_distinct_scores,)
        The distinct scores, falling; rows with ``score >= threshold`` are flagged.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def check_ranking(owner: str, y: ArrayLike, scores: ArrayLike) -> tuple[BoolArray, NDArray[np.float64]]:
    """Return (is anomaly, scores) after checking that a ranking can be judged.

    Parameters
    ----------
    owner : str
        Who asks, for the message.
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly.
    scores : array-like of shape (n_rows,)
        Anomaly scores.

    Returns
    -------
    tuple of (bool array of shape (n_rows,), float64 array of shape (n_rows,))

    Raises
    ------
    InputError
        If a score is NaN, or the scores are not a vector.
    LabelError
        If ``y`` has another length or other values than 0 and 1, or lacks normals or anomalies.
    """
    values = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(y)
    if values.ndim != 1:
        raise InputError(f"{owner}: scores must have one dimension, got shape {values.shape}.")
    if labels.shape != values.shape:
        raise LabelError(f"{owner}: y must have one value a score ({len(values)}), got shape {labels.shape}.")
    missing = np.isnan(values)
    if missing.any():
        raise InputError(
            f"{owner}: scores must not be NaN, got NaN at row {int(np.argmax(missing))} "
            f"({int(missing.sum())} such values)."
        )
    anomalous = np.asarray(labels == ANOMALY, dtype=np.bool_)
    normal = labels == NORMAL
    if not np.all(anomalous | normal):
        odd = labels[~(anomalous | normal)][0]
        raise LabelError(
            f"{owner}: y must be 0 (normal) or 1 (anomaly), got {odd!r}; leave unlabelled rows out."
        )
    if not anomalous.any() or not normal.any():
        lacking = "anomalies (y = 1)" if normal.any() else "normals (y = 0)"
        raise LabelError(f"{owner}: normals and anomalies are both needed, but there are no {lacking}.")
    return anomalous, values


def auroc(y: ArrayLike, scores: ArrayLike) -> float:
    r"""Return the area under the ROC curve.

    .. math:: P(S_1 > S_0) + \tfrac12 P(S_1 = S_0)

    for a random anomaly's score :math:`S_1` and a random normal's :math:`S_0`: the Mann-Whitney statistic
    over the number of pairs (Hanley and McNeil 1982). Constant scores give 0.5.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    InputError
        If scores are NaN or ``y`` is unusable (LabelError).
    """
    anomalous, values = check_ranking("auroc", y, scores)
    normals = np.sort(values[~anomalous])
    anomalies = values[anomalous]
    below = np.searchsorted(normals, anomalies, side="left")
    not_above = np.searchsorted(normals, anomalies, side="right")
    wins = float(below.sum(dtype=np.int64)) + float(not_above.sum(dtype=np.int64))
    return wins / (2.0 * len(normals) * len(anomalies))


def average_precision(y: ArrayLike, scores: ArrayLike) -> float:
    r"""Return the average precision, the step-wise area under the precision-recall curve.

    .. math:: \sum_k (R_k - R_{k-1}) P_k

    over the distinct scores in falling order, without interpolation (as scikit-learn computes it).

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.

    Returns
    -------
    float in (0, 1]

    Raises
    ------
    InputError
        If scores are NaN or ``y`` is unusable (LabelError).
    """
    curve = precision_recall_curve(y, scores)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def f1_max(y: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    r"""Return the largest F1 that any threshold reaches, and that threshold.

    :math:`F_1 = 2 P R / (P + R)`. The threshold separates: rows with ``score > threshold`` are flagged. It
    lies halfway between the lowest flagged score and the next lower one (at the lower one where halfway does
    not exist, as beside ±inf). Among equal F1 the highest threshold is taken. Rows scored -inf can never be
    flagged.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.

    Returns
    -------
    tuple of (float, float)
        F1 in [0, 1] and the threshold.

    Raises
    ------
    InputError
        If scores are NaN or ``y`` is unusable (LabelError).
    """
    anomalous, values = check_ranking("f1_max", y, scores)
    thresholds, flagged_anomalies, flagged_normals = _cumulative(anomalous, values)
    f1 = 2.0 * flagged_anomalies / (flagged_anomalies + flagged_normals + anomalous.sum())
    f1 = np.where(np.isneginf(thresholds), 0.0, f1)
    best = int(np.argmax(f1))
    lowest = float(thresholds[best])
    below = float(thresholds[best + 1]) if best + 1 < len(thresholds) else math.nextafter(lowest, -math.inf)
    halfway = below / 2 + lowest / 2 if np.isfinite(below) and np.isfinite(lowest) else below
    return float(f1[best]), halfway if below <= halfway < lowest else below


def roc_curve(y: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the ROC curve: false-alarm rate and recall at every distinct score.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.

    Returns
    -------
    RocCurve
        One point a distinct score, after the point (0, 0).

    Raises
    ------
    InputError
        If scores are NaN or ``y`` is unusable (LabelError).
    """
    anomalous, values = check_ranking("roc_curve", y, scores)
    thresholds, flagged_anomalies, flagged_normals = _cumulative(anomalous, values)
    return RocCurve(
        false_alarm_rate=np.concatenate([[0.0], flagged_normals / flagged_normals[-1]]),
        recall=np.concatenate([[0.0], flagged_anomalies / flagged_anomalies[-1]]),
        thresholds=np.concatenate([[np.nan], thresholds]),
    )


def precision_recall_curve(y: ArrayLike, scores: ArrayLike) -> PrecisionRecallCurve:
    """Return precision and recall at every distinct score.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.

    Returns
    -------
    PrecisionRecallCurve

    Raises
    ------
    InputError
        If scores are NaN or ``y`` is unusable (LabelError).
    """
    anomalous, values = check_ranking("precision_recall_curve", y, scores)
    thresholds, flagged_anomalies, flagged_normals = _cumulative(anomalous, values)
    return PrecisionRecallCurve(
        precision=flagged_anomalies / (flagged_anomalies + flagged_normals),
        recall=flagged_anomalies / flagged_anomalies[-1],
        thresholds=thresholds,
    )


def _cumulative(
    anomalous: BoolArray, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Distinct scores, falling, with the numbers of anomalies and of normals at or above each."""
    order = np.argsort(-values, kind="stable")
    ordered, hits = values[order], anomalous[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    anomalies = np.cumsum(hits)[last_of_tie].astype(np.float64)
    rows = np.flatnonzero(last_of_tie) + 1.0
    return ordered[last_of_tie], anomalies, rows - anomalies
