"""MTAE: the two reconstruction errors by hand, and both stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import MTAE
from unseen.detectors.baselines.mtae import multi_task_errors
from unseen.errors import ParameterError

SETTINGS = {"hidden": (16, 8), "epochs": 40, "classifier_epochs": 100, "batch_size": 64, "lr": 1e-2}


def world(seed, n=300):
    random = np.random.default_rng(seed)
    X = np.concatenate([random.normal(size=(n, 4)), random.normal([0, 0, 5, 0], size=(10, 4))])
    X[: n // 2] += [6, 0, 0, 0]
    return X, np.repeat([0, 1], [n, 10]), np.repeat(["east", "west"], [n // 2, n // 2 + 10])


def test_the_errors_by_hand():
    rows, own = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([0, 1])
    partners = torch.tensor([[[9.0, 9.0], [5.0, 5.0]], [[1.0, 1.0], [9.0, 9.0]]])
    output = torch.tensor([[[1.0, 4.0], [5.0, 7.0]], [[1.0, 1.0], [2.0, 0.0]]])
    within, across = multi_task_errors(output, rows, own, partners)
    assert float(within) == pytest.approx((0 + 4 + 4 + 0) / 4)
    assert float(across) == pytest.approx((0 + 4 + 0 + 0) / 4)


def test_a_single_domain_has_no_cross_term():
    output = torch.ones(3, 1, 2)
    within, across = multi_task_errors(output, torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), output)
    assert (float(within), float(across)) == (1.0, 0.0)


def test_reconstruction_and_classification_improve():
    X, y, domains = world(0)
    detector = MTAE(**SETTINGS).fit(X, y, domains=domains)
    for name in ("loss", "self", "cross"):
        assert detector.history_[name][-1] < detector.history_[name][0]
    assert detector.classifier_history_["loss"][-1] < 0.8 * detector.classifier_history_["loss"][0]


def test_the_classifier_leaves_the_encoder_alone():
    X, y, domains = world(0)
    short = MTAE(**{**SETTINGS, "classifier_epochs": 1}).fit(X, y, domains=domains)
    long = MTAE(**SETTINGS).fit(X, y, domains=domains)
    for a, b in zip(short.network_.layers.parameters(), long.network_.layers.parameters(), strict=True):
        assert torch.equal(a, b)


def test_known_anomalies_are_found_in_both_domains():
    X, y, domains = world(0)
    detector = MTAE(**SETTINGS).fit(X, y, domains=domains)
    fresh, labels, _ = world(1)
    fresh[-5:, 0] += 6
    scores = detector.decision_function(fresh)
    assert (scores[labels == 1][:, None] > scores[labels == 0]).mean() > 0.85


@pytest.mark.parametrize(
    "bad", [{"hidden": ()}, {"n_pseudo_domains": 1}, {"classifier_epochs": -1}, {"pseudo_anomalies": 1}]
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        MTAE(**bad).fit(np.zeros((5, 2)))
