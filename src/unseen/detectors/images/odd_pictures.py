"""How odd each picture taken for normal looks to the others, whatever detector is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.images.base import BaseImageDetector
from unseen.detectors.images.looking import Look, Seeing
from unseen.detectors.images.starting import Start, doubts_of, left_out
from unseen.detectors.images.turning import turned_looks, turns_of
from unseen.errors import LabelError
from unseen.nn.patches.pictures import SomePictures
from unseen.pixels import Pixels
from unseen.scoring.suspects import Suspects, fence_of
from unseen.types import BoolArray, Labels

_TOP_SHARE = 0.01
_BANK = 150_000


class OddPictures(NamedTuple):
    """Pictures taken for normal, and where they are odd.

    Attributes
    ----------
    suspects : Suspects
        The oddest one first; ``rows`` are places among the pictures that were given.
    maps : float32 array of shape (n_normals, height, width)
        How far each place of each, in the order of ``suspects``, is from other normals.
    """

    suspects: Suspects
    maps: NDArray[np.float32]


@dataclass(frozen=True)
class _Measure:
    """What the measures read of a detector."""

    seed: int
    turns_: int = 1
    rotations: str = "auto"
    calibration_fraction: float = 0.0
    synthetic: int = 0
    top_share: float = _TOP_SHARE
    bank_size: int = _BANK


def odd_pictures(detector: BaseImageDetector, pictures: Any, labels: Labels) -> OddPictures:
    """Rank the normals by how far their worst places are from the other normals.

    Of four folds of the normals of each domain, each is compared with the other three: place by place, or
    with a bank of patches and their turned copies where turning brings normals clearly closer to each other.
    A picture that is odd on the whole beyond chance counts by that, if it is more
    (:func:`unseen.scoring.oddness.doubts_by`). Believed to be anomalies are those beyond chance and beyond
    the fence of the quartiles: of a few dozen pictures alone, either is exceeded too easily.

    Parameters
    ----------
    detector : BaseImageDetector
        Its backbone, size and strides say how pictures are seen; whether it is fitted does not matter.
    pictures : ImageSource
        The pictures of a fit.
    labels : Labels
        Of these.

    Returns
    -------
    OddPictures

    Raises
    ------
    LabelError
        With fewer than two normals.
    """
    rows = np.flatnonzero(labels.normal)
    if len(rows) < 2:
        raise LabelError(f"odd pictures: at least two normals are compared with each other, got {len(rows)}.")
    some, known = SomePictures(pictures, rows), labels.take(labels.normal)
    seeing = _seeing_of(detector)
    measure = _Measure(detector.seed)
    turns = turns_of(measure, seeing, some, known)

    def further(images: Pixels, _: BoolArray) -> list[Look]:
        return turned_looks(images, turns)

    V = seeing.all_looks(some, further, known.normal, None)
    kind = "local" if turns == 1 else "neighbours"
    lengths = left_out(measure, V, known, kind)
    doubts, limit = doubts_of(measure, V, known, Start(kind, lengths, {}))
    found = Suspects.of(np.arange(len(rows)), doubts, limit=max(limit, fence_of(doubts)))
    return OddPictures(Suspects(rows[found.rows], found.doubts, found.n_believed), lengths[found.rows, 0])


def _seeing_of(detector: BaseImageDetector) -> Seeing:
    """How the detector sees pictures before any fine-tuning."""
    return BaseImageDetector._seeing(detector)
