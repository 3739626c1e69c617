r"""Calibration for a place that a few normals are known of.

Normals of a new place score otherwise than those that a detector was calibrated on. References of it, each
scored without itself, show how; but a few of them say little about a rate of 1 %. So both count: n references
as they are, the calibration normals as much as :math:`w` rows, the fewer the better the references know the
rate themselves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_real
from unseen.errors import InputError
from unseen.scoring.calibration import Calibration
from unseen.scoring.conformal import check_scores
from unseen.scoring.thresholds import false_alarm_threshold
from unseen.types import NORMAL

ENOUGH_ABOVE = 10.0
"""So many references above the threshold need no calibration normals beside them."""


def mixture_of_normals(
    normal_scores: ArrayLike, reference_scores: ArrayLike, weight: float
) -> NDArray[np.float64]:
    """Return order statistics of a mixture of two samples.

    Parameters
    ----------
    normal_scores : array-like of shape (n_normals,)
        Scores of calibration normals, at least one.
    reference_scores : array-like of shape (n_references,)
        Scores of references, each by a detector without it.
    weight : float > 0
        How many references all calibration normals together weigh as much as.

    Returns
    -------
    float64 array of shape (n_normals + n_references,)
        Sorted. Of M values the i-th is the smallest score that a share i / M of the mixture does not exceed.

    Raises
    ------
    InputError
        If a score is NaN, there is no calibration normal, or the weight is not positive.
    """
    normals = check_scores("mixture_of_normals", normal_scores, name="normal_scores")
    references = check_scores("mixture_of_normals", reference_scores, name="reference_scores")
    strength = check_real("mixture_of_normals", "weight", weight, minimum=0, open_minimum=True)
    if len(normals) == 0:
        raise InputError("mixture_of_normals: normal_scores must hold at least one score, got none.")
    values = np.concatenate([normals, references])
    shares = np.concatenate([np.full(len(normals), strength / len(normals)), np.ones(len(references))])
    order = np.argsort(values, kind="stable")
    below = np.cumsum(shares[order]) / shares.sum()
    levels = np.arange(1, len(values) + 1) / len(values)
    found = np.searchsorted(below, levels - 1e-12, side="left")
    return np.asarray(values[order][np.minimum(found, len(values) - 1)])


def mixed_calibration(before: Calibration, reference_scores: ArrayLike, most_weight: float) -> Calibration:
    r"""Let references speak for the normals of their place, beside the calibration normals.

    The calibration normals weigh as much as :math:`w = w_0 [1 - n r / 10]_+` of the n references, r being the
    rate asked for: from n = 10 / r on the references speak alone.

    Where at most a share s of the mixture lies above the threshold, at most :math:`s (1 + w / n)` of the
    references do: this is the bound for further normals of their place, if a reference scored without itself
    is like them.

    Parameters
    ----------
    before : Calibration
        On single rows, without references.
    reference_scores : array-like of shape (n_references,)
        Scores of references, each by a detector without it; at least one.
    most_weight : float > 0
        w_0; fewer calibration normals than that weigh their number.

    Returns
    -------
    Calibration
    """
    references = check_scores("mixed_calibration", reference_scores, name="reference_scores")
    supported = max(0.0, 1.0 - len(references) * before.false_alarm_rate / ENOUGH_ABOVE)
    weight = min(float(most_weight), float(len(before.normal_scores))) * supported
    normals = np.sort(references)
    if weight > 0:
        normals = mixture_of_normals(before.normal_scores, references, weight)
    threshold, rate = false_alarm_threshold(normals, before.false_alarm_rate)
    bound = min(1.0, rate * (1.0 + weight / len(references)))
    found = before
    if not before.n_anomalies:
        found = Calibration.from_scores(
            normals, np.full(len(normals), NORMAL), false_alarm_rate=before.false_alarm_rate
        )
    return replace(found, normal_scores=normals, threshold=threshold, guaranteed_false_alarm_rate=bound)
