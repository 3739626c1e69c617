"""Deep SAD: the objective by hand, the centre, and what labelled anomalies change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import DeepSAD
from unseen.detectors.baselines.deep_sad import away_from_zero, deep_sad_loss
from unseen.errors import ParameterError

SMALL = {"hidden": (16,), "latent": 4, "pretraining_epochs": 2, "epochs": 8, "batch_size": 64}


def rows(seed, n=200):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 5))


def test_the_loss_by_hand():
    normals, anomalies = torch.tensor([1.0, 3.0]), torch.tensor([0.5])
    assert float(deep_sad_loss(normals, anomalies, 2.0)) == pytest.approx((4 + 2 / 0.500001) / 3)
    assert float(deep_sad_loss(normals, anomalies[:0], 2.0)) == pytest.approx(2.0)


def test_the_loss_drives_anomalies_away_and_normals_in():
    distances = torch.tensor([1.0, 2.0], requires_grad=True)
    deep_sad_loss(distances[:1], distances[1:], 1.0).backward()
    np.testing.assert_allclose(distances.grad, [0.5, -0.5 / 4], rtol=1e-5)


def test_the_centre_stays_away_from_zero():
    moved = away_from_zero(torch.tensor([0.0, 0.05, -0.01, 0.4, -2.0]))
    np.testing.assert_allclose(moved, [0.1, 0.1, -0.1, 0.4, -2.0])


def test_the_score_is_the_squared_distance_to_the_centre():
    detector = DeepSAD(**SMALL).fit(rows(0))
    X = rows(1).astype(np.float32)
    with torch.no_grad():
        expected = (detector.network_(torch.from_numpy(X)).numpy() - detector.centre_) ** 2
    np.testing.assert_allclose(detector.decision_function(X), expected.sum(axis=1), rtol=1e-3, atol=1e-5)


def test_the_network_has_no_offsets():
    detector = DeepSAD(**SMALL).fit(rows(0))
    assert all(parameter.ndim == 2 for parameter in detector.network_.parameters())
    origin = detector.decision_function(np.zeros((1, 5)))
    np.testing.assert_allclose(origin, np.sum(detector.centre_.astype(float) ** 2), rtol=1e-6)


def test_a_labelled_anomaly_gains_on_the_normals():
    normals, odd = rows(0), rows(2, 20) + np.array([1.5, 1.5, 0, 0, 0])
    X, y = np.concatenate([normals, odd]), np.repeat([0, 1], [200, 20])
    fresh = rows(3, 100) + np.array([1.5, 1.5, 0, 0, 0])

    def rank(detector):
        return (detector.decision_function(fresh)[:, None] > detector.decision_function(rows(4))).mean()

    labelled, plain = DeepSAD(**SMALL).fit(X, y), DeepSAD(**SMALL).fit(normals)
    assert rank(labelled) > rank(plain) + 0.02


@pytest.mark.parametrize(
    "bad", [{"hidden": ()}, {"latent": 0}, {"eta": -1}, {"pretraining_epochs": -1}, {"weight_decay": -1}]
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        DeepSAD(**bad).fit(rows(0, 20))
