"""Chunks, precision and contributions of scores by a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn import row_scores
from unseen.nn.multilayer_perceptron import LatentClassifier, MultilayerPerceptron
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_scores import path_contributions, score_rows, scoring_copy

CPU = torch.device("cpu")


def test_contributions_of_a_linear_score_are_its_terms():
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    X, origin = np.random.default_rng(0).normal(size=(7, 3)), np.array([1.0, 0.0, -1.0])
    contributions = path_contributions(lambda rows: rows @ weights, X, origin, CPU)
    np.testing.assert_allclose(contributions, (X - origin) * weights.numpy(), rtol=1e-12)


def test_contributions_of_a_square_sum_to_the_difference_of_scores():
    X, origin = np.random.default_rng(0).normal(size=(7, 3)), np.array([1.0, 0.0, -1.0])
    contributions = path_contributions(lambda rows: rows.square().sum(1), X, origin, CPU)
    np.testing.assert_allclose(contributions, X**2 - origin**2, atol=1e-12)


def test_chunks_do_not_change_scores(monkeypatch):
    with isolated_randomness(0):
        network = MultilayerPerceptron([3, 8, 1])
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    with scoring_copy(network, CPU) as double:
        whole = score_rows(lambda rows: double(rows)[:, 0], X, CPU)
        monkeypatch.setattr(row_scores, "_CHUNK_CELLS", 12)
        np.testing.assert_allclose(score_rows(lambda rows: double(rows)[:, 0], X, CPU), whole, rtol=1e-13)


def test_the_network_itself_stays_as_it_is():
    network = LatentClassifier(3, (4, 2), 1)
    with scoring_copy(network, CPU) as double:
        assert next(double.parameters()).dtype == torch.float64
        assert not next(double.parameters()).requires_grad
    assert next(network.parameters()).dtype == torch.float32
    assert next(network.parameters()).requires_grad


@pytest.mark.parametrize("bias", [True, False])
def test_without_offsets_a_network_scales_with_its_input(bias):
    with isolated_randomness(0):
        network = MultilayerPerceptron([3, 8, 2], bias=bias).double()
    x = torch.ones(1, 3, dtype=torch.float64)
    with torch.no_grad():
        same = torch.allclose(network(5 * x), 5 * network(x))
    assert same is not bias
