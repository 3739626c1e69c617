"""Losses, cues, heads and their training against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unseen.nn.cue_heads import CueHeads
from unseen.nn.cues import CUES, FLOOR, entropy_cue, fuse, scaled_deviation, scaled_uncertainty, shares
from unseen.nn.deviation_training import CueTraining, HeadSchedule, Known
from unseen.nn.gradient_maps import to_unit
from unseen.nn.losses.deviation import (
    ReferenceMoments,
    focal_loss_of_pictures,
    reference_moments,
    soft_deviation_loss,
    top_share_mean,
)
from unseen.nn.losses.latent_outliers import inferred_labels, transformation_losses
from unseen.nn.patches.head_inputs import head_inputs, own_statistics, residual_statistics
from unseen.nn.patches.robust_bank import cosine_to_others, robust_bank


def test_reference_scores_are_standard_normal_and_seeded():
    one, two = (reference_moments(torch.Generator().manual_seed(3)) for _ in range(2))
    assert one == two
    assert abs(one.mean) < 0.05
    assert abs(one.deviation - 1) < 0.05


def test_the_top_share_is_rounded_up():
    values = torch.arange(12.0).reshape(1, 3, 4)
    assert top_share_mean(values, 0.1).item() == pytest.approx((11 + 10) / 2)  # ceil(1.2) = 2
    assert top_share_mean(values, 0.25).item() == pytest.approx((11 + 10 + 9) / 3)
    assert top_share_mean(values, 0.001).item() == 11


def test_soft_deviation_loss_by_hand():
    scores, p = torch.tensor([1.2, 1.2, 9.0]), torch.tensor([0.0, 1.0, 0.25])
    loss = soft_deviation_loss(scores, p, ReferenceMoments(0.2, 2.0), margin=5.0)
    # Z = 0.5, 0.5, 4.4
    assert loss.tolist() == pytest.approx([0.5, 4.5, 0.75 * 4.4 + 0.25 * 0.6])


def test_no_gradient_reaches_the_probability():
    scores, p = torch.tensor([1.0], requires_grad=True), torch.tensor([0.4], requires_grad=True)
    soft_deviation_loss(scores, p, ReferenceMoments(0.0, 1.0)).sum().backward()
    assert scores.grad.item() == pytest.approx(0.6 - 0.4)
    assert p.grad is None


def test_focal_loss_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)]], [[0.0, math.log(3)]]])
    masks = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]])
    seen = (0.5**2 * math.log(2) + 0.25**2 * -math.log(0.75)) / 2
    missed = (0.5**2 * math.log(2) + 0.75**2 * -math.log(0.25)) / 2
    assert focal_loss_of_pictures(logits, masks).tolist() == pytest.approx([seen, missed])
    plain = (math.log(2) - math.log(0.75)) / 2
    assert focal_loss_of_pictures(logits, masks, gamma=0.0)[0].item() == pytest.approx(plain)


def test_the_entropy_cue_falls_for_sure_anomalies_and_the_probability_does_not():
    p = torch.tensor([0.0, 0.5, 0.999, 1.0], dtype=torch.float64)
    assert entropy_cue(p)[:2].tolist() == pytest.approx([0, math.log(1 + math.log(2))])
    scaled = scaled_uncertainty(p, "entropy")
    assert scaled[1].item() == pytest.approx(1)
    assert scaled[3] < scaled[2] < scaled[1]
    assert torch.equal(scaled_uncertainty(p, "probability"), p)


def test_scalings_of_the_deviation_by_hand():
    scores = torch.tensor([0.0, 5.0, 20.0])
    assert scaled_deviation(scores).tolist() == pytest.approx([0, 1 - math.exp(-1), 1 - math.exp(-4)])
    assert scaled_deviation(scores, scaling="ratio").tolist() == pytest.approx([0, 0.5, 0.8])
    assert scaled_deviation(scores, scaling="clipped").tolist() == pytest.approx([0, 1, 1])


def test_fusion_is_a_weighted_geometric_mean_with_a_floor():
    cues = torch.tensor([[0.5, 0.2, 0.9], [0.0, 1.0, 1.0]], dtype=torch.float64)
    expected = [0.5**0.55 * 0.2**0.10 * 0.9**0.35, FLOOR**0.55]
    assert fuse(cues).tolist() == pytest.approx(expected)
    assert fuse(cues, (2, 0, 2)).tolist() == pytest.approx([math.sqrt(0.45), math.sqrt(FLOOR)])


def test_shares_sum_to_one_and_follow_the_logarithms():
    cues = torch.tensor([[0.5, 0.05, 0.5], [0.01, 0.0, 0.05]], dtype=torch.float64)
    found = shares(cues)
    assert found[0].tolist() == pytest.approx([0.55 / 0.9, 0, 0.35 / 0.9])
    assert found[1].tolist() == pytest.approx([1 / len(CUES)] * 3)


def test_the_log_odds_are_the_mean_of_the_evidence():
    torch.manual_seed(0)
    heads = CueHeads(4, width=3, top_share=0.1)
    features = torch.randn(2, 4, 5, 5)
    outputs = heads(features)
    pooled = (heads.probability.weight[0, :, 0, 0] * features.mean(dim=(2, 3))).sum(dim=1)
    torch.testing.assert_close(outputs.log_odds, pooled + heads.probability.bias)
    assert outputs.patches.min() >= 0
    assert outputs.segmentation.shape == (2, 5, 5)
    assert CueHeads(4, width=0)(features).segmentation is None


def test_patches_of_one_picture_alone_do_not_get_into_a_trimmed_bank():
    generator = torch.Generator().manual_seed(1)
    usual = torch.tensor([1.0, 0.0, 0.0]) + 0.05 * torch.randn(4, 10, 3, generator=generator)
    patches = torch.nn.functional.normalize(usual, dim=2)
    patches[2, :4] = torch.tensor([0.0, 0.0, 1.0])
    bank = robust_bank(patches, size=1000, trimmed=0.1, generator=generator)
    assert len(bank.patches) == 36
    assert bank.patches[:, 2].max() < 0.5
    assert len(robust_bank(patches, size=1000, trimmed=0.0, generator=generator).patches) == 40


def test_the_nearest_patch_is_that_of_another_picture():
    bank, owners = torch.eye(3), torch.tensor([0, 1, 2])
    cosines, places = cosine_to_others(torch.eye(3), bank, owners, torch.tensor([0, 7, 2]))
    assert places[1].item() == 1
    assert cosines.tolist() == [0, 1, 0]
    assert places[0].item() != 0


def test_head_inputs_by_hand():
    features = torch.tensor([[3.0, 0.0], [4.0, 2.0]]).reshape(1, 2, 1, 2)
    unit = torch.tensor([[0.6, 0.0], [0.8, 1.0]]).reshape(1, 2, 1, 2)
    memory = {"centre": torch.tensor([0.3, 0.9]), "scale": torch.tensor([0.3, 0.1])}
    seen = head_inputs(features, memory, "features")
    torch.testing.assert_close(seen, torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).reshape(1, 2, 1, 2))
    memory |= {"bank": torch.eye(2), "residual_centre": torch.zeros(3), "residual_scale": torch.ones(3)}
    residual = head_inputs(features, memory, "residual")
    assert residual[0, :, 0, 1].tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert residual[0, :, 0, 0].tolist() == pytest.approx([0.6, 0.2, math.sqrt(0.4)])
    assert head_inputs(features, memory, "both").shape == (1, 5, 1, 2)
    own = own_statistics(features)
    np.testing.assert_allclose(own["centre"], unit.mean(dim=(0, 2, 3)))


def test_residual_statistics_compare_with_other_pictures_only():
    features = torch.eye(2)[:, :, None, None]
    found = residual_statistics(features, torch.eye(2), torch.tensor([0, 1]))
    np.testing.assert_allclose(found["residual_centre"], [1, 1, math.sqrt(2)], rtol=1e-5)


def test_doubtful_labels_go_to_the_largest_preference():
    preference = torch.tensor([0.1, 3.0, -1.0, 2.0])
    assert inferred_labels(preference, 0.5, "hard").tolist() == [0, 1, 0, 1]
    assert inferred_labels(preference, 0.25, "soft").tolist() == [0, 0.5, 0, 0]
    assert inferred_labels(preference, 0.0).sum() == 0


def test_transformation_losses_by_hand():
    anchor, views = torch.tensor([[1.0, 0.0]]), torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
    of_normal, of_anomaly = transformation_losses(anchor, views, temperature=1.0)
    first = math.e / (math.e + 1)  # to the anchor: cosine 1; to the other view: 0
    second = 1 / (1 + 1)
    assert of_normal.item() == pytest.approx(-(math.log(first) + math.log(second)) / 2)
    assert of_anomaly.item() == pytest.approx(-(math.log(1 - first) + math.log(1 - second)) / 2)


def test_maps_are_brought_to_the_unit_interval_one_by_one():
    maps = torch.tensor([[[1.0, 3.0]], [[5.0, 5.0]]])
    assert to_unit(maps).tolist() == [[[0, 1]], [[0, 0]]]


SCHEDULE = HeadSchedule(
    epochs=30,
    batch_size=8,
    lr=1e-2,
    weight_decay=0.0,
    margin=5.0,
    reweighting="normals",
    alpha=0.1,
    scale=0.1,
    burn_in=0.06,
    real_share=0.5,
)


def toy(seed: int = 0) -> tuple[Known, torch.Tensor]:
    """Twenty normals, two of which are anomalies, made-up copies, and four labelled anomalies."""
    generator = torch.Generator().manual_seed(seed)
    values = 0.3 * torch.randn(24, 2, 3, 6, 6, generator=generator)
    mask = torch.zeros(24, 2, 6, 6)
    values[:20, 1, 0, 2:4, 2:4] += 3
    mask[:20, 1, 2:4, 2:4] = 1
    for row in (3, 11, *range(20, 24)):
        values[row, 0, 1, 2:4, 2:4] += 3
    mask[20:, 0, 2:4, 2:4] = 1

    def seen(rows: np.ndarray, looks: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return values[rows, looks], mask[rows, looks]

    return Known(seen, np.arange(20), np.arange(20, 24), 1), values


def test_training_doubts_the_anomalies_among_the_normals():
    known, values = toy()
    torch.manual_seed(0)
    heads = CueHeads(3, width=4)
    training = CueTraining(
        heads, known, SCHEDULE, judge=lambda o: o.deviation, seed=0, place=torch.device("cpu")
    )
    trained = training.run(heads)
    assert sorted(np.argsort(-trained.doubts)[:2].tolist()) == [3, 11]
    assert set(trained.history) == {"loss", "deviation", "probability", "segmentation"}
    with torch.no_grad():
        outputs = heads(values[:, 0])
    clean = [row for row in range(20) if row not in (3, 11)]
    assert outputs.deviation[20:].min() > outputs.deviation[clean].max()
    assert outputs.segmentation[20:, 2:4, 2:4].mean() > outputs.segmentation[clean].mean()


@pytest.mark.parametrize("reweighting", ["all", "none"])
def test_every_way_of_weighting_trains(reweighting):
    known, _ = toy()
    torch.manual_seed(0)
    heads = CueHeads(3, width=0)
    schedule = HeadSchedule(**{**vars(SCHEDULE), "reweighting": reweighting, "epochs": 2})
    run = CueTraining(heads, known, schedule, judge=lambda o: o.deviation, seed=0, place=torch.device("cpu"))
    assert np.isfinite(run.run(heads).history["loss"]).all()
