"""MVTec LOCO AD: several masks a picture, one for each possible place of a logical fault.

::

    <category>/train/good/000.png
    <category>/validation/good/000.png
    <category>/test/good/000.png
    <category>/test/logical_anomalies/000.png
    <category>/test/structural_anomalies/000.png
    <category>/ground_truth/<kind>/000/000.png, 001.png, ...

P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, "Beyond Dents and Scratches", IJCV 2022. Its own
measure, the saturated overlap, needs ``defects_config.json``; here a picture's mask is the union of its
regions, and ``ImageSet.regions`` gives them one by one.
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
)
from unseen.data.images.layouts.mvtec import SPLIT_FOLDERS
from unseen.types import NORMAL_KIND

_OWN_KINDS = ("logical_anomalies", "structural_anomalies")


def recognise(root: Path) -> bool:
    """Return whether a category has LOCO's two kinds, or a folder of masks for each picture."""
    return any(
        any((category / "test" / kind).is_dir() for kind in _OWN_KINDS)
        or any(folders_in(kind) for kind in folders_in(category / "ground_truth"))
        for category in category_folders(root)
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
        With one mask a region.
    """
    for category in category_folders(root):
        for name, split in SPLIT_FOLDERS.items():
            for folder in folders_in(category / name):
                kind = kind_of_folder(folder.name)
                for path in pictures_in(folder):
                    regions = pictures_in(category / "ground_truth" / folder.name / path.stem)
                    masks = tuple(regions) if kind != NORMAL_KIND else ()
                    yield ImageItem(path, kind, domain_of(category), split, masks)
