"""The decomposition, its invariances, and the losses that train on it."""

from __future__ import annotations

import pytest
import torch

from unseen.nn.adaptation import AdaptationLayer
from unseen.nn.losses.localisation import cross_entropy, dice, focal
from unseen.nn.patches.defect_episodes import defective
from unseen.nn.patches.value_order import (
    abnormal_directions,
    abnormal_similarity,
    compare_with_normal,
    decompose,
    value_component,
)


def points(n: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, channels, generator=torch.Generator().manual_seed(seed))


def test_the_example_of_the_paper():
    values, order = decompose(torch.tensor([[0.9, 0.6, 0.7, 0.5, 0.8]]))
    torch.testing.assert_close(values, torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]]))
    assert order.tolist() == [[0, 3, 2, 4, 1]]


def test_value_and_order_are_the_residual():
    residuals = points(20, 9).abs()
    values, order = decompose(residuals)
    assert torch.equal(values.gather(1, order), residuals)
    assert torch.equal(values, value_component(residuals))
    assert torch.equal(value_component(residuals, sorting=False), residuals)


def similarity_of(queries, abnormal, bank, *, sorting):
    similarity, residuals = compare_with_normal(queries, bank)
    _, of_abnormal = compare_with_normal(abnormal, bank)
    directions, length = abnormal_directions(value_component(of_abnormal, sorting=sorting))
    return similarity, abnormal_similarity(value_component(residuals, sorting=sorting), directions, length)


def test_permuted_channels_change_the_order_and_nothing_else():
    """Channels of other parts, or of another backbone: each picture's features in an order of their own."""
    queries, abnormal, bank = points(30, 16), 2 * points(12, 16, 1), points(40, 16, 2)
    mixed = torch.randperm(16, generator=torch.Generator().manual_seed(5))
    _, residuals = compare_with_normal(queries, bank)
    _, permuted = compare_with_normal(queries[:, mixed], bank[:, mixed])
    plain, other = decompose(residuals), decompose(permuted)
    torch.testing.assert_close(other.values, plain.values)
    assert torch.equal(other.order, plain.order[:, mixed])
    assert (other.order != plain.order).any(dim=1).all()
    # The query's domain may have other channels than that of the abnormal references: S_a stays, if sorted.
    _, of_abnormal = compare_with_normal(abnormal, bank)
    for sorting in (True, False):
        directions, length = abnormal_directions(value_component(of_abnormal, sorting=sorting))
        before = abnormal_similarity(value_component(residuals, sorting=sorting), directions, 9 * length)
        after = abnormal_similarity(value_component(permuted, sorting=sorting), directions, 9 * length)
        assert torch.allclose(before, after, atol=1e-6) is sorting


def test_similarities_lie_between_zero_and_one_and_rise_with_the_difference():
    bank, abnormal = points(40, 16, 2), 4 * points(12, 16, 1)
    near, far = bank[:10] + 0.01 * points(10, 16, 3), bank[:10] + 3 * points(10, 16, 4)
    for sorting in (True, False):
        alike, abnormal_near = similarity_of(near, abnormal, bank, sorting=sorting)
        less, abnormal_far = similarity_of(far, abnormal, bank, sorting=sorting)
        assert alike.min() > less.max()
        assert abnormal_near.max() < abnormal_far.min()
        assert abnormal_near.min() >= 0
        assert abnormal_far.max() <= 1


def test_a_reference_itself_is_normal():
    bank = points(10, 6)
    similarity, abnormal = similarity_of(bank, 2 * points(5, 6, 1), bank, sorting=True)
    torch.testing.assert_close(similarity, torch.ones(10))
    torch.testing.assert_close(abnormal, torch.zeros(10))


def test_the_layer_has_the_size_of_the_paper_and_starts_as_the_identity():
    layer = AdaptationLayer(384)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 1_774_464
    patches = points(2 * 5, 384).view(2, 5, 384)
    torch.testing.assert_close(layer.eval()(patches), patches)
    assert AdaptationLayer(6, heads=4, hidden=8).layer.self_attn.num_heads == 3


def test_the_losses_are_those_of_their_formulas():
    scores, targets = torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1.0, 0.0, 0.0])
    of_truth = torch.tensor([0.9, 0.8, 0.4])
    torch.testing.assert_close(cross_entropy(scores, targets), -of_truth.log().mean())
    torch.testing.assert_close(focal(scores, targets), -((1 - of_truth) ** 2 * of_truth.log()).mean())
    torch.testing.assert_close(focal(scores, targets, gamma=0.0), cross_entropy(scores, targets))
    assert dice(scores, targets) == pytest.approx(1 - 2.8 / (0.81 + 0.04 + 0.36 + 2))
    assert dice(targets, targets) == 0
    for loss in (cross_entropy, focal, dice):
        assert loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])).isfinite()


def test_abnormal_references_are_the_patches_mostly_under_the_defect():
    assert defective(torch.tensor([[0.0, 0.6, 0.5], [0.2, 1.0, 0.0]])).tolist() == [
        [False, True, True],
        [False, True, False],
    ]
    assert defective(torch.tensor([[0.0, 0.1, 0.3]])).tolist() == [[False, False, True]]
