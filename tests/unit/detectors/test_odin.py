"""ODIN: score and step against the formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import ODIN
from unseen.detectors.baselines.odin import odin_score, stepped
from unseen.errors import ParameterError
from unseen.nn.multilayer_perceptron import LatentClassifier
from unseen.nn.randomness import isolated_randomness

SETTINGS = {"hidden": (16,), "epochs": 20, "batch_size": 64, "lr": 5e-3}


def world(seed, n=300):
    random = np.random.default_rng(seed)
    blobs = [random.normal([0, 0, 5, 0], size=(10, 4)), random.normal([-5, 0, 0, 0], size=(10, 4))]
    return np.concatenate([random.normal(size=(n, 4)), *blobs]), np.repeat(["normal", "a", "b"], [n, 10, 10])


def softmax(values):
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1000.0])
def test_the_score_is_the_log_odds_of_the_softmax(temperature):
    logits = np.random.default_rng(0).normal(size=(20, 4)) * 3
    p = softmax(logits / temperature)[:, 0]
    expected = -temperature * np.log(p / (1 - p))
    np.testing.assert_allclose(odin_score(torch.from_numpy(logits), temperature), expected, rtol=1e-8)


def test_the_score_does_not_saturate_where_the_softmax_does():
    logits = torch.tensor([[60.0, 0.0, 0.0], [61.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.softmax(logits, dim=1)[:, 0].tolist() == [1.0, 1.0]
    assert float(odin_score(logits, 1.0)[0]) > float(odin_score(logits, 1.0)[1])


def test_the_step_follows_the_log_of_the_softmax_found_by_differences():
    with isolated_randomness(0):
        network = LatentClassifier(4, (16,), 3).double()
    rows = np.random.default_rng(1).normal(size=(6, 4))

    def log_p(points):
        with torch.no_grad():
            return np.log(softmax(network(torch.from_numpy(points))[1].numpy() / 2.0)[:, 0])

    sign = np.zeros_like(rows)
    for j in range(4):
        shift = 1e-6 * np.eye(4)[j]
        sign[:, j] = -np.sign(log_p(rows + shift) - log_p(rows - shift))
    moved = stepped(network, torch.from_numpy(rows), 2.0, 0.01).numpy()
    np.testing.assert_allclose(moved, rows - 0.01 * sign, atol=1e-12)


def test_the_step_lowers_every_score():
    X, kinds = world(0)
    detector = ODIN(step=0.0, **SETTINGS).fit(X, kinds)
    still = detector.decision_function(X)
    detector.step = 0.01
    assert (detector.decision_function(X) < still).all()


def test_known_kinds_are_found_and_counted():
    X, kinds = world(0)
    detector = ODIN(**SETTINGS).fit(X, kinds)
    assert detector.n_kinds_ == 2
    scores = detector.decision_function(world(1)[0])
    assert np.median(scores[-20:]) > np.quantile(scores[:-20], 0.95)


@pytest.mark.parametrize("bad", [{"temperature": 0}, {"step": -1}, {"hidden": "wide"}, {"epochs": -1}])
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        ODIN(**bad).fit(np.zeros((5, 2)))
