"""Calibration: thresholds, probabilities and their fallbacks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import expit, logit

from unseen.errors import InputError, LabelError, ParameterError
from unseen.metrics import f1_max
from unseen.scoring import Calibration, conformal_p_values, f1_threshold
from unseen.scoring.logistic import SMALLEST_SLOPE, fit_logistic, positions, robust_location


def _pool(n_normals: int, n_anomalies: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = np.r_[rng.lognormal(size=n_normals), rng.lognormal(2.5, 0.7, size=n_anomalies)]
    return scores, np.r_[np.zeros(n_normals, int), np.ones(n_anomalies, int)]


def test_fields_by_hand() -> None:
    made = Calibration.from_scores([3, 1, 2, 9, 7], [0, 0, 0, 1, -1], false_alarm_rate=0.5)
    np.testing.assert_array_equal(made.normal_scores, [1, 2, 3])
    # k = floor(.5 * 4) = 2: the second largest normal score
    assert (made.threshold, made.guaranteed_false_alarm_rate) == (2.0, 0.5)
    assert (made.smallest_p, made.prior, made.n_anomalies) == (0.25, 0.25, 1)
    assert made.f1_threshold == 6.0
    np.testing.assert_array_equal(made.p_values([0, 2.5, 10]), [1, 0.5, 0.25])
    np.testing.assert_array_equal(made.flags([2.0, 2.1]), [False, True])


def test_every_field_can_be_stored() -> None:
    made = Calibration.from_scores(*_pool(50, 3), false_alarm_rate=0.05)
    for field in dataclasses.fields(made):
        assert isinstance(getattr(made, field.name), float | np.ndarray), field.name


def test_too_few_normals_for_the_rate_are_said_so() -> None:
    made = Calibration.from_scores([1.0, 5.0, 3.0], [0, 0, 0], false_alarm_rate=0.01)
    assert made.threshold == 5.0
    assert made.guaranteed_false_alarm_rate == 0.25
    assert made.false_alarm_rate == 0.01


@settings(max_examples=100, deadline=None)
@given(
    arrays(
        np.float64,
        st.integers(1, 30),
        elements=st.one_of(st.sampled_from([0.0, 1.0, np.inf, -np.inf]), st.floats(allow_nan=False)),
    ),
    st.integers(0, 2**30),
    st.sampled_from([0.01, 0.1, 0.5]),
)
def test_probabilities_never_fall_with_the_score(scores: np.ndarray, bits: int, rate: float) -> None:
    y = (bits >> np.arange(len(scores))) & 1
    y[0] = 0
    made = Calibration.from_scores(scores, y, false_alarm_rate=rate)
    assert made.slope >= SMALLEST_SLOPE
    grid = np.sort(np.r_[scores, np.linspace(-5, 5, 41), -np.inf, np.inf])
    p = made.probabilities(grid)
    assert np.all((p >= 0) & (p <= 1))
    assert np.all(np.diff(p) >= -1e-12)
    np.testing.assert_array_equal(made.flags(grid), grid > made.threshold)
    np.testing.assert_array_equal(made.p_values(grid), conformal_p_values(scores[y == 0], grid))


@pytest.mark.parametrize("n_anomalies", [0, 1, 2, 10, 100])
def test_probabilities_rise_strictly_over_the_useful_range(n_anomalies: int) -> None:
    scores, y = _pool(500, n_anomalies)
    made = Calibration.from_scores(scores, y, false_alarm_rate=0.01)
    p = made.probabilities(np.linspace(-100, 10_000, 5000))
    assert np.all(np.diff(p) > 0)
    assert p[-1] < 1


@pytest.mark.parametrize("n_anomalies", [1, 3, 30])
def test_mean_probability_over_the_pool_is_its_share_of_anomalies(n_anomalies: int) -> None:
    scores, y = _pool(400, n_anomalies)
    made = Calibration.from_scores(scores, y, false_alarm_rate=0.01)
    assert made.probabilities(scores).mean() == pytest.approx(made.prior, rel=1e-3)


def test_fit_is_the_posterior_mode() -> None:
    scores, y = _pool(80, 12, seed=4)
    curve = fit_logistic(scores, y == 1)
    t = np.arcsinh((scores - np.median(scores[y == 0])) / curve.scale)

    def minus_log_posterior(v: np.ndarray) -> float:
        p = expit(v[0] + v[1] * t)
        return float(-np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) + (v[1] - 1) ** 2 / 2)

    reference = minimize(minus_log_posterior, [0.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-9})
    assert (curve.intercept, curve.slope) == pytest.approx(tuple(reference.x), rel=1e-4)


def test_perfectly_separated_anomalies_leave_the_slope_finite() -> None:
    scores = np.r_[np.linspace(0, 1, 100), [1e6, 2e6]]
    made = Calibration.from_scores(scores, np.r_[np.zeros(100, int), 1, 1], false_alarm_rate=0.05)
    assert 0.5 < made.slope < 3
    assert made.probabilities([1e6])[0] > 0.9
    assert made.probabilities([0.5])[0] < 0.02


def test_anomalies_that_score_low_do_not_turn_the_curve_round() -> None:
    scores = np.r_[np.linspace(10, 20, 200), np.full(50, -40.0)]
    made = Calibration.from_scores(scores, np.r_[np.zeros(200, int), np.ones(50, int)], false_alarm_rate=0.05)
    assert made.slope == pytest.approx(SMALLEST_SLOPE)
    p = made.probabilities([-40.0, 15.0, 100.0])
    assert p[0] < p[1] < p[2]


def test_recovers_the_true_probabilities_from_a_large_pool() -> None:
    # anomalies are normals tilted by exp(1.4 asinh(s)), so the log-odds are 1.4 asinh(s) and a constant
    rng = np.random.default_rng(6)
    normals, proposals = rng.normal(size=20_000), rng.normal(size=200_000)
    tilt = np.exp(1.4 * np.arcsinh(proposals))
    anomalies = rng.choice(proposals, 20_000, p=tilt / tilt.sum())
    y = np.r_[np.zeros(20_000, int), np.ones(20_000, int)]
    made = Calibration.from_scores(np.r_[normals, anomalies], y, false_alarm_rate=0.05)
    grid = np.linspace(-3, 3, 13)
    truth = expit(1.4 * np.arcsinh(grid) - np.log(tilt.mean()))
    np.testing.assert_allclose(made.probabilities(grid), truth, atol=0.02)


def test_prior_moves_the_odds_by_a_constant_factor() -> None:
    scores, y = _pool(90, 10)
    made = Calibration.from_scores(scores, y, false_alarm_rate=0.05)
    assert made.prior == 0.1
    at_pool, rarer = made.probabilities(scores), made.probabilities(scores, prior=0.001)
    shift = logit(0.001) - logit(0.1)
    np.testing.assert_allclose(logit(rarer), logit(at_pool) + shift, rtol=1e-9)
    np.testing.assert_array_equal(made.probabilities(scores, prior=0.1), at_pool)


def test_without_anomalies_probability_is_half_at_the_threshold() -> None:
    scores, y = _pool(300, 0)
    made = Calibration.from_scores(scores, y, false_alarm_rate=0.05)
    assert np.isnan(made.f1_threshold)
    assert (made.n_anomalies, made.prior) == (0, 0.5)
    assert made.probabilities([made.threshold])[0] == pytest.approx(0.5)
    np.testing.assert_array_equal(made.probabilities(scores) > 0.5 + 1e-12, scores > made.threshold)


@pytest.mark.parametrize(
    "normals",
    [[1.0], [1.0, 1.0, 1.0], [np.inf], [-np.inf, np.inf], [0.0, np.inf], [1e308, -1e308, 0.0], [1e-320, 0.0]],
)
def test_degenerate_normals_still_give_ordered_probabilities(normals: list[float]) -> None:
    for anomalies in ([], [np.inf], [2.0, -np.inf]):
        y = np.r_[np.zeros(len(normals), int), np.ones(len(anomalies), int)]
        made = Calibration.from_scores(normals + anomalies, y, false_alarm_rate=0.1)
        p = made.probabilities([-np.inf, -1.0, 0.0, 1.0, 1e300, np.inf])
        assert np.all(np.diff(p) >= -1e-12)
        assert np.all(np.isfinite(p))
        assert p[-1] > p[0]


def test_robust_location_by_hand() -> None:
    assert robust_location(np.array([1.0, 2.0, 3.0, 4.0, np.inf])) == (2.5, pytest.approx(1.4826))
    # more than half equal: mean absolute deviation .75 stands in
    assert robust_location(np.array([0.0, 0.0, 0.0, 3.0])) == (0.0, pytest.approx(1.2533 * 0.75))
    assert robust_location(np.array([5.0, 5.0])) == (5.0, 1.0)
    assert robust_location(np.array([np.inf])) == (0.0, 1.0)


def test_positions_are_linear_near_and_logarithmic_far() -> None:
    t = positions(np.array([10.01, 10.0, 1e8, -np.inf, np.inf]), 10.0, 1.0)
    np.testing.assert_allclose(t[:3], [0.01, 0.0, np.log(2e8)], rtol=1e-4)
    assert t[3] == -np.inf
    assert t[4] == np.inf


def test_f1_threshold_leaves_unlabelled_rows_out() -> None:
    scores = [1.0, 2.0, 3.0, 100.0]
    assert f1_threshold([0, 1, 1, -1], scores) == f1_max([0, 1, 1], scores[:3])[1] == 1.5
    assert np.isnan(f1_threshold([0, 0, -1, -1], scores))


def test_unusable_input_is_refused() -> None:
    with pytest.raises(LabelError, match="normal rows"):
        Calibration.from_scores([1.0], [1], false_alarm_rate=0.1)
    with pytest.raises(LabelError, match="one value a score"):
        Calibration.from_scores([1.0, 2.0], [0], false_alarm_rate=0.1)
    with pytest.raises(InputError, match="NaN at row 0"):
        Calibration.from_scores([np.nan], [0], false_alarm_rate=0.1)
    with pytest.raises(ParameterError, match="rate"):
        Calibration.from_scores([1.0], [0], false_alarm_rate=1.0)
    made = Calibration.from_scores([1.0], [0], false_alarm_rate=0.1)
    with pytest.raises(ParameterError, match="prior"):
        made.probabilities([1.0], prior=0.0)
    with pytest.raises(InputError, match="NaN"):
        made.flags([np.nan])
