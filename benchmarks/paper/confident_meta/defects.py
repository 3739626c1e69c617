"""Defects of another kind than those that detectors are trained on.

Training pastes textures under Perlin masks. What stands in for real defects (on textures, which have none,
and where settings are chosen without any test picture) is made otherwise: a piece of the same picture pasted
elsewhere, a scratch, or a stain. A score that only recognises the training's own paste gains nothing here.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

_LEAST_CHANGE = 6


def other_defect(image: np.ndarray, draw: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a square picture with one such defect, and a bool mask of the pixels that changed."""
    made = (_pasted_piece, _scratch, _stain)[int(draw.integers(3))](image, draw)
    changed = np.abs(made.astype(np.int16) - image).max(axis=2) >= _LEAST_CHANGE
    return made, changed


def _pasted_piece(image: np.ndarray, draw: Generator) -> np.ndarray:
    """A square piece, turned and a little lighter or darker, at another place."""
    size = len(image)
    side = int(draw.integers(size // 12, size // 4))
    row, column, at_row, at_column = (int(place) for place in draw.integers(0, size - side, size=4))
    piece = np.rot90(image[row : row + side, column : column + side], int(draw.integers(1, 4)))
    made = image.astype(np.float64)
    made[at_row : at_row + side, at_column : at_column + side] = piece * draw.uniform(0.7, 1.3)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def _scratch(image: np.ndarray, draw: Generator) -> np.ndarray:
    """A crooked line of one grey."""
    size = len(image)
    place, angle = draw.uniform(0.15, 0.85, size=2) * size, draw.uniform(0, 2 * np.pi)
    points = [tuple(place)]
    for _ in range(int(draw.integers(3, 8))):
        angle += draw.normal(0, 0.4)
        place = np.clip(place + 0.06 * size * np.array([np.cos(angle), np.sin(angle)]), 0, size - 1)
        points.append(tuple(place))
    line = Image.new("L", (size, size))
    ImageDraw.Draw(line).line(points, fill=255, width=int(draw.integers(2, 6)))
    return _blended(image, line, float(draw.uniform(0, 255)), float(draw.uniform(0.4, 1.0)))


def _stain(image: np.ndarray, draw: Generator) -> np.ndarray:
    """A soft spot, lighter or darker."""
    size = len(image)
    radii = draw.uniform(0.03, 0.12, size=2) * size
    centre = draw.uniform(0.15, 0.85, size=2) * size
    spot = Image.new("L", (size, size))
    ImageDraw.Draw(spot).ellipse([*(centre - radii), *(centre + radii)], fill=255)
    spot = spot.filter(ImageFilter.GaussianBlur(size / 128))
    return _blended(image, spot, float(draw.choice([20.0, 235.0])), float(draw.uniform(0.3, 0.8)))


def _blended(image: np.ndarray, where: Image.Image, level: float, opacity: float) -> np.ndarray:
    share = opacity * np.asarray(where, dtype=np.float64)[:, :, None] / 255
    return np.rint((1 - share) * image + share * level).astype(np.uint8)
