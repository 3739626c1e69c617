"""The score against its equations."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import KNearestNeighbours
from unseen.errors import ParameterError


def brute_force(X, bank, k):
    distances = np.sqrt(((X[:, None, :].astype(float) - bank[None].astype(float)) ** 2).sum(axis=2))
    return np.sort(distances, axis=1)[:, :k]


@pytest.mark.parametrize(("aggregation", "reduce"), [("mean", np.mean), ("kth", np.max)])
def test_the_score_is_the_equation(aggregation, reduce):
    random = np.random.default_rng(1)
    bank, X = random.normal(size=(50, 4)), random.normal(size=(20, 4))
    detector = KNearestNeighbours(n_neighbours=4, aggregation=aggregation, calibration_fraction=0).fit(bank)
    np.testing.assert_allclose(detector.decision_function(X), reduce(brute_force(X, bank, 4), axis=1))


def test_explanations_sum_to_the_mean_squared_distance():
    random = np.random.default_rng(2)
    bank, X = random.normal(size=(50, 4)), random.normal(size=(20, 4))
    detector = KNearestNeighbours(n_neighbours=4, calibration_fraction=0).fit(bank)
    np.testing.assert_allclose(
        detector.explain(X).sum(axis=1), (brute_force(X, bank, 4) ** 2).mean(axis=1), rtol=1e-10
    )


@pytest.mark.parametrize("n_references", [1, 3, 200])
def test_references_join_the_bank_for_their_domain_only(n_references):
    random = np.random.default_rng(3)
    bank, X = random.normal(size=(50, 4)), random.normal(size=(30, 4)) + 1
    references = random.normal(size=(n_references, 4)) + 1
    detector = KNearestNeighbours(n_neighbours=4, calibration_fraction=0).fit(bank)
    adapted = detector.adapt(references, domains=["here"] * n_references)
    joined = np.concatenate([bank, references])
    here = brute_force(X, joined, 4)
    np.testing.assert_allclose(adapted.decision_function(X, domains=["here"] * 30), here.mean(axis=1))
    np.testing.assert_allclose(
        adapted.explain(X, domains=["here"] * 30).sum(axis=1), (here**2).mean(axis=1), rtol=1e-10
    )
    there = adapted.decision_function(X, domains=["there"] * 30)
    np.testing.assert_allclose(there, brute_force(X, bank, 4).mean(axis=1))


def test_a_bank_smaller_than_k_counts_what_it_has():
    detector = KNearestNeighbours(n_neighbours=5, calibration_fraction=0).fit(np.array([[0.0], [1.0]]))
    assert detector.decision_function(np.array([[0.0]]))[0] == 0.5
    adapted = detector.adapt(np.array([[4.0]]))
    np.testing.assert_allclose(adapted.decision_function(np.array([[0.0]])), [5 / 3])
    assert adapted.set_params(aggregation="kth").decision_function(np.array([[0.0]]))[0] == 4.0


def test_the_bank_is_limited_by_seed():
    X = np.random.default_rng(0).normal(size=(100, 2))
    banks = [
        KNearestNeighbours(max_bank_rows=30, seed=seed, calibration_fraction=0).fit(X).bank_
        for seed in (0, 0, 1)
    ]
    assert [len(bank) for bank in banks] == [30, 30, 30]
    np.testing.assert_array_equal(banks[0], banks[1])
    assert not np.array_equal(banks[0], banks[2])
    assert len(KNearestNeighbours(max_bank_rows=None, calibration_fraction=0).fit(X).bank_) == 100


@pytest.mark.parametrize(
    "parameters", [{"n_neighbours": 0}, {"n_neighbours": 2.0}, {"aggregation": "max"}, {"max_bank_rows": 0}]
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ParameterError, match=rf"{next(iter(parameters))} must be"):
        KNearestNeighbours(**parameters).fit(np.zeros((3, 2)))
