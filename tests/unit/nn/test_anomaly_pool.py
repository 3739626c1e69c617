"""Which anomalies a classifier is shown, and how often each kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.checks import resolve_labels
from unseen.nn.anomaly_pool import PSEUDO_KIND, AnomalyPool, anomalies_to_train_on, pseudo_anomalies


def test_half_are_uniform_in_the_widened_box_and_half_shuffled_features():
    normals = np.array([[0.0, 10.0, 5.0], [2.0, 30.0, 5.0], [1.0, 20.0, 5.0]])
    made = pseudo_anomalies(normals, 4001, np.random.default_rng(0))
    uniform, shuffled = made[:2001], made[2001:]
    np.testing.assert_allclose(uniform.min(axis=0), [-1, 0, 4.5], atol=0.1)
    np.testing.assert_allclose(uniform.max(axis=0), [3, 40, 5.5], atol=0.1)
    assert {tuple(row) for row in shuffled} == {(a, b, 5.0) for a in (0, 1, 2) for b in (10, 20, 30)}


@pytest.mark.parametrize(
    ("kinds", "pseudo", "expected"),
    [
        (["normal", "a", "a", ""], "without-labels", ["a", "a"]),
        (["normal", "a", "a", ""], "always", ["a", "a", *[PSEUDO_KIND] * 256]),
        (["normal", "normal", "", ""], "without-labels", [PSEUDO_KIND] * 256),
    ],
)
def test_when_pseudo_anomalies_are_made(kinds, pseudo, expected):
    V = np.arange(8, dtype=np.float32).reshape(4, 2)
    rows, found = anomalies_to_train_on(V, resolve_labels("test", 4, kinds), pseudo, 0)
    assert found.tolist() == expected
    assert rows.shape == (len(expected), 2)
    assert rows.dtype == np.float32


def test_every_kind_is_drawn_as_often_as_any_other():
    pool = AnomalyPool(torch.arange(10.0)[:, None], np.array(["rare"] + ["common"] * 9))
    drawn = pool.codes[pool.draw(4000, torch.Generator().manual_seed(0))]
    assert pool.names == ["common", "rare"]
    assert abs(float(drawn.double().mean()) - 0.5) < 0.05
