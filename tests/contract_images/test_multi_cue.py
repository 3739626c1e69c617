"""Multi-cue detection and its rivals as detectors: explanation, gradient maps, doubts, fine-tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors.images import AdaptiveDeviation, LatentOutlierExposure, MultiCue
from unseen.errors import LabelError, ParameterError
from unseen.metrics import auroc, pixel_auroc
from unseen.persistence import load, save

from .conftest import QUICK, SHARED, Pictures, draw

GRADIENTS = ("fused", "cues", "deviation", "uncertainty", "segmentation", "input")


def made(**parameters: Any) -> MultiCue:
    return MultiCue(**{**SHARED, **QUICK["multi-cue"], "calibration_folds": 0, **parameters})


@pytest.fixture(scope="module")
def world() -> Pictures:
    return draw(1, 12, 6)


@pytest.fixture(scope="module")
def detector(world: Pictures) -> MultiCue:
    return made().fit(world.X, world.y, masks=world.masks)


def test_the_explanation_is_that_of_the_score(detector, fresh):
    found = detector.explain_cues(fresh.X, size=16)
    np.testing.assert_allclose(found.scores, detector.decision_function(fresh.X), rtol=1e-5)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1, rtol=1e-6)
    logs = np.log(np.maximum(found.cues, 0.05))
    np.testing.assert_allclose(np.exp(logs @ detector.weights_), found.scores, rtol=1e-5)
    np.testing.assert_allclose(found.cues[:, 0], 1 - np.exp(-found.values[:, 0] / 5), rtol=1e-4)
    assert found.maps.shape == (16, 3, 16, 16)
    for cue in (0, 2):
        assert auroc(fresh.y, found.values[:, cue]) > 0.9
        masks = [mask.reshape(16, 2, 16, 2).any(axis=(1, 3)) for mask in fresh.masks]
        assert pixel_auroc(masks, found.maps[:, cue]) > 0.8


@pytest.mark.parametrize("gradients", GRADIENTS)
def test_gradient_maps_are_the_same_each_time(detector, fresh, gradients):
    maps = detector.localise(fresh.X[8:12], gradients=gradients)
    np.testing.assert_array_equal(maps, detector.localise(fresh.X[8:12], gradients=gradients))
    assert maps.shape == (4, 32, 32)
    assert maps.min() >= 0
    assert 0 < maps.max() <= 1


def test_gradient_maps_show_defects(world, fresh):
    paper = {"inputs": "features", "deviation_rate": 1.0, "uncertainty": "entropy", "cue_weights": "fixed"}
    plain = made(**paper).fit(world.X, world.y, masks=world.masks)
    figures = {
        name: pixel_auroc(fresh.masks[8:], plain.localise(fresh.X[8:], gradients=name))
        for name in ("fused", "cues", "deviation", "input")
    }
    assert figures["deviation"] > 0.9
    assert figures["cues"] > figures["input"]
    assert figures["fused"] > figures["input"]


def test_gradient_maps_weigh_cues_by_the_labelled_defects(detector, fresh):
    some = fresh.X[8:11]
    of_cues = [detector.localise(some, gradients=cue) for cue in ("deviation", "uncertainty", "segmentation")]
    for name, weights in (("fused", detector.gradient_weights_), ("cues", (1 / 3, 1 / 3, 1 / 3))):
        expected = sum(weight * maps for weight, maps in zip(weights, of_cues, strict=True))
        np.testing.assert_allclose(detector.localise(some, gradients=name), expected, atol=1e-6)


def test_defects_whose_place_is_known_weigh_the_gradient_maps(world, detector):
    cues = ("deviation", "uncertainty", "segmentation")
    maps = [detector.localise(world.X[12:], gradients=cue) for cue in cues]
    masks = world.masks[12:]
    skill = [
        2 * np.mean([pixel_auroc([mask], one[None]) for mask, one in zip(masks, kind, strict=True)]) - 1
        for kind in maps
    ]
    expected = np.maximum(skill, 0) / np.maximum(skill, 0).sum()
    np.testing.assert_allclose(detector.gradient_weights_, expected, atol=1e-6)
    unknown = made(epochs=1).fit(world.X, world.y)
    np.testing.assert_array_equal(unknown.gradient_weights_, unknown.weights_)


def test_labelled_anomalies_decide_how_much_cues_count(world, detector):
    assert detector.weights_.sum() == pytest.approx(1)
    assert not np.allclose(detector.weights_, (0.55, 0.10, 0.35))
    for fixed in (
        made(cue_weights="fixed", epochs=1).fit(world.X, world.y),
        made(epochs=1).fit(world.normals),
    ):
        np.testing.assert_allclose(fixed.weights_, (0.55, 0.10, 0.35))
    one = made(epochs=1, synthetic=0).fit(world.X[:13], world.y[:13])
    np.testing.assert_allclose(one.weights_, (0.55, 0.10, 0.35))


def test_gradient_maps_of_a_domain_use_its_references(detector, fresh):
    dark = draw(3, 4, 2, level=20.0)
    adapted = detector.adapt(dark.X[:4], domains=["dark"] * 4)
    mixed = adapted.localise([dark.X[4], fresh.X[9]], domains=["dark", ""])
    np.testing.assert_array_equal(mixed[1], detector.localise(fresh.X[9:10])[0])
    assert not np.allclose(mixed[0], detector.localise(dark.X[4:5])[0])


@pytest.mark.parametrize("owner", [MultiCue, AdaptiveDeviation, LatentOutlierExposure])
def test_anomalies_among_the_normals_are_doubted(owner, world):
    names = {MultiCue: "multi-cue", AdaptiveDeviation: "adaptive-deviation"}
    quick = QUICK[names.get(owner, "latent-outlier-exposure")]
    X = world.X[:5] + world.X[12:14] + world.X[5:12] + world.X[14:]
    y = np.repeat([0, 1], [14, 4])
    masks = [None] * 14 + world.masks[14:]
    detector = owner(**{**SHARED, **quick, "calibration_folds": 0}).fit(X, y, masks=masks)
    found = detector.suspects()
    assert set(found.rows[:2].tolist()) == {5, 6}
    assert sorted(found.rows.tolist()) == list(range(14))


def test_rows_of_suspects_are_those_of_the_fit(world):
    order = np.r_[12:18, 0:12]
    X, masks = [world.X[i] for i in order], [world.masks[i] for i in order]
    detector = made(epochs=2, calibration_fraction=0.25).fit(X, world.y[order], masks=masks)
    rows = detector.suspects().rows
    assert len(rows) == 9
    assert rows.min() >= 6


@pytest.mark.parametrize("inputs", ["distance", "residual", "both"])
def test_heads_can_look_at_residuals(inputs, world, fresh, tmp_path):
    detector = made(inputs=inputs, bank_size=200).fit(world.X, world.y, masks=world.masks)
    assert auroc(fresh.y, detector.decision_function(fresh.X)) > 0.9
    assert len(detector.memory_["bank"]) == 170
    adapted = detector.adapt(fresh.normals[:2], domains=["new"] * 2)
    loaded = load(save(adapted, tmp_path / "model"))
    domains = np.resize(["new", ""], len(fresh.X))
    np.testing.assert_array_equal(
        loaded.decision_function(fresh.X, domains=domains),
        adapted.decision_function(fresh.X, domains=domains),
    )


def test_a_fine_tuned_backbone_is_part_of_the_model(world, fresh, tmp_path):
    detector = made(fine_tune=True, epochs=6).fit(world.X, world.y, masks=world.masks)
    plain = made(epochs=6).fit(world.X, world.y, masks=world.masks)
    assert plain.tuned_ is None
    assert detector.tuned_.scale.item() != 1.0
    assert detector.weight_hash_ != plain.weight_hash_
    scores = detector.decision_function(fresh.X)
    assert auroc(fresh.y, scores) > 0.9
    loaded = load(save(detector, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(fresh.X), scores)
    np.testing.assert_array_equal(loaded.localise(fresh.X[:2]), detector.localise(fresh.X[:2]))


def test_without_labels_made_up_defects_teach_alone(world, fresh):
    detector = made().fit(world.normals)
    assert auroc(fresh.y, detector.decision_function(fresh.X)) > 0.7


def test_nothing_to_learn_from_is_refused(world):
    with pytest.raises(LabelError, match="synthetic"):
        made(synthetic=0).fit(world.normals)
    scores = made(synthetic=0).fit(world.X, world.y, masks=world.masks).decision_function(world.X)
    assert np.isfinite(scores).all()


def test_global_randomness_is_left_alone(world):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    made(epochs=1).fit(world.X, world.y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": "patches"},
        {"weights": (1.0, 0.0)},
        {"weights": (0.0, 0.0, 0.0)},
        {"weights": (1.0, -1.0, 1.0)},
        {"uncertainty": "variance"},
        {"scaling": "linear"},
        {"reweighting": "some"},
        {"top_share": 0.0},
        {"trimmed": 1.0},
        {"epochs": 0},
        {"fine_tune": 1},
        {"synthetic_foreground": "part"},
    ],
)
def test_bad_parameters_of_multi_cue_are_refused(wrong, world):
    with pytest.raises(ParameterError):
        made(**wrong).fit(world.X)
