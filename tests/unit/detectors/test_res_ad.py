"""ResAD: nearest references against loops, the terms by hand, and whose references a row has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors import ResAD
from unseen.detectors.baselines.res_ad import nearest_reference
from unseen.errors import ParameterError
from unseen.nn.residual_constraint import pseudo_huber

SETTINGS = {"hidden": (16,), "epochs": 10, "batch_size": 64}


def world(seed, n=300):
    random = np.random.default_rng(seed)
    X = np.concatenate([random.normal(size=(n, 4)), random.normal([0, 0, 5, 0], size=(10, 4))])
    return X, np.repeat([0, 1], [n, 10])


def test_the_nearest_reference_by_cosine_and_by_distance():
    references = np.array([[1.0, 0.0], [0.0, 0.1], [5.0, 5.0]])
    rows = np.array([[0.1, 3.0], [2.0, 1.5], [9.0, 0.1]])
    assert nearest_reference(rows, references, "cosine").tolist() == [1, 2, 0]
    assert nearest_reference(rows, references, "euclidean").tolist() == [1, 0, 2]


@pytest.mark.parametrize("nearest", ["cosine", "euclidean"])
def test_the_nearest_reference_against_loops(nearest):
    random = np.random.default_rng(0)
    rows, references = random.normal(size=(30, 5)), random.normal(size=(12, 5))
    for row, found in zip(rows, nearest_reference(rows, references, nearest), strict=True):
        cosines = [row @ b / np.linalg.norm(b) for b in references]
        distances = [-np.linalg.norm(row - b) for b in references]
        assert found == np.argmax(cosines if nearest == "cosine" else distances)


def test_pseudo_huber_by_hand():
    lengths = pseudo_huber(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(lengths, [0.0, np.sqrt(26) - 1], rtol=1e-6)


def test_without_training_the_score_is_the_length_of_the_residual_over_the_radius():
    X, y = world(0)
    detector = ResAD(**{**SETTINGS, "epochs": 0}).fit(X, y)
    bank, rows = detector.bank_.rows, world(1)[0]
    residuals = (rows - bank[nearest_reference(rows, bank, "cosine")]) / detector.scale_
    expected = np.linalg.norm(residuals, axis=1) / detector.radius_
    np.testing.assert_allclose(detector.decision_function(rows), expected, rtol=1e-9)


def test_training_draws_normals_in_and_leaves_anomalies_out():
    X, y = world(0)
    plain, trained = ResAD(**{**SETTINGS, "epochs": 0}).fit(X, y), ResAD(**SETTINGS, lr=1e-2).fit(X, y)
    fresh, labels = world(1)

    def gap(detector):
        scores = detector.decision_function(fresh)
        return np.median(scores[labels == 1]) / np.median(scores[labels == 0])

    assert gap(trained) > 1.2 * gap(plain)


def test_about_a_twentieth_of_the_normals_lies_outside_the_boundary():
    detector = ResAD(calibration_fraction=0, **SETTINGS).fit(world(0, 2000)[0][:2000])
    outside = (detector.decision_function(world(1, 2000)[0][:2000]) > 1).mean()
    assert 0.02 < outside < 0.1


def test_contributions_sum_to_the_score():
    X, y = world(0)
    detector = ResAD(**SETTINGS).fit(X, y)
    summed = detector.explain(X).sum(axis=1)
    np.testing.assert_allclose(summed, detector.decision_function(X), rtol=0.02, atol=1e-9)


def test_references_of_a_domain_take_the_place_of_the_bank():
    X, y = world(0)
    detector = ResAD(**SETTINGS).fit(X, y)
    adapted = detector.adapt(X[:5] + 20, domains=["north"] * 5)
    np.testing.assert_allclose(adapted.decision_function(X[:5] + 20, domains=["north"] * 5), 0, atol=1e-9)
    assert (adapted.decision_function(X[:5] + 20) > 5).all()


@pytest.mark.parametrize(
    "bad", [{"nearest": "manhattan"}, {"bank_rows": 0}, {"bank_rows": 5000}, {"hidden": 1}]
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        ResAD(**bad).fit(np.zeros((5, 2)))
