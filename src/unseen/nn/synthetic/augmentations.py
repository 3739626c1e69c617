"""Seven ways to change a texture before it becomes a defect.

They are those that the paper on value-order decomposition names: posterise, sharpness, solarise, equalise,
brightness, colour, automatic contrast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageOps

from unseen.checks import check_int
from unseen.pixels import Pixels, check_pixels


def _posterise(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageOps.posterize(image, int(rng.integers(2, 7)))


def _sharpness(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(float(rng.uniform(0.0, 3.0)))


def _solarise(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageOps.solarize(image, int(rng.integers(32, 129)))


def _equalise(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageOps.equalize(image)


def _brightness(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.5, 1.5)))


def _colour(image: Image.Image, rng: Generator) -> Image.Image:
    """Turn the hue and change the saturation."""
    hue, saturation, value = image.convert("HSV").split()
    turn = int(rng.integers(256))
    turned = hue.point([(level + turn) % 256 for level in range(256)])
    merged = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    return ImageEnhance.Color(merged).enhance(float(rng.uniform(0.0, 2.0)))


def _automatic_contrast(image: Image.Image, rng: Generator) -> Image.Image:
    return ImageOps.autocontrast(image)


AUGMENTATIONS: dict[str, Callable[[Image.Image, Generator], Image.Image]] = {
    "posterise": _posterise,
    "sharpness": _sharpness,
    "solarise": _solarise,
    "equalise": _equalise,
    "brightness": _brightness,
    "colour": _colour,
    "automatic contrast": _automatic_contrast,
}
"""By name: functions (picture, generator) to picture."""


def augment(image: Pixels, rng: Generator, *, n: int = 3) -> Pixels:
    """Change a picture by some of the seven augmentations, drawn without repetition, in random order.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)
        Red, green, blue.
    rng : numpy Generator
        Draws which, and how strong.
    n : int in [0, 7]
        How many.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    ParameterError
        If ``n`` is out of range.
    InputError
        If ``image`` is no such array.
    """
    check_int("augment", "n", n, minimum=0, maximum=len(AUGMENTATIONS))
    names = sorted(AUGMENTATIONS)
    picture = Image.fromarray(np.ascontiguousarray(check_pixels("augment", image)))
    for place in rng.permutation(len(names))[:n]:
        picture = AUGMENTATIONS[names[int(place)]](picture, rng)
    return np.asarray(picture)
