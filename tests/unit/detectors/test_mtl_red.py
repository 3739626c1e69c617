"""MTL-RED: entropies by hand and against eigenvalues, and what the information term does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import MTLRED
from unseen.detectors.baselines.mtl_red import mutual_information, normalised_gram, renyi_entropy
from unseen.errors import ParameterError

SETTINGS = {"hidden": (16, 4), "epochs": 30, "batch_size": 64, "lr": 5e-3}


def world(seed, n=300):
    random = np.random.default_rng(seed)
    X = np.concatenate([random.normal(size=(n, 4)), random.normal([0, 0, 5, 0], size=(10, 4))])
    return X, np.repeat([0, 1], [n, 10])


def gram(X):
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=-1)
    width = squared.sum() / (len(X) * (len(X) - 1))
    kernel = np.exp(-squared / (2 * width))
    return kernel / np.trace(kernel)


def entropy(A):
    return -np.log2((np.linalg.eigvalsh(A) ** 2).sum())


def test_entropy_of_n_strangers_is_log_n_and_of_n_twins_0():
    assert float(renyi_entropy(torch.eye(8) / 8)) == pytest.approx(3.0)
    assert float(renyi_entropy(torch.ones(8, 8) / 8)) == pytest.approx(0.0)


def test_two_rows_by_hand():
    A = normalised_gram(torch.tensor([[0.0], [3.0]], dtype=torch.float64))
    half = np.exp(-0.5) / 2
    np.testing.assert_allclose(A, [[0.5, half], [half, 0.5]])
    assert float(renyi_entropy(A)) == pytest.approx(-np.log2(0.5 + 2 * half**2))


def test_information_against_numpy():
    random = np.random.default_rng(0)
    x, z = random.normal(size=(25, 5)) + 100, random.normal(size=(25, 2))
    joint = gram(x) * gram(z)
    expected = entropy(gram(x)) + entropy(gram(z)) - entropy(joint / np.trace(joint))
    found = mutual_information(torch.from_numpy(x), torch.from_numpy(z))
    assert float(found) == pytest.approx(expected, rel=1e-8)


def test_a_constant_latent_vector_has_no_information():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(25, 5)))
    assert float(mutual_information(x, torch.zeros(25, 2, dtype=torch.float64))) == pytest.approx(0, abs=1e-9)
    assert float(mutual_information(x, x)) > 0.2


def test_the_weight_lowers_the_information():
    X, y = world(0)
    kept = []
    for weight in (0.0, 1.0):
        detector = MTLRED(information_weight=weight, reconstruction_weight=0.0, **SETTINGS).fit(X, y)
        kept.append(detector.history_["information"][-1])
    assert kept[1] < 0.8 * kept[0]


def test_known_anomalies_are_found():
    X, y = world(0)
    detector = MTLRED(**SETTINGS).fit(X, y)
    assert detector.history_["reconstruction"][-1] < detector.history_["reconstruction"][0]
    fresh, labels = world(1)
    scores = detector.decision_function(fresh)
    assert np.median(scores[labels == 1]) > np.quantile(scores[labels == 0], 0.95)


@pytest.mark.parametrize("bad", [{"reconstruction_weight": -1}, {"information_weight": -1}, {"hidden": []}])
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        MTLRED(**bad).fit(np.zeros((5, 2)))
