"""Bad pictures on the command line: every row of that table in docs/bad_input.md, once each."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from unseen.cli import app
from unseen.detectors.images import looking
from unseen.nn.backbones.frozen import FrozenBackbone

DOCUMENT = Path(__file__).parents[2] / "docs" / "bad_input.md"
HEADING = "\n## Images on the command line"
QUICK = ("--image-size", "32", "--set", "backbone=averages", "--set", "strides=(4,8)", "--set", "device=cpu")

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}


class Averages(torch.nn.Module):
    """Mean colours of cells of 4 and of 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.0]))

    def forward(self, x: torch.Tensor, strides: tuple[int, ...]) -> dict[int, torch.Tensor]:
        return {s: torch.nn.functional.avg_pool2d(x * self.scale, s) for s in strides}


@pytest.fixture(autouse=True)
def _quick_backbone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def load(name: str, **_: object) -> FrozenBackbone:
        return FrozenBackbone(
            Averages(), name=name, channels={4: 3, 8: 3}, mean=(0.4,) * 3, std=(0.3,) * 3, multiple=8
        )

    looking._loaded.cache_clear()
    monkeypatch.setattr(looking, "load_backbone", load)
    yield
    looking._loaded.cache_clear()


def row(name: str) -> Callable[[Case], Case]:
    """Name the row of the document that a case is about."""

    def keep(case: Case) -> Case:
        assert name not in CASES
        CASES[name] = case
        return case

    return keep


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def pixels(seed: int, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    return np.random.default_rng(seed).integers(90, 130, size=(*size, 3), dtype=np.uint8)


def picture(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path, **options)
    return path


def category(folder: Path) -> Path:
    for place in range(5):
        picture(folder / f"train/good/{place}.png", place)
        picture(folder / f"test/good/{place}.png", 10 + place)
        picture(folder / f"test/bent/{place}.png", 20 + place)
        mask = np.zeros((40, 40), dtype=np.uint8)
        mask[5:15, 5:15] = 255
        path = folder / f"ground_truth/bent/{place}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    return folder


def refused(result: Any, *words: str) -> None:
    """Exit code 2 and one line that says what is wrong, beside what had been said before."""
    assert result.exit_code == 2, result.output
    said = ("read ", "note: ", "[", "scoring:")
    lines = [
        line for line in result.stderr.splitlines() if not line.startswith(said) and " trials" not in line
    ]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("unseen: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0], lines[0]


def fit(folder: Path, source: Path, *further: object) -> Any:
    return command("fit", source, "--out", folder / "m", *QUICK, *further)


def fit_refused(folder: Path, source: Path, *words: str) -> None:
    refused(fit(folder, source), *words)
    assert not (folder / "m").exists()


def model(folder: Path) -> Path:
    result = fit(folder, category(folder / "plate"))
    assert result.exit_code == 0, result.output
    return folder / "m"


def table(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80)}).write_csv(folder / "rows.csv")
    return folder / "rows.csv"


def used(folder: Path, name: str, image: Image.Image, **options: Any) -> None:
    """A picture of an odd sort is scored as its plain twin is."""
    place = folder / "new"
    place.mkdir()
    image.save(place / name, **options)
    result = command("score", model(folder), place, "--out", folder / "s.csv")
    assert result.exit_code == 0, result.output
    assert np.isfinite(pl.read_csv(folder / "s.csv")["score"].to_list()[0])


# ------------------------------------------------------------------------ single files
@row("truncated picture, `fit`")
def _(folder: Path) -> None:
    file = category(folder / "plate") / "train/good/3.png"
    file.write_bytes(file.read_bytes()[:200])
    fit_refused(folder, folder / "plate", "3.png", "cut off or damaged")


@row("truncated picture, `score`")
def _(folder: Path) -> None:
    saved = model(folder)
    file = folder / "plate/test/bent/2.png"
    file.write_bytes(file.read_bytes()[:200])
    refused(
        command("score", saved, folder / "plate", "--out", folder / "s.csv"), "2.png", "cut off or damaged"
    )
    assert not (folder / "s.csv").exists()


