"""Folders without ceremony.

::

    good/part_001.png          (or normal/, ok/)
    scratched/part_107.png     other folders are kinds of defects; there are no masks

or pictures that lie in one folder, of which nothing is known; or one picture. A folder of folders of which
nothing is known (``banded/banded_0002.jpg``, as texture collections have it) is read only if that is asked
for, so that a folder of good pictures under an unexpected name does not go by as unlabelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unseen.data.images.decoding import IMAGE_SUFFIXES
from unseen.data.images.items import ImageItem
from unseen.data.images.layouts.folders import (
    category_folders,
    domain_of,
    folders_in,
    kind_of_folder,
    pictures_in,
)
from unseen.types import NORMAL_KIND

_NORMAL_MARKS = ("good", "Good", "GOOD", "normal", "Normal", "NORMAL", "ok", "Ok", "OK")


def recognise_folders(root: Path) -> bool:
    """Return whether ``root``, or folders in it, have a folder good, normal or ok with pictures."""
    return any(
        pictures_in(folder)
        for category in category_folders(root, marks=_NORMAL_MARKS)
        for folder in folders_in(category)
        if kind_of_folder(folder.name) == NORMAL_KIND
    )


def read_folders(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures of every folder; the folder is the kind.

    Parameters
    ----------
    root : Path
        A folder with ``good`` (``normal``, ``ok``) in it, or a folder of such folders.

    Yields
    ------
    ImageItem
    """
    for category in category_folders(root, marks=_NORMAL_MARKS):
        for folder in folders_in(category):
            for path in pictures_in(folder):
                yield ImageItem(path, kind_of_folder(folder.name), domain_of(category))


def recognise_flat(root: Path) -> bool:
    """Return whether ``root`` is a picture or a folder with pictures directly in it."""
    return (root.is_file() and root.suffix.lower() in IMAGE_SUFFIXES) or bool(pictures_in(root))


def read_flat(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures of a folder, or the one picture, not labelled.

    Parameters
    ----------
    root : Path
        A folder or a picture.

    Yields
    ------
    ImageItem
        With kind ``""``.
    """
    folder = root.parent if root.is_file() else root
    for path in [root] if root.is_file() else pictures_in(root):
        yield ImageItem(path, "", domain_of(folder))


def recognise_nested(root: Path) -> bool:
    """Return False: this layout has to be asked for."""
    return False


def read_nested(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures in a folder and in all folders below it, not labelled.

    Parameters
    ----------
    root : Path
        A folder.

    Yields
    ------
    ImageItem
        With kind ``""`` and the name of its folder as its domain.
    """
    yield from read_flat(root)
    for folder in folders_in(root):
        yield from read_nested(folder)
