"""Weighted supervised InfoNCE against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from unseen.nn.losses.contrastive import weighted_info_nce

EAST, NORTH, WEST = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 0.0])


def loss(normals, negatives, groups, weights, temperature=0.5):
    return float(
        weighted_info_nce(
            torch.stack(normals),
            torch.stack(negatives),
            torch.tensor(groups),
            torch.tensor(weights),
            temperature=temperature,
        )
    )


def test_two_normals_and_one_negative_by_hand():
    """Cosines: 0 between the normals, -1 from east to west, 0 from north to west; temperature 1/2."""
    of_east = -math.log(math.exp(0) / (math.exp(0) + math.exp(-2)))
    of_north = -math.log(math.exp(0) / (math.exp(0) + math.exp(0)))
    expected = (0.25 * of_east + 1.0 * of_north) / 1.25
    assert loss([EAST, 3 * NORTH], [WEST], [0, 0], [0.25, 1.0]) == pytest.approx(expected, rel=1e-6)


def test_positives_are_averaged_and_negatives_are_summed():
    of_east = (
        -math.log(math.exp(2) / (math.exp(2) + 2 * math.exp(-2)))
        - math.log(math.exp(0) / (math.exp(0) + 2 * math.exp(-2)))
    ) / 2
    found = loss([EAST, EAST, NORTH], [WEST, WEST], [0, 0, 0], [1.0, 0.0, 0.0])
    assert found == pytest.approx(of_east, rel=1e-6)


def test_normals_of_other_groups_are_neither_positives_nor_negatives():
    alone = loss([EAST, NORTH], [WEST], [0, 0], [1.0, 1.0])
    beside = loss([EAST, NORTH, WEST], [WEST], [0, 0, 1], [1.0, 1.0, 1.0])
    assert beside == pytest.approx(alone, rel=1e-6)


def test_no_positive_or_no_weight_is_zero_and_has_a_gradient():
    normals = torch.stack([EAST, NORTH]).requires_grad_()
    for groups, weights in (([0, 1], [1.0, 1.0]), ([0, 0], [0.0, 0.0])):
        value = weighted_info_nce(normals, WEST[None], torch.tensor(groups), torch.tensor(weights))
        (gradient,) = torch.autograd.grad(value, normals)
        assert float(value.detach()) == 0
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_step_against_the_gradient_draws_normals_together_and_away_from_anomalies():
    normals = torch.tensor([[1.0, 0.2], [0.2, 1.0]], requires_grad=True)
    negative = torch.tensor([[0.7, -0.7]])
    value = weighted_info_nce(normals, negative, torch.zeros(2, dtype=torch.long), torch.ones(2))
    (gradient,) = torch.autograd.grad(value, normals)
    moved = torch.nn.functional.normalize((normals - 0.1 * gradient).detach(), dim=1)
    before = torch.nn.functional.normalize(normals.detach(), dim=1)
    assert (moved @ negative.T).sum() < (before @ negative.T).sum()
    assert moved[0] @ moved[1] > before[0] @ before[1]
