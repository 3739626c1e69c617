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

_ASKED_AT_ONCE = 8
_GROUPS = 3
_CLEARLY = 0.85
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
        Of these; the first 24 normals that are not held back are asked, eight at a time.

    Returns
    -------
    int
        ``rotations``; for auto 8 if normals are then closer to each other by .15, in the mean over these
        groups of eight, else 1.
    """
    if owner.rotations != "auto":
        return int(owner.rotations)
    held = hold_back(labels, owner.calibration_fraction, owner.seed)
    rows = np.flatnonzero(labels.normal & ~held)[: _ASKED_AT_ONCE * _GROUPS]
    if len(rows) == 0:
        return 1
    pictures = SomePictures(as_source(owner, X), rows)
    normal = np.ones(len(rows), dtype=np.bool_)
    V = seeing.all_looks(pictures, lambda images, _: turned_looks(images, AUTO_TURNS), normal, None)
    starts = range(0, max(1, len(rows) - _ASKED_AT_ONCE + 1), _ASKED_AT_ONCE)
    ratios = [left_out_ratio(V[start : start + _ASKED_AT_ONCE], 0.0) for start in starts]
    return AUTO_TURNS if np.mean(ratios) <= _CLEARLY else 1
