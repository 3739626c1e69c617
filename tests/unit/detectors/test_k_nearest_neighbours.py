"""The neighbour search against brute force, and the score against its equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unseen.detectors import KNearestNeighbours
from unseen.detectors.baselines.k_nearest_neighbours import nearest_rows
from unseen.errors import ParameterError


def brute_force(X, bank, k):
    distances = np.sqrt(((X[:, None, :].astype(float) - bank[None].astype(float)) ** 2).sum(axis=2))
    return np.sort(distances, axis=1)[:, :k]


def far_from_zero(random, n):
    return random.normal(size=(n, 12)) + 1000.0


def tight_cluster_far_out(random, n):
    """Neighbours far closer than the centre: the product alone cannot tell them apart."""
    return np.where(
        np.arange(n)[:, None] % 2, 3000.0 + 1e-3 * random.normal(size=(n, 12)), random.normal(size=(n, 12))
    )


def many_copies(random, n):
    return np.repeat(random.normal(size=(n // 20 + 1, 12)), 20, axis=0)[:n]


def few_values(random, n):
    return random.integers(0, 2, size=(n, 12)).astype(float)


WORLDS = [far_from_zero, tight_cluster_far_out, many_copies, few_values]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_bank", "k"), [(1, 1), (7, 5), (40, 60), (2500, 5), (2500, 1)])
def test_the_search_is_exact(world, dtype, n_bank, k):
    random = np.random.default_rng(0)
    bank, X = world(random, n_bank).astype(dtype), world(random, 90).astype(dtype)
    X[:5] = bank[np.arange(5) % n_bank]
    distances, positions = nearest_rows(X, bank, bank.mean(axis=0, dtype=np.float64), k)
    assert distances.shape == positions.shape == (90, min(k, n_bank))
    np.testing.assert_allclose(distances, brute_force(X, bank, k), rtol=2e-6, atol=0)
    reached = np.sqrt(((X[:, None, :].astype(float) - bank[positions].astype(float)) ** 2).sum(axis=2))
    np.testing.assert_allclose(reached, distances, rtol=2e-6, atol=0)
    assert all(len(set(row)) == len(row) for row in positions.tolist())


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(1, 8),
)
def test_any_bank_is_searched_exactly(bank, k):
    X = np.concatenate([bank[:3], bank[:3] + 0.5])
    distances, _ = nearest_rows(X, bank, bank.mean(axis=0), k)
    np.testing.assert_allclose(distances, brute_force(X, bank, k), rtol=1e-9, atol=1e-12)


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
