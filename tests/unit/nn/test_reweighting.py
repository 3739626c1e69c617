"""Weights against hand-computed values, limits, and the corners of floating point."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn.reweighting import (
    alpha_weights,
    burn_in_steps,
    confident_weights,
    rejection_weights,
    scheduled_alpha_weights,
)


def test_alpha_weights_by_hand_for_alpha_half():
    # α = .5, λ = .5: bases .5 l + .5 = .5, 1, 2; power 1/(−.5) = −2 gives 4, 1, .25; their sum is 5.25
    weights = alpha_weights(np.array([0.0, 1.0, 3.0]), alpha=0.5, scale=0.5)
    np.testing.assert_allclose(weights, np.array([4.0, 1.0, 0.25]) / 5.25)


def test_alpha_weights_by_hand_for_alpha_zero():
    # α = 0, λ = 1: 1 / (l + 1) = 1, 1/2, 1/4; their sum is 7/4
    weights = alpha_weights(np.array([0.0, 1.0, 3.0]), alpha=0.0, scale=1.0)
    np.testing.assert_allclose(weights, np.array([4.0, 2.0, 1.0]) / 7.0)


def test_alpha_weights_by_hand_for_alpha_two():
    # α = 2, λ = 2: [2 − l]₊ = 2, 1, 0, 0
    weights = alpha_weights(np.array([0.0, 1.0, 2.0, 9.0]), alpha=2.0, scale=2.0)
    np.testing.assert_allclose(weights, [2 / 3, 1 / 3, 0.0, 0.0])


def test_alpha_weights_of_the_paper_match_the_formula():
    losses = np.random.default_rng(0).gamma(1.0, 2.0, size=50)
    plain = (0.9 * losses + 0.1) ** (1 / (0.1 - 1))
    np.testing.assert_allclose(alpha_weights(losses, alpha=0.1, scale=0.1), plain / plain.sum(), rtol=1e-12)


def test_alpha_one_is_exponential():
    # exp(0), exp(−ln 2), exp(−ln 4) = 1, 1/2, 1/4
    losses = np.array([0.0, np.log(2.0), np.log(4.0)]) * 0.3
    np.testing.assert_allclose(alpha_weights(losses, alpha=1.0, scale=0.3), np.array([4.0, 2.0, 1.0]) / 7.0)


@pytest.mark.parametrize("alpha", [1 - 1e-6, 1 - 1e-11, 1 + 1e-11, 1 + 1e-6])
def test_near_one_is_near_the_limit(alpha):
    losses = np.array([0.0, 0.4, 2.0, 5.0])
    limit = alpha_weights(losses, alpha=1.0, scale=0.7)
    np.testing.assert_allclose(alpha_weights(losses, alpha=alpha, scale=0.7), limit, rtol=1e-3)


@pytest.mark.parametrize("alpha", [-1.0, 0.1, 0.9, 1.0, 1.5, 3.0])
def test_weights_fall_with_the_loss_and_sum_to_one(alpha):
    losses = torch.linspace(0, 40, 200)
    weights = alpha_weights(losses, alpha=alpha, scale=0.1)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)
    assert bool((weights.diff() <= 0).all())
    assert float(weights[0]) > float(weights[-1])


@pytest.mark.parametrize("alpha", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_no_overflow_in_float32(alpha, factor):
    losses = torch.tensor([0.0, 1.0, 2.0, 4.0]) * factor
    weights = alpha_weights(losses, alpha=alpha, scale=0.1)
    assert bool(torch.isfinite(weights).all())
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-6)


def test_all_losses_too_large_are_reduced_by_the_smallest():
    # reduced to 2, 0, .5, 0; [1 − l]₊ = 0, 1, .5, 1
    weights = alpha_weights(np.array([7.0, 5.0, 5.5, 5.0]), alpha=2.0, scale=1.0)
    np.testing.assert_allclose(weights, [0.0, 0.4, 0.2, 0.4])


def test_an_infinite_loss_weighs_nothing():
    weights = alpha_weights(np.array([1.0, np.inf, 1.0]), alpha=0.1, scale=0.1)
    np.testing.assert_allclose(weights, [0.5, 0.0, 0.5])


def test_no_gradient_flows_through_weights():
    losses = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for weights in (alpha_weights(losses), confident_weights(losses), scheduled_alpha_weights(losses, 0, 10)):
        assert not weights.requires_grad
    (alpha_weights(losses, alpha=0.0, scale=1.0) * losses).sum().backward()
    # 1/2, 1/3, 1/4 over 13/12
    np.testing.assert_allclose(losses.grad, np.array([6.0, 4.0, 3.0]) / 13.0, rtol=1e-6)


def test_tensors_and_arrays_agree():
    losses = np.random.default_rng(1).gamma(1.0, size=30)
    for function in (alpha_weights, confident_weights):
        np.testing.assert_array_equal(function(losses), function(torch.from_numpy(losses)).numpy())


def test_burn_in_is_the_first_six_per_cent():
    assert [burn_in_steps(n) for n in (0, 1, 50, 100, 101, 1000)] == [0, 1, 3, 6, 7, 60]
    assert burn_in_steps(10, 0.0) == 0
    assert burn_in_steps(10, 1.0) == 10


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_schedule_is_flat_and_then_weighted(kind):
    losses = np.array([0.0, 1.0, 3.0])
    given = losses if kind == "array" else torch.from_numpy(losses)
    for step in range(6):
        flat = scheduled_alpha_weights(given, step, 100, alpha=0.0, scale=1.0)
        np.testing.assert_allclose(np.asarray(flat), 1 / 3)
    after = scheduled_alpha_weights(given, 6, 100, alpha=0.0, scale=1.0)
    np.testing.assert_allclose(np.asarray(after), np.array([4.0, 2.0, 1.0]) / 7.0)


def test_confident_weights_by_hand():
    # shifted by 10⁻⁶: 0, 1, 2, 3, 16; Q₁ = 1, Q₃ = 3, T = 3 + 1.5 · 2 = 6, w = 1, 1, 1, 1, 6/16
    weights = confident_weights(np.array([-1.0, 0.0, 1.0, 2.0, 15.0]))
    np.testing.assert_allclose(weights, [1, 1, 1, 1, 6 / 16], rtol=1e-6)
    # κ = .5: T = 4
    np.testing.assert_allclose(
        confident_weights(np.array([-1.0, 0.0, 1.0, 2.0, 15.0]), kappa=0.5), [1, 1, 1, 1, 4 / 16], rtol=1e-6
    )


def test_confident_quartiles_are_numpys():
    scores = np.random.default_rng(2).standard_cauchy(101)
    shifted = scores - scores.min() + 1e-6
    first, third = np.quantile(shifted, [0.25, 0.75])
    expected = np.minimum(1, (third + 1.5 * (third - first)) / shifted)
    np.testing.assert_allclose(confident_weights(scores), expected)


def test_confident_weights_never_drop_a_sample_nor_lift_an_anomaly():
    scores = np.array([*np.linspace(-3, -2, 99), 1e9])
    weights = confident_weights(scores)
    assert (weights > 0).all()
    assert (weights[:99] == 1).all()
    assert weights[99] == weights.min()


def test_equal_scores_all_weigh_one():
    np.testing.assert_array_equal(confident_weights(np.full(7, 3.0)), np.ones(7))
    np.testing.assert_array_equal(confident_weights(np.array([2.0])), [1.0])


def test_rejection_keeps_what_lies_below_the_fence_and_drops_the_rest():
    scores = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
    soft = confident_weights(scores)
    hard = rejection_weights(scores)
    np.testing.assert_array_equal(hard, [1, 1, 1, 1, 1, 0])
    assert 0 < soft[-1] < 1
    np.testing.assert_array_equal(rejection_weights(scores, kappa=1e6), np.ones(6))
    assert rejection_weights(torch.from_numpy(scores)).tolist() == hard.tolist()
