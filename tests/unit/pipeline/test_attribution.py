"""The largest contributions of each row and their shares."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.pipeline.attribution import top_columns


def test_by_hand() -> None:
    codes, shares = top_columns(np.array([[1.0, 6.0, 3.0], [0.0, -4.0, 2.0], [-1.0, 0.0, 0.0]]), 2)
    assert codes.tolist() == [[1, 2], [2, -1], [-1, -1]]
    np.testing.assert_allclose(shares, [[0.6, 0.3], [1.0, np.nan], [np.nan, np.nan]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_sorting(dtype: type) -> None:
    contributions = np.random.default_rng(0).normal(size=(5000, 12)).astype(dtype)
    codes, shares = top_columns(contributions, 3)
    expected = np.argsort(-contributions, axis=1)[:, :3]
    listed = codes >= 0
    np.testing.assert_array_equal(codes[listed], expected[listed])
    assert np.all(np.take_along_axis(contributions, expected, axis=1)[~listed] <= 0)
    assert np.all(np.nansum(shares, axis=1) <= 1 + 1e-5)


def test_more_places_than_columns_stay_empty() -> None:
    codes, shares = top_columns(np.ones((2, 1)), 3)
    assert codes.tolist() == [[0, -1, -1]] * 2
    assert np.isnan(shares[:, 1:]).all()


def test_the_input_stays_as_it_is() -> None:
    contributions = np.ones((4, 3), dtype=np.float32)
    top_columns(contributions, 2)
    assert (contributions == 1).all()
