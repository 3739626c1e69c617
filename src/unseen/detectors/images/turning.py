"""Pictures turned in the plane, remembered where that helps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.images.looking import Look, Seeing, rotated
from unseen.nn.patches.pictures import SomePictures, as_source
from unseen.nn.patches.turns import AUTO_TURNS, turns_help
from unseen.pixels import Pixels
from unseen.scoring.calibration import hold_back
from unseen.types import FloatArray, Labels

_ASKED = 8


def turned_looks(images: Pixels, turns: int) -> list[Look]:
    """Return turned copies of pictures.

    Parameters
    ----------
    images : uint8 array of shape (n, height, width, 3)
        The pictures.
    turns : int >= 1
        Equal parts of a circle; the picture as it is is no copy.

    Returns
    -------
    list of Look, ``turns - 1`` of them
        By quarters of a circle first.
    """
    return [Look(rotated(images, 360.0 * i / turns), None) for i in _order_of(turns)]


def quarters_of(turns: int, grid: tuple[int, int]) -> list[int]:
    """Return by how many quarters of a circle the first turned copies are turned.

    Parameters
    ----------
    turns : int >= 1
        As for :func:`turned_looks`.
    grid : (int, int)
        Height and width of the features.

    Returns
    -------
    list of int
        Of those whose turned pixels are those of the picture; 0 for the others among them, unless the grid is
        square.
    """
    quarters = [4 * i // turns for i in range(1, turns) if 4 * i % turns == 0]
    return [quarter if grid[0] == grid[1] or quarter == 2 else 0 for quarter in quarters]


def turn_masks(V: FloatArray, anomalous: NDArray[np.int64], *, first: int, turns: int) -> list[int]:
    """Write down where the defects of labelled pictures are in their copies turned by quarters of a circle.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features; the last channel is changed in place.
    anomalous : int64 array
        Rows of the labelled pictures.
    first : int
        Look of the first turned copy.
    turns : int
        As for :func:`turned_looks`.

    Returns
    -------
    list of int
        Looks that show a picture with all its pixels: the first one, and these copies.
    """
    whole = [0]
    for place, quarter in enumerate(quarters_of(turns, (V.shape[3], V.shape[4]))):
        if quarter:
            V[anomalous, first + place, -1] = np.rot90(V[anomalous, 0, -1], quarter, axes=(1, 2))
            whole.append(first + place)
    return whole


def _order_of(turns: int) -> list[int]:
    quarters = [i for i in range(1, turns) if 4 * i % turns == 0]
    return quarters + [i for i in range(1, turns) if i not in quarters]


def turns_of(owner: Any, seeing: Seeing, X: Any, labels: Labels) -> int:
    """Return by how many turned copies, itself included, a picture should be remembered.

    Parameters
    ----------
    owner : detector
        With ``rotations``, ``calibration_fraction`` and ``seed``.
    seeing : Seeing
        How pictures are seen.
    X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
        The pictures of the fit.
    labels : Labels
        Of these; the first eight normals that are not held back are asked.

    Returns
    -------
    int
        ``rotations``; for auto 8 or 1.
    """
    if owner.rotations != "auto":
        return int(owner.rotations)
    held = hold_back(labels, owner.calibration_fraction, owner.seed)
    rows = np.flatnonzero(labels.normal & ~held)[:_ASKED]
    if len(rows) == 0:
        return 1
    pictures = SomePictures(as_source(owner, X), rows)
    normal = np.ones(len(rows), dtype=np.bool_)
    V = seeing.all_looks(pictures, lambda images, _: turned_looks(images, AUTO_TURNS), normal, None)
    return AUTO_TURNS if turns_help(V, 0.0) else 1