@row("`--out` among the pictures, `score`")
def _(folder: Path) -> None:
    saved = model(folder)
    for out in ("plate/test/bent", "plate/test/bent/s.csv"):
        refused(
            command("score", saved, folder / "plate/test/bent", "--out", folder / out), "among the pictures"
        )
    assert sorted(item.suffix for item in (folder / "plate/test/bent").iterdir()) == [".png"] * 5
    assert command("score", saved, folder / "plate", "--out", folder / "plate/scored").exit_code == 0


@row("truncated picture, `score --skip-unreadable`")
def _(folder: Path) -> None:
    saved = model(folder)
    file = folder / "plate/test/bent/2.png"
    file.write_bytes(file.read_bytes()[:200])
    words = ("score", saved, folder / "plate", "--out", folder / "s.csv", "--skip-unreadable", "--maps")
    result = command(*words)
    assert result.exit_code == 0, result.output
    assert "1 pictures could not be read" in result.stdout
    scores = pl.read_csv(folder / "s.csv")
    bad = scores.filter(pl.col("error").is_not_null())
    assert bad["path"].to_list() == ["test/bent/2.png"]
    assert "cut off or damaged" in bad["error"].item()
    assert bad["score"].null_count() == 1
    assert scores["score"].null_count() == 1
    assert len(scores) == 10


@row("no picture can be read, `--skip-unreadable`")
def _(folder: Path) -> None:
    saved = model(folder)
    (folder / "new").mkdir()
    (folder / "new/1.png").write_bytes(b"text")
    result = command("score", saved, folder / "new", "--out", folder / "s.csv", "--skip-unreadable")
    refused(result, "none of 1 pictures can be read", "1.png")
    assert not (folder / "s.csv").exists()


@row("truncated picture, `evaluate`")
def _(folder: Path) -> None:
    file = category(folder / "plate") / "test/good/1.png"
    file.write_bytes(file.read_bytes()[:200])
    words = ("--detectors", "padim", "--image-size", 32, "--set", "padim.backbone=averages")
    result = command(
        "evaluate", folder / "plate", "--out", folder / "e", *words, "--set", "padim.strides=(4,8)"
    )
    refused(result, "1.png", "cut off or damaged")


@row("mask of another size, `evaluate`")
def _(folder: Path) -> None:
    category(folder / "plate")
    Image.fromarray(np.full((20, 40), 255, dtype=np.uint8)).save(
        folder / "plate/ground_truth/bent/1_mask.png"
    )
    words = ("--detectors", "padim", "--image-size", 32, "--set", "padim.backbone=averages")
    result = command(
        "evaluate", folder / "plate", "--out", folder / "e", *words, "--set", "padim.strides=(4,8)"
    )
    refused(result, "1_mask.png", "a mask must be as large as its picture")


