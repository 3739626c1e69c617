"""Operating points against scikit-learn and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from unseen.errors import InputError, ParameterError
from unseen.metrics import confusion_at, recall_at_false_alarm_rate


def test_counts_by_hand_with_ties_at_the_threshold() -> None:
    # > 2: the anomaly at 3 and the normal at 5; rows at exactly 2 pass
    point = confusion_at([1, 1, 0, 0, 0], [3, 2, 5, 2, 1], 2)
    counts = (point.true_positives, point.false_positives, point.false_negatives, point.true_negatives)
    assert counts == (1, 1, 1, 2)
    assert (point.precision, point.recall, point.false_alarm_rate) == (0.5, 0.5, pytest.approx(1 / 3))
    assert (point.accuracy, point.f1) == (0.6, 0.5)


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    scores = rng.normal(size=300).round(1) + y
    point = confusion_at(y, scores, 0.5)
    flagged = scores > 0.5
    assert point.precision == pytest.approx(sk.precision_score(y, flagged))
    assert point.recall == pytest.approx(sk.recall_score(y, flagged))
    assert point.f1 == pytest.approx(sk.f1_score(y, flagged))
    assert point.accuracy == pytest.approx(sk.accuracy_score(y, flagged))


def test_nothing_flagged_has_precision_and_f1_zero() -> None:
    point = confusion_at([0, 1], [np.inf, 0.0], np.inf)
    assert (point.precision, point.recall, point.f1, point.false_alarm_rate) == (0, 0, 0, 0)


def test_infinite_scores_are_flagged_by_any_finite_threshold() -> None:
    point = confusion_at([0, 1, 1], [-np.inf, np.inf, 0.0], -1e300)
    assert (point.recall, point.false_alarm_rate) == (1, 0)


def test_recall_at_false_alarm_rate_by_hand() -> None:
    y = [0, 0, 0, 0, 1, 1, 1, 1]
    scores = [1, 2, 3, 4, 4.5, 3.5, 2.5, 1]
    assert recall_at_false_alarm_rate(y, scores, 0.0) == 0.25
    assert recall_at_false_alarm_rate(y, scores, 0.25) == 0.5
    assert recall_at_false_alarm_rate(y, scores, 0.24) == 0.25
    assert recall_at_false_alarm_rate(y, scores, 1.0) == 1.0


def test_recall_at_false_alarm_rate_does_not_split_ties() -> None:
    assert recall_at_false_alarm_rate([0, 1, 1], [1.0, 1.0, 1.0], 0.5) == 0.0


def test_nan_threshold_and_bad_rate_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        confusion_at([0, 1], [0.0, 1.0], np.nan)
    with pytest.raises(ParameterError, match=r"\[0, 1\]"):
        recall_at_false_alarm_rate([0, 1], [0.0, 1.0], 1.5)
