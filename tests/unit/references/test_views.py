"""Views of rows from the references of their domain, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.references import VIEWS, apply_view, build_store, extend_store, nearest, reference_rows

X = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 16.0], [100.0, 0.0], [104.0, 0.0], [7.0, 7.0], [50.0, 50.0]])
DOMAINS = np.array(["a", "a", "a", "b", "b", "", "a"])
NORMAL = np.array([1, 1, 1, 1, 1, 1, 0], dtype=bool)


def _store(n_references: int, *, keep_rows: bool = True):  # type: ignore[no-untyped-def]
    marked = reference_rows(DOMAINS, NORMAL, n_references)
    return build_store(X, DOMAINS, marked, NORMAL, keep_rows=keep_rows)


def test_reference_rows_are_the_first_usable_ones_of_named_domains() -> None:
    usable = np.array([0, 1, 1, 1, 1, 1, 1], dtype=bool)
    marked = reference_rows(DOMAINS, usable, 2)
    np.testing.assert_array_equal(np.flatnonzero(marked), [1, 2, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(reference_rows(DOMAINS, usable, 1)), [1, 3])
    assert not reference_rows(DOMAINS, usable, 0).any()
    assert not reference_rows(np.array(["", ""]), np.ones(2, bool), 5).any()


def test_store_holds_medians_and_pooled_median_last() -> None:
    store = _store(3)
    assert store.domains.tolist() == ["a", "b"]
    # pooled: median of 0 2 4 100 104 7 and of 10 10 16 0 0 7
    np.testing.assert_allclose(store.centres, [[2, 10], [102, 0], [5.5, 8.5]])
    np.testing.assert_array_equal(store.offsets, [0, 3, 5, 11])
    np.testing.assert_array_equal(store.rows[:5], X[:5])
    np.testing.assert_array_equal(store.rows[5:], X[:6])


def test_spreads_by_hand() -> None:
    store = _store(3)
    # residuals to their own domain's median: a (-2 0 2), (0 0 6); b (-2 2), (0 0)
    pooled = [math.sqrt(16 / 5), math.sqrt(36 / 5)]
    np.testing.assert_allclose(store.spreads[2], pooled)
    # a: 3 references weigh 3 / 11 against the pooled spread; mean squares 8 / 3 and 12
    np.testing.assert_allclose(
        store.spreads[0],
        [math.sqrt(3 / 11 * 8 / 3 + 8 / 11 * 16 / 5), math.sqrt(3 / 11 * 12 + 8 / 11 * 36 / 5)],
    )
    np.testing.assert_allclose(
        store.spreads[1], [math.sqrt(2 / 10 * 4 + 8 / 10 * 16 / 5), math.sqrt(8 / 10 * 36 / 5)]
    )


def test_a_feature_that_never_varies_has_spread_one() -> None:
    rows = np.array([[1.0, 5.0], [3.0, 5.0]])
    store = build_store(rows, np.array(["", ""]), np.zeros(2, bool), np.ones(2, bool), keep_rows=False)
    np.testing.assert_allclose(store.spreads, [[1.0, 1.0]])
    np.testing.assert_allclose(store.centres, [[2.0, 5.0]])
    assert store.rows.shape == (0, 2)


def test_views_by_hand() -> None:
    store = _store(3)
    rows = np.array([[3.0, 15.0], [103.0, 1.0], [9.0, 9.0]])
    domains = np.array(["a", "b", "elsewhere"])
    assert apply_view("raw", rows, domains, store) is rows
    residual = apply_view("residual-centre", rows, domains, store)
    np.testing.assert_allclose(residual, [[1, 5], [1, 1], [3.5, 0.5]])
    np.testing.assert_allclose(apply_view("scaled-centre", rows, domains, store), residual / store.spreads)
    # nearest: (4, 16) in a; (104, 0) before (100, 0) in b; (7, 7) among the pooled normals
    np.testing.assert_allclose(
        apply_view("residual-nearest", rows, domains, store), [[-1, -1], [-1, 1], [2, 2]]
    )


def test_extending_replaces_a_domain_and_leaves_the_old_store() -> None:
    store = _store(3)
    before = store.centres.copy()
    wider = extend_store(
        store, np.array([[1.0, 1.0], [3.0, 5.0], [9.0, 9.0]]), np.array(["c", "c", "a"]), keep_rows=True
    )
    assert wider.domains.tolist() == ["b", "a", "c"]
    np.testing.assert_allclose(wider.centres, [[102, 0], [9, 9], [2, 3], [5.5, 8.5]])
    np.testing.assert_array_equal(wider.offsets, [0, 2, 3, 5, 11])
    np.testing.assert_array_equal(wider.rows[2:5], [[9, 9], [1, 1], [3, 5]])
    np.testing.assert_array_equal(store.centres, before)
    np.testing.assert_array_equal(wider.codes(np.array(["a", "b", "c", "d", ""])), [1, 0, 2, 3, 3])
    np.testing.assert_array_equal(wider.knows(np.array(["a", "d"])), [True, False])


def test_references_without_a_domain_serve_rows_without_one() -> None:
    store = extend_store(_store(3), np.array([[7.0, 8.0]]), np.array([""]), keep_rows=True)
    rows = np.array([[8.0, 8.0], [8.0, 8.0]])
    residual = apply_view("residual-centre", rows, np.array(["", "unknown"]), store)
    np.testing.assert_allclose(residual, [[1, 0], [2.5, -0.5]])


def test_one_reference_takes_most_of_its_spread_from_the_pool() -> None:
    store = extend_store(_store(3), np.array([[1.0, 1.0]]), np.array(["c"]), keep_rows=False)
    np.testing.assert_allclose(store.spreads[2], np.sqrt(8 / 9) * store.spreads[-1])


def test_nearest_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(0)
    rows, references = (
        rng.normal(size=(50, 4)).astype(np.float32),
        rng.normal(size=(20, 4)).astype(np.float32),
    )
    brute = np.argmin(((rows[:, None] - references) ** 2).sum(axis=2), axis=1)
    np.testing.assert_array_equal(nearest(rows, references), brute)


def test_nearest_survives_a_large_common_offset() -> None:
    references = np.array([[1e9, 0.0], [1e9 + 1, 0.0], [1e9 + 2, 0.0]])
    np.testing.assert_array_equal(nearest(references + 0.2, references), [0, 1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("view", VIEWS)
def test_views_keep_the_dtype(view: str, dtype: type) -> None:
    rows = X.astype(dtype)
    store = build_store(rows, DOMAINS, reference_rows(DOMAINS, NORMAL, 2), NORMAL, keep_rows=True)
    seen = apply_view(view, rows, DOMAINS, store)
    assert seen.dtype == dtype
    assert seen.shape == rows.shape


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(VIEWS))
def test_each_row_is_seen_as_if_it_came_alone(seed: int, view: str) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(20, 3))
    domains = rng.choice(["", "a", "b", "new"], 20)
    known = np.isin(domains, ["a", "b"])
    store = build_store(rows, domains, reference_rows(domains, known, 3), np.ones(20, bool), keep_rows=True)
    together = apply_view(view, rows, domains, store)
    for i in range(20):
        alone = apply_view(view, rows[i : i + 1], domains[i : i + 1], store)
        np.testing.assert_array_equal(alone[0], together[i])
