"""Value-order decomposition as a detector: training on other domains, switches, what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unseen.detectors.images import ValueOrder, value_order
from unseen.detectors.images.looking import rotated
from unseen.detectors.images.value_order import PUBLISHED
from unseen.errors import InputError, LabelError, NotCalibratedError, ParameterError
from unseen.metrics import auroc
from unseen.nn.adaptation import AdaptationLayer
from unseen.persistence import load, save

from .conftest import SHARED, draw

TRAINED: dict[str, Any] = {
    "epochs": 3,
    "episodes": 8,
    "episode_batch": 4,
    "lr": 1e-3,
    "training_patches": None,
}


def made(**parameters: Any) -> ValueOrder:
    return ValueOrder(**{**SHARED, **TRAINED, **parameters})


def source() -> tuple[list[np.ndarray], np.ndarray, list[str], list[np.ndarray]]:
    """Two parts with defects and masks."""
    worlds = [draw(1, 5, 5), draw(2, 5, 5, level=40.0)]
    X = [image for world in worlds for image in world.X]
    masks = [mask for world in worlds for mask in world.masks]
    return X, np.concatenate([world.y for world in worlds]), ["a"] * 10 + ["b"] * 10, masks


def test_training_lowers_the_loss_and_leaves_the_global_state_alone():
    X, y, domains, masks = source()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    detector = made(epochs=5, episodes=24).fit(X, y, domains=domains, masks=masks)
    assert torch.equal(torch.get_rng_state(), state)
    losses = detector.history_["loss"]
    assert losses.shape == (5,)
    assert losses[-3:].mean() < 0.95 * losses[0]
    untouched = made(epochs=0).fit(X, y, domains=domains, masks=masks)
    changed = [
        not torch.equal(new, old)
        for new, old in zip(
            detector.adaptation_.parameters(), untouched.adaptation_.parameters(), strict=True
        )
    ]
    assert all(changed)


def test_a_layer_trained_on_some_parts_finds_defects_of_another():
    X, y, domains, masks = source()
    target = draw(9, 10, 6, level=120.0)
    detector = made().fit(X, y, domains=domains, masks=masks).adapt(target.X[:4], domains=["new"] * 4)
    scores = detector.decision_function(target.X[4:], domains=["new"] * 12)
    assert auroc(target.y[4:], scores) > 0.9
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_without_training_the_layer_changes_nothing():
    X, y, domains, masks = source()
    of_identity = made(adaptation=False).fit(X, y, domains=domains, masks=masks)
    of_start = made(epochs=0).fit(X, y, domains=domains, masks=masks)
    assert of_identity.history_ == {}
    assert not list(of_identity.adaptation_.parameters())
    np.testing.assert_allclose(of_start.decision_function(X), of_identity.decision_function(X), atol=1e-5)


def test_every_switch_of_the_ablation_changes_the_scores():
    X = source()[0]
    scores = {
        name: made(adaptation=False, **switch).fit(X[:5]).decision_function(X[5:10])
        for name, switch in {
            "all": {},
            "unsorted": {"sorting": False},
            "abnormal only": {"use_normal": False},
            "normal only": {"use_abnormal": False},
        }.items()
    }
    names = list(scores)
    for i, name in enumerate(names):
        for other in names[i + 1 :]:
            assert not np.allclose(scores[name], scores[other]), (name, other)
    halves = (scores["abnormal only"] + scores["normal only"]) / 2
    assert np.all(scores["all"] <= halves + 1e-6)  # the highest patches of both need not be the same


@pytest.mark.parametrize("search", ["exact", "two-stage"])
def test_pictures_by_similarity_to_normal_have_the_maps_of_the_whole_score(search, monkeypatch):
    monkeypatch.setattr(value_order, "_SMALL_BANK", 100)
    X = source()[0]
    shared = {"adaptation": False, "search": search, "foreground": "hull"}
    whole, split, unlike = (
        made(**shared, **switch).fit(X[:5])
        for switch in ({}, {"picture_score": "normal"}, {"use_abnormal": False})
    )
    scores, maps = split.score_and_explain(X[5:10])
    np.testing.assert_array_equal(scores, unlike.decision_function(X[5:10]))
    np.testing.assert_array_equal(maps, whole.score_maps(X[5:10]))
    assert not np.allclose(scores, whole.decision_function(X[5:10]))
    assert not np.allclose(maps, unlike.score_maps(X[5:10]))


def test_the_picture_score_changes_no_training_and_is_saved(tmp_path):
    X, y, domains, masks = source()
    combined, split = (
        made(picture_score=by).fit(X, y, domains=domains, masks=masks) for by in ("combined", "normal")
    )
    for name, values in combined.adaptation_.state_dict().items():
        assert torch.equal(values, split.adaptation_.state_dict()[name])
    loaded = load(save(split, tmp_path / "model"))
    assert loaded.picture_score == "normal"
    np.testing.assert_array_equal(loaded.decision_function(X), split.decision_function(X))
    assert not np.allclose(combined.decision_function(X), split.decision_function(X))
    with pytest.raises(ParameterError, match="picture_score"):
        made(picture_score="abnormal").fit(X, y, domains=domains, masks=masks)
    with pytest.raises(ParameterError, match="needs use_normal"):
        made(picture_score="normal", use_normal=False).fit(X, y, domains=domains, masks=masks)


def test_a_layer_trained_by_similarity_to_normal_gives_maps_of_the_whole_score(tmp_path):
    X, y, domains, masks = source()
    target = draw(9, 10, 6, level=120.0)
    asked = {"domains": ["new"] * 12}
    layer = made(use_abnormal=False).fit(X, y, domains=domains, masks=masks)
    alone = layer.adapt(target.X[:4], domains=["new"] * 4)
    expected, of_similarity = alone.score_and_explain(target.X[4:], **asked)
    layer.set_params(use_abnormal=True, picture_score="normal")
    both = load(save(layer.adapt(target.X[:4], domains=["new"] * 4), tmp_path / "model"))
    scores, maps = both.score_and_explain(target.X[4:], **asked)
    np.testing.assert_array_equal(scores, expected)
    assert not np.allclose(maps, of_similarity)
    assert auroc(target.y[4:], scores) > 0.9


@pytest.mark.parametrize("adaptation", [True, False])
def test_two_stages_are_near_the_exact_scores(adaptation, monkeypatch, tmp_path):
    monkeypatch.setattr(value_order, "_SMALL_BANK", 100)
    X, y, domains, masks = source()
    exact, staged = (
        made(adaptation=adaptation, search=search).fit(X, y, domains=domains, masks=masks)
        for search in ("exact", "two-stage")
    )
    assert "centres" not in exact.memory_
    assert len(staged.memory_["directions"]) == min(64, len(exact.memory_["directions"]))
    for name, values in exact.adaptation_.state_dict().items():
        assert torch.equal(values, staged.adaptation_.state_dict()[name])
    expected, maps = exact.score_and_explain(X)
    scores, staged_maps = staged.score_and_explain(X)
    np.testing.assert_allclose(scores, expected, rtol=0.05)
    assert np.corrcoef(staged_maps.ravel(), maps.ravel())[0, 1] > 0.95
    loaded = load(save(staged, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(X), scores)
    with pytest.raises(ParameterError, match="search"):
        made(search="never").fit(X, y, domains=domains, masks=masks)


def test_masks_decide_what_is_learned_from_anomalies():
    X, y, domains, masks = source()
    with_masks = made().fit(X, y, domains=domains, masks=masks)
    no_masks = made().fit(X, y, domains=domains, masks=[None] * 20)
    made_up = made(queries="synthetic").fit(X, y, domains=domains, masks=masks)
    np.testing.assert_array_equal(no_masks.decision_function(X), made_up.decision_function(X))
    assert not np.allclose(with_masks.decision_function(X), made_up.decision_function(X))


def test_the_memory_of_a_fit_holds_n_references_and_that_of_adapt_all():
    X = draw(1, 9, 0).X
    detector = made(adaptation=False, n_references=3).fit(X)
    assert len(detector.memory_["bank"]) == 3 * 64
    assert len(detector.adapt(X, domains=["new"] * 9).domain_memories_["new"]["bank"]) == 9 * 64
    np.testing.assert_allclose(np.linalg.norm(detector.memory_["directions"], axis=1), 1, atol=1e-5)


def test_synthetic_references_depend_on_the_picture_not_on_its_place():
    X = draw(1, 6, 0).X
    detector = made(adaptation=False).fit(X)
    fresh = draw(2, 4, 2).X
    one = detector.adapt(X[:3], domains=["new"] * 3).decision_function(fresh, domains=["new"] * 6)
    two = detector.adapt(X[2::-1], domains=["new"] * 3).decision_function(fresh, domains=["new"] * 6)
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_turned_references_and_the_part_alone_as_for_its_rivals():
    bar = np.full((1, 32, 32, 3), 40, dtype=np.uint8)
    bar[:, 12:20, 4:28] = 240
    lying = [bar[0], rotated(bar, 45.0)[0]]
    plain = made(adaptation=False).fit(lying)
    turned = made(adaptation=False, rotations="auto").fit(lying)
    assert len(plain.memory_["bank"]) == 2 * 64
    assert len(turned.memory_["bank"]) == 8 * 2 * 64
    asked = [lying[1]]
    upright, eightfold = (made(adaptation=False, rotations=n).fit([bar[0]] * 2) for n in (1, 8))
    assert eightfold.decision_function(asked) < 0.1 * upright.decision_function(asked)
    on_part = made(adaptation=False, foreground="hull").fit(lying)
    assert len(on_part.memory_["bank"]) < 2 * 64
    assert on_part.score_maps(asked)[0, 0, 0] < plain.score_maps(asked)[0].max()


def test_real_abnormal_references_take_the_place_of_made_up_ones():
    world, fresh = draw(1, 4, 4), draw(2, 6, 6)
    made_up = made(adaptation=False).fit(world.X[:2]).adapt(world.normals, domains=["new"] * 4)
    defects = [place for place in range(8) if world.y[place] == 1]
    shown, masks = [world.X[i] for i in defects], [world.masks[i] for i in defects]
    real = made_up.with_abnormal(shown, masks, domain="new")
    asked = {"domains": ["new"] * 12}
    assert not np.allclose(
        real.decision_function(fresh.X, **asked), made_up.decision_function(fresh.X, **asked)
    )
    assert auroc(fresh.y, real.decision_function(fresh.X, **asked)) > 0.9
    np.testing.assert_array_equal(real.decision_function(fresh.X), made_up.decision_function(fresh.X))
    elsewhere = made_up.with_abnormal(shown, masks)
    np.testing.assert_array_equal(
        elsewhere.decision_function(fresh.X, **asked), made_up.decision_function(fresh.X, **asked)
    )
    assert not np.allclose(elsewhere.decision_function(fresh.X), made_up.decision_function(fresh.X))
    assert made_up.predict(fresh.X[:1], domains=["new"]).shape == (1,)
    with pytest.raises(NotCalibratedError):
        real.predict(fresh.X[:1], domains=["new"])
    with pytest.raises(LabelError, match="mask"):
        made_up.with_abnormal(shown, masks[:1])


def test_the_published_schedule_is_that_of_the_paper():
    detector = ValueOrder(**PUBLISHED)
    detector._check_common_parameters()
    detector._check_parameters()
    assert (detector.backbone, detector.image_size, detector.strides) == ("facebook/dinov2-small", 448, (14,))
    assert (detector.epochs, detector.episodes, detector.episode_batch) == (20, 500, 8)
    assert (detector.lr, detector.weight_decay, detector.top_share) == (1e-5, 1e-5, 0.01)
    layer = AdaptationLayer(384)
    assert sum(weight.numel() for weight in layer.parameters()) == 1_774_464


def test_what_cannot_be_trained_is_refused():
    X = draw(1, 2, 0).X
    with pytest.raises(LabelError, match="adaptation=False"):
        made().fit(X, domains=["a", "b"])
    with pytest.raises(ParameterError, match="must not both be False"):
        made(use_normal=False, use_abnormal=False).fit(X)
    for wrong in ({"sorting": 1}, {"queries": "all"}, {"episodes": 0}, {"lr": 0.0}, {"training_patches": 1}):
        with pytest.raises(ParameterError):
            made(**wrong).fit(X)


def test_defects_may_look_like_the_pictures_of_a_folder(tmp_path):
    (tmp_path / "dots").mkdir()
    for number in range(3):
        texture = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(texture).save(tmp_path / "dots" / f"{number}.png")
    X = draw(1, 6, 4).X
    of_folder = made(adaptation=False, textures=str(tmp_path)).fit(X[:6])
    again = made(adaptation=False, textures=str(tmp_path)).fit(X[:6])
    drawn = made(adaptation=False).fit(X[:6])
    np.testing.assert_array_equal(of_folder.decision_function(X), again.decision_function(X))
    assert not np.allclose(of_folder.memory_["directions"][:1], drawn.memory_["directions"][:1])
    (tmp_path / "dots" / "3.png").write_bytes(b"no picture")
    for number in range(3):
        (tmp_path / "dots" / f"{number}.png").unlink()
    with pytest.raises(InputError, match=r"3\.png cannot be read"):
        made(adaptation=False, textures=str(tmp_path)).fit(X[:6])
    for wrong in (tmp_path / "nowhere", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="textures"):
            made(adaptation=False, textures=str(wrong)).fit(X[:6])
    with pytest.raises(ParameterError, match="textures"):
        made(textures=3).fit(X[:6])


def test_the_describable_textures_serve_as_they_are():
    folder = Path(__file__).parents[3] / "shared" / "data" / "images" / "dtd_textures"
    if not folder.is_dir():
        pytest.skip("the texture pictures are not here")
    X = draw(1, 6, 4).X
    detector = made(adaptation=False, textures=str(folder)).fit(X[:6])
    assert auroc([0] * 6 + [1] * 4, detector.decision_function(X)) > 0.9
