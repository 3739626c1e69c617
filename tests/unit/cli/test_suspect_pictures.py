"""fit --suspects on pictures: the list, the page and what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from small_pictures import QUICK, averages_instead_of_a_network, category, part, write
from small_rows import Run

from unseen.persistence import load
from unseen.pipeline import ImageModel


@pytest.fixture(autouse=True)
def _quick_backbone() -> Iterator[None]:
    with averages_instead_of_a_network():
        yield


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """24 good pictures, three of which are not."""
    folder = category(tmp_path / "plate", train=21)
    for place in range(3):
        write(folder / f"train/good/bad{place}.png", part(900 + place, defect=True)[0])
    return folder


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_list_names_the_defects_first(run: Run, dirty: Path, tmp_path: Path, ending: str) -> None:
    listed = tmp_path / f"look.{ending}"
    result = run("fit", dirty, "--out", tmp_path / "m", *QUICK, "--suspects", listed)
    assert result.exit_code == 0, result.output
    assert "3 of 24 good pictures are odder than chance (12.5%)" in result.stdout
    assert f"wrote {listed}: good pictures to look at first" in result.stdout.replace("\n", " ")
    frame = pl.read_csv(listed) if ending == "csv" else pl.read_parquet(listed)
    assert frame.columns == ["rank", "picture", "category", "score", "believed"]
    assert {Path(name).name for name in frame["picture"][:3]} == {"bad0.png", "bad1.png", "bad2.png"}
    assert frame["believed"].to_list() == [True] * 3 + [False] * 21
    assert frame["score"].is_sorted(descending=True)
    assert frame["category"].unique().to_list() == ["plate"]


def test_the_page_shows_the_pictures_and_needs_nothing_else(run: Run, dirty: Path, tmp_path: Path) -> None:
    run("fit", dirty, "--out", tmp_path / "m", *QUICK, "--suspects", tmp_path / "look.csv")
    page = (tmp_path / "look.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 24
    assert page.count("data:image/jpeg;base64,") == 48
    assert page.index("bad0.png") < page.index("<h2>The next ones") < page.index("good/000.png")
    assert 'src="http' not in page
    assert not list(tmp_path.glob("*.partial"))


def test_the_count_is_in_the_json_and_in_the_model(run: Run, dirty: Path, tmp_path: Path) -> None:
    words = ("--suspects", tmp_path / "look.csv", "--json", "-d", "padim")
    values = json.loads(run("fit", dirty, "--out", tmp_path / "m", *QUICK, *words).stdout)["suspects"]
    assert (values["n_checked"], values["n_believed"], values["share"]) == (24, 3, 0.125)
    assert len(values["first_pictures"]) == 5
    model = load(tmp_path / "m")
    assert isinstance(model, ImageModel)
    assert model.summary.suspects == values


def test_clean_pictures_are_not_doubted_and_the_list_is_the_same_each_time(run: Run, tmp_path: Path) -> None:
    folder = category(tmp_path / "plate", train=30)
    for name in ("a", "b"):
        result = run("fit", folder, "--out", tmp_path / name, *QUICK, "--suspects", tmp_path / f"{name}.csv")
        assert "of 30 good pictures is odder than chance" in result.stdout
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_labelled_defects_are_not_on_the_list(run: Run, dirty: Path, tmp_path: Path) -> None:
    """In a folder of good and bad pictures only those taken for good are ranked."""
    plain = tmp_path / "plain"
    for file in (dirty / "train/good").iterdir():
        (plain / "good").mkdir(parents=True, exist_ok=True)
        (plain / "good" / file.name).write_bytes(file.read_bytes())
    for place in range(4):
        write(plain / "dent" / f"known{place}.png", part(700 + place, defect=True)[0])
    result = run("fit", plain, "--out", tmp_path / "m", *QUICK, "--suspects", tmp_path / "look.csv")
    assert result.exit_code == 0, result.output
    frame = pl.read_csv(tmp_path / "look.csv")
    assert len(frame) == 24
    assert not frame["picture"].str.contains("known").any()
