"""Where the look of a synthetic defect comes from: a user's pictures, or textures drawn on the spot.

The texture pictures that papers use (the Describable Textures Dataset) were collected from the web and may
not be passed on, so none comes with the package; the textures that do are computed, and free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from unseen.errors import InputError
from unseen.nn.synthetic.perlin import perlin_noise
from unseen.pixels import ImageSource, Pixels, Size, check_pixels, check_size, resize_image

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class TextureSource(Protocol):
    """Gives a random texture."""

    def __call__(self, size: Size, rng: Generator) -> Pixels:
        """Return a texture.

        Parameters
        ----------
        size : int or (int, int)
            One side of a square, or (height, width).
        rng : numpy Generator
            Draws it.

        Returns
        -------
        uint8 array of shape (height, width, 3)
        """
        ...


class PictureTextures:
    """Textures from pictures, each brought to the size that is asked for.

    Parameters
    ----------
    pictures : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
        For a folder: ``unseen.data.images.read_images(folder, layout="nested")``.

    Raises
    ------
    InputError
        If there is no picture.
    """

    def __init__(self, pictures: ImageSource | Sequence[Pixels]) -> None:
        if len(pictures) == 0:
            raise InputError("PictureTextures: at least one picture is needed.")
        self.pictures = pictures

    def __call__(self, size: Size, rng: Generator) -> Pixels:
        """Return one of the pictures; see :class:`TextureSource`."""
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        return resize_image(check_pixels("PictureTextures", picture), size)


class FolderTextures:
    """Textures from the pictures below a folder, such as that of the Describable Textures Dataset.

    Parameters
    ----------
    folder : str or Path
        Searched with all its subfolders for PNG, JPEG, BMP and TIFF files, in the order of their paths.

    Raises
    ------
    InputError
        If there is no such folder, or no picture in it.
    """

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"textures: {root} is not a folder.")
        self.paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not self.paths:
            raise InputError(f"textures: no PNG, JPEG, BMP or TIFF file below {root}.")

    def __call__(self, size: Size, rng: Generator) -> Pixels:
        """Return one of the pictures; see :class:`TextureSource`."""
        path = self.paths[int(rng.integers(len(self.paths)))]
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"textures: {path} cannot be read as a picture ({error}).") from error
        return resize_image(pixels, size)


class DrawnTextures:
    """Textures that are computed in random colours: stripes, cells, marble and so on (``DRAWINGS``)."""

    def __call__(self, size: Size, rng: Generator) -> Pixels:
        """Return a texture of a random sort; see :class:`TextureSource`."""
        shape = check_size("DrawnTextures", size)
        names = sorted(DRAWINGS)
        return self.draw(names[int(rng.integers(len(names)))], shape, rng)

    @staticmethod
    def draw(name: str, size: Size, rng: Generator) -> Pixels:
        """Return a texture of one sort.

        Parameters
        ----------
        name : str
            A key of ``DRAWINGS``.
        size : int or (int, int)
            One side of a square, or (height, width).
        rng : numpy Generator
            Draws its parameters and colours.

        Returns
        -------
        uint8 array of shape (height, width, 3)

        Raises
        ------
        InputError
            If there is no such sort.
        """
        if name not in DRAWINGS:
            raise InputError(
                f"DrawnTextures: name must be one of {', '.join(sorted(DRAWINGS))}, got {name!r}."
            )
        shape = check_size("DrawnTextures", size)
        level = np.clip(DRAWINGS[name](shape, rng), 0.0, 1.0)[:, :, None]
        dark, light = rng.uniform(0, 255, size=(2, 3))
        grain = rng.normal(0.0, rng.uniform(1, 12), size=(*shape, 1))
        return np.asarray(np.clip(dark + level * (light - dark) + grain, 0, 255), dtype=np.uint8)


def _waves(shape: tuple[int, int], rng: Generator, bend: float = 0.0) -> NDArray[np.float64]:
    """Waves in a random direction, 3 to 20 a picture, their phase bent by noise."""
    rows, columns = _coordinates(shape)
    angle, count = rng.uniform(0, np.pi), rng.uniform(3, 20)
    phase = count * (np.sin(angle) * rows + np.cos(angle) * columns)
    if bend:
        phase = phase + bend * _noise(shape, rng, 4)
    return np.asarray(np.sin(2 * np.pi * phase + rng.uniform(0, 2 * np.pi)))


def _stripes(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    return (_waves(shape, rng) > rng.uniform(-0.6, 0.6)).astype(np.float64)


def _checks(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    rows, columns = _coordinates(shape)
    count = rng.uniform(3, 16)
    return (np.floor(rows * count) + np.floor(columns * count)) % 2.0


def _cells(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    """Distance to the nearest of random points, less where two are equally near."""
    rows, columns = _coordinates(shape)
    points = rng.uniform(size=(int(rng.integers(20, 200)), 2))
    places = np.stack([rows.ravel(), columns.ravel()], axis=1)
    distances, _ = cKDTree(points).query(places, k=2)
    gap = (distances[:, 1] - distances[:, 0]).reshape(shape)
    return np.asarray(np.clip(gap * np.sqrt(len(points)) * 2.0, 0, 1))


def _blobs(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-12.0 * _noise(shape, rng, int(2 ** rng.integers(2, 6))))))


def _marble(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    return 0.5 + 0.5 * _waves(shape, rng, bend=rng.uniform(0.5, 2.0))


def _grain(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    return np.asarray(rng.uniform(size=shape)) ** rng.uniform(0.5, 4.0)


def _hatching(shape: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    lines = np.maximum(_waves(shape, rng, bend=0.2), _waves(shape, rng, bend=0.2))
    return (lines > 0.8).astype(np.float64)


DRAWINGS: dict[str, Callable[[tuple[int, int], Generator], NDArray[np.float64]]] = {
    "stripes": _stripes,
    "checks": _checks,
    "cells": _cells,
    "blobs": _blobs,
    "marble": _marble,
    "grain": _grain,
    "hatching": _hatching,
}
"""Sorts of drawn textures: functions (shape, generator) to brightness in [0, 1]."""


def _noise(shape: tuple[int, int], rng: Generator, cells: int) -> NDArray[np.float64]:
    return np.asarray(perlin_noise(shape, np.array([[cells, cells]]), rng)[0], dtype=np.float64)


def _coordinates(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each pixel, from 0 to about 1 along the longer side."""
    longer = max(shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64) / longer
    return np.asarray(rows), np.asarray(columns)
