"""Thresholds: from normals alone at a false-alarm rate, or from a validation pool with known kinds.

A row is flagged where ``score > threshold``, everywhere in the package.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from unseen.checks import check_real
from unseen.errors import InputError
from unseen.metrics.ranking import f1_max
from unseen.scoring.conformal import check_scores


def false_alarm_threshold(normal_scores: ArrayLike, rate: float) -> tuple[float, float]:
    r"""Return the threshold that flags a fresh normal with probability at most ``rate``, and that bound.

    The ``k``-th largest of ``n`` calibration scores with :math:`k = \lfloor rate \cdot (n + 1) \rfloor`.
    Flagging ``score > threshold`` is then the same, ties included, as flagging split-conformal p-values
    ``p <= rate``. Where ``n`` is too small for the rate (``k = 0``) the largest calibration score is taken,
    and the bound is ``1 / (n + 1)`` rather than ``rate``.

    Parameters
    ----------
    normal_scores : array-like of shape (n,)
        Scores of normals that were not fitted on; at least one.
    rate : float in (0, 1)
        The share of normals that may be flagged.

    Returns
    -------
    tuple of (float, float)
        The threshold, and the guaranteed false-alarm rate ``max(k, 1) / (n + 1)``.

    Raises
    ------
    InputError
        If there is no score or one is NaN, or ``rate`` is outside (0, 1).
    """
    level = check_real(
        "false_alarm_threshold", "rate", rate, minimum=0, maximum=1, open_minimum=True, open_maximum=True
    )
    scores = check_scores("false_alarm_threshold", normal_scores, name="normal_scores")
    n = len(scores)
    if n == 0:
        raise InputError("false_alarm_threshold: normal_scores must hold at least one score, got none.")
    k = math.floor(level * (n + 1))
    if (k + 1) / (n + 1) <= level:  # level * (n + 1) was rounded down past a whole number
        k += 1
    elif k / (n + 1) > level:
        k -= 1
    k = min(max(k, 1), n)
    return float(np.partition(scores, n - k)[n - k]), k / (n + 1)


def f1_threshold(y: ArrayLike, scores: ArrayLike) -> float:
    """Return the threshold with the largest F1 on a validation pool; NaN if the pool holds no anomaly.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly, -1 unlabelled (left out).
    scores : array-like of shape (n_rows,)
        Scores of rows that were not fitted on.

    Returns
    -------
    float
        Flag rows with ``score > threshold``; see :func:`unseen.metrics.ranking.f1_max`.

    Raises
    ------
    InputError
        If a score is NaN, or there is no normal (LabelError).
    """
    labels = np.asarray(y)
    values = check_scores("f1_threshold", scores)
    if not np.any(labels == 1):
        return math.nan
    labelled = labels >= 0
    return f1_max(labels[labelled], values[labelled])[1]
