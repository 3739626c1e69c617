"""Files of every sort become 8-bit red-green-blue as the table in the module says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unseen.data.images import decode_image, decode_mask
from unseen.data.images.decoding import picture_size
from unseen.errors import ReadError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
GREY = COLOUR[:, :, 0]


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "tiff"])
def test_lossless_colour_comes_through(tmp_path: Path, ending: str) -> None:
    Image.fromarray(COLOUR).save(tmp_path / f"a.{ending}")
    assert np.array_equal(decode_image(tmp_path / f"a.{ending}"), COLOUR)


def test_grey_is_repeated_and_jpeg_is_read(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert np.array_equal(decode_image(tmp_path / "a.png"), np.repeat(GREY[:, :, None], 3, 2))
    Image.fromarray(np.full((16, 16), 77, dtype=np.uint8)).save(tmp_path / "a.jpg")
    assert np.all(decode_image(tmp_path / "a.jpg") == 77)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_alike_in_every_file(tmp_path: Path, ending: str) -> None:
    deep = np.array([[0, 257, 12850, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a.{ending}")
    assert decode_image(tmp_path / f"a.{ending}")[0, :, 0].tolist() == [0, 1, 50, 255]
    assert decode_image(tmp_path / f"a.{ending}", white_level=12850)[0, :, 1].tolist() == [0, 5, 255, 255]


def test_floating_point_grey_is_zero_to_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert decode_image(tmp_path / "a.tif")[0, :, 2].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(ReadError, match=r"b\.tif has grey values outside 0 to 1"):
        decode_image(tmp_path / "b.tif")


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    ink = np.zeros((8, 8, 4), dtype=np.uint8)
    ink[..., 0] = 255
    Image.fromarray(ink, mode="CMYK").save(tmp_path / "a.tif")
    assert decode_image(tmp_path / "a.tif")[0, 0].tolist() == [0, 255, 255]


def test_alpha_lies_over_black(tmp_path: Path) -> None:
    clear = np.dstack([COLOUR, np.zeros((6, 8), dtype=np.uint8)])
    clear[:, :4, 3] = 255
    Image.fromarray(clear).save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert np.array_equal(decoded[:, :4], COLOUR[:, :4])
    assert not decoded[:, 4:].any()


def test_palette_and_one_bit(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode="P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    palette.save(tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png")[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    palette.save(tmp_path / "t.png", transparency=1)
    assert decode_image(tmp_path / "t.png")[0, 1].tolist() == [0, 0, 0]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "b.png")
    assert decode_image(tmp_path / "b.png")[0, :, 0].tolist() == [255, 0]


def test_orientation_is_applied_to_pixels_and_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode_image(tmp_path / "a.png"), np.rot90(COLOUR, -1))
    assert picture_size(tmp_path / "a.png") == (8, 6)


def test_masks_are_true_off_zero_and_above_the_middle_in_jpeg(tmp_path: Path) -> None:
    truth = np.zeros((16, 16), dtype=np.uint8)
    truth[4:12, 4:12] = 1
    Image.fromarray(truth).save(tmp_path / "a.png")
    assert np.array_equal(decode_mask(tmp_path / "a.png"), truth == 1)
    palette = Image.fromarray(truth, mode="P")
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.save(tmp_path / "p.png")
    assert np.array_equal(decode_mask(tmp_path / "p.png"), truth == 1)
    Image.fromarray(truth * 255).save(tmp_path / "a.jpg", quality=60)
    assert np.mean(decode_mask(tmp_path / "a.jpg") == (truth == 1)) > 0.99
    Image.fromarray(np.dstack([truth, np.full_like(truth, 255)]), mode="LA").save(tmp_path / "l.png")
    assert np.array_equal(decode_mask(tmp_path / "l.png"), truth == 1)
