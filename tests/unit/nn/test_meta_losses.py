"""Losses of multi-directional meta-learning against values computed by hand."""

import math

import pytest
import torch

from unseen.nn.losses.margin import confidence_gap, margin_loss
from unseen.nn.losses.one_class import anomaly_logit, one_class_loss
from unseen.nn.losses.variance_normalised_reconstruction import EPSILON, variance_normalised_reconstruction


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_one_class_loss_is_the_cross_entropy_of_the_softmax(temperature):
    logits = torch.tensor([[2.0, -1.0], [0.3, 0.9], [-4.0, 4.0]], dtype=torch.float64)
    p_normal = torch.softmax(logits / temperature, dim=1)[:, 0]
    of_normals = one_class_loss(logits, normal=True, temperature=temperature)
    of_anomalies = one_class_loss(logits, normal=False, temperature=temperature)
    torch.testing.assert_close(of_normals, -torch.log(p_normal).mean())
    torch.testing.assert_close(of_anomalies, -torch.log(1 - p_normal).mean())


def test_anomaly_logit_orders_rows_where_the_softmax_has_saturated():
    logits = torch.tensor([[0.0, 200.0], [0.0, 300.0]])
    assert torch.softmax(logits, dim=1)[0, 0] == torch.softmax(logits, dim=1)[1, 0]
    assert anomaly_logit(logits)[0] < anomaly_logit(logits)[1]


def test_one_class_loss_alone_is_satisfied_by_calling_everything_normal():
    assert one_class_loss(torch.tensor([[50.0, -50.0]]), normal=True) < 1e-12


def test_gap_and_hinge_by_hand():
    normals = torch.tensor([[math.log(3.0), 0.0]])  # p_normal = 3/4
    anomalies = torch.tensor([[0.0, math.log(4.0)]])  # p_normal = 1/5
    gap = confidence_gap(normals, anomalies, 1.0)
    assert gap.item() == pytest.approx(0.55)
    assert margin_loss(gap, 0.6).item() == pytest.approx(0.05)
    assert margin_loss(gap, 0.5).item() == 0.0


def test_reconstruction_is_in_units_of_each_features_variance():
    rows = torch.tensor([[1.0, 10.0]])
    output = torch.tensor([[0.0, 0.0]])
    variance = torch.tensor([1.0, 100.0])
    value = variance_normalised_reconstruction(output, rows, variance)
    assert value.tolist() == pytest.approx([(1 / (1 + EPSILON) + 100 / (100 + EPSILON)) / 2])
