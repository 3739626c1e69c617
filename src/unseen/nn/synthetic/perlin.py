r"""Perlin noise and the masks that it makes.

K. Perlin, "An image synthesizer", SIGGRAPH 1985, with the fade of his 2002 version. On a lattice of random
unit gradients :math:`g`, the noise at a point :math:`p` between the lattice points :math:`c` is

.. math:: N(p) = \sum_c \Big(\prod_{d} f(1 - |p_d - c_d|)\Big)\; g_c \cdot (p - c), \qquad
          f(t) = 6 t^5 - 15 t^4 + 10 t^3
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_int, check_real
from unseen.errors import ParameterError
from unseen.pixels import Size, check_size
from unseen.types import BoolArray

LARGEST_EXPONENT = 10


def perlin_noise(
    size: Size, cells: ArrayLike, rng: Generator, *, angles: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Return fields of Perlin noise.

    Parameters
    ----------
    size : int or (int, int)
        One side of a square, or (height, width).
    cells : int array-like of shape (n, 2)
        Lattice cells over the height and over the width of each field, >= 1: more cells, finer noise.
    rng : numpy Generator
        Draws the gradients.
    angles : float array-like of shape (n,) or None
        The lattice of each field is turned by this angle in radians about the centre. None: not turned.

    Returns
    -------
    float32 array of shape (n, height, width)
        Within about [-1, 1], around 0.

    Raises
    ------
    ParameterError
        If the size or the numbers of cells are out of range.
    """
    shape = check_size("perlin_noise", size)
    numbers = np.asarray(cells)
    if numbers.ndim != 2 or numbers.shape[1] != 2 or numbers.dtype.kind not in "iu" or np.any(numbers < 1):
        raise ParameterError("perlin_noise: cells must be whole numbers >= 1 of shape (n, 2).")
    turns = np.zeros(len(numbers)) if angles is None else np.asarray(angles, dtype=np.float64)
    if turns.shape != (len(numbers),):
        raise ParameterError(f"perlin_noise: angles must have one value a field, got shape {turns.shape}.")
    fields = np.empty((len(numbers), *shape), dtype=np.float32)
    for number, (counts, angle) in enumerate(zip(numbers, turns, strict=True)):
        fields[number] = _field(shape, counts, float(angle), rng)
    return fields


def perlin_masks(
    n: int,
    size: Size,
    rng: Generator,
    *,
    share: float = 0.2,
    threshold: float | None = None,
    exponents: tuple[int, int] = (0, 5),
    turned: bool = True,
) -> BoolArray:
    """Return random masks: where Perlin noise is high.

    Parameters
    ----------
    n : int >= 1
        How many.
    size : int or (int, int)
        One side of a square, or (height, width).
    rng : numpy Generator
        Draws scales, angles and gradients.
    share : float in (0, 1)
        A mask is True on this share of its pixels: above the noise's own (1 - share) quantile.
    threshold : float or None
        If given, it takes the place of the quantile, and the share varies (0.5 in DRAEM); such a mask can be
        empty.
    exponents : tuple of (int, int)
        The numbers of cells are 2**e, with e drawn from this range, ends included, for height and width
        apart.
    turned : bool
        Turn each lattice by a random angle between -90 and 90 degrees.

    Returns
    -------
    bool array of shape (n, height, width)

    Raises
    ------
    ParameterError
        If an argument is out of range.
    """
    check_int("perlin_masks", "n", n, minimum=1)
    check_real("perlin_masks", "share", share, minimum=0, maximum=1, open_minimum=True, open_maximum=True)
    low, high = (
        check_int("perlin_masks", "exponents", value, minimum=0, maximum=LARGEST_EXPONENT)
        for value in exponents
    )
    cells = 2 ** rng.integers(min(low, high), max(low, high) + 1, size=(n, 2))
    angles = rng.uniform(-np.pi / 2, np.pi / 2, size=n) if turned else None
    noise = perlin_noise(size, cells, rng, angles=angles)
    if threshold is not None:
        return np.asarray(noise > threshold)
    limits = np.quantile(noise.reshape(n, -1), 1.0 - share, axis=1)
    return np.asarray(noise > limits[:, None, None].astype(np.float32))


def _field(
    shape: tuple[int, int], counts: NDArray[np.integer], angle: float, rng: Generator
) -> NDArray[np.float64]:
    """One field: the lattice positions of all pixels at once, then the four corners of their cells."""
    rows = (np.arange(shape[0]) + 0.5) / shape[0] - 0.5
    columns = (np.arange(shape[1]) + 0.5) / shape[1] - 0.5
    cosine, sine = np.cos(angle), np.sin(angle)
    y = (cosine * rows[:, None] - sine * columns[None, :]) * counts[0]
    x = (sine * rows[:, None] + cosine * columns[None, :]) * counts[1]
    y, x = y - y.min(), x - x.min()
    lattice = (int(y.max()) + 2, int(x.max()) + 2)
    directions = rng.uniform(0, 2 * np.pi, size=lattice)
    gradient_y, gradient_x = np.sin(directions).ravel(), np.cos(directions).ravel()
    cell_y, cell_x = y.astype(np.intp), x.astype(np.intp)
    y, x = y - cell_y, x - cell_x
    fade_y, fade_x = _fade(y), _fade(x)
    first = cell_y * lattice[1] + cell_x
    noise = np.zeros(shape)
    for down in (0, 1):
        for right in (0, 1):
            corner = first + down * lattice[1] + right
            slope = gradient_y[corner] * (y - down) + gradient_x[corner] * (x - right)
            noise += slope * (fade_y if down else 1 - fade_y) * (fade_x if right else 1 - fade_x)
    return np.asarray(noise * np.sqrt(2.0))


def _fade(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
