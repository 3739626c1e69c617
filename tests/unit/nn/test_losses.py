"""The losses against hand-computed values and torch's own distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from unseen.nn.losses.anomaly_awareness import (
    anomaly_awareness_loss,
    anomaly_error,
    ramped_weight,
    squared_error,
)
from unseen.nn.losses.elbo import elbo_terms, kl_to_standard_normal, reconstruction_loss


def test_kl_is_that_of_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(3)
    mean = torch.randn(7, 4, generator=generator)
    log_variance = torch.randn(7, 4, generator=generator)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum()
    assert kl_to_standard_normal(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_is_zero_at_the_prior_and_half_the_square_of_a_shift() -> None:
    zeros = torch.zeros(1, 2)
    assert kl_to_standard_normal(zeros, zeros).item() == 0
    assert kl_to_standard_normal(torch.tensor([[3.0, 0.0]]), zeros).item() == pytest.approx(4.5)


def test_squared_error_term_sums_over_features() -> None:
    rows, output = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [1.0, 0.0]])
    assert reconstruction_loss(output, rows, "mse").item() == pytest.approx(1 + 4 + 1)
    assert squared_error(output, rows).tolist() == [5.0, 1.0]


def test_bce_term_takes_logits_and_sums_over_features() -> None:
    rows, logits = torch.tensor([[1.0, 0.25]]), torch.tensor([[0.0, math.log(3)]])
    by_hand = -math.log(0.5) - (0.25 * math.log(0.75) + 0.75 * math.log(0.25))
    assert reconstruction_loss(logits, rows, "bce").item() == pytest.approx(by_hand, rel=1e-6)


def test_elbo_terms_are_means_over_the_batch() -> None:
    rows, output = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [1.0, 0.0]])
    mean, log_variance = torch.tensor([[3.0], [0.0]]), torch.zeros(2, 1)
    reconstruction, kl = elbo_terms(output, rows, mean, log_variance, "mse")
    assert (reconstruction.item(), kl.item()) == (pytest.approx(3.0), pytest.approx(2.25))


def test_ramp_is_linear_and_ends_at_the_maximum() -> None:
    assert [ramped_weight(epoch, 4, 2.0) for epoch in (1, 2, 3, 4)] == [0.5, 1.0, 1.5, 2.0]


def test_clip_limits_each_anomaly_and_stops_its_gradient() -> None:
    errors = torch.tensor([10.0, 300.0], requires_grad=True)
    mean = anomaly_error(errors, 200.0)
    mean.backward()
    assert mean.item() == pytest.approx(105.0)
    assert errors.grad is not None
    assert errors.grad.tolist() == [0.5, 0.0]
    assert anomaly_error(errors.detach(), None).item() == pytest.approx(155.0)


def test_anomaly_awareness_loss_subtracts_the_weighted_error() -> None:
    loss = anomaly_awareness_loss(torch.tensor(4.0), torch.tensor([2.0, 6.0]), 0.25, 5.0)
    assert loss.item() == pytest.approx(4.0 - 0.25 * 3.5)
