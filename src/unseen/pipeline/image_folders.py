"""Which inputs are pictures rather than tables, and which pictures of a folder are learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseen.data.images import LAYOUTS, ImageSet, read_images
from unseen.data.images.decoding import IMAGE_SUFFIXES
from unseen.data.images.items import TRAIN
from unseen.data.sources import is_table_file
from unseen.detectors.images import BaseImageDetector
from unseen.errors import InputError, LabelError, ReadError
from unseen.pixels import check_size
from unseen.types import BoolArray

_DEEPEST = 4
_MOST_LOOKED_AT = 5_000
_FIT_BYTES = 600_000_000
_USUAL_CHANNELS = 154
_USUAL_TURNS = 8


def holds_pictures(path: str | Path) -> bool:
    """Return whether an input is pictures: a picture, or a folder with pictures and no tables.

    Parameters
    ----------
    path : str or Path
        What was given.

    Returns
    -------
    bool
        False for files of other sorts, globs, folders of tables, and what does not exist.

    Raises
    ------
    ReadError
        If tables and pictures lie side by side in the folder.
    """
    place = Path(path)
    if not place.is_dir():
        return place.suffix.lower() in IMAGE_SUFFIXES and place.is_file()
    tables = any(item.is_file() and is_table_file(item) for item in place.iterdir())
    loose = any(item.is_file() and item.suffix.lower() in IMAGE_SUFFIXES for item in place.iterdir())
    if tables and loose:
        raise ReadError(
            f"{place} holds both tables and pictures; put them in folders of their own, or name the table."
        )
    if tables:
        return any(layout.recognise(place) for layout in LAYOUTS.values())
    return loose or _has_picture_below(place)


def _has_picture_below(place: Path) -> bool:
    """Look a few levels deep, at a bounded number of entries."""
    looked_at, level = 0, [place]
    for _ in range(_DEEPEST):
        deeper = []
        for folder in level:
            for item in sorted(folder.iterdir()):
                looked_at += 1
                if looked_at > _MOST_LOOKED_AT:
                    return False
                if item.name.startswith("."):
                    continue
                if item.suffix.lower() in IMAGE_SUFFIXES and item.is_file():
                    return True
                if item.is_dir():
                    deeper.append(item)
        level = deeper
    return False


def read_for_learning(path: str | Path, layout: str = "auto") -> ImageSet:
    """Read a folder to learn from; pictures without labels count as normal, and a note says so.

    Parameters
    ----------
    path : str or Path
        A data set, a category, or a folder of good pictures.
    layout : str
        As for :func:`unseen.data.images.read_images`.

    Returns
    -------
    ImageSet
        Its training part where it has one.

    Raises
    ------
    LabelError
        If no picture is normal.
    """
    images = read_images(path, layout, loose="normal")
    learned = images.split(TRAIN) if (images.splits == TRAIN).any() else _unsplit(images)
    if not learned.labels.normal.any():
        raise LabelError(
            f"{path} has no good pictures to learn from (layout {images.layout!r}: looked in train/good, or "
            "in a folder good, normal or ok)."
        )
    return learned


def _unsplit(images: ImageSet) -> ImageSet:
    """The pictures of a layout without splits; none of one that has splits but no training part."""
    return images.take(images.splits == "")


def by_name(images: ImageSet, wanted: BoolArray) -> NDArray[np.int64]:
    """Return the places of some pictures in the order of their paths.

    Parameters
    ----------
    images : ImageSet
        The pictures.
    wanted : bool array of shape (n_images,)
        Which of them.

    Returns
    -------
    int64 array
    """
    places = np.flatnonzero(wanted)
    return places[np.argsort([str(images.path(i)) for i in places.tolist()], kind="stable")].astype(np.int64)


def choose_references(images: ImageSet, count: int) -> ImageSet:
    """Return the first normal pictures of each category by name, and all anomalies.

    Parameters
    ----------
    images : ImageSet
        Pictures to learn from.
    count : int >= 1
        Normals of each category.

    Returns
    -------
    ImageSet

    Raises
    ------
    InputError
        If a category has fewer.
    """
    chosen = [np.flatnonzero(images.labels.anomaly)]
    for name in np.unique(images.labels.domains):
        places = by_name(images, images.labels.normal & (images.labels.domains == name))
        if len(places) < count:
            raise InputError(
                f"--references {count}: the category {str(name)!r} has {len(places)} good pictures to learn "
                "from."
            )
        chosen.append(places[:count])
    return images.take(np.sort(np.concatenate(chosen)))


def within_memory(images: ImageSet, detector: BaseImageDetector) -> tuple[ImageSet, str | None]:
    """Draw so many normals that the features of a fit stay below about 600 MB.

    Parameters
    ----------
    images : ImageSet
        Pictures to learn from.
    detector : BaseImageDetector
        Its size, strides and rotations tell what a picture takes.

    Returns
    -------
    ImageSet
        Itself if it is small enough.
    str or None
        What was left out, in words.
    """
    height, width = check_size(detector, detector.image_size, name="image_size")
    patches = -(-height // min(detector.strides)) * -(-width // min(detector.strides))
    turns = detector.rotations if isinstance(detector.rotations, int) else _USUAL_TURNS
    most = max(16, _FIT_BYTES // (4 * _USUAL_CHANNELS * patches * turns))
    normal = np.flatnonzero(images.labels.normal)
    if len(normal) <= most:
        return images, None
    draw = np.random.default_rng(detector.seed)
    kept = draw.permutation(normal)[:most]
    chosen = np.sort(np.concatenate([kept, np.flatnonzero(images.labels.anomaly)]))
    said = (
        f"{most} of {len(normal)} good pictures were drawn as references, to bound the memory; "
        "--references K sets how many of each category"
    )
    return images.take(chosen), said
