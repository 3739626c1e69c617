"""evaluate on folders of pictures: rows, references, sources, resuming, and what may not leak."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_pictures import averages_instead_of_a_network, category, part, write
from small_rows import Run

from unseen.data.images import read_images
from unseen.detectors.images import NearestNeighbourPatches, ValueOrder
from unseen.evaluation import ImageProtocol, Results, Settings, evaluate_images, read_part
from unseen.evaluation.gallery import EACH, choose_pictures
from unseen.evaluation.image_material import gather_images
from unseen.evaluation.image_splits import image_splits
from unseen.evaluation.image_trials import fit_to_target

SMALL: dict[str, Any] = {"backbone": "averages", "image_size": 32, "strides": (4, 8), "device": "cpu"}
LEARNING: dict[str, Any] = {
    **SMALL, "epochs": 2, "episodes": 4, "episode_batch": 2, "training_patches": 16, "lr": 1e-2,
}  # fmt: skip
OPTIONS = (
    "--image-size", "32", "--detectors", "nearest-neighbour-patches,padim",
    *(f"--set={name}.{text}" for name in ("nearest-neighbour-patches", "padim")
      for text in ("backbone=averages", "strides=(4,8)", "device=cpu")),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quick_backbone() -> Iterator[None]:
    with averages_instead_of_a_network():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return category(tmp_path / "plate")


def test_rows_a_kind_and_detector_with_pixel_figures(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("evaluate", folder, "--out", tmp_path / "e", "--references", 3, "--seeds", 2, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = Results.read(tmp_path / "e").rows
    assert len(rows) == 2 * 2 * 2
    assert {(row["kind"], row["held_out_kind"], row["role"]) for row in rows} == {
        ("dent", "dent", "held-out"), ("stain", "stain", "held-out"),
    }  # fmt: skip
    for row in rows:
        assert (row["references"], row["n_fit"], row["n_normal"], row["n_anomaly"]) == (3, 3, 6, 5)
        assert row["auroc"] == 1
        assert row["category"] == "plate"
        assert 0.8 < row["pixel_auroc"] <= 1
        assert 0 < row["pro"] <= 1
        assert 0 < row["pixel_f1_max"] <= 1
        assert row["f1_max"] == 1
    page = (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
    assert "Worst misses" in page
    assert "Pixel AUROC" in page
    assert page.count("<img ") > 2 * 3 * 6
    assert 'src="http' not in page


def test_figures_equal_those_of_a_plain_run(folder: Path, tmp_path: Path) -> None:
    from unseen.metrics import auroc, localisation

    detector = NearestNeighbourPatches(**SMALL)
    results = evaluate_images(
        [read_images(folder)], detectors={"nn": detector}, out=tmp_path / "e",
        protocol=ImageProtocol(references=(4,), seeds=2),
    )  # fmt: skip
    (row,) = (row for row in results.rows if row["seed"] == 1 and row["kind"] == "stain")
    train = sorted((folder / "train/good").iterdir())[4:8]
    fitted = NearestNeighbourPatches(**SMALL).fit([np.asarray(Image.open(path)) for path in train])
    test = read_images(folder).split("test")
    test = test.take(np.isin(test.labels.kinds, ["normal", "stain"]))
    scores, maps = fitted.score_and_explain(test)
    assert row["auroc"] == pytest.approx(auroc(test.labels.y, scores))
    masks = [test.mask(i, size=32) for i in range(len(test))]
    plain = localisation(masks, list(maps))
    assert row["pixel_auroc"] == pytest.approx(plain.auroc, abs=1e-4)
    assert row["pro"] == pytest.approx(plain.pro, abs=1e-3)


def test_references_of_seed_s_are_the_next_k_by_name(folder: Path) -> None:
    material = gather_images([read_images(folder)])
    splits = image_splits(material, ImageProtocol(references=(3,), seeds=3))
    for split in splits:
        names = [material.images.path(i).name for i in split.references.tolist()]
        assert names == [f"{split.seed * 3 + i:03d}.png" for i in range(3)]
        assert all(material.images.items[i].split == "train" for i in split.references.tolist())
        assert all(material.images.items[i].split == "test" for i in split.test.tolist())


def test_all_normals_where_references_are_left_out(run: Run, folder: Path, tmp_path: Path) -> None:
    run("evaluate", folder, "--out", tmp_path / "e", *OPTIONS)
    assert {(row["references"], row["seed"]) for row in Results.read(tmp_path / "e").rows} == {(9, 0)}


def test_folders_without_parts_never_judge_a_reference(tmp_path: Path) -> None:
    for place in range(10):
        write(tmp_path / "plain/good" / f"{place}.png", part(place)[0])
    for place in range(4):
        write(tmp_path / "plain/bent" / f"{place}.png", part(50 + place, defect=True)[0])
    material = gather_images([read_images(tmp_path / "plain")])
    for protocol in (ImageProtocol(references=(3,), seeds=2), ImageProtocol()):
        splits = image_splits(material, protocol)
        used = set(np.concatenate([split.references for split in splits]).tolist())
        for split in splits:
            assert not used & set(split.test.tolist())
            assert np.sum(material.labels.y[split.test] == 1) == 4
            assert np.sum(material.labels.y[split.test] == 0) >= 4


def test_shots_come_from_the_other_kinds_and_leave_the_test_set(folder: Path) -> None:
    material = gather_images([read_images(folder)])
    splits = image_splits(material, ImageProtocol(references=(3,), seeds=1, shots=(2,)))
    assert [split.held_out_kind for split in splits] == ["dent", "stain"]
    for split in splits:
        (known,) = split.known_kinds
        assert known != split.held_out_kind
        assert material.labels.kinds[split.labelled].tolist() == [known] * 2
        assert not set(split.labelled.tolist()) & set(split.test.tolist())
    np.testing.assert_array_equal(splits[0].test, splits[1].test)


def test_kinds_of_several_categories_are_kept_apart(run: Run, tmp_path: Path) -> None:
    category(tmp_path / "set" / "dark")
    category(tmp_path / "set" / "light", seed=3, level=150.0)
    run("evaluate", tmp_path / "set", "--out", tmp_path / "e", "--references", 3, "--seeds", 1, *OPTIONS)
    rows = Results.read(tmp_path / "e").rows
    assert {row["kind"] for row in rows} == {"dark/dent", "dark/stain", "light/dent", "light/stain"}
    assert all(row["auroc"] == 1 for row in rows)


def test_a_second_run_takes_over_what_is_finished(run: Run, folder: Path, tmp_path: Path) -> None:
    words = ("evaluate", folder, "--out", tmp_path / "e", "--references", 3, "--seeds", 1, *OPTIONS)
    run(*words)
    first = json.loads((tmp_path / "e" / "results.json").read_text())
    next((tmp_path / "e" / "parts").glob("*.npz")).write_bytes(b"damaged")
    again = run(*words)
    assert "4 trials, 3 of them finished by an earlier run" in again.stderr
    second = json.loads((tmp_path / "e" / "results.json").read_text())
    times = ("fit_seconds", "score_seconds")
    for one, two in zip(first["rows"], second["rows"], strict=True):
        assert {k: v for k, v in one.items() if k not in times} == {
            k: v for k, v in two.items() if k not in times
        }


def test_another_mask_makes_another_trial(run: Run, folder: Path, tmp_path: Path) -> None:
    words = ("evaluate", folder, "--out", tmp_path / "e", "--references", 3, "--seeds", 1, *OPTIONS)
    run(*words)
    write(folder / "ground_truth/dent/000_mask.png", np.full((48, 48), 255, dtype=np.uint8))
    assert "4 trials\n" in run(*words).stderr


def test_a_single_reference_promises_nothing(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("evaluate", folder, "--out", tmp_path / "e", "--references", 1, "--seeds", 1, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = [
        row for row in Results.read(tmp_path / "e").rows if row["detector"] == "nearest-neighbour-patches"
    ]
    assert all(row["recall"] == 0 and row["observed_false_alarm_rate"] == 0 for row in rows)


# ----------------------------------------------------------------- transfer and leakage
def transfer(target: Path, source: Path) -> Any:
    material = gather_images([read_images(target)], [read_images(source)])
    (split, *_) = image_splits(material, ImageProtocol(references=(3,), seeds=1))
    return fit_to_target(ValueOrder(**LEARNING), material, split, Settings())


def test_training_reads_sources_and_references_and_nothing_else_of_the_target(tmp_path: Path) -> None:
    source = category(tmp_path / "source", seed=5, level=140.0)
    target = category(tmp_path / "target")
    other = shutil.copytree(target, tmp_path / "other" / "target")
    for number, path in enumerate(sorted((other / "test").rglob("*.png"))):
        write(path, part(9000 + number, defect=True, level=30.0)[0])
    for path in (other / "ground_truth").rglob("*.png"):
        write(path, np.full((48, 48), 255, dtype=np.uint8))
    for path in sorted((other / "train/good").iterdir())[3:]:
        write(path, part(7000, level=200.0)[0])
    one, two = transfer(target, source), transfer(other, source)
    for name, weight in one.detector.adaptation_.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), two.detector.adaptation_.state_dict()[name].numpy())
    for name, array in one.detector.domain_memories_["target"].items():
        np.testing.assert_array_equal(array, two.detector.domain_memories_["target"][name])
    assert one.calibration.threshold == two.calibration.threshold
    np.testing.assert_array_equal(one.calibration.normal_scores, two.calibration.normal_scores)


def test_sources_do_change_what_is_trained(tmp_path: Path) -> None:
    target = category(tmp_path / "target")
    one = transfer(target, category(tmp_path / "source", seed=5, level=140.0))
    two = transfer(target, category(tmp_path / "elsewhere", seed=6, level=60.0))
    pairs = zip(one.detector.adaptation_.parameters(), two.detector.adaptation_.parameters(), strict=True)
    assert any(not np.array_equal(a.detach().numpy(), b.detach().numpy()) for a, b in pairs)


def test_source_on_the_command_line(run: Run, tmp_path: Path) -> None:
    target, source = category(tmp_path / "target"), category(tmp_path / "source", seed=5, level=140.0)
    sets = [f"--set=value-order.{name}={value}" for name, value in LEARNING.items() if name != "image_size"]
    result = run(
        "evaluate", target, "--source", source, "--out", tmp_path / "e", "--references", 3, "--seeds", 1,
        "--image-size", 32, "--detectors", "value-order", *sets,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    results = Results.read(tmp_path / "e")
    assert results.dataset["sources"] == ["source"]
    assert {row["n_fit"] for row in results.rows} == {15 + 10}
    assert "Trained on" in (tmp_path / "e" / "report.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------ gallery
def test_gallery_holds_the_worst_of_each_group() -> None:
    scores = np.arange(30, dtype=float)
    held_out = np.arange(30) % 3 == 0
    normal = np.arange(30) % 3 == 1
    places, groups = choose_pictures(scores, normal, held_out, seed=0)
    missed, alarms, hits = ([int(p) for p in places[groups == number]] for number in range(3))
    assert missed == [0, 3, 6, 9, 12]
    assert alarms == [28, 25, 22, 19, 16, 13][:EACH]
    assert set(hits) <= {15, 18, 21, 24, 27}


def test_kept_pictures_are_read_back(folder: Path, tmp_path: Path) -> None:
    results = evaluate_images(
        [read_images(folder)], detectors={"nn": NearestNeighbourPatches(**SMALL)}, out=tmp_path / "e",
        protocol=ImageProtocol(references=(4,), seeds=2),
    )  # fmt: skip
    kept = {row["seed"]: read_part(tmp_path / "e" / "parts", row["part"]).pictures for row in results.rows}
    assert kept[1] == ()
    assert [picture.group for picture in kept[0]] == ["miss"] * 3 + ["false alarm"] * 6 + ["hit"] * 2
    assert all(picture.image[:2] == b"\xff\xd8" for picture in kept[0])
    assert all(picture.mask[1:4] == b"PNG" for picture in kept[0])


def test_textures_of_the_user_reach_the_detectors_that_make_defects(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    for place in range(2):
        write(tmp_path / "dtd/banded" / f"{place}.png", part(40 + place, level=10.0)[0])
    sets = [f"--set=value-order.{name}={value}" for name, value in LEARNING.items() if name != "image_size"]
    words = ("evaluate", folder, "--references", 3, "--seeds", 1, "--image-size", 32)
    made = run(
        *words, "--dtd", tmp_path / "dtd", "--detectors", "value-order", *sets, "--out", tmp_path / "e"
    )
    assert made.exit_code == 0, made.output
    about = Results.read(tmp_path / "e").run["detectors"]
    assert about["value-order"]["parameters"]["textures"] == str(tmp_path / "dtd")
    refused = run(*words, "--dtd", tmp_path / "dtd", "--detectors", "padim", "--out", tmp_path / "f")
    assert refused.exit_code == 2
    assert "none of padim makes synthetic defects" in refused.stderr
