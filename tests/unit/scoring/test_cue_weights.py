"""Weights of cues: against a plain minimisation, and where the prior stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from unseen.scoring.cue_weights import learned_weights, skilled_prior

PRIOR = np.array([0.55, 0.10, 0.35])


def drawn(gains: tuple[float, float, float], n: int = 200, m: int = 20) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    spread = np.array([0.1, 0.5, 0.3])
    normals = draw.normal(-1, 1, (n, 3)) * spread
    return normals, draw.normal(-1, 1, (m, 3)) * spread + np.array(gains) * spread


def test_it_is_the_minimum_of_the_definition():
    normals, anomalies = drawn((1.0, 2.0, 0.0), n=30, m=5)
    scale = normals.std(axis=0)
    first = 2 * PRIOR * scale / (normals @ PRIOR).std()
    x, y = (normals - normals.mean(axis=0)) / scale, (anomalies - normals.mean(axis=0)) / scale

    def loss(values: np.ndarray) -> float:
        slopes, b = np.abs(values[:3]), values[3]
        total = 5 / 30 * sum(np.log1p(np.exp(row @ slopes + b)) for row in x)
        total += sum(np.log1p(np.exp(-(row @ slopes) - b)) for row in y)
        return float(total + ((slopes - first) ** 2).sum())

    options = {"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-12}
    found = np.abs(minimize(loss, np.append(first, 0.0), method="Nelder-Mead", options=options).x[:3]) / scale
    np.testing.assert_allclose(learned_weights(normals, anomalies, PRIOR), found / found.sum(), atol=1e-4)


@pytest.mark.parametrize("cue", [0, 1, 2])
def test_the_cue_that_tells_anomalies_gains(cue):
    gains = [0.0, 0.0, 0.0]
    gains[cue] = 4.0
    weights = learned_weights(*drawn(tuple(gains)), PRIOR)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights[cue] > PRIOR[cue]


def test_few_anomalies_say_little():
    normals, anomalies = drawn((0.0, 3.0, 0.0))
    one, many = (learned_weights(normals, anomalies[:m], PRIOR)[1] for m in (1, 20))
    assert PRIOR[1] < one < many


def test_without_anomalies_the_prior_stays():
    normals, _ = drawn((0.0, 0.0, 0.0))
    np.testing.assert_allclose(learned_weights(normals, np.zeros((0, 3)), 4 * PRIOR), PRIOR)


def test_a_cue_that_does_not_vary_does_no_harm():
    normals, anomalies = drawn((2.0, 0.0, 0.0))
    normals[:, 1] = anomalies[:, 1] = -3.0
    assert np.isfinite(learned_weights(normals, anomalies, PRIOR)).all()


def test_the_prior_of_a_cue_falls_with_its_skill_by_hand():
    normals = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    anomalies = np.array([[1.0, 0.5, -1.0], [1.0, 0.5, 0.5], [1.0, 2.0, -1.0], [1.0, 0.5, -1.0]])
    # AUROC 1, 5 / 8, 1 / 8; their mean 7 / 12 counts for two anomalies more
    drawn = (4 * np.array([1.0, 5 / 8, 1 / 8]) + 2 * 7 / 12) / 6
    expected = PRIOR * np.array([(2 * drawn[0] - 1) ** 2, (2 * drawn[1] - 1) ** 2, 0.0])
    np.testing.assert_allclose(skilled_prior(normals, anomalies, PRIOR), expected / expected.sum())


def test_the_prior_stays_where_no_cue_tells_or_all_do():
    normals, anomalies = np.zeros((4, 3)), np.ones((2, 3))
    for some in (anomalies, -anomalies, np.zeros((0, 3))):
        np.testing.assert_allclose(skilled_prior(normals, some, 3 * PRIOR), PRIOR)