@row("decompression bomb, `score`")
def _(folder: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    saved = model(folder)
    (folder / "new").mkdir()
    (folder / "new/bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b""))
    refused(command("score", saved, folder / "new", "--out", folder / "s.csv"), "bomb.png", "pixels")


@row("text with the name of a picture, `score`")
def _(folder: Path) -> None:
    saved = model(folder)
    (folder / "new").mkdir()
    (folder / "new/a.jpg").write_text("not a picture")
    refused(command("score", saved, folder / "new", "--out", folder / "s.csv"), "a.jpg", "is not a PNG, JPEG")


@row("16-bit grey")
def _(folder: Path) -> None:
    used(folder, "deep.png", Image.fromarray(pixels(0)[:, :, 0].astype(np.uint16) * 257))


@row("CMYK")
def _(folder: Path) -> None:
    used(folder, "print.jpg", Image.fromarray(pixels(0)).convert("CMYK"))


@row("alpha")
def _(folder: Path) -> None:
    used(folder, "glass.png", Image.fromarray(np.dstack([pixels(0), np.full((40, 40), 128, np.uint8)])))


@row("EXIF-rotated")
def _(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(pixels(0, (20, 40)))
    used(folder, "turned.jpg", wide, exif=exif)
    command("score", folder / "m", folder / "new", "--out", folder / "t", "--maps")
    with Image.open(folder / "t/overlays/turned.jpg.jpg") as overlay:
        assert overlay.size == (20, 40)


# ----------------------------------------------------------------------------- folders
@row("empty folder, `score`")
def _(folder: Path) -> None:
    saved = model(folder)
    (folder / "new").mkdir()
    refused(command("score", saved, folder / "new", "--out", folder / "s.csv"), "new", "is empty")


@row("missing folder, `score`")
def _(folder: Path) -> None:
    refused(
        command("score", model(folder), folder / "new", "--out", folder / "s.csv"), "new", "does not exist"
    )


@row("one picture, `fit`")
def _(folder: Path) -> None:
    result = fit(folder, picture(folder / "plate/one.png").parent)
    assert result.exit_code == 0, result.output
    assert "no threshold and no p-values: these need at least two good pictures" in result.stdout
    scored = command("score", folder / "m", folder / "plate", "--out", folder / "s.csv")
    assert scored.exit_code == 0, scored.output
    assert "there is a single reference" in " ".join(scored.stdout.split())
    assert "rule: none: a threshold needs at least two references" in scored.stdout
    assert pl.read_csv(folder / "s.csv")["flagged"].null_count() == 1


@row("no good pictures, `fit`")
def _(folder: Path) -> None:
    category(folder / "plate")
    for file in (folder / "plate/train/good").iterdir():
        file.unlink()
    fit_refused(folder, folder / "plate", "plate", "no good pictures to learn from")


@row("folders of pictures without a good one")
def _(folder: Path) -> None:
    picture(folder / "plate/bent/1.png")
    fit_refused(folder, folder / "plate", "no known layout of pictures", "a folder 'good'")


@row("tables and pictures in one folder")
def _(folder: Path) -> None:
    picture(table(folder / "both").parent / "plot.png")
    fit_refused(folder, folder / "both", "both tables and pictures")


@row("mixed layouts, `evaluate`")
def _(folder: Path) -> None:
    category(folder / "plate")
    for place in range(8):
        picture(folder / f"lid/good/{place}.png", place)
        picture(folder / f"lid/bent/{place}.png", 50 + place)
    words = ("--references", 2, "--seeds", 1, "--detectors", "padim", "--image-size", 32)
    sets = ("--set", "padim.backbone=averages", "--set", "padim.strides=(4,8)")
    both = command("evaluate", folder / "plate", folder / "lid", "--out", folder / "e", *words, *sets)
    assert both.exit_code == 0, both.output
    kinds = pl.read_parquet(folder / "e/results.parquet")["kind"].unique().to_list()
    assert sorted(kinds) == ["lid/bent", "plate/bent"]


@row("tables and folders of pictures, `evaluate`")
def _(folder: Path) -> None:
    file = table(folder / "rows")
    result = command("evaluate", category(folder / "plate"), file, "--out", folder / "e")
    refused(result, "rows.csv", "is no folder of pictures")


@row("no labelled defects, `evaluate`")
def _(folder: Path) -> None:
    for place in range(4):
        picture(folder / f"plate/good/{place}.png", place)
    refused(command("evaluate", folder / "plate", "--out", folder / "e"), "'plate'", "no labelled defects")


@row("more references than good pictures")
def _(folder: Path) -> None:
    refused(
        fit(folder, category(folder / "plate"), "--references", 6), "--references 6", "has 5 good pictures"
    )
    result = command("evaluate", folder / "plate", "--out", folder / "e", "--references", 3)
    refused(result, "3 seeds of 3 references need 9 good pictures", "has 5")


@row("`--suspects` with fewer than 20 good pictures, or with another ending")
def _(folder: Path) -> None:
    plate = category(folder / "plate")
    refused(fit(folder, plate, "--suspects", folder / "list.csv"), "--suspects", "20 pictures")
    refused(fit(folder, plate, "--suspects", folder / "list.txt"), "list.txt", ".parquet or .csv")
    assert sorted(path.name for path in folder.iterdir()) == ["plate"]


@row("source that holds the target")
def _(folder: Path) -> None:
    place = category(folder / "plate")
    refused(
        command("evaluate", place, "--source", place, "--out", folder / "e"), "in a source and in the target"
    )


@row("references with defects, `adapt`")
def _(folder: Path) -> None:
    saved = model(folder)
    picture(folder / "new/good/1.png")
    picture(folder / "new/bent/1.png")
    result = command("adapt", saved, folder / "new", "--out", folder / "m2")
    refused(result, "references must be normal", "bent")
    assert not (folder / "m2").exists()


# -------------------------------------------------------------------- the other sort
@row("unknown detector of pictures")
def _(folder: Path) -> None:
    result = fit(folder, category(folder / "plate"), "--detector", "patchcoer")
    refused(result, "no detector is called 'patchcoer'", "did you mean 'patchcore'?")


@row("detector of tables on pictures")
def _(folder: Path) -> None:
    result = fit(folder, category(folder / "plate"), "--detector", "mahalanobis")
    refused(result, "mahalanobis is a detector of tables", "patchcore")


@row("detector of pictures on a table")
def _(folder: Path) -> None:
    result = command("fit", table(folder / "rows"), "--out", folder / "m", "--detector", "patchcore")
    refused(result, "patchcore is a detector of pictures", "mahalanobis")


@row("model of tables on pictures")
def _(folder: Path) -> None:
    file = table(folder / "rows")
    assert command("fit", file, "--out", folder / "m", "--no-estimate").exit_code == 0
    result = command("score", folder / "m", category(folder / "plate"), "--out", folder / "s.csv")
    refused(result, "is a model of tables", "plate holds pictures")


@row("model of pictures on a table")
def _(folder: Path) -> None:
    result = command("score", model(folder), table(folder / "rows"), "--out", folder / "s.csv")
    refused(result, "is a model of pictures", "rows.csv holds none")


@row("option of tables on pictures")
def _(folder: Path) -> None:
    refused(fit(folder, category(folder / "plate"), "--kind-column", "k", "--view", "raw"),
            "holds pictures", "--kind-column", "--view")  # fmt: skip
    saved = model(folder)
    refused(command("score", saved, folder / "plate", "--out", folder / "s.csv", "--keep", "a"), "--keep")
    refused(command("evaluate", folder / "plate", "--out", folder / "e", "--natural"), "--natural")


@row("option of pictures on a table")
def _(folder: Path) -> None:
    file = table(folder / "rows")
    refused(
        command("fit", file, "--out", folder / "m", "--references", 4),
        "no folder of pictures",
        "--references",
    )
    refused(command("evaluate", file, "--out", folder / "e", "--source", folder), "--source")


@row("model of pictures with another backbone")
def _(folder: Path) -> None:
    saved = model(folder)
    with pytest.MonkeyPatch.context() as patch:
        looking._loaded.cache_clear()
        other = Averages()
        other.scale.data += 1
        patch.setattr(
            looking,
            "load_backbone",
            lambda name, **_: FrozenBackbone(
                other, name=name, channels={4: 3, 8: 3}, mean=(0.4,) * 3, std=(0.3,) * 3, multiple=8
            ),
        )
        result = command("score", saved, folder / "plate", "--out", folder / "s.csv")
    refused(result, "are not those of the fit")


def documented() -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8").split(HEADING)[1]
    rows = re.findall(r"^\| ([^|]+?) \| ", text, flags=re.MULTILINE)
    return [name for name in rows if name not in ("input", "---")]


def test_the_document_and_these_cases_have_the_same_rows() -> None:
    assert documented() == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_bad_pictures_on_the_command_line(name: str, tmp_path: Path) -> None:
    CASES[name](tmp_path)
