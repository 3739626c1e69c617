"""Copies of normal pictures with made-up defects, as looks."""

from __future__ import annotations

import zlib

import numpy as np

from unseen.detectors.images.looking import Look
from unseen.nn.synthetic import SyntheticAnomalies
from unseen.pixels import Pixels
from unseen.types import BoolArray


def made_up_looks(
    images: Pixels, normal: BoolArray, *, count: int, seed: int, foreground: str = "all"
) -> list[Look]:
    """Return copies of pictures with a made-up defect on each normal one.

    Parameters
    ----------
    images : uint8 array of shape (n, height, width, 3)
        The pictures.
    normal : bool array of shape (n,)
        Which are normal; the others stay as they are.
    count : int >= 0
        Copies of each.
    seed : int
        With the picture's content it decides its defects, so that they do not depend on its place.
    foreground : {"all", "estimate"}
        Where defects may lie.

    Returns
    -------
    list of Look
    """
    make = SyntheticAnomalies(foreground=foreground)
    looks = []
    for number in range(count):
        copies, defects = images.copy(), np.zeros(images.shape[:3], dtype=np.bool_)
        for row in np.flatnonzero(normal).tolist():
            content = zlib.crc32(np.ascontiguousarray(images[row]).data)
            draw = np.random.default_rng([seed, number, content])
            copies[row], defects[row], _ = make(images[row], draw)
        looks.append(Look(copies, defects))
    return looks
