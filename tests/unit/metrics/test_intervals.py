"""Intervals against published values, direct formulas and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from unseen.errors import InputError, ParameterError
from unseen.metrics import (
    auroc,
    bootstrap_interval,
    clopper_pearson_interval,
    delong_interval,
    hanley_mcneil_error,
    spread_over_seeds,
    wilson_interval,
)


def _delong_variance(anomalies: np.ndarray, normals: np.ndarray) -> float:
    """Placement values by the double loop of the definition."""
    wins = (anomalies[:, None] > normals).astype(float) + 0.5 * (anomalies[:, None] == normals)
    return float(
        np.var(wins.mean(axis=1), ddof=1) / len(anomalies) + np.var(wins.mean(axis=0), ddof=1) / len(normals)
    )


def test_delong_agrees_with_its_definition_ties_and_infinities_included() -> None:
    rng = np.random.default_rng(1)
    anomalies = np.append(rng.normal(1, 1, 40).round(1), [np.inf, -np.inf])
    normals = np.append(rng.normal(0, 1, 60).round(1), [np.inf, -np.inf])
    y = np.r_[np.ones(42, int), np.zeros(62, int)]
    scores = np.r_[anomalies, normals]
    area, low, high = delong_interval(y, scores)
    assert area == auroc(y, scores)
    half = 1.959964 * math.sqrt(_delong_variance(anomalies, normals)) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    assert math.log(low / (1 - low)) == pytest.approx(logit - half, rel=1e-5)
    assert math.log(high / (1 - high)) == pytest.approx(logit + half, rel=1e-5)


def test_delong_covers_the_true_area() -> None:
    rng = np.random.default_rng(2)
    truth = norm.cdf(1 / math.sqrt(2))
    y = np.r_[np.ones(60, int), np.zeros(60, int)]
    covered = 0
    for _ in range(400):
        _, low, high = delong_interval(y, rng.normal(y, 1.0))
        covered += low <= truth <= high
    assert binom.ppf(0.001, 400, 0.94) <= covered <= 397


@pytest.mark.parametrize("direction", [1, -1])
def test_delong_of_a_perfect_ranking_is_not_empty(direction: int) -> None:
    area, low, high = delong_interval([0] * 20 + [1] * 20, direction * np.arange(40.0))
    assert area == (1.0 if direction == 1 else 0.0)
    assert 0 <= low < high <= 1
    assert high - low > 0.1


def test_delong_with_one_anomaly_is_wide() -> None:
    _, low, high = delong_interval([0, 0, 0, 1], [1.0, 2.0, 3.0, 2.5])
    assert high - low > 0.5


def test_hanley_mcneil_published_example() -> None:
    # Hanley & McNeil (1982): A = .893 with 51 abnormal and 58 normal images gives SE .032 (to their rounding)
    assert hanley_mcneil_error(0.893, 51, 58) == pytest.approx(0.032, abs=1e-3)
    assert hanley_mcneil_error(0.5, 1, 1) == 0.5
    assert hanley_mcneil_error(1.0, 5, 5) == 0.0


def test_hanley_mcneil_is_exact_for_exponential_scores() -> None:
    # anomalies four times as spread out as normals: A = 4 / 5, the model that the formula comes from
    rng = np.random.default_rng(5)
    y = np.r_[np.ones(20, int), np.zeros(30, int)]
    areas = [auroc(y, rng.exponential(1 + 3 * y)) for _ in range(4000)]
    assert np.mean(areas) == pytest.approx(0.8, abs=0.004)
    assert np.std(areas) == pytest.approx(hanley_mcneil_error(0.8, 20, 30), rel=0.05)


def test_bootstrap_is_seeded_and_near_delong() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 400)
    scores = rng.normal(y, 1).round(1)
    first = bootstrap_interval(y, scores, seed=0, n_resamples=400)
    assert first == bootstrap_interval(y, scores, seed=0, n_resamples=400)
    exact = delong_interval(y, scores)
    assert first.estimate == exact.estimate
    assert first.low == pytest.approx(exact.low, abs=0.015)
    assert first.high == pytest.approx(exact.high, abs=0.015)


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (.8 + z²/20) / (1 + z²/10), known as (.4902, .9433)
    rate, low, high = wilson_interval(8, 10)
    assert (rate, low, high) == (0.8, pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 250)])
def test_clopper_pearson_ends_put_half_the_doubt_outside(k: int, n: int) -> None:
    rate, low, high = clopper_pearson_interval(k, n)
    assert rate == k / n
    if k > 0:
        assert binom.sf(k - 1, n, low) == pytest.approx(0.025)
    else:
        assert low == 0
    if k < n:
        assert binom.cdf(k, n, high) == pytest.approx(0.025)
    else:
        assert high == 1


def test_spread_over_seeds() -> None:
    spread = spread_over_seeds([1.0, 2.0, 6.0])
    assert (spread.mean, spread.minimum, spread.maximum, spread.n) == (3.0, 1.0, 6.0, 3)
    assert spread.standard_deviation == pytest.approx(math.sqrt(7))
    assert math.isnan(spread_over_seeds([1.0]).standard_deviation)


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="without NaN"):
        spread_over_seeds([0.1, np.nan])
    with pytest.raises(ParameterError, match="successes"):
        wilson_interval(3, 2)
    with pytest.raises(ParameterError, match="confidence"):
        clopper_pearson_interval(1, 2, confidence=1.0)
    with pytest.raises(ParameterError, match="n_resamples"):
        bootstrap_interval([0, 1], [0.0, 1.0], seed=0, n_resamples=0)
