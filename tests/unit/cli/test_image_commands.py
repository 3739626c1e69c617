"""fit, score, adapt, detectors and report on small folders of pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from small_pictures import QUICK, averages_instead_of_a_network, category, part, write
from small_rows import Run

from unseen.persistence import load
from unseen.pipeline import ImageModel


@pytest.fixture(autouse=True)
def _quick_backbone() -> Iterator[None]:
    with averages_instead_of_a_network():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return category(tmp_path / "plate")


@pytest.fixture
def model(run: Run, folder: Path, tmp_path: Path) -> Path:
    result = run("fit", folder, "--out", tmp_path / "m", *QUICK)
    assert result.exit_code == 0, result.output
    return tmp_path / "m"


def test_fit_says_what_was_learned(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("fit", folder, "--out", tmp_path / "m", *QUICK)
    assert result.exit_code == 0, result.output
    assert "9 pictures to learn from (layout mvtec)" in result.stdout
    assert "fitted nearest-neighbour-patches" in result.stdout
    assert "good pictures: plate 9" in result.stdout
    assert "the smallest is 0.1" in result.stdout


def test_fit_with_some_references_as_json(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("fit", folder, "--out", tmp_path / "m", *QUICK, "--references", 4, "--json", "-d", "padim")
    values = json.loads(result.stdout)
    assert values["detector"] == "padim"
    assert values["categories"] == {"plate": 4}
    assert values["calibration"][""]["smallest_p"] == pytest.approx(0.2)
    assert values["image_size"] == [32, 32]


def test_the_default_settings_give_way_to_those_set(run: Run, folder: Path, tmp_path: Path) -> None:
    run("fit", folder, "--out", tmp_path / "a", *QUICK)
    run("fit", folder, "--out", tmp_path / "b", *QUICK, "--set", "score=cosine")
    assert load(tmp_path / "a").detector.score == "residual-norm"
    assert load(tmp_path / "b").detector.score == "cosine"


def test_plain_folder_of_good_pictures(run: Run, tmp_path: Path) -> None:
    for place in range(5):
        write(tmp_path / "shots" / f"{place}.jpg", part(place)[0])
    result = run("fit", tmp_path / "shots", "--out", tmp_path / "m", *QUICK)
    assert result.exit_code == 0, result.output
    assert "good pictures: shots 5" in result.stdout


def test_scores_table_and_maps(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    result = run("score", model, folder, "--out", tmp_path / "s", "--maps")
    assert result.exit_code == 0, result.output
    scores = pl.read_parquet(tmp_path / "s" / "scores.parquet")
    assert scores.columns == ["path", "domain", "kind", "score", "p_value", "smallest_p", "flagged"]
    assert len(scores) == 16
    assert scores["smallest_p"].unique().to_list() == [pytest.approx(0.1)]
    bad, good = scores.filter(pl.col("kind") != "normal"), scores.filter(pl.col("kind") == "normal")
    assert bad["flagged"].all()
    assert bad["score"].min() > good["score"].max()
    assert sorted(path.name for path in (tmp_path / "s" / "maps" / "test" / "dent").iterdir()) == [
        f"{place:03d}.png.png" for place in range(5)
    ]
    with Image.open(tmp_path / "s" / "overlays" / "test" / "dent" / "000.png.jpg") as overlay:
        assert overlay.size == (48, 48)
    assert not list(tmp_path.rglob("*.partial"))


def test_maps_are_bright_on_the_defect_and_on_one_scale(
    run: Run, model: Path, folder: Path, tmp_path: Path
) -> None:
    run("score", model, folder, "--out", tmp_path / "s", "--maps")

    def levels(name: str) -> np.ndarray:
        with Image.open(tmp_path / "s" / "maps" / "test" / f"{name}.png") as picture:
            return np.asarray(picture, dtype=float).sum(axis=2)

    with Image.open(folder / "ground_truth/dent/000_mask.png") as picture:
        mask = np.asarray(picture) > 0
    assert levels("dent/000.png")[mask].mean() > 1.5 * levels("dent/000.png")[~mask].mean()
    assert levels("dent/000.png").max() > 1.5 * levels("good/000.png").max()


def test_csv_beside_which_maps_lie(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    result = run("score", model, folder / "test", "--out", tmp_path / "s.csv", "--maps", "--json")
    values = json.loads(result.stdout)
    assert values["n_images"] == len(pl.read_csv(tmp_path / "s.csv")) == 16
    assert (tmp_path / "s_maps" / "dent" / "000.png.png").is_file()
    assert values["smallest_p"] == pytest.approx(0.1)


def test_rates_of_flagging(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    discovered = run("score", model, folder, "--out", tmp_path / "a", "--fdr", ".3", "--json")
    assert "Benjamini-Hochberg" in json.loads(discovered.stdout)["rule"]
    run("score", model, folder, "--out", tmp_path / "b", "--false-alarm-rate", ".5")
    run("score", model, folder, "--out", tmp_path / "c")
    loose, strict = (pl.read_parquet(tmp_path / name / "scores.parquet")["flagged"].sum() for name in "bc")
    assert loose >= strict


def test_one_picture_is_scored(run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
    result = run("score", model, folder / "test/dent/000.png", "--out", tmp_path / "one.csv")
    assert result.exit_code == 0, result.output
    assert pl.read_csv(tmp_path / "one.csv")["path"].to_list() == ["000.png"]


def test_adapt_compares_with_references_of_the_new_product(run: Run, model: Path, tmp_path: Path) -> None:
    other = category(tmp_path / "lid", seed=7, level=150.0)
    adapted = run("adapt", model, other / "train" / "good", "--out", tmp_path / "m2")
    assert adapted.exit_code == 0, adapted.output
    assert "9 references for good; nearest-neighbour-patches" in adapted.stdout
    run("score", model, other, "--out", tmp_path / "before")
    run("score", tmp_path / "m2", other, "--out", tmp_path / "after")
    run("score", model, other, "--out", tmp_path / "at_once", "--references", other / "train" / "good")
    before, after, at_once = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("before", "after", "at_once")
    )
    normal = pl.col("kind") == "normal"
    assert before.filter(normal)["flagged"].all()
    assert after.filter(normal)["flagged"].mean() < 0.5
    assert after.filter(~normal)["flagged"].all()
    assert after["score"].to_list() == at_once["score"].to_list()


def test_several_categories_are_judged_by_their_own(run: Run, tmp_path: Path) -> None:
    category(tmp_path / "set" / "dark")
    category(tmp_path / "set" / "light", seed=3, level=150.0)
    fitted = run("fit", tmp_path / "set", "--out", tmp_path / "m", *QUICK)
    assert "good pictures: dark 9, light 9" in fitted.stdout
    assert "light: threshold" in fitted.stdout
    run("score", tmp_path / "m", tmp_path / "set" / "light", "--out", tmp_path / "s")
    scores = pl.read_parquet(tmp_path / "s" / "scores.parquet")
    assert scores["smallest_p"].unique().to_list() == [pytest.approx(0.1)]
    assert scores.filter(pl.col("kind") != "normal")["flagged"].all()


def test_a_model_of_pictures_is_the_same_when_read_back(model: Path, folder: Path) -> None:
    from unseen.data.images import read_images

    fitted, again = load(model), load(model)
    assert isinstance(fitted, ImageModel)
    assert fitted.scale == again.scale
    assert fitted.summary == again.summary
    images = read_images(folder).split("test")
    np.testing.assert_array_equal(fitted.score(images).maps, again.score(images).maps)


def test_detectors_of_pictures_are_listed(run: Run) -> None:
    shown = run("detectors")
    assert "For pictures:\nnearest-neighbour-patches (default)" in shown.stdout
    rows = json.loads(run("detectors", "--json").stdout)
    assert {row["input"] for row in rows} == {"tables", "pictures"}


def test_scoring_takes_blocks(
    run: Run, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unseen.pipeline import image_scoring

    run("score", model, folder, "--out", tmp_path / "whole")
    seen: list[int] = []
    real = ImageModel.score
    monkeypatch.setattr(image_scoring, "BLOCK", 5)
    monkeypatch.setattr(ImageModel, "score", lambda self, part: seen.append(len(part)) or real(self, part))
    run("score", model, folder, "--out", tmp_path / "blocks")
    assert seen == [5, 5, 5, 1]
    whole, blocks = (pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("whole", "blocks"))
    np.testing.assert_allclose(whole["score"], blocks["score"], rtol=1e-5)


def test_a_run_that_ends_early_leaves_no_table(
    run: Run, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "s.parquet"
    run("score", model, folder, "--out", out)
    earlier = out.read_bytes()
    (folder / "test/stain/004.png").write_bytes(b"no picture")
    result = run("score", model, folder, "--out", out)
    assert result.exit_code == 2
    assert "004.png" in result.stderr
    assert out.read_bytes() == earlier


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale", [0.0]),
        ("scale", ["low", "high"]),
        ("scale", None),
        ("summary", {"dict": {}}),
        ("summary", 3),
    ],
)
def test_a_model_with_other_values_is_refused(
    run: Run, model: Path, folder: Path, tmp_path: Path, key: str, value: object
) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["images"]["dict"][key] = value
    (model / "manifest.json").write_text(json.dumps(manifest))
    result = run("score", model, folder, "--out", tmp_path / "s.csv")
    assert result.exit_code == 2, result.output
    assert "is refused" in result.stderr


def test_a_detector_of_tables_with_a_summary_of_pictures_is_refused(
    run: Run, model: Path, folder: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    draw = np.random.default_rng(0)
    pl.DataFrame({"a": draw.normal(size=80), "b": draw.normal(size=80)}).write_csv(rows)
    run("fit", rows, "--out", tmp_path / "t", "--no-estimate")
    of_pictures = json.loads((model / "manifest.json").read_text())
    mixed = json.loads((tmp_path / "t" / "manifest.json").read_text())
    mixed["images"] = of_pictures["images"]
    (tmp_path / "t" / "manifest.json").write_text(json.dumps(mixed))
    result = run("score", tmp_path / "t", folder, "--out", tmp_path / "s.csv")
    assert result.exit_code == 2
    assert "refused" in result.stderr or "mixes" in result.stderr
