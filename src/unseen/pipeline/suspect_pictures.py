"""Training pictures taken for normal that look odd to the others: how many, and which to look at first.

The ranking is that of :func:`unseen.detectors.images.odd_pictures.odd_pictures`, whatever detector is fitted.
It is a reading list for a person, and no verdict: rare normals are on it, and pictures that differ from the
others in a small place may be at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.data.images import ImageSet
from unseen.detectors.images import BaseImageDetector
from unseen.detectors.images.odd_pictures import odd_pictures
from unseen.errors import LabelError
from unseen.pipeline.heat_maps import MapScale
from unseen.pipeline.score_writer import write_frame

FEWEST_PICTURES = 20
"""With fewer pictures taken for normal nothing is said."""

_SHOWN = 5


@dataclass(frozen=True)
class SuspectPictures:
    """Pictures taken for normal, the oddest one first.

    Attributes
    ----------
    images : ImageSet
        The pictures, in that order.
    scores : float64 array of shape (n,)
        How odd each looks to the others, in deviations of the usual half; falling.
    n_believed : int
        How many of them, from the first on, are odder than any clean picture is expected to be by chance.
    levels : float32 array of shape (n, height, width)
        Where each is odd, in [0, 1] on one scale, patch by patch.
    """

    images: ImageSet
    scores: NDArray[np.float64]
    n_believed: int
    levels: NDArray[np.float32]

    def frame(self, n_pictures: int | None = None) -> pl.DataFrame:
        """Return the list as a data frame.

        Parameters
        ----------
        n_pictures : int or None
            How many, from the first on. None: all.

        Returns
        -------
        polars.DataFrame
            Columns ``rank`` (from 1), ``picture`` (its file), ``category``, ``score`` and ``believed``.
        """
        n = len(self.images) if n_pictures is None else min(n_pictures, len(self.images))
        return pl.DataFrame(
            {
                "rank": np.arange(1, n + 1),
                "picture": [str(self.images.path(place)) for place in range(n)],
                "category": self.images.labels.domains[:n].tolist(),
                "score": self.scores[:n],
                "believed": np.arange(n) < self.n_believed,
            },
            schema_overrides={"picture": pl.String, "category": pl.String},
        )

    def write(self, file: Path, n_pictures: int | None = None) -> None:
        """Write the list to a Parquet or CSV file, atomically.

        Parameters
        ----------
        file : Path
            Its name ends in ``.parquet`` or ``.csv``.
        n_pictures : int or None
            How many, from the first on. None: all.

        Raises
        ------
        ParameterError
            If the name ends otherwise.
        """
        write_frame(self.frame(n_pictures), file)

    def to_json(self) -> dict[str, Any]:
        """Return the count and the first few pictures as values that JSON can hold."""
        first = self.frame(_SHOWN)["picture"].to_list()
        return {
            "n_checked": len(self.images),
            "n_believed": self.n_believed,
            "share": self.n_believed / len(self.images),
            "first_pictures": first,
        }


def check_enough_pictures(images: ImageSet) -> None:
    """Refuse to look for suspects among too few pictures.

    Parameters
    ----------
    images : ImageSet
        Pictures of a fit.

    Raises
    ------
    LabelError
        With fewer than 20 pictures taken for normal.
    """
    count = int(images.labels.normal.sum())
    if count < FEWEST_PICTURES:
        raise LabelError(
            f"--suspects needs at least {FEWEST_PICTURES} pictures taken for good, to compare them with each "
            f"other; got {count}."
        )


def find_suspect_pictures(images: ImageSet, detector: BaseImageDetector) -> SuspectPictures:
    """Rank the pictures taken for normal by how odd they look to the others.

    Parameters
    ----------
    images : ImageSet
        Pictures of a fit.
    detector : BaseImageDetector
        How pictures are seen: its backbone, size and strides.

    Returns
    -------
    SuspectPictures

    Raises
    ------
    LabelError
        With fewer than 20 pictures taken for normal.
    ReadError
        If a picture cannot be read.
    """
    check_enough_pictures(images)
    found = odd_pictures(detector, images, images.labels)
    scale = MapScale.from_normals(found.maps[found.suspects.n_believed :])
    return SuspectPictures(
        images=images.take(found.suspects.rows),
        scores=found.suspects.doubts,
        n_believed=found.suspects.n_believed,
        levels=scale.levels(found.maps),
    )


def suspect_pictures_sentence(suspects: dict[str, Any]) -> str:
    """Say in a sentence how many training pictures are believed to be defective.

    Parameters
    ----------
    suspects : dict
        What :meth:`SuspectPictures.to_json` gave.

    Returns
    -------
    str
    """
    n, checked = suspects["n_believed"], suspects["n_checked"]
    first = ", ".join(Path(name).name for name in suspects["first_pictures"])
    if n == 0:
        return f"none of {checked:,} good pictures is odder than chance; look at these first: {first}"
    return (
        f"{n:,} of {checked:,} good pictures {'is' if n == 1 else 'are'} odder than chance "
        f"({suspects['share']:.1%}); look at these first: {first}"
    )
