"""References beside calibration normals: the mixture, its threshold and what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InputError
from unseen.scoring.calibration import Calibration
from unseen.scoring.mixing import mixed_calibration, mixture_of_normals


def test_order_statistics_of_a_mixture_by_hand():
    # The two normals weigh 1 each, the two references 1 each: levels 1/4, 2/4, 3/4, 1.
    np.testing.assert_array_equal(mixture_of_normals([0.0, 10.0], [4.0, 5.0], 2.0), [0.0, 4.0, 5.0, 10.0])
    # The normals weigh 3 each: shares up to 0, 4, 5, 10 are 3/8, 4/8, 5/8, 1.
    np.testing.assert_array_equal(mixture_of_normals([0.0, 10.0], [4.0, 5.0], 6.0), [0.0, 4.0, 10.0, 10.0])


def test_without_references_the_mixture_is_the_normals():
    np.testing.assert_array_equal(mixture_of_normals([3.0, 1.0, 2.0], [], 300.0), [1.0, 2.0, 3.0])


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(InputError):
        mixture_of_normals([], [1.0], 2.0)
    with pytest.raises(InputError):
        mixture_of_normals([1.0], [1.0], 0.0)
    with pytest.raises(InputError):
        mixture_of_normals([1.0, np.nan], [1.0], 2.0)


@pytest.mark.parametrize("n_anomalies", [0, 40])
def test_many_references_set_the_threshold_and_few_hardly_move_it(n_anomalies):
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], [2000, n_anomalies])
    before = Calibration.from_scores(random.normal(size=len(y)) + 5 * y, y, false_alarm_rate=0.01)
    place = random.normal(size=20_000) - 2
    many = mixed_calibration(before, random.normal(size=10_000) - 2, 300)
    few = mixed_calibration(before, random.normal(size=8) - 2, 300)
    assert np.mean(place > before.threshold) < 0.001
    assert 0.005 < np.mean(place > many.threshold) < 0.012
    some = mixed_calibration(before, random.normal(size=300) - 2, 300)
    assert 0 <= before.threshold - few.threshold < 0.1 < before.threshold - some.threshold
    assert many.guaranteed_false_alarm_rate == pytest.approx(0.01, abs=1e-4)
    assert len(many.normal_scores) == 10_000
    assert few.guaranteed_false_alarm_rate > 0.3
    assert np.array_equal(many.flags(place), many.p_values(place) <= 0.01)
    assert many.n_anomalies == n_anomalies


def test_fewer_calibration_normals_weigh_their_number():
    before = Calibration.from_scores(np.arange(4.0), np.zeros(4), false_alarm_rate=0.25)
    mixed = mixed_calibration(before, np.arange(4.0) + 10, 300)
    # w = 4 · (1 − 4 · ¼ / 10) = 3.6; shares up to each score: .9, 1.8, 2.7, 3.6, 4.6, … of 7.6.
    np.testing.assert_array_equal(mixed.normal_scores, [1, 2, 3, 10, 11, 12, 13, 13])
    assert mixed.guaranteed_false_alarm_rate == pytest.approx(2 / 9 * 1.9)
