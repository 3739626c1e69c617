"""Scores and moments against scikit-learn and against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import OAS, EmpiricalCovariance, LedoitWolf

from unseen.detectors import Mahalanobis
from unseen.detectors.baselines.mahalanobis import blended_moments, floored, inverse, shrunk_covariance
from unseen.errors import ParameterError

PEERS = {"ledoit-wolf": LedoitWolf, "oas": OAS, "empirical": EmpiricalCovariance}


@pytest.mark.parametrize("shrinkage", PEERS)
def test_scores_are_those_of_scikit_learn(shrinkage):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 5)) @ random.normal(size=(5, 5))
    rows = random.normal(size=(30, 5)) * 3
    detector = Mahalanobis(shrinkage=shrinkage, calibration_fraction=0).fit(X)
    peer = PEERS[shrinkage]().fit(X)
    np.testing.assert_allclose(detector.decision_function(rows) ** 2, peer.mahalanobis(rows), rtol=1e-8)


def test_a_row_worked_out_by_hand():
    X = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])  # covariance diag(2, 0.5), mean 0
    detector = Mahalanobis(shrinkage="empirical", calibration_fraction=0).fit(X)
    np.testing.assert_allclose(detector.decision_function(np.array([[2.0, 1.0]])), [2.0])
    np.testing.assert_allclose(detector.explain(np.array([[2.0, 1.0]])), [[2.0, 2.0]])


def test_explanations_sum_to_the_squared_score():
    random = np.random.default_rng(1)
    X = random.normal(size=(100, 6)) @ random.normal(size=(6, 6))
    detector = Mahalanobis().fit(X)
    np.testing.assert_allclose(detector.explain(X).sum(axis=1), detector.decision_function(X) ** 2, rtol=1e-9)


def test_blending_equals_the_moments_of_a_weighted_mixture():
    random = np.random.default_rng(2)
    pooled, references = random.normal(size=(40, 3)), random.normal(size=(10, 3)) * 2 + 3
    mean, covariance = blended_moments(
        pooled.mean(axis=0), np.cov(pooled.T, bias=True), references, prior=len(pooled)
    )
    both = np.concatenate([pooled, references])
    np.testing.assert_allclose(mean, both.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(both.T, bias=True))


def test_many_references_outweigh_the_pooled_normals_and_few_do_not():
    random = np.random.default_rng(3)
    X, references = random.normal(size=(300, 3)), random.normal(size=(5000, 3)) + 8
    detector = Mahalanobis(reference_prior=10.0).fit(X)
    many = detector.adapt(references, domains=["a"] * 5000)
    few = detector.adapt(references[:1], domains=["a"])
    np.testing.assert_allclose(many.means_[0], references.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(
        few.means_[0], detector.means_[-1] + (references[0] - detector.means_[-1]) / 11
    )


@pytest.mark.parametrize("shrinkage", PEERS)
def test_floors_keep_every_covariance_invertible(shrinkage):
    random = np.random.default_rng(4)
    flat = np.column_stack([random.normal(size=50), np.zeros(50), np.ones(50)])
    for X in (flat, flat[:1], np.ones((5, 3)), random.normal(size=(3, 20))):
        covariance = floored(shrunk_covariance(X.astype(float), shrinkage))
        scale = np.trace(covariance) / len(covariance)
        assert np.linalg.eigvalsh(covariance).min() >= 0.99e-6 * scale > 0


def test_the_inverse_is_that_of_a_general_solver_and_exactly_symmetric():
    rows = np.random.default_rng(5).normal(size=(40, 6)) @ np.diag([1e-3, 0.1, 1, 1, 10, 1e3])
    covariance = floored(shrunk_covariance(rows, "ledoit-wolf"))
    found = inverse(covariance)
    np.testing.assert_allclose(found, np.linalg.inv(covariance), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(inverse(np.array([[2.0, 1.0], [1.0, 1.0]])), [[1, -1], [-1, 2]], rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        inverse(np.diag([1.0, -1.0]))


def test_a_covariance_with_small_eigenvalues_is_floored_in_its_own_axes():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    found = floored(turn @ np.diag([2.0, 0.0]) @ turn.T)
    np.testing.assert_allclose(found, turn @ np.diag([2.0, 1e-6]) @ turn.T, rtol=0, atol=1e-12)


def test_a_well_conditioned_covariance_is_left_as_it_is():
    covariance = np.diag([1.0, 2.0, 3.0])
    assert floored(covariance) is covariance
    np.testing.assert_array_equal(floored(np.zeros((2, 2))), np.eye(2))


@pytest.mark.parametrize(
    "parameters", [{"shrinkage": "none"}, {"reference_prior": 0}, {"reference_prior": "x"}]
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ParameterError, match=rf"{next(iter(parameters))} must be"):
        Mahalanobis(**parameters).fit(np.zeros((3, 2)))
