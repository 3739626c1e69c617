"""The neighbour search against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unseen.detectors import exact_search
from unseen.detectors.exact_search import nearest_rows


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


def waves(random, n, dtype=np.float64):
    """Many features that move together, so that few directions hold most of the variance."""
    bases = np.random.default_rng(7).normal(size=(4, 64))
    return (random.normal(size=(n, 4)) @ bases + 0.05 * random.normal(size=(n, 64)) + 5.0).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_directions_find_the_same_rows(dtype):
    random = np.random.default_rng(4)
    bank, X = waves(random, 2_100, dtype), waves(random, 600, dtype)
    X[:3], X[3] = bank[:3], 40.0
    centre = bank.mean(axis=0, dtype=np.float64)
    directions = exact_search._directions(X, bank, centre)
    assert directions is not None
    assert directions.shape[1] < 32
    np.testing.assert_allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-10)
    distances, positions = nearest_rows(X, bank, centre, 5)
    np.testing.assert_allclose(distances, brute_force(X, bank, 5), rtol=2e-6, atol=0)
    alone = [nearest_rows(X[i : i + 1], bank, centre, 5) for i in range(0, 600, 7)]
    np.testing.assert_array_equal(np.concatenate([one[0] for one in alone]), distances[::7])
    np.testing.assert_array_equal(np.concatenate([one[1] for one in alone]), positions[::7])


def test_what_few_directions_hide_is_searched_again():
    """Rows that differ in what is left over only: candidates along the directions prove nothing."""
    random = np.random.default_rng(5)
    bank = waves(random, 2_100)
    bank[1_000:] = bank[0] + 0.1 * random.normal(size=(1_100, 64))
    X = bank[1_000:1_600] + 0.01 * random.normal(size=(600, 64))
    assert exact_search._directions(X, bank, bank.mean(axis=0)) is not None
    distances, positions = nearest_rows(X, bank, bank.mean(axis=0), 3)
    np.testing.assert_array_equal(positions[:, 0], np.arange(1_000, 1_600))
    np.testing.assert_allclose(distances, brute_force(X, bank, 3), rtol=1e-9)


@pytest.mark.parametrize("n_hard", [0, 128, 600])
def test_few_directions_are_given_up_where_they_prove_little(monkeypatch, n_hard):
    random = np.random.default_rng(8)
    bank, X = waves(random, 2_100), waves(random, 600)
    bank[1_000:] = bank[0] + 0.1 * random.normal(size=(1_100, 64))
    X[:n_hard] = bank[1_000 : 1_000 + n_hard] + 0.05 * random.normal(size=(n_hard, 64))
    asked = []
    fill = exact_search._Search.fill

    def counted(search, rows, table, directions=None):
        asked.append((len(rows), directions is not None))
        return fill(search, rows, table, directions)

    monkeypatch.setattr(exact_search._Search, "fill", counted)
    distances, _positions = nearest_rows(X, bank, bank.mean(axis=0), 3)
    np.testing.assert_allclose(distances, brute_force(X, bank, 3), rtol=1e-9)
    assert asked[0] == (128, True)
    if n_hard:
        assert asked[1][0] > 480
        assert not asked[1][1]
    else:
        assert asked[1] == (472, True)


def test_rows_that_are_equally_far_come_in_the_order_of_the_bank():
    bank = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]), 3, axis=0)
    _distances, positions = nearest_rows(np.zeros((1, 2)), bank, bank.mean(axis=0), 4)
    assert positions.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("width", [5, 80, 16 * 40, 16 * 16 * 40])
def test_the_smallest_values_of_each_row(width):
    values = np.random.default_rng(6).permuted(np.tile(np.arange(width, dtype=np.float32), (20, 1)), axis=1)
    columns = exact_search.smallest_columns(values, 4)
    np.testing.assert_array_equal(np.sort(np.take_along_axis(values, columns, axis=1)), [[0, 1, 2, 3]] * 20)


@pytest.mark.parametrize(("n_bank", "rows"), [(1_000, 1_000), (20_000, 128), (100_000, 40), (10**6, 16)])
def test_rows_at_once_keep_their_products_few(n_bank, rows):
    assert exact_search._rows_at_once(n_bank) == rows


def test_how_many_rows_are_compared_at_once_changes_nothing(monkeypatch):
    random = np.random.default_rng(8)
    bank = random.normal(size=(300, 5)).astype(np.float32)
    rows = random.normal(size=(200, 5)).astype(np.float32)
    at_once = nearest_rows(rows, bank, bank.mean(axis=0, dtype=np.float64), 4)
    monkeypatch.setattr(exact_search, "_rows_at_once", lambda n_bank: 7)
    few = nearest_rows(rows, bank, bank.mean(axis=0, dtype=np.float64), 4)
    for found, expected in zip(few, at_once, strict=True):
        np.testing.assert_array_equal(found, expected)
