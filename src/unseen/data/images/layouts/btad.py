"""BTAD, the beanTech anomaly detection data set.

::

    <category>/train/ok/0000.bmp
    <category>/test/ok/0000.bmp
    <category>/test/ko/0000.bmp
    <category>/ground_truth/ko/0000.bmp                   (.png in one of the three categories)

P. Mishra, R. Verk, D. Fornasier, C. Piciarelli, G. L. Foresti, "VT-ADL", ISIE 2021. Its defects have no
names: their kind is ``ko``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unseen.data.images.items import ImageItem
from unseen.data.images.layouts import mvtec
from unseen.data.images.layouts.folders import category_folders, folders_in


def recognise(root: Path) -> bool:
    """Return whether a category has ``train/ok`` or ``test/ko``."""
    return any(
        folder.name.lower() in names
        for category in category_folders(root)
        for split, names in (("train", ("ok",)), ("test", ("ok", "ko")))
        for folder in folders_in(category / split)
    )


def read(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures of every category; a mask has the name of its picture.

    Parameters
    ----------
    root : Path
        A category, or a folder of categories.

    Yields
    ------
    ImageItem
    """
    return mvtec.read(root)
