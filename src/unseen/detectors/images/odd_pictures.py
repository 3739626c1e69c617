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
from unseen.nn.patches.normal_folds import drawn_folds
from unseen.nn.patches.pictures import SomePictures
from unseen.pixels import Pixels
from unseen.scoring.holding_back import group_codes
from unseen.scoring.suspects import Suspects, fence_of
from unseen.types import BoolArray, Labels

_TOP_SHARE = 0.01
_BANK = 150_000
_FEWEST = 32
MOST_BYTES = 1_200_000_000
"""Features that are held at once."""


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

    More normals than ``MOST_BYTES`` hold the features of are divided at random, groups whole, and compared
    within each part.

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
    measure, seeing = _Measure(detector.seed), _seeing_of(detector)
    turns = turns_of(measure, seeing, SomePictures(pictures, rows), labels.take(labels.normal))
    part = _parts(seeing, pictures, rows, labels, turns, detector.seed)
    some = [rows[part == number] for number in np.unique(part)]
    found = [_compared(measure, seeing, SomePictures(pictures, own), labels.take(own), turns) for own in some]
    doubts = np.concatenate([one.doubts for one in found])
    limit = max([fence_of(doubts), *(one.limit for one in found)])
    ranked = Suspects.of(np.arange(len(rows)), doubts, limit=limit)
    lengths = np.concatenate([one.lengths for one in found])
    places = np.concatenate(some)[ranked.rows]
    return OddPictures(Suspects(places, ranked.doubts, ranked.n_believed), lengths[ranked.rows])


class _Compared(NamedTuple):
    """Doubts of pictures and what is beyond chance, and distances of their places."""

    doubts: NDArray[np.float64]
    limit: float
    lengths: NDArray[np.float32]


def _compared(
    measure: _Measure, seeing: Seeing, pictures: SomePictures, labels: Labels, turns: int
) -> _Compared:
    """Compare normals with each other."""

    def further(images: Pixels, _: BoolArray) -> list[Look]:
        return turned_looks(images, turns)

    V = seeing.all_looks(pictures, further, labels.normal, None)
    kind = "local" if turns == 1 else "neighbours"
    lengths = left_out(measure, V, labels, kind)
    return _Compared(*doubts_of(measure, V, labels, Start(kind, lengths, {})), lengths[:, 0])


def _parts(
    seeing: Seeing, pictures: Any, rows: NDArray[np.int64], labels: Labels, turns: int, seed: int
) -> NDArray[np.int64]:
    """The part that each normal is compared in."""
    (_, V) = next(seeing.looks(SomePictures(pictures, rows[:1])))
    most = max(_FEWEST, MOST_BYTES // (V.nbytes * turns))
    groups = group_codes(labels.groups, len(labels))[rows]
    return drawn_folds(groups, len(rows), -(-len(rows) // most), np.random.default_rng(seed))


def _seeing_of(detector: BaseImageDetector) -> Seeing:
    """How the detector sees pictures before any fine-tuning."""
    return BaseImageDetector._seeing(detector)
