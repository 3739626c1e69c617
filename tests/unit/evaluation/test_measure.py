"""Thresholds and row positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.evaluation.measure import ScoredTrial, best_f1_threshold, operating_threshold, positions_in
from unseen.evaluation.settings import Settings
from unseen.scoring.calibration import Calibration
from unseen.scoring.calibration_sets import CalibrationSets


def f1_at(y: np.ndarray, scores: np.ndarray, threshold: float, share: float) -> float:
    recall = np.mean(scores[y == 1] > threshold)
    false_alarms = np.mean(scores[y == 0] > threshold)
    return float(2 * share * recall / (share * recall + (1 - share) * false_alarms + share))


@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.3, 0.5]), st.booleans())
def test_no_threshold_has_a_larger_f1(seed: int, share: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], rng.integers(0, 2, 30)]).astype(np.int8)
    scores = rng.normal(size=32) + y
    scores = np.round(scores) if ties else scores
    threshold = best_f1_threshold(y, scores, share)
    others = np.concatenate([scores, [scores.min() - 1]])
    best = max(f1_at(y, scores, float(other), share) for other in others)
    assert f1_at(y, scores, threshold, share) == pytest.approx(best, abs=1e-12)


def test_share_of_anomalies_moves_the_threshold() -> None:
    y = np.array([0] * 98 + [1] * 2, dtype=np.int8)
    scores = np.concatenate([np.arange(98.0), [50.5, 99.0]])
    assert best_f1_threshold(y, scores, 0.02) == 98.0
    assert best_f1_threshold(y, scores, 0.5) == 50.25


def scored(pool_y: np.ndarray, pool_scores: np.ndarray) -> ScoredTrial:
    calibration = Calibration.from_scores(pool_scores, pool_y, false_alarm_rate=0.1)
    return ScoredTrial(np.zeros(1), pool_scores, pool_y, calibration, "raw", 0.0, 0.0, 1)


def test_without_anomalies_the_false_alarm_threshold_serves() -> None:
    found = scored(np.zeros(50, dtype=np.int8), np.arange(50.0))
    for rule in ("f1", "false-alarm"):
        settings = Settings(threshold_rule=rule)  # type: ignore[arg-type]
        assert operating_threshold(found, settings, balanced=True) == (
            found.calibration.threshold,
            "false-alarm",
        )


def test_rule_and_balance_decide_the_threshold() -> None:
    y = np.array([0] * 98 + [1] * 2, dtype=np.int8)
    found = scored(y, np.concatenate([np.arange(98.0), [50.5, 99.0]]))
    assert operating_threshold(found, Settings(), balanced=True) == (50.25, "f1")
    assert operating_threshold(found, Settings(), balanced=False) == (98.0, "f1")
    alarm = operating_threshold(found, Settings(threshold_rule="false-alarm"), balanced=True)
    assert alarm == (found.calibration.threshold, "false-alarm")


@given(st.permutations(range(12)), st.integers(0, 12))
def test_positions_point_at_the_rows(order: list[int], n: int) -> None:
    haystack = np.array(order, dtype=np.int64) * 3
    rows = haystack[::-1][:n]
    assert np.array_equal(haystack[positions_in(haystack, rows)], rows)


def test_rows_of_known_domains_are_judged_by_their_own_set() -> None:
    usual = Calibration.from_scores(np.arange(20.0), np.zeros(20), false_alarm_rate=0.1)
    known = Calibration.from_scores(np.arange(20.0) / 10, np.zeros(20), false_alarm_rate=0.1)
    scores = np.array([1.85, 1.85, 19.0, 19.0])
    alike = ScoredTrial(scores, scores, np.zeros(4, dtype=np.int8), usual, "raw", 0.0, 0.0, 1)
    sets = CalibrationSets(usual, known, np.array(["old"]))
    apart = replace(alike, sets=sets, domains=np.array(["old", "new", "old", "new"]))
    assert alike.flagged.tolist() == [False, False, True, True]
    assert apart.flagged.tolist() == [True, False, True, True]
    np.testing.assert_allclose(alike.p_values, np.array([19, 19, 2, 2]) / 21)
    np.testing.assert_allclose(apart.p_values, np.array([2, 19, 1, 2]) / 21)
