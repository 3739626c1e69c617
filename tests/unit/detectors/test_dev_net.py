"""DevNet: the loss against numpy, and where the scores of normals and anomalies come to lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import DevNet
from unseen.detectors.baselines.dev_net import deviation_loss
from unseen.errors import ParameterError


def world(seed, n_normals=400, n_anomalies=10):
    random = np.random.default_rng(seed)
    X = np.concatenate([random.normal(size=(n_normals, 5)), random.normal(size=(n_anomalies, 5)) + 3])
    return X, np.repeat([0, 1], [n_normals, n_anomalies])


def test_the_loss_by_hand():
    references = torch.tensor([-1.0, 3.0])  # mean 1, standard deviation 2
    loss = deviation_loss(torch.tensor([1.0, -3.0]), torch.tensor([5.0, 15.0]), references, 5.0)
    assert float(loss) == pytest.approx((0 + 2 + 3 + 0) / 4)


def test_the_loss_against_numpy():
    random = np.random.default_rng(0)
    a, b, r = random.normal(size=7), random.normal(size=3) * 4, random.normal(size=5000)
    dev = (np.concatenate([a, b]) - r.mean()) / r.std()
    y = np.repeat([0, 1], [7, 3])
    expected = (np.abs(dev[y == 0]).mean() + np.maximum(0, 5 - dev[y == 1]).mean()) / 2
    assert float(deviation_loss(*map(torch.from_numpy, (a, b, r)), 5.0)) == pytest.approx(expected)


def test_normals_score_like_standard_normals_and_anomalies_about_the_margin():
    X, y = world(0)
    detector = DevNet(epochs=60, batch_size=64, lr=5e-3).fit(X, y)
    fresh, labels = world(1)
    scores = detector.decision_function(fresh)
    assert abs(np.median(scores[labels == 0])) < 1
    assert 3.5 < np.median(scores[labels == 1]) < 7


def test_without_labels_rows_outside_the_box_of_normals_score_high():
    X, _ = world(0, n_anomalies=0)
    detector = DevNet(hidden=(32,), weight_decay=1e-3, epochs=60, batch_size=64, lr=1e-2).fit(X)
    corners = 6.0 * np.random.default_rng(2).choice([-1, 1], size=(20, 5))
    usual = detector.decision_function(world(1, n_anomalies=0)[0])
    assert np.median(detector.decision_function(corners)) > np.quantile(usual, 0.95)


def test_pseudo_anomalies_beside_labels_change_the_scores():
    X, y = world(0)
    settings = {"epochs": 3, "batch_size": 64}
    without = DevNet(**settings).fit(X, y).decision_function(X)
    beside = DevNet(pseudo_anomalies="always", **settings).fit(X, y).decision_function(X)
    assert not np.array_equal(without, beside)


@pytest.mark.parametrize(
    "bad", [{"hidden": (0,)}, {"margin": 0}, {"weight_decay": -1}, {"pseudo_anomalies": "never"}, {"lr": 0}]
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        DevNet(**bad).fit(*world(0))
