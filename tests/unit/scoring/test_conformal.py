"""Conformal p-values: by hand, and valid in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from unseen.errors import InputError, ParameterError
from unseen.scoring import benjamini_hochberg, conformal_p_values, false_alarm_threshold, smallest_p

SCORES = st.one_of(
    st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf]), st.floats(allow_nan=False, width=32)
)


def test_p_values_by_hand_in_any_order_with_ties_and_infinities() -> None:
    calibration = [3.0, 1.0, 2.0, 2.0]
    p = conformal_p_values(calibration, [0.0, 1.0, 2.0, 2.5, 3.0, 4.0, np.inf, -np.inf])
    np.testing.assert_allclose(p * 5, [5, 5, 4, 2, 2, 1, 1, 5])
    np.testing.assert_allclose(conformal_p_values([1.0, np.inf], [5.0, np.inf]) * 3, [2, 2])


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 40), elements=SCORES),
    arrays(np.float64, st.integers(0, 40), elements=SCORES),
    st.one_of(st.floats(0.001, 0.999), st.sampled_from([0.1, 0.2, 0.25, 0.29, 0.5, 0.07])),
)
def test_threshold_flags_exactly_the_p_values_at_most_the_rate(
    calibration: np.ndarray, scores: np.ndarray, rate: float
) -> None:
    p = conformal_p_values(calibration, scores)
    np.testing.assert_allclose(
        p, [(1 + np.sum(calibration >= s)) / (len(calibration) + 1) for s in scores], rtol=1e-12
    )
    threshold, guaranteed = false_alarm_threshold(calibration, rate)
    if smallest_p(len(calibration)) <= rate:
        assert guaranteed <= rate
        np.testing.assert_array_equal(scores > threshold, p <= rate)
    else:
        assert guaranteed == smallest_p(len(calibration))
        assert threshold == calibration.max()
        np.testing.assert_array_equal(scores > threshold, p <= guaranteed)


@pytest.mark.parametrize("n", range(1, 400, 7))
def test_threshold_does_not_lose_a_rank_to_rounding(n: int) -> None:
    calibration = np.arange(n, dtype=float)
    for k in range(1, n + 1):
        threshold, guaranteed = false_alarm_threshold(calibration, k / (n + 1))
        assert threshold == n - k
        assert guaranteed == k / (n + 1)


def test_p_values_of_fresh_normals_are_valid_in_simulation() -> None:
    rng = np.random.default_rng(0)
    n_trials, n = 4000, 49
    draws = rng.lognormal(size=(n_trials, n + 1))
    p = np.array([conformal_p_values(row[:-1], row[-1:])[0] for row in draws])
    for level in (0.02, 0.1, 0.5):
        # for continuous scores P(p <= level) is exactly level where level * (n + 1) is whole
        low, high = binom.ppf([0.0005, 0.9995], n_trials, level)
        assert low <= np.sum(p <= level) <= high


def test_ties_only_make_p_values_larger() -> None:
    rng = np.random.default_rng(1)
    n_trials = 4000
    draws = rng.integers(0, 3, size=(n_trials, 20)).astype(float)
    p = np.array([conformal_p_values(row[:-1], row[-1:])[0] for row in draws])
    for level in (0.1, 0.35, 0.7):
        assert np.sum(p <= level) <= binom.ppf(0.9995, n_trials, level)


def test_benjamini_hochberg_by_hand() -> None:
    # m = 5, rate .25: steps .05 .10 .15 .20 .25; .14 <= .15 is the last to pass, so .09 and .12 are in too
    p = [0.30, 0.12, 0.01, 0.14, 0.90]
    np.testing.assert_array_equal(benjamini_hochberg(p, 0.25), [False, True, True, True, False])
    np.testing.assert_array_equal(benjamini_hochberg([0.4, 0.9], 0.1), [False, False])
    np.testing.assert_array_equal(benjamini_hochberg([0.04, 0.04], 0.05), [True, True])
    assert benjamini_hochberg([], 0.1).shape == (0,)


def test_benjamini_hochberg_on_conformal_p_values_keeps_the_false_discovery_rate() -> None:
    rng = np.random.default_rng(2)
    shares, found = [], []
    for _ in range(300):
        p = conformal_p_values(rng.normal(size=500), np.r_[rng.normal(size=90), rng.normal(4, 1, 10)])
        chosen = benjamini_hochberg(p, 0.2)
        shares.append(chosen[:90].sum() / max(chosen.sum(), 1))
        found.append(chosen[90:].mean())
    # the guarantee is rate * 90 / 100 = .18
    assert np.mean(shares) <= 0.18 + 3.3 * np.std(shares) / np.sqrt(300)
    assert np.mean(found) > 0.8


def test_smallest_p() -> None:
    assert smallest_p(99) == 0.01
    assert smallest_p(0) == 1.0
    assert conformal_p_values(np.arange(99.0), [1e9])[0] == smallest_p(99)


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        conformal_p_values([], [1.0])
    with pytest.raises(InputError, match="NaN at row 1"):
        conformal_p_values([1.0], [1.0, np.nan])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        benjamini_hochberg([0.5, 1.2], 0.1)
    with pytest.raises(ParameterError, match="rate"):
        benjamini_hochberg([0.5], 0.0)
    with pytest.raises(InputError, match="at least one"):
        false_alarm_threshold([], 0.1)
    with pytest.raises(ParameterError, match="rate"):
        false_alarm_threshold([1.0], 1.0)
