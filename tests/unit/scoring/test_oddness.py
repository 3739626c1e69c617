"""Oddness of training normals: by hand, and what half a normal exceeds by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from unseen.scoring.oddness import doubts_by, odd_limit, oddness


def test_it_is_measured_by_the_lower_half_of_the_logarithms():
    logs = np.array([-2.0, -1.0, 0.0, 3.0, 50.0])
    expected = logs / (1.0 / norm.ppf(0.75))
    np.testing.assert_allclose(oddness(np.exp(logs)), expected, rtol=1e-9)
    np.testing.assert_allclose(oddness(7 * np.exp(logs)), expected, rtol=1e-9)


def test_it_is_the_number_of_deviations_of_a_gaussian():
    logs = norm.ppf((np.arange(4000) + 0.5) / 4000, loc=2.0, scale=0.3)
    np.testing.assert_allclose(oddness(np.exp(logs)), (logs - 2.0) / 0.3, atol=0.01)


def test_anomalies_above_hardly_move_it():
    draw = np.random.default_rng(0)
    clean = np.exp(draw.normal(0, 1, 800))
    found = oddness(np.concatenate([clean, np.full(200, 1e6)]))[:800]
    assert np.abs(found - oddness(clean)).max() < 1.2


def test_scores_that_do_not_vary_are_not_odd():
    assert oddness(np.ones(5)).tolist() == [0.0] * 5
    assert np.isfinite(oddness(np.array([0.0, 0.0, 1.0, 2.0]))).all()


def test_another_way_counts_beyond_chance_only():
    draw = np.random.default_rng(0)
    ranking, whole = np.exp(draw.normal(0, 1, (2, 200)))
    whole[7], whole[8] = np.exp(9.0), np.exp(2.5)
    found, limit = doubts_by(ranking, whole)
    by_whole = oddness(whole)
    assert limit == odd_limit(200, 2)
    assert by_whole[7] > limit > by_whole[8] > 0
    beyond = by_whole > limit
    np.testing.assert_array_equal(found[~beyond], oddness(ranking)[~beyond])
    np.testing.assert_array_equal(found[beyond], np.maximum(oddness(ranking), by_whole)[beyond])
    assert np.argmax(found) == 7
    np.testing.assert_array_equal(doubts_by(ranking)[0], oddness(ranking))


@pytest.mark.parametrize(("n", "kinds"), [(80, 2), (300, 1)])
def test_half_a_normal_is_expected_beyond_the_limit(n, kinds):
    assert n * kinds * norm.sf(odd_limit(n, kinds)) == pytest.approx(0.5)
    assert odd_limit(1, 1) == 0
