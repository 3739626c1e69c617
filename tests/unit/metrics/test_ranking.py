"""Ranking metrics against scikit-learn, brute force and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from unseen.errors import InputError, LabelError
from unseen.metrics import auroc, average_precision, f1_max, precision_recall_curve, roc_curve


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels with both classes and scores with many ties."""
    n = draw(st.integers(2, 60))
    y = draw(arrays(np.int8, n, elements=st.integers(0, 1)))
    y[0], y[-1] = 0, 1
    few = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    return y, draw(arrays(np.float64, n, elements=st.one_of(few, st.floats(-1e6, 1e6))))


def test_auroc_by_hand() -> None:
    # pairs (anomaly, normal): 3>1, 3>2, 2>1, 2=2 -> 3.5 of 4
    assert auroc([0, 0, 1, 1], [1, 2, 3, 2]) == 0.875


def test_average_precision_by_hand() -> None:
    # falling: 4 (anomaly, P 1, R 1/2), 3 (normal), 2 (anomaly, P 2/3, R 1)
    assert average_precision([1, 0, 1, 0], [4, 3, 2, 1]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_f1_max_by_hand() -> None:
    # flagging 5, 4, 3 gives TP 2, FP 1, FN 0: F1 = 4/5; halfway to the next lower score 1 is 2
    assert f1_max([1, 0, 1, 0, 0], [5, 4, 3, 1, 0]) == (pytest.approx(0.8), 2.0)


def test_constant_scores_tell_nothing() -> None:
    y, scores = [0, 1, 1, 0], [7.0] * 4
    assert auroc(y, scores) == 0.5
    assert average_precision(y, scores) == 0.5
    value, threshold = f1_max(y, scores)
    assert value == pytest.approx(2 / 3)
    assert threshold < 7.0


def test_infinite_scores_rank_at_the_ends() -> None:
    y = [0, 0, 1, 1, 1]
    scores = [-np.inf, 1.0, np.inf, np.inf, -np.inf]
    # anomalies at inf beat both normals; the one at -inf ties one and loses one: (2 + 2 + .5) / 6
    assert auroc(y, scores) == 0.75
    value, threshold = f1_max(y, scores)
    assert (value, threshold) == (pytest.approx(0.8), 1.0)
    assert roc_curve(y, scores).recall[-1] == 1
    assert average_precision(y, scores) == pytest.approx(2 / 3 + (1 / 3) * (3 / 5))


def test_f1_threshold_above_minus_infinity_flags_what_it_says() -> None:
    value, threshold = f1_max([0, 1, 1], [-np.inf, 0.0, 1.0])
    assert (value, threshold) == (1.0, -np.inf)


def test_f1_threshold_separates_neighbouring_floats() -> None:
    low = 1.0
    high = np.nextafter(low, 2)
    value, threshold = f1_max([0, 1], [low, high])
    assert value == 1.0
    assert low <= threshold < high


def test_f1_threshold_survives_the_largest_floats() -> None:
    value, threshold = f1_max([0, 1], [1.6e308, 1.7e308])
    assert value == 1.0
    assert 1.6e308 <= threshold < 1.7e308


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_agrees_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    y, scores = case
    assert auroc(y, scores) == pytest.approx(sk.roc_auc_score(y, scores))
    assert average_precision(y, scores) == pytest.approx(sk.average_precision_score(y, scores))
    ours = roc_curve(y, scores)
    alarms, recall, _ = sk.roc_curve(y, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_alarm_rate, alarms)
    np.testing.assert_allclose(ours.recall, recall)
    curve = precision_recall_curve(y, scores)
    precision, recall, thresholds = sk.precision_recall_curve(y, scores)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_allclose(curve.thresholds[::-1], thresholds)


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_f1_max_is_reached_and_not_beaten(case: tuple[np.ndarray, np.ndarray]) -> None:
    y, scores = case
    best, threshold = f1_max(y, scores)
    assert sk.f1_score(y, scores > threshold) == pytest.approx(best)
    others = [sk.f1_score(y, scores >= cut) for cut in np.unique(scores)]
    assert best == pytest.approx(max(others))


@settings(max_examples=100, deadline=None)
@given(rankings())
def test_auroc_of_reversed_scores_is_the_complement(case: tuple[np.ndarray, np.ndarray]) -> None:
    y, scores = case
    assert auroc(y, -scores) == pytest.approx(1 - auroc(y, scores))
    assert auroc(1 - y, scores) == pytest.approx(1 - auroc(y, scores))


@pytest.mark.parametrize("metric", [auroc, average_precision, f1_max, roc_curve, precision_recall_curve])
@pytest.mark.parametrize(
    ("y", "scores", "error", "words"),
    [
        ([0, 1], [0.0, np.nan], InputError, "NaN at row 1"),
        ([0, 0], [0.0, 1.0], LabelError, "no anomalies"),
        ([1, 1], [0.0, 1.0], LabelError, "no normals"),
        ([0, -1, 1], [0.0, 1.0, 2.0], LabelError, "leave unlabelled rows out"),
        ([0, 1, 1], [0.0, 1.0], LabelError, "one value a score"),
        ([[0, 1]], [[0.0, 1.0]], InputError, "one dimension"),
        ([], [], LabelError, "both needed"),
    ],
)
def test_unusable_input_is_refused(metric, y, scores, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        metric(y, scores)
