"""From a file to a picture: PNG, JPEG, BMP and TIFF of every common sort, as 8-bit red-green-blue.

========================== ==========================================================================
in the file                in the picture
========================== ==========================================================================
grey, 8 bits or 1 bit      the same value in red, green and blue
grey, 16 bits              value / ``white_level`` * 255, rounded; the same scale for every file, so that
                           equal values stay equal (``white_level=4095`` suits a 12-bit camera)
grey, floating point       0 to 1 becomes 0 to 255; other values are refused
colour, 16 bits a channel  the upper 8 bits
palette                    its colours
CMYK, YCbCr, Lab           converted without colour profiles
alpha                      laid over black
EXIF orientation           applied
several pages (TIFF)       refused; a multi-picture JPEG gives its first picture
========================== ==========================================================================
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from unseen.errors import ReadError
from unseen.pixels import Pixels
from unseen.types import BoolArray

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff")
"""File name endings that are taken for pictures, whatever their case."""

FULL_WHITE = 65_535
"""Highest value of a 16-bit file."""

MAX_PIXELS = 2**26
"""Pictures with more pixels than this (8192 x 8192) are refused before they are decoded."""

_FORMATS = tuple(
    plugin.format
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)
"""Importing a plugin makes its format known; no other decoder ever sees a file."""
_SWAPPED_AXES = (5, 6, 7, 8)
_ORIENTATION = 0x0112
_FAULTS = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, KeyError, IndexError, TypeError,
    ZeroDivisionError, OverflowError,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def decode_image(path: Path, *, white_level: int = FULL_WHITE, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read a picture.

    Parameters
    ----------
    path : Path
        A PNG, JPEG, BMP or TIFF file.
    white_level : int >= 1
        The value of a 16-bit file that becomes 255; higher ones are cut.
    max_pixels : int >= 1
        Larger pictures are refused before they are decoded.

    Returns
    -------
    uint8 array of shape (height, width, 3)
        Red, green, blue.

    Raises
    ------
    ReadError
        If the file is missing, empty, cut off, damaged, too large or of another format.
    """
    with _opened(path, max_pixels) as picture:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode == "F" or upright.mode.startswith("I"):
            grey = _grey_of_deep(np.asarray(upright), path, white_level)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.asarray(_as_rgb(upright))


def decode_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> BoolArray:
    """Read a mask: True wherever a value is not 0.

    In JPEG masks, whose edges are blurred, True is where the value is above 127. In a palette mask the
    number of the colour counts, not the colour. Alpha is ignored.

    Parameters
    ----------
    path : Path
        A PNG, JPEG, BMP or TIFF file.
    max_pixels : int >= 1
        Larger masks are refused before they are decoded.

    Returns
    -------
    bool array of shape (height, width)

    Raises
    ------
    ReadError
        As :func:`decode_image`.
    """
    with _opened(path, max_pixels) as picture:
        lowest = 127 if picture.format in ("JPEG", "MPO") else 0
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("LA", "RGBA", "PA"):
            upright = upright.convert({"LA": "L", "RGBA": "RGB", "PA": "P"}[upright.mode])
        values = np.asarray(upright)
        above = values > lowest
        return np.asarray(above.any(axis=2) if above.ndim == 3 else above, dtype=np.bool_)


def picture_size(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (height, width) of a picture as it will be decoded, from the head of its file alone.

    Parameters
    ----------
    path : Path
        A PNG, JPEG, BMP or TIFF file.
    max_pixels : int >= 1
        Larger pictures are refused.

    Returns
    -------
    tuple of (int, int)

    Raises
    ------
    ReadError
        If the head cannot be read.
    """
    with _opened(path, max_pixels, load=False) as picture:
        width, height = picture.size
        turned = picture.getexif().get(_ORIENTATION) in _SWAPPED_AXES
    return (width, height) if turned else (height, width)


@contextmanager
def _opened(path: Path, max_pixels: int, *, load: bool = True) -> Iterator[Image.Image]:
    """Open a picture, loaded if wanted; whatever is wrong with the file becomes a ReadError that names it."""
    if not path.is_file():
        raise ReadError(f"{path} is not a file." if path.exists() else f"{path} does not exist.")
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is empty; replace it or take it out of the folder.")
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            _refuse_large(picture, path, max_pixels)
            pages = getattr(picture, "n_frames", 1)
            if picture.format == "TIFF" and pages > 1:
                raise ReadError(f"{path} has {pages} pages; save each page as a file of its own.")
            if load:
                picture.load()
            yield picture
    except ReadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ReadError(
            f"{path} claims more pixels than are safe to decode; scale it down. {error}"
        ) from error
    except UnidentifiedImageError as error:
        raise ReadError(f"{path} is not a PNG, JPEG, BMP or TIFF picture, or its head is damaged.") from error
    except _FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReadError(
            f"{path} is cut off or damaged ({reason}); copy it again or take it out of the folder."
        ) from error


def _refuse_large(picture: Image.Image, path: Path, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise ReadError(
            f"{path} has {width} x {height} pixels, more than the {max_pixels:,} that are allowed; "
            "scale it down, or raise max_pixels if you trust the file."
        )


def _grey_of_deep(values: NDArray[Any], path: Path, white_level: int) -> Pixels:
    """Map 16-bit or floating-point grey to 8 bits."""
    if values.dtype.kind == "f":
        scaled = values * 255.0
        allowed = "0 to 1"
        fits = bool(np.isfinite(values).all()) and float(values.min()) >= 0.0 and float(values.max()) <= 1.0
    else:
        scaled = values.astype(np.float64) * (255.0 / white_level)
        allowed = f"0 to {FULL_WHITE}"
        fits = int(values.min()) >= 0 and int(values.max()) <= FULL_WHITE
    if not fits:
        raise ReadError(f"{path} has grey values outside {allowed}; save it as an 8-bit or 16-bit picture.")
    return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        black = Image.new("RGBA", over.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, over).convert("RGB")
    return picture.convert("RGB")
