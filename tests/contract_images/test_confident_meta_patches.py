"""Confident contrastive meta-learning for pictures: zero-shot, switches, and what training never reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors.images import ConfidentMetaPatches
from unseen.errors import ParameterError
from unseen.metrics import auroc, pixel_auroc

from .conftest import SHARED, draw

QUICK: dict[str, Any] = {
    "context": "centred",
    "base": False,
    "start_share": 0.0,
    "score": "both",
    "latent": 8,
    "epochs": 3,
    "warm_up": 1,
    "steps": 8,
    "lr": 1e-2,
    "calibration_folds": 0,
}


def made(**parameters: Any) -> ConfidentMetaPatches:
    return ConfidentMetaPatches(**{**SHARED, **QUICK, **parameters})


def source() -> tuple[list[np.ndarray], list[str]]:
    """Normals of three parts."""
    worlds = [draw(seed, 6, 0, level=level) for seed, level in ((1, 90.0), (2, 40.0), (3, 70.0))]
    return [image for world in worlds for image in world.X], [name for name in "abc" for _ in range(6)]


@pytest.fixture(scope="module")
def trained() -> ConfidentMetaPatches:
    X, domains = source()
    return made().fit(X, domains=domains)


def theta(detector: ConfidentMetaPatches) -> list[torch.Tensor]:
    return [value.clone() for value in detector.network_.state_dict().values()]


def flat(seed: int, level: float, n_anomalies: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Noise about one level; anomalies have a darker square."""
    random = np.random.default_rng(seed)
    images, masks = [], []
    for number in range(6 + n_anomalies):
        values, mask = level + random.normal(0, 8, size=(32, 32, 3)), np.zeros((32, 32), dtype=bool)
        if number >= 6:
            row, column = random.integers(2, 22, size=2)
            mask[row : row + 8, column : column + 8] = True
            values[mask] -= 60
        images.append(np.clip(values, 0, 255).astype(np.uint8))
        masks.append(mask)
    return images, masks


def test_defects_of_a_part_that_was_never_trained_on_are_found_without_references():
    X = [image for seed, level in enumerate((80.0, 120.0, 200.0)) for image in flat(seed, level, 0)[0]]
    detector = made().fit(X, domains=[name for name in "abc" for _ in range(6)])
    images, masks = flat(9, 160.0, 6)
    scores, maps = detector.score_and_explain(images)
    assert auroc(np.repeat([0, 1], 6), scores) > 0.9
    assert pixel_auroc(masks, maps) > 0.8
    assert (scores > 0).all()
    assert len(detector.memory_["prototypes"]) == 0
    assert len(detector.memory_["references"]) == 0


def test_contrast_finds_defects_from_the_picture_alone_and_better_with_references():
    X = [image for seed, level in enumerate((80.0, 120.0, 200.0)) for image in flat(seed, level, 0)[0]]
    parameters = {"context": "contrast", "base": True, "score": "discriminator", "lr": 1e-3}
    detector = made(**parameters).fit(X, domains=[name for name in "abc" for _ in range(6)])
    images, masks = flat(9, 160.0, 6)
    scores, maps = detector.score_and_explain(images)
    assert pixel_auroc(masks, maps) > 0.8
    adapted = detector.adapt(flat(10, 160.0, 0)[0], domains=["new"] * 6)
    memory = adapted.domain_memories_["new"]
    np.testing.assert_allclose(np.linalg.norm(memory["references"], axis=1), 1, atol=1e-5)
    again, _ = adapted.score_and_explain(images, domains=["new"] * 12)
    assert auroc(np.repeat([0, 1], 6), again) >= auroc(np.repeat([0, 1], 6), scores)


def test_a_reference_picture_is_not_explained_by_its_own_patches(trained):
    detector = made(context="contrast")
    vars(detector).update({key: value for key, value in vars(trained).items() if key.endswith("_")})
    V = np.random.default_rng(0).normal(size=(3, 2, detector.n_features_in_ + 2, 6, 6)).astype(np.float32)
    known = detector._known(V)
    tasks = [detector._task(V, some) for some in (None, known)]
    own = known._replace(owners=torch.full_like(known.owners, 9))
    seen_with_itself = detector._task(V, own).normals
    assert float(seen_with_itself.norm(dim=2).mean()) < float(tasks[1].normals.norm(dim=2).mean())
    assert float(tasks[1].normals.norm(dim=2).mean()) < float(tasks[0].normals.norm(dim=2).mean())


def test_references_become_weights_and_prototypes_of_their_domain(trained):
    target = draw(9, 10, 10, level=20.0)
    adapted = trained.adapt(target.X[:4], domains=["new"] * 4)
    memory = adapted.domain_memories_["new"]
    assert len(memory["prototypes"]) == 4 * 64
    np.testing.assert_allclose(np.linalg.norm(memory["prototypes"], axis=1), 1, atol=1e-5)
    assert not np.array_equal(memory["weights"], adapted.memory_["weights"])
    assert auroc(target.y[4:], adapted.decision_function(target.X[4:], domains=["new"] * 16)) > 0.9


def test_without_steps_the_weights_of_a_domain_are_the_shared_ones(trained):
    detector = made(adaptation_steps=0)
    vars(detector).update({key: value for key, value in vars(trained).items() if key.endswith("_")})
    adapted = detector.adapt(source()[0][:3], domains=["new"] * 3)
    np.testing.assert_array_equal(adapted.domain_memories_["new"]["weights"], adapted.memory_["weights"])


@pytest.mark.parametrize(
    "switch",
    [
        {"weighting": "none"},
        {"meta": "none"},
        {"synthetic": False},
        {"context": "absolute"},
        {"context": "contrast"},
        {"base": True},
        {"start_share": 0.5},
    ],
    ids=str,
)
def test_every_switch_changes_what_is_learned(switch):
    X, domains = source()
    first = theta(made(kappa=0.0, steps=3).fit(X, domains=domains))
    second = theta(made(**{"kappa": 0.0, "steps": 3, **switch}).fit(X, domains=domains))
    assert not all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_the_score_has_the_terms_asked_for(trained):
    X = draw(9, 3, 3, level=55.0).X
    found = {}
    for score in ("discriminator", "prototypes", "both"):
        detector = made(score=score, top_share=1.0)
        vars(detector).update({key: value for key, value in vars(trained).items() if key.endswith("_")})
        found[score] = detector.decision_function(X)
    np.testing.assert_allclose(found["both"], found["discriminator"] + found["prototypes"], rtol=1e-5)


def test_pictures_of_the_target_change_no_trained_tensor(trained):
    before = theta(trained)
    target = draw(9, 6, 6, level=20.0)
    trained.decision_function(target.X)
    adapted = trained.adapt(target.normals, domains=["new"] * 6)
    adapted.score_and_explain([255 - image for image in target.X], domains=["new"] * 12)
    assert all(torch.equal(*pair) for pair in zip(before, theta(trained), strict=True))
    assert all(torch.equal(*pair) for pair in zip(before, theta(adapted), strict=True))
    X, domains = source()
    y = np.concatenate([np.zeros(len(X)), -np.ones(12)]).astype(int)
    beside = made().fit(X + target.X, y, domains=[*domains, *["new"] * 12])
    assert all(torch.equal(*pair) for pair in zip(before, theta(beside), strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"context": "sideways"},
        {"score": "all"},
        {"prototypes": 0},
        {"weighting": "half"},
        {"synthetic": 1},
        {"base": 1},
        {"start_share": 2},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ParameterError):
        made(**wrong).fit(source()[0])
