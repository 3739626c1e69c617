"""Uncertainty from the covariance of two losses, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unseen.nn.losses.covariance_regularisation import loss_uncertainty, uncertainty_penalty

LEAST = math.log1p(1e-6) / math.log(101)


def test_two_steps_of_opposite_losses_by_hand():
    """Both z-scores are (-1, 1) and (1, -1): Σ = [[1, -1], [-1, 1]] + 1e-8 I, its determinant 2e-8."""
    assert loss_uncertainty([1.0, 3.0], [5.0, 1.0]) == pytest.approx(LEAST, rel=1e-6)


def test_uncorrelated_losses_by_hand():
    """z-scores (1, -1, 1, -1) and (1, 1, -1, -1): Σ = I, determinant 1."""
    found = loss_uncertainty([2.0, 0.0, 2.0, 0.0], [9.0, 9.0, 7.0, 7.0])
    assert found == pytest.approx(math.log(2) / math.log(101), rel=1e-6)


def test_only_the_last_five_steps_enter_the_covariance():
    support, query = [0.0, 10.0, 1.0, 2.0, 1.0, 2.0, 1.0], [3.0, -4.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    pairs = np.array([support, query])
    scaled = (pairs - pairs.mean(1, keepdims=True)) / pairs.std(1, keepdims=True)
    last = scaled[:, 2:] - scaled[:, 2:].mean(axis=1, keepdims=True)
    determinant = np.linalg.det(last @ last.T / 5 + 1e-8 * np.eye(2))
    expected = math.log1p(determinant) / math.log1p(100)
    assert loss_uncertainty(support, query) == pytest.approx(expected, rel=1e-9)


def test_one_step_and_constant_losses_are_the_least():
    assert loss_uncertainty([], []) == LEAST
    assert loss_uncertainty([1.0], [2.0]) == LEAST
    assert loss_uncertainty([1.0] * 6, [2.0] * 6) == LEAST


def test_it_grows_to_one_and_not_further():
    calm = [1.0, 1.1] * 500
    wild = [1e3, -1e3, 1e3, -2e3, 3e3]
    assert loss_uncertainty(calm + wild, calm + wild[::-1]) == pytest.approx(1.0)


def test_the_penalty_lies_between_the_base_and_one_and_a_half_of_it():
    theta = [torch.tensor([1.0, -2.0]), torch.tensor([[2.0]])]
    assert float(uncertainty_penalty(theta, 0.0)) == pytest.approx(0.005 * 9)
    assert float(uncertainty_penalty(theta, 1.0)) == pytest.approx(0.0075 * 9)
    assert float(uncertainty_penalty(theta, 0.5, base=1.0)) == pytest.approx(1.25 * 9)
