"""MVTec AD and the many data sets in its form.

::

    <category>/train/good/000.png
    <category>/test/good/000.png
    <category>/test/<defect>/000.png
    <category>/ground_truth/<defect>/000_mask.png        (000.png is taken as well)

P. Bergmann, M. Fauser, D. Sattlegger, C. Steger, "MVTec AD", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unseen.data.images.items import TEST, TRAIN, VALIDATION, ImageItem
from unseen.data.images.layouts.folders import (
    category_folders,
    domain_of,
    folders_in,
    kind_of_folder,
    pictures_in,
    same_stem,
)
from unseen.types import NORMAL_KIND

SPLIT_FOLDERS = {
    "train": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "test": TEST,
}


def recognise(root: Path) -> bool:
    """Return whether a category of ``root`` has ``train/good`` or ``test/good`` with pictures."""
    return any(
        pictures_in(folder)
        for category in category_folders(root)
        for split in ("train", "test")
        for folder in folders_in(category / split)
        if kind_of_folder(folder.name) == NORMAL_KIND
    )


def read(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures of every category.

    Parameters
    ----------
    root : Path
        A category, or a folder of categories.

    Yields
    ------
    ImageItem
    """
    for category in category_folders(root):
        for name, split in SPLIT_FOLDERS.items():
            for folder in folders_in(category / name):
                kind = kind_of_folder(folder.name)
                masks = same_stem(category / "ground_truth" / folder.name)
                for path in pictures_in(folder):
                    mask = masks.get(f"{path.stem}_mask") or masks.get(path.stem)
                    found = (mask,) if mask is not None and kind != NORMAL_KIND else ()
                    yield ImageItem(path, kind, domain_of(category), split, found)
