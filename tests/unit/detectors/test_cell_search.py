"""Cells of rows, and the search for near rows in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen.detectors.cell_search import CellIndex, build_index, in_order_of_cells, near_rows
from unseen.detectors.cells import cell_of, find_centres
from unseen.detectors.exact_search import nearest_rows


def clusters(seed: int, n: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, 8)) * 4
    return (centres[random.integers(20, size=n)] + random.normal(size=(n, 8))).astype(np.float32)


def exact(X: np.ndarray, bank: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    return nearest_rows(X, bank, bank.mean(axis=0, dtype=np.float64), k)


def test_centres_find_well_parted_cells():
    rows = np.repeat([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 30, axis=0)
    rows = rows + np.random.default_rng(0).normal(size=rows.shape)
    centres = find_centres(rows, 3, 0)
    cells = cell_of(rows, centres)
    assert [len(np.unique(cells[30 * i : 30 * i + 30])) for i in range(3)] == [1, 1, 1]
    for cell in range(3):
        np.testing.assert_allclose(centres[cell], rows[cells == cell].mean(axis=0))


def test_there_are_no_more_centres_than_distinct_rows():
    assert len(find_centres(np.repeat([[1.0], [2.0]], 5, axis=0), 4, 0)) == 2


def test_all_cells_searched_is_the_exact_search():
    bank, X = clusters(0, 2000), clusters(1, 300)
    index = build_index(bank, 10_000, 0)
    distances, positions = near_rows(X, bank, index, 5)
    expected, where = exact(X, bank, 5)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_array_equal(positions, where)


def test_one_cell_searched_finds_the_nearest_rows_of_that_cell():
    bank, X = clusters(0, 3000), clusters(1, 200)
    index = build_index(bank, 1, 0)
    distances, positions = near_rows(X, bank, index, 5)
    homes, cells = cell_of(X, index.centres), cell_of(bank, index.centres)
    sizes = np.bincount(cells, minlength=len(index.centres))
    rows = np.flatnonzero(sizes[homes] >= 5)
    assert len(rows) > 100
    for row in rows:
        members = np.flatnonzero(cells == homes[row])
        expected, where = exact(X[row : row + 1], bank[members], 5)
        np.testing.assert_array_equal(positions[row], members[where[0]])
        np.testing.assert_allclose(distances[row], expected[0], rtol=1e-5)


def test_equal_rows_make_one_cell_and_are_found():
    bank = np.ones((3000, 4), dtype=np.float32)
    distances, positions = near_rows(bank[:3] + 1, bank, build_index(bank, 8, 0), 5)
    np.testing.assert_allclose(distances, 2.0)
    assert all(len(set(row)) == 5 for row in positions.tolist())


def test_few_cells_find_nearly_all_neighbours_and_no_distance_is_too_short():
    bank, X = clusters(0, 5000), clusters(1, 500)
    distances, positions = near_rows(X, bank, build_index(bank, 12, 0), 5)
    expected, where = exact(X, bank, 5)
    assert (distances >= expected * (1 - 1e-5)).all()
    recall = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(positions, where, strict=True)])
    assert recall > 0.95


def test_large_cells_far_apart_add_nothing():
    """Cells of a thousand rows, not all of whole groups of 16; a row has all its neighbours in its own."""
    random = np.random.default_rng(5)
    centres = np.repeat(np.eye(3, 6) * 1000, [1000, 1001, 1007], axis=0)
    bank = (centres + random.normal(size=centres.shape)).astype(np.float32)
    X = bank[::50] + np.float32(0.1)
    index = CellIndex(np.eye(3, 6) * 1000, np.arange(3008), np.array([0, 1000, 2001, 3008]), 3)
    distances, positions = near_rows(X, bank, index, 5)
    expected, where = exact(X, bank, 5)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_array_equal(positions, where)


def test_rows_one_by_one_are_rows_at_once():
    bank, X = clusters(0, 3000), clusters(1, 60)
    index = build_index(bank, 4, 0)
    at_once = near_rows(X, bank, index, 5)
    for i in range(len(X)):
        distances, positions = near_rows(X[i : i + 1], bank, index, 5)
        np.testing.assert_array_equal(distances[0], at_once[0][i])
        np.testing.assert_array_equal(positions[0], at_once[1][i])


def test_more_cells_are_searched_where_the_nearest_hold_too_few_rows():
    bank = np.concatenate([clusters(0, 400), np.full((1, 8), 1000.0, dtype=np.float32)])
    distances, positions = near_rows(
        np.full((1, 8), 999.0, dtype=np.float32), bank, build_index(bank, 1, 0), 5
    )
    assert np.isfinite(distances).all()
    assert len(set(positions[0])) == 5


def probed_only(X: np.ndarray, bank: np.ndarray, index: CellIndex, k: int) -> np.ndarray:
    """Every row of the cells whose centres are nearest, one by one: no cell is skipped."""
    out = []
    for row in X:
        near = np.argsort(np.square(index.centres - row).sum(axis=1))[: index.n_probes]
        members = np.concatenate([index.of_cell(cell) for cell in near])
        out.append(members[exact(row[None], bank[members], k)[1][0]])
    return np.array(out)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
def test_cells_beyond_the_neighbours_are_skipped_to_the_same_result(scale):
    """From cells that overlap to cells far apart."""
    random = np.random.default_rng(11)
    places = np.random.default_rng(12).normal(size=(40, 8)) * 4
    bank, X = (
        (places[random.integers(40, size=n)] + scale * random.normal(size=(n, 8))).astype(np.float32)
        for n in (4000, 150)
    )
    index = build_index(bank, 6, 0)
    distances, positions = near_rows(X, bank, index, 5)
    expected = probed_only(X, bank, index, 5)
    np.testing.assert_allclose(
        distances, np.sqrt(np.square(bank[expected] - X[:, None]).sum(axis=2)), rtol=1e-5
    )
    assert np.mean(positions == expected) > 0.999


def test_cells_side_by_side_find_the_same_rows():
    bank, X = clusters(0, 3000), clusters(1, 100)
    index = build_index(bank, 5, 0)
    ordered, other, places = in_order_of_cells(bank, index)
    np.testing.assert_array_equal(ordered[places], bank)
    other.check(*bank.shape)
    distances, positions = near_rows(X, bank, index, 5)
    again, where = near_rows(X, ordered, other, 5)
    np.testing.assert_array_equal(again, distances)
    np.testing.assert_array_equal(ordered[where], bank[positions])


def test_an_index_of_another_bank_is_refused():
    bank = clusters(0, 300)
    index = build_index(bank, 3, 0)
    index.check(300, 8)
    with pytest.raises(ValueError, match="add up"):
        index.check(301, 8)
    with pytest.raises(ValueError, match="features"):
        index.check(300, 7)
    with pytest.raises(ValueError, match="once"):
        replace(index, rows=np.zeros(300, dtype=np.int64)).check(300, 8)
    with pytest.raises(ValueError, match="in order"):
        replace(index, rows=index.rows[::-1].copy()).check(300, 8)
