"""Fusion of cues: scale, sums and combined p-values, by hand and in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, cauchy, norm

from unseen.errors import InputError, ParameterError
from unseen.scoring import bonferroni_p, cauchy_p, harmonic_p, log_scaled_robust_z, sum_fusion
from unseen.scoring.fusion import harmonic_factor


def test_robust_z_by_hand() -> None:
    normals = [0.0, 1.0, 3.0, 7.0, 15.0]
    # origin 0, unit 3: l = log(1 + s / 3); median l(3) = log 2, MAD over |l - log 2|
    logs = np.log1p(np.array(normals) / 3)
    mad = np.median(np.abs(logs - np.log(2)))
    expected = (np.log1p(np.array([3.0, 30.0, 0.0]) / 3) - np.log(2)) / (1.4826 * mad)
    np.testing.assert_allclose(log_scaled_robust_z([3.0, 30.0, 0.0], normals), expected)


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e9, 1e9)),
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
)
def test_robust_z_rises_with_the_score(normals: np.ndarray, unit: float, offset: float) -> None:
    grid = np.sort(np.r_[normals, np.linspace(-10, 10, 21) * unit + offset])
    z = log_scaled_robust_z(grid, normals)
    assert np.all(np.isfinite(z))
    assert np.all(np.diff(z) >= -1e-9 * (1 + np.abs(z[1:])))


def test_robust_z_does_not_depend_on_unit_or_origin() -> None:
    rng = np.random.default_rng(0)
    normals, rows = rng.lognormal(size=200), rng.lognormal(1, 2, size=50)
    base = log_scaled_robust_z(rows, normals)
    np.testing.assert_allclose(log_scaled_robust_z(7 * rows - 40, 7 * normals - 40), base, atol=1e-9)


def test_robust_z_of_infinite_and_equal_scores() -> None:
    z = log_scaled_robust_z([-np.inf, 2.0, 3.0, np.inf], [2.0, 2.0, 2.0])
    assert (z[0], z[1], z[3]) == (-np.inf, 0.0, np.inf)
    assert 0 < z[2] < np.inf


def test_sum_fusion_by_hand() -> None:
    cues = [[1.0, 3.0], [0.0, np.inf], [-np.inf, 1.0]]
    np.testing.assert_array_equal(sum_fusion(cues), [2.0, np.inf, -np.inf])
    np.testing.assert_array_equal(sum_fusion(cues, [3, 1]), [1.5, np.inf, -np.inf])
    np.testing.assert_array_equal(sum_fusion(cues, [1, 0]), [1.0, 0.0, -np.inf])


@pytest.mark.parametrize("k", [3, 5, 20, 100])
def test_harmonic_factor_for_equal_weights_is_the_published_optimum(k: int) -> None:
    # Vovk & Wang (2020): (y + k)² / ((y + 1) k) where y² = k ((y + 1) log(y + 1) - y)
    low, high = 1e-6, 1e6
    for _ in range(200):
        y = math.sqrt(low * high)
        low, high = (low, y) if y * y > k * ((y + 1) * math.log1p(y) - y) else (y, high)
    assert harmonic_factor(np.ones(k)) == pytest.approx((y + k) ** 2 / ((y + 1) * k), rel=1e-4)


def test_harmonic_factor_of_one_and_two_cues() -> None:
    assert harmonic_factor([3.0]) == pytest.approx(1)
    assert harmonic_factor([1.0, 1.0]) == pytest.approx(2, rel=1e-4)
    assert harmonic_factor([0.0, 5.0]) == pytest.approx(1)
    assert 1 < harmonic_factor([0.98, 0.01, 0.01]) < harmonic_factor([1, 1, 1])


def test_harmonic_and_bonferroni_by_hand() -> None:
    p = [[0.01, 0.03], [0.5, 1.0]]
    # harmonic means .015 and 2/3, times 2, at most 1
    np.testing.assert_allclose(harmonic_p(p), [0.03, 1.0], rtol=1e-4)
    np.testing.assert_allclose(bonferroni_p(p), [0.02, 1.0])
    np.testing.assert_allclose(bonferroni_p(p, [1, 3]), [0.04, 1.0])
    for combine in (harmonic_p, bonferroni_p, cauchy_p):
        np.testing.assert_allclose(combine([[0.2, 0.7]], [1, 0]), [0.2])


def test_cauchy_by_its_definition() -> None:
    p = np.array([[0.01, 0.4], [1e-12, 0.9], [0.5, 0.5]])
    statistic = np.mean(np.tan((0.5 - p) * np.pi), axis=1)
    np.testing.assert_allclose(cauchy_p(p), cauchy.sf(statistic), rtol=1e-4)
    assert cauchy_p([[1e-250, 0.5]])[0] == pytest.approx(2e-250)
    assert 0 < cauchy_p([[0.001, 1.0]])[0] < 1


@pytest.mark.parametrize("combine", [harmonic_p, bonferroni_p])
@pytest.mark.parametrize("weights", [None, [0.7, 0.2, 0.1]])
@pytest.mark.parametrize("correlation", [-0.49, 0.0, 0.9])
def test_combined_p_values_are_valid_under_dependence(combine, weights, correlation) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(7)
    n = 20_000
    covariance = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    p = norm.sf(rng.multivariate_normal(np.zeros(3), covariance, size=n))
    combined = combine(p, weights)
    for level in (0.01, 0.1, 0.5):
        assert np.sum(combined <= level) <= binom.ppf(0.9995, n, level)


def test_cauchy_is_exact_for_independent_p_values() -> None:
    rng = np.random.default_rng(8)
    combined = cauchy_p(rng.random((20_000, 4)), [4, 3, 2, 1])
    for level in (0.01, 0.1, 0.5):
        low, high = binom.ppf([0.0005, 0.9995], 20_000, level)
        assert low <= np.sum(combined <= level) <= high


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="finite score"):
        log_scaled_robust_z([1.0], [np.inf])
    with pytest.raises(InputError, match="2 dimensions"):
        sum_fusion([1.0, 2.0])
    with pytest.raises(InputError, match=r"\+inf and -inf"):
        sum_fusion([[np.inf, -np.inf]])
    with pytest.raises(ParameterError, match="one value a cue"):
        sum_fusion([[1.0, 2.0]], [1.0])
    with pytest.raises(ParameterError, match="not negative"):
        harmonic_p([[0.1, 0.2]], [1, -1])
    with pytest.raises(InputError, match=r"\(0, 1\]"):
        cauchy_p([[0.0, 0.2]])
