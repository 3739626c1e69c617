"""ResAD on patches as a detector: the score before training, what training changes, what adapts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors.images import NearestNeighbourPatches, ResADPatches
from unseen.errors import LabelError, ParameterError
from unseen.metrics import pixel_auroc

from .conftest import SHARED, draw

TRAINED: dict[str, Any] = {"hidden": (16,), "epochs": 20, "head_batch": 256, "lr": 1e-2}


def made(**parameters: Any) -> ResADPatches:
    return ResADPatches(**{**SHARED, **TRAINED, **parameters})


def source() -> tuple[list[np.ndarray], np.ndarray, list[str], list[np.ndarray]]:
    """Two parts with defects and masks."""
    worlds = [draw(1, 5, 5), draw(2, 5, 5, level=40.0)]
    X = [image for world in worlds for image in world.X]
    masks = [mask for world in worlds for mask in world.masks]
    return X, np.concatenate([world.y for world in worlds]), ["a"] * 10 + ["b"] * 10, masks


def test_without_training_the_score_is_the_length_of_the_residual_over_a_constant():
    world, fresh = draw(1, 5, 0), draw(3, 4, 4)
    detector = made(epochs=0).fit(world.X)
    plain = NearestNeighbourPatches(score="residual-norm", search="exact", **SHARED).fit(world.X)
    ratio = detector.decision_function(fresh.X) / plain.decision_function(fresh.X)
    np.testing.assert_allclose(ratio, 1 / (detector.scale_ * detector.radius_), rtol=1e-4)


def test_about_a_twentieth_of_the_patches_of_normals_lies_outside_the_boundary():
    detector = made(epochs=5, smoothing=0.0).fit(draw(1, 9, 0).X)
    maps = detector.score_maps(draw(7, 40, 0).X, size=8)
    assert 0.02 < (maps > 1).mean() < 0.1


def test_training_helps_on_a_part_that_it_has_not_seen():
    X, y, domains, masks = source()
    target = draw(9, 12, 8, level=60.0)

    def judged(epochs: int) -> tuple[float, float]:
        detector = made(epochs=epochs).fit(X, y, domains=domains, masks=masks)
        adapted = detector.adapt(target.X[:4], domains=["new"] * 4)
        maps = adapted.score_maps(target.X[4:], domains=["new"] * 16, size=8)
        defective = np.array([mask.reshape(8, 4, 8, 4).mean(axis=(1, 3)) for mask in target.masks[4:]])
        gap = np.median(maps[defective > 0.9]) / np.median(maps[defective == 0])
        return pixel_auroc(target.masks[4:], adapted.score_maps(target.X[4:], domains=["new"] * 16)), gap

    (plain, plain_gap), (trained, trained_gap) = judged(0), judged(20)
    assert trained_gap > 1.2 * plain_gap
    assert trained > plain - 0.01


def test_adapt_trains_nothing():
    X, y, domains, masks = source()
    detector = made().fit(X, y, domains=domains, masks=masks)
    before = {name: value.clone() for name, value in detector.network_.state_dict().items()}
    adapted = detector.adapt(draw(5, 4, 0).X, domains=["new"] * 4)
    assert adapted.network_ is detector.network_
    assert all(torch.equal(before[name], value) for name, value in adapted.network_.state_dict().items())
    assert (adapted.scale_, adapted.radius_) == (detector.scale_, detector.radius_)
    assert sorted(adapted.domain_memories_) == ["a", "b", "new"]


def test_a_reference_scores_zero():
    X, y, domains, masks = source()
    shown = draw(5, 3, 0, level=150.0).X
    adapted = made().fit(X, y, domains=domains, masks=masks).adapt(shown, domains=["new"] * 3)
    np.testing.assert_allclose(adapted.decision_function(shown, domains=["new"] * 3), 0, atol=1e-3)


def test_labelled_defects_and_made_up_ones_train_other_networks():
    X, y, domains, masks = source()
    known = made(epochs=2).fit(X, y, domains=domains, masks=masks)
    both = made(epochs=2, pseudo_anomalies="always").fit(X, y, domains=domains, masks=masks)
    unmasked = made(epochs=2).fit(X, y, domains=domains)
    weights = [detector.network_[0].weight for detector in (known, both, unmasked)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_leaves_the_global_state_alone_and_lowers_the_loss():
    X, y, domains, masks = source()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    detector = made().fit(X, y, domains=domains, masks=masks)
    assert torch.equal(torch.get_rng_state(), state)
    assert detector.history_["loss"].shape == (20,)
    assert detector.history_["loss"][-1] < 0.9 * detector.history_["loss"][0]


def test_turned_references_are_remembered():
    world = draw(1, 4, 0)
    assert len(made(epochs=0, rotations=4).fit(world.X).memory_["bank"]) == 4 * 4 * 64
    assert len(made(epochs=0, n_references=2).fit(world.X).memory_["bank"]) == 2 * 64


def test_two_normals_of_a_domain_are_needed():
    world = draw(1, 2, 0)
    with pytest.raises(LabelError, match="two normal pictures of one domain"):
        made().fit(world.X, domains=["a", "b"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": ()},
        {"pseudo_anomalies": "never"},
        {"training_patches": 0},
        {"epochs": -1},
        {"head_batch": 0},
        {"lr": 0.0},
        {"n_references": 0},
    ],
)
def test_bad_parameters_of_res_ad_patches_are_refused(wrong):
    with pytest.raises(ParameterError, match="batch_size" if "head_batch" in wrong else next(iter(wrong))):
        made(**wrong).fit(draw(1, 3, 0).X)
