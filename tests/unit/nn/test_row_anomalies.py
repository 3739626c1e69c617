"""Synthetic anomalies of rows."""

from __future__ import annotations

import numpy as np

from unseen.nn.row_anomalies import row_anomalies


def made(rows, bank, n_each=50, seed=0):
    return row_anomalies(rows, bank, bank, n_each, np.random.default_rng(seed))


def test_shape_seed_and_that_every_anomaly_differs_from_its_row():
    rows = np.random.default_rng(1).normal(size=(20, 6))
    found = made(rows, rows)
    assert found.shape == (20, 50, 6)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, made(rows, rows))
    changed = np.abs(found - rows[:, None, :].astype(np.float32)) > 1e-6
    assert changed.any(axis=2).mean() > 0.95  # a mixture of a row with itself is the row
    assert 0.3 < changed.mean() < 0.8


def test_half_are_mixtures_with_rows_of_the_bank_and_half_go_to_points_of_the_widened_box():
    """All rows are 0 and the bank holds corners: mixtures have one sign, box points have both."""
    bank = np.array([[1.0] * 8, [0.0] * 8])
    found = made(np.zeros((1, 8)), bank, n_each=4000)[0]
    assert found.min() >= -0.5
    assert found.max() <= 1.5
    mixtures = np.array([len(np.unique(np.abs(row[row != 0]))) <= 1 for row in np.round(found, 5)])
    assert 0.45 < mixtures.mean() < 0.62


def test_one_row_and_features_that_do_not_vary_work():
    found = made(np.ones((1, 3)), np.ones((1, 3)))
    assert np.isfinite(found).all()
    assert (np.abs(found - 1) <= 0.5 + 1e-6).all()
    assert (found != 1).any(axis=2).all()
