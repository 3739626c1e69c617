"""Two sets of calibration scores: which row is compared with which."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.scoring.calibration import Calibration
from unseen.scoring.calibration_sets import CalibrationSets, threshold_of

NAMES = np.array(["old", "new", "", "old", "older"])


def calibration(scores: np.ndarray, n_anomalies: int = 0, rate: float = 0.1) -> Calibration:
    values = np.concatenate([scores, np.linspace(100, 120, n_anomalies)])
    y = np.repeat([0, 1], [len(scores), n_anomalies])
    return Calibration.from_scores(values, y, false_alarm_rate=rate)


@pytest.fixture
def sets() -> CalibrationSets:
    """New domains: 0 to 19. Known ones: a tenth of that."""
    usual, known = calibration(np.arange(20.0)), calibration(np.arange(20.0) / 10)
    return CalibrationSets(usual, known, np.array(["old", "older"]))


def test_rows_are_compared_with_their_own_set_by_hand(sets):
    scores = np.array([1.75, 1.75, 1.75, 0.0, 5.0])
    # At least 1.75: 2 of the known ones (1.8, 1.9), 18 of the usual ones.
    expected = np.array([3, 19, 19, 21, 1]) / 21
    np.testing.assert_allclose(sets.p_values(scores, NAMES), expected)


def test_thresholds_flag_where_p_values_do(sets):
    scores = np.random.default_rng(0).uniform(0, 20, size=5_000)
    names = np.resize(NAMES, 5_000)
    for rate in (0.1, 0.25):
        flagged = scores > sets.thresholds(names, rate=rate)
        np.testing.assert_array_equal(flagged, sets.p_values(scores, names) <= rate)
    np.testing.assert_array_equal(sets.thresholds(names), sets.thresholds(names, rate=0.1))
    # The second largest of 20 at .1, the fifth largest at .25.
    assert sets.thresholds(NAMES).tolist() == [1.8, 18.0, 18.0, 1.8, 1.8]
    assert threshold_of(sets.usual, 0.25) == 15.0


def test_without_a_second_set_all_rows_are_alike(sets):
    alone = CalibrationSets(sets.usual)
    scores = np.linspace(0, 30, 5)
    assert not alone.is_known(NAMES).any()
    np.testing.assert_array_equal(alone.p_values(scores, NAMES), sets.usual.p_values(scores))
    np.testing.assert_array_equal(alone.probabilities(scores, NAMES), sets.usual.probabilities(scores))
    assert set(alone.thresholds(NAMES)) == {sets.usual.threshold}


def test_a_row_is_the_same_alone_and_among_others(sets):
    scores = np.array([1.75, 3.0, 25.0, 0.0, 5.0])
    for turn in (sets.p_values, sets.probabilities):
        at_once = turn(scores, NAMES)
        alone = [turn(scores[i : i + 1], NAMES[i : i + 1])[0] for i in range(5)]
        np.testing.assert_array_equal(at_once, alone)
    assert len(sets.p_values([], NAMES[:0])) == 0


def test_probabilities_are_for_one_share_of_anomalies():
    """Sets of different size do not make the same row more likely an anomaly by their sizes."""
    scores = np.random.default_rng(1).normal(size=4_000)
    usual, known = calibration(scores, 40), calibration(scores[:400], 40)
    sets = CalibrationSets(usual, known, np.array(["old"]))
    values = np.array([4.0, 30.0])
    near = sets.probabilities(values, np.array(["old", "old"]))
    np.testing.assert_allclose(near, known.probabilities(values, prior=usual.prior))
    assert (near < known.probabilities(values)).all()
    halves = CalibrationSets(calibration(scores), calibration(scores - 3), np.array(["old"]))
    at_threshold = np.array([halves.usual.threshold, halves.known.threshold])
    np.testing.assert_allclose(halves.probabilities(at_threshold, np.array(["new", "old"])), 0.5)
