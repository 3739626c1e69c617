"""Pictures turned in the plane, remembered where that helps."""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.detectors.images.looking import Look, Seeing, rotated
from unseen.nn.patches.pictures import SomePictures, as_source
from unseen.nn.patches.turns import AUTO_TURNS, left_out_ratio
from unseen.pixels import Pixels
from unseen.scoring.calibration import hold_back
from unseen.types import Labels

_ASKED = 8
_CLEARLY = 0.8
"""Turned copies must leave so little of the distances between normals."""


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
    """
    return [Look(rotated(images, 360.0 * i / turns), None) for i in range(1, turns)]


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
        ``rotations``; for auto 8 if normals are then closer to each other by a fifth, else 1.
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
    return AUTO_TURNS if left_out_ratio(V, 0.0) <= _CLEARLY else 1
