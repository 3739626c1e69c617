"""Score maps as pictures: one scale a model, a heat map, and a heat map over the picture it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unseen.pixels import Pixels

_STOPS = ((0.0, (10, 12, 40)), (0.25, (70, 20, 110)), (0.5, (190, 50, 90)), (0.75, (250, 140, 40)),
          (1.0, (255, 250, 170)))  # fmt: skip
"""Colours of the heat maps: dark is normal, bright is far from normal; they rise in lightness."""

_NORMAL_TOPS = 0.9
_STRONGEST = 0.75


@dataclass(frozen=True)
class MapScale:
    """What of a score map is dark and what is bright, the same for all pictures of a model.

    Attributes
    ----------
    low : float
        Shown as the darkest colour: the median of the maps of normal pictures.
    high : float
        Shown as the brightest: twice as far from ``low`` as the peaks of normal pictures are, so that those
        end in the middle of the scale.
    """

    low: float
    high: float

    @classmethod
    def from_normals(cls, maps: NDArray[np.float32]) -> Self:
        """Set the scale from maps of normal pictures that were compared with others than themselves.

        Parameters
        ----------
        maps : float32 array of shape (n, height, width)
            At least one map.

        Returns
        -------
        MapScale
        """
        low = float(np.median(maps))
        peak = float(np.quantile(maps.reshape(len(maps), -1).max(axis=1), _NORMAL_TOPS))
        return cls(low, low + 2 * max(peak - low, 1e-6 + 1e-6 * abs(low)))

    def levels(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return maps on the scale: 0 darkest, 1 brightest, cut off there.

        Parameters
        ----------
        maps : float32 array
            Score maps.

        Returns
        -------
        float32 array of the same shape
        """
        levels = (maps - self.low) / (self.high - self.low)
        return np.asarray(np.clip(levels, 0, 1), dtype=np.float32)


def heat_map(levels: NDArray[np.float32]) -> Pixels:
    """Return levels in colour.

    Parameters
    ----------
    levels : float32 array of shape (height, width)
        In [0, 1].

    Returns
    -------
    uint8 array of shape (height, width, 3)
    """
    return _COLOURS[np.rint(levels * 255).astype(np.uint8)]


def overlay(image: Pixels, levels: NDArray[np.float32]) -> Pixels:
    """Lay a heat map over its picture; the picture shows through where nothing is unusual.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)
        The picture.
    levels : float32 array of shape (height, width)
        In [0, 1], of the same size.

    Returns
    -------
    uint8 array of shape (height, width, 3)
    """
    weight = (_STRONGEST * np.clip(2 * levels - 0.4, 0, 1))[:, :, None]
    grey = image.mean(axis=2, keepdims=True)
    ground = 0.5 * image + 0.5 * grey
    return np.asarray(np.rint((1 - weight) * ground + weight * heat_map(levels)), dtype=np.uint8)


def fitted_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Return a size of the same proportions whose longer side is at most ``longest``.

    Parameters
    ----------
    height, width : int
        The size, in pixels.
    longest : int
        The limit.

    Returns
    -------
    tuple of (int, int)
        Height and width, each at least 1.
    """
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_levels(levels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring levels to a size, interpolated.

    Parameters
    ----------
    levels : float32 array of shape (height, width)
        In [0, 1].
    size : (int, int)
        New height and width.

    Returns
    -------
    float32 array of that shape
    """
    picture = Image.fromarray(np.ascontiguousarray(levels, dtype=np.float32))
    resized = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(resized, dtype=np.float32), 0, 1)


def _table_of_colours() -> NDArray[np.uint8]:
    at = np.linspace(0, 1, 256)
    places = [place for place, _ in _STOPS]
    channels = [np.interp(at, places, [colour[i] for _, colour in _STOPS]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


_COLOURS = _table_of_colours()
