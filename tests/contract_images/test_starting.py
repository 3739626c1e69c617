"""What multi-cue detection starts from: chosen on the pictures of the fit, and how it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from unseen.detectors.images import MultiCue
from unseen.detectors.images.looking import rotated
from unseen.detectors.images.starting import domain_codes, left_out, merit, top_scores
from unseen.detectors.images.turning import turned_looks
from unseen.metrics import auroc
from unseen.nn.patches.head_inputs import head_inputs, own_statistics
from unseen.nn.patches.look_inputs import LookInputs
from unseen.persistence import load, save
from unseen.types import Labels

from .conftest import QUICK, SHARED, Pictures, draw


def made(**parameters: Any) -> MultiCue:
    return MultiCue(**{**SHARED, **QUICK["multi-cue"], "calibration_folds": 0, **parameters})


def labels_of(y: list[int]) -> Labels:
    return Labels(np.array(y, dtype=np.int8), np.where(y, "crack", "normal"), np.full(len(y), ""))


@pytest.fixture(scope="module")
def world() -> Pictures:
    return draw(1, 12, 6)


@pytest.fixture
def striped() -> list[np.ndarray]:
    """Stripes with a light and a dark end at any of eight angles; the last four lack their middle."""
    draws = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32] - 15.5
    found = []
    for number in range(28):
        angle = np.pi * number / 4
        along = rows * np.cos(angle) + columns * np.sin(angle)
        across = -rows * np.sin(angle) + columns * np.cos(angle)
        part = (np.abs(across) < 4) & (along > -12) & (along < 12)
        if number >= 24:
            part &= np.abs(along) > 4
        picture = np.where(part, np.where(along > 0, 220, 140), 60)[..., None] + draws.normal(
            0, 3, (32, 32, 3)
        )
        found.append(np.clip(picture, 0, 255).astype(np.uint8))
    return found


def test_the_highest_share_counts():
    lengths = np.arange(200.0).reshape(1, 2, 10, 10)
    np.testing.assert_allclose(top_scores(lengths, 0.02), [[98.5, 198.5]])
    np.testing.assert_allclose(top_scores(lengths, 0.001), [[99, 199]])


@pytest.mark.parametrize("kind", ["local", "neighbours"])
def test_pictures_of_the_same_object_do_not_vouch_for_each_other(kind):
    draws = np.random.default_rng(0)
    V = np.zeros((12, 1, 6, 4, 4), dtype=np.float32)
    V[:, 0, :4] = np.repeat(draws.normal(size=(3, 4, 4, 4)), 4, axis=0)  # three objects, four pictures each
    V[:, 0, :4] += draws.normal(0, 0.01, (12, 4, 4, 4))
    owner = made(synthetic=0, bank_size=1000)
    plain = labels_of([0] * 12)
    tied = Labels(plain.y, plain.kinds, plain.domains, np.repeat(["a", "b", "c"], 4))
    alone, together = (top_scores(left_out(owner, V, labels, kind), 1.0) for labels in (plain, tied))
    assert together.min() > 1.5 * alone.max()


def test_made_up_defects_count_for_five_labelled():
    labels = labels_of([0, 0, 0, 0, 1, 1, 1])
    scores = np.array([[1, 9], [2, 9], [3, 0], [4, 9], [5, 0], [0, 0], [2.5, 0]], dtype=float)
    labelled, made_up = (4 + 0 + 2) / 12, 12 / 16
    assert merit(scores, labels) == pytest.approx((3 * labelled + 5 * made_up) / 8)
    assert merit(scores[:, :1], labels) == pytest.approx(labelled)
    assert merit(scores[:4], labels_of([0, 0, 0, 0])) == pytest.approx(made_up)
    assert merit(scores[:4, :1], labels_of([0, 0, 0, 0])) == 0.5


def test_pictures_are_compared_with_their_domain_or_with_all():
    labels = Labels(np.array([0, 0, 0, 1], np.int8), np.array(["n", "n", "n", "c"]), np.array(list("abac")))
    groups, codes = domain_codes(labels)
    assert [group.tolist() for group in groups] == [[0, 2], [1], [0, 1, 2]]
    assert codes.tolist() == [0, 1, 0, 2]


def test_the_choice_is_that_of_the_larger_merit(world):
    detector = made(rotations=2).fit(world.X, world.y, masks=world.masks)
    assert set(detector.merits_) == {"local", "neighbours"}
    assert detector.inputs_ == max(detector.merits_, key=detector.merits_.get)
    told = made(rotations=2, inputs=detector.inputs_).fit(world.X, world.y, masks=world.masks)
    assert told.merits_ == {}
    np.testing.assert_array_equal(told.decision_function(world.X), detector.decision_function(world.X))


def test_parts_that_lie_alike_are_compared_place_by_place(world):
    detector = made(epochs=1).fit(world.X, world.y)
    assert (detector.turns_, detector.inputs_, detector.merits_) == (1, "local", {})


def test_parts_at_any_angle_are_compared_with_turned_neighbours(striped):
    X = striped
    detector = made(rotations=8, epochs=2, top_share=0.02).fit(X[:20] + X[24:26], [0] * 20 + [1] * 2)
    assert detector.turns_ == 8
    assert detector.inputs_ == "neighbours"
    assert detector.merits_["neighbours"] > detector.merits_["local"]
    scores = detector.decision_function(X[20:24] + X[26:])
    assert auroc([0] * 4 + [1] * 2, scores) == 1


@pytest.mark.parametrize(("left", "turns"), [(0.85, 8), (0.86, 1)])
def test_copies_are_turned_where_that_clearly_helps(left, turns, world, monkeypatch):
    monkeypatch.setattr("unseen.detectors.images.turning.left_out_ratio", lambda V, least: left)
    assert made(epochs=1, inputs="neighbours").fit(world.X, world.y).turns_ == turns


def test_three_groups_of_eight_are_asked_and_their_mean_decides(monkeypatch):
    world, asked = draw(4, 30, 2), []

    def ratio(V, least):
        asked.append(len(V))
        return (0.7, 0.9, 0.95)[len(asked) - 1]

    monkeypatch.setattr("unseen.detectors.images.turning.left_out_ratio", ratio)
    assert made(epochs=1, inputs="neighbours").fit(world.X, world.y).turns_ == 8
    assert asked == [8, 8, 8]


def test_parts_that_lie_alike_are_not_turned(world):
    assert made(epochs=1).fit(world.X, world.y).turns_ == 1
    assert made(epochs=1, rotations=4, inputs="neighbours").fit(world.X, world.y).turns_ == 4
    assert made(epochs=1, rotations=4, inputs="local").fit(world.X, world.y).turns_ == 1
    assert len(turned_looks(np.zeros((2, 8, 8, 3), np.uint8), 4)) == 3


def test_neighbours_are_kept_with_the_model_and_adapt(world, fresh, tmp_path):
    detector = made(inputs="neighbours", rotations=2, bank_size=300)
    detector.fit(world.X, world.y, masks=world.masks)
    assert detector.memory_["bank"].shape[0] == 300
    assert auroc(fresh.y, detector.decision_function(fresh.X)) > 0.9
    adapted = detector.adapt(fresh.normals[:2], domains=["new"] * 2)
    loaded = load(save(adapted, tmp_path / "model"))
    domains = np.resize(["new", ""], len(fresh.X))
    np.testing.assert_array_equal(
        loaded.decision_function(fresh.X, domains=domains),
        adapted.decision_function(fresh.X, domains=domains),
    )
    np.testing.assert_array_equal(loaded.localise(fresh.X[:2]), adapted.localise(fresh.X[:2]))
    assert loaded.inputs_ == "neighbours"
    assert loaded.turns_ == 2


@pytest.mark.parametrize("shape", [(2, 16, 16, 3), (1, 12, 16, 3)])
@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0, 270.0])
def test_quarters_of_a_circle_are_turned_exactly(shape, degrees):
    images = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    turned = ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1, mode="nearest")
    np.testing.assert_array_equal(rotated(images, degrees), turned)
    assert not np.array_equal(rotated(images, 45.0), images)


def test_inputs_that_were_kept_are_those_that_were_made():
    V = np.random.default_rng(0).normal(0, 1, (4, 2, 5, 3, 3)).astype(np.float32)
    features = torch.from_numpy(V[:, 0, :-2].copy())
    memories = [{name: torch.from_numpy(values) for name, values in own_statistics(features).items()}]
    known: dict[str, Any] = {"kind": "features", "device": torch.device("cpu")}
    looks = LookInputs(V, memories, np.zeros(4, np.int64), np.ones(4, np.bool_), **known)
    rows, which = np.array([3, 0, 3]), np.array([1, 0, 1])
    first, shares = looks(rows, which)
    expected = head_inputs(torch.from_numpy(V[rows, which, :-2].copy()), memories[0], "features")
    torch.testing.assert_close(first, expected)
    np.testing.assert_array_equal(shares.numpy(), V[rows, which, -1])
    again, _ = looks(np.array([0, 1, 3]), np.array([0, 1, 1]))
    assert torch.equal(again[0], first[1])
    assert torch.equal(again[2], first[0])
