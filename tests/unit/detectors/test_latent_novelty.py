"""Cues against plain formulas."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from unseen.detectors.latent_novelty import (
    CueScale,
    cue_scale,
    neighbour_distance,
    robust_location,
    whitening,
)


def test_neighbour_distance_is_exact():
    draw = np.random.default_rng(0)
    bank, rows = draw.normal(size=(300, 6)).astype("f4") + 100, draw.normal(size=(50, 6)).astype("f4") + 100
    expected = NearestNeighbors(n_neighbors=4).fit(bank).kneighbors(rows)[0].mean(axis=1)
    got = neighbour_distance(
        torch.from_numpy(rows), torch.from_numpy(bank), torch.from_numpy(bank.mean(axis=0)), 4
    )
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4)


def test_more_neighbours_than_rows_use_all_rows():
    got = neighbour_distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.zeros(2), 5)
    assert got.tolist() == pytest.approx([5.0])


def test_whitening_gives_the_ledoit_wolf_mahalanobis_distance():
    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(400, 5)) @ draw.normal(size=(5, 5))).astype("f4")
    mean, matrix = whitening(rows)
    expected = LedoitWolf().fit(rows.astype("f8")).mahalanobis(rows.astype("f8"))
    np.testing.assert_allclose(np.square((rows - mean) @ matrix).sum(axis=1), expected, rtol=1e-3)


def test_whitening_of_rows_that_do_not_vary_is_the_unit_matrix():
    for rows in (np.ones((5, 3), dtype="f4"), np.ones((1, 3), dtype="f4")):
        mean, matrix = whitening(rows)
        assert np.array_equal(matrix, np.eye(3, dtype="f4"))
        assert np.array_equal(mean, np.ones(3, dtype="f4"))


def test_scaled_cue_of_the_normals_has_spread_1_and_keeps_the_order():
    values = np.random.default_rng(0).gamma(2.0, size=999)
    scaled = cue_scale(values).apply(torch.from_numpy(values)).numpy()
    assert scaled.min() >= 0
    assert np.array_equal(np.argsort(scaled), np.argsort(values))
    assert 1.4826 * np.median(np.abs(scaled - np.median(scaled))) == pytest.approx(1.0, rel=1e-4)


def test_scale_of_constant_values_is_usable():
    scale = cue_scale(np.zeros(10))
    assert torch.isfinite(scale.apply(torch.tensor([0.0, 1.0]))).all()
    assert robust_location(np.full(4, 2.0)) == (2.0, 1.0)
    assert isinstance(scale, CueScale)
