"""MVTec 3D-AD, its colour pictures alone.

::

    <category>/train/good/rgb/000.png                     (beside xyz/000.tiff, which is not read)
    <category>/validation/good/rgb/000.png
    <category>/test/<kind>/rgb/000.png
    <category>/test/<kind>/gt/000.png

P. Bergmann, X. Jin, D. Sattlegger, C. Steger, "The MVTec 3D-AD Dataset", VISAPP 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unseen.data.images.items import ImageItem
from unseen.data.images.layouts.folders import (
    category_folders,
    domain_of,
    folders_in,
    kind_of_folder,
    pictures_in,
    same_stem,
)
from unseen.data.images.layouts.mvtec import SPLIT_FOLDERS
from unseen.types import NORMAL_KIND


def recognise(root: Path) -> bool:
    """Return whether a category has kinds with a folder ``rgb``."""
    return any(
        (folder / "rgb").is_dir()
        for category in category_folders(root)
        for split in ("train", "test")
        for folder in folders_in(category / split)
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
                masks = same_stem(folder / "gt")
                for path in pictures_in(folder / "rgb"):
                    mask = masks.get(path.stem)
                    found = (mask,) if mask is not None and kind != NORMAL_KIND else ()
                    yield ImageItem(path, kind, domain_of(category), split, found)
