"""Bad pictures: every row of the table of images in docs/bad_input.md, once each, where they are read."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unseen.data.images import ImageSet, read_images
from unseen.errors import InputError, ReadError

DOCUMENT = Path(__file__).parents[2] / "docs" / "bad_input.md"
HEADING = "\n## Images"

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}


def row(name: str) -> Callable[[Case], Case]:
    """Name the row of the document that a case is about."""

    def keep(case: Case) -> Case:
        assert name not in CASES
        CASES[name] = case
        return case

    return keep


def picture(path: Path, size: tuple[int, int] = (16, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 256, size=(*size, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def refused(act: Callable[[], object], *words: str) -> None:
    with pytest.raises(InputError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def category(folder: Path) -> ImageSet:
    picture(folder / "train/good/000.png")
    picture(folder / "test/bent/000.png")
    Image.fromarray(np.ones((16, 24), dtype=np.uint8)).save(
        picture(folder / "ground_truth/bent/000_mask.png")
    )
    return read_images(folder)


@row("folder that does not exist")
def _(folder: Path) -> None:
    refused(lambda: read_images(folder / "none"), "none does not exist")


@row("empty folder")
def _(folder: Path) -> None:
    refused(lambda: read_images(folder), "is empty")


@row("folder without pictures")
def _(folder: Path) -> None:
    (folder / "notes.txt").write_text("none here")
    refused(lambda: read_images(folder), "no known layout of pictures", ".png", "good")


@row("folders without a good one")
def _(folder: Path) -> None:
    picture(folder / "scratched/1.png")
    refused(lambda: read_images(folder), "no known layout of pictures", "a folder 'good'")


@row("layout named that is not there")
def _(folder: Path) -> None:
    picture(folder / "1.png")
    refused(lambda: read_images(folder, layout="btad"), "no pictures in the layout 'btad'")


@row("file that is no picture")
def _(folder: Path) -> None:
    (folder / "a.txt").write_text("words")
    refused(lambda: read_images(folder / "a.txt"), "is no picture")


@row("text with the name of a picture")
def _(folder: Path) -> None:
    (folder / "a.png").write_text("words")
    refused(lambda: read_images(folder)[0], "a.png is not a PNG, JPEG, BMP or TIFF picture")


@row("picture of zero bytes")
def _(folder: Path) -> None:
    (folder / "a.png").touch()
    refused(lambda: read_images(folder)[0], "a.png is empty")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
def test_every_format_cut_at_half_is_named(tmp_path: Path, ending: str) -> None:
    path = picture(tmp_path / f"a.{ending}", (64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(lambda: read_images(tmp_path)[0], f"a.{ending}", "cut off or damaged")


@row("truncated picture")
def _(folder: Path) -> None:
    path = picture(folder / "a.jpg", (64, 64))
    path.write_bytes(path.read_bytes()[:-200])
    refused(lambda: read_images(folder)[0], "a.jpg is cut off or damaged", "copy it again")


@row("picture with damaged bytes")
def _(folder: Path) -> None:
    path = picture(folder / "a.png", (64, 64))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(bytes(content))
    refused(lambda: read_images(folder)[0], "a.png is cut off or damaged")


def huge_png(path: Path, width: int, height: int) -> None:
    """A PNG of a hundred bytes whose head claims a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@row("decompression bomb")
def _(folder: Path) -> None:
    huge_png(folder / "a.png", 60_000, 60_000)
    refused(lambda: read_images(folder)[0], "a.png claims more pixels than are safe")


@row("picture beyond the limit")
def _(folder: Path) -> None:
    huge_png(folder / "a.png", 9_000, 9_000)
    refused(lambda: read_images(folder)[0], "a.png has 9000 x 9000 pixels", "67,108,864")
    picture(folder / "b.png")
    refused(lambda: read_images(folder, max_pixels=100)[1], "b.png has 24 x 16 pixels", "max_pixels")


@row("TIFF with several pages")
def _(folder: Path) -> None:
    pages = [Image.fromarray(np.full((8, 8), value, dtype=np.uint8)) for value in (1, 2)]
    pages[0].save(folder / "a.tif", save_all=True, append_images=pages[1:])
    refused(lambda: read_images(folder)[0], "a.tif has 2 pages")


@row("floating-point TIFF outside 0 to 1")
def _(folder: Path) -> None:
    Image.fromarray(np.array([[0.0, 3.5]], dtype=np.float32)).save(folder / "a.tif")
    refused(lambda: read_images(folder)[0], "a.tif has grey values outside 0 to 1")


@row("mask of another size")
def _(folder: Path) -> None:
    images = category(folder)
    Image.fromarray(np.ones((16, 20), dtype=np.uint8)).save(folder / "ground_truth/bent/000_mask.png")
    refused(lambda: images.mask(1), "000_mask.png has 20 x 16 pixels", "000.png has 24 x 16")


@row("truncated mask")
def _(folder: Path) -> None:
    images = category(folder)
    path = folder / "ground_truth/bent/000_mask.png"
    path.write_bytes(path.read_bytes()[:50])
    refused(lambda: images.mask(1), "000_mask.png is cut off or damaged")


@row("defect without a mask")
def _(folder: Path) -> None:
    category(folder)
    picture(folder / "test/bent/001.png")
    images = read_images(folder)
    assert images.mask(2) is None
    assert any("1 anomalous pictures have no mask" in note for note in images.notes)


@row("picture that vanishes")
def _(folder: Path) -> None:
    images = read_images(picture(folder / "a.png"))
    (folder / "a.png").unlink()
    refused(lambda: images[0], "a.png does not exist")
    refused(lambda: images.key(0), "a.png cannot be read")


def table(folder: Path, text: str) -> Path:
    (folder / "split_csv").mkdir()
    (folder / "split_csv/1cls.csv").write_text(text)
    return folder


@row("split table without a column")
def _(folder: Path) -> None:
    refused(
        lambda: read_images(table(folder, "object,split,image,mask\n")), "1cls.csv lacks the column 'label'"
    )


@row("split table that names a missing file")
def _(folder: Path) -> None:
    text = "object,split,label,image,mask\ncandle,test,normal,candle/0.JPG,\n"
    refused(lambda: read_images(table(folder, text)), "1cls.csv, line 2", "0.JPG does not exist")


@row("split table that points outside")
def _(folder: Path) -> None:
    text = "object,split,label,image,mask\ncandle,test,normal,../../etc/a.png,\n"
    refused(lambda: read_images(table(folder, text)), "line 2", "lies outside")


@row("split table with another split")
def _(folder: Path) -> None:
    text = "object,split,label,image,mask\ncandle,exam,normal,a.png,\n"
    refused(lambda: read_images(table(folder, text)), "line 2", "split must be train or test, got 'exam'")


@row("split table that is not text")
def _(folder: Path) -> None:
    table(folder, "")
    (folder / "split_csv/1cls.csv").write_bytes(b"object,split,label,image,mask\n\xff\xfe\x96,a\n")
    refused(lambda: read_images(folder), "1cls.csv cannot be read as a CSV file")


@pytest.mark.parametrize("name", CASES)
def test_bad_picture(name: str, tmp_path: Path) -> None:
    CASES[name](tmp_path)


def test_every_refusal_is_a_read_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        read_images(tmp_path)


def test_the_table_of_images_has_a_row_for_each_case_and_no_other() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split(HEADING)[1]
    rows = re.findall(r"^\| ([^|]+?) \| ", section, flags=re.MULTILINE)
    assert [name for name in rows if name not in ("input", "---")] == list(CASES)
