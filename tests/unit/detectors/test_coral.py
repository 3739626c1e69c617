"""CORAL: the alignment term against numpy, and what it does to the domains."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import CORAL
from unseen.detectors.baselines.coral import coral_loss, covariance
from unseen.errors import ParameterError

SETTINGS = {"hidden": (16, 4), "epochs": 30, "batch_size": 64, "lr": 5e-3}


def two_domains(seed, n=300):
    """Normals of two domains that differ in spread, and ten anomalies."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    domains = np.repeat(["calm", "wild"], n // 2)
    X[domains == "wild"] *= [4.0, 0.5, 1.0, 1.0]
    X = np.concatenate([X, random.normal(size=(10, 4)) + np.array([0, 0, 5, 0])])
    return X, np.repeat([0, 1], [n, 10]), np.concatenate([domains, np.full(10, "calm")])


def test_the_term_by_hand():
    source = torch.tensor([[0.0, 0.0], [2.0, 2.0]])  # covariance [[2, 2], [2, 2]]
    target = torch.tensor([[0.0, 1.0], [2.0, 1.0]])  # covariance [[2, 0], [0, 0]]
    assert float(coral_loss(source, target)) == pytest.approx((0 + 4 + 4 + 4) / (4 * 4))
    assert float(coral_loss(source, source + 7)) == 0


def test_the_term_against_numpy():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 6)), random.normal(size=(20, 6)) * 2
    np.testing.assert_allclose(covariance(torch.from_numpy(a)), np.cov(a, rowvar=False))
    expected = np.linalg.norm(np.cov(a, rowvar=False) - np.cov(b, rowvar=False), "fro") ** 2 / (4 * 36)
    assert float(coral_loss(torch.from_numpy(a), torch.from_numpy(b))) == pytest.approx(expected)


def test_the_weight_brings_the_covariances_of_the_domains_together():
    X, y, domains = two_domains(0)

    def distance(weight):
        detector = CORAL(coral_weight=weight, **SETTINGS).fit(X, y, domains=domains)
        with torch.no_grad():
            z = detector.network_.encode(torch.from_numpy(X[y == 0].astype(np.float32)))
        names = domains[y == 0]
        apart = coral_loss(z[torch.from_numpy(names == "calm")], z[torch.from_numpy(names == "wild")])
        return float(apart / covariance(z).square().sum())

    assert distance(10.0) < 0.5 * distance(0.0)


def test_unnamed_domains_are_clusters_and_a_single_row_has_none():
    X, y, _ = two_domains(0)
    detector = CORAL(**SETTINGS).fit(X, y)
    assert (detector.history_["coral"] > 0).all()
    assert (CORAL(**SETTINGS).fit(X[:1]).history_["coral"] == 0).all()


def test_known_anomalies_are_found():
    X, y, domains = two_domains(0)
    detector = CORAL(**SETTINGS).fit(X, y, domains=domains)
    fresh, labels, _ = two_domains(1)
    scores = detector.decision_function(fresh)
    assert scores[labels == 1].min() > np.quantile(scores[labels == 0], 0.95)


@pytest.mark.parametrize(
    "bad", [{"hidden": 3}, {"coral_weight": -1}, {"n_pseudo_domains": 1}, {"pseudo_anomalies": True}]
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        CORAL(**bad).fit(np.zeros((5, 2)))
