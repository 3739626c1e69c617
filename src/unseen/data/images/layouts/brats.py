"""Slices of BraTS 2021, as the medical benchmark BMAD and those who use it lay them out.

::

    <category>/train/good/BraTS2021_00000_flair_70.png
    <category>/valid/good/img/...                         <category>/valid/Ungood/img/..., label/...
    <category>/test/good/img/BraTS2021_00003_flair_61.png
    <category>/test/Ungood/img/BraTS2021_00003_flair_90.png
    <category>/test/Ungood/label/BraTS2021_00003_flair_90.png

Masks may also lie in ``anomaly_mask``, and pictures directly in the folder of their kind. The slices of one
patient are one group: their names are the same up to the number behind the last underscore.

J. Bao, H. Sun, H. Deng, Y. He, Z. Zhang, X. Li, "BMAD: Benchmarks for Medical Anomaly Detection", CVPRW 2024;
U. Baid et al., "The RSNA-ASNR-MICCAI BraTS 2021 Benchmark", arXiv:2107.02314.
"""

from __future__ import annotations

import re
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

_ABNORMAL = "ungood"
_KIND = "tumour"
_MASK_FOLDERS = ("label", "anomaly_mask")
_SLICE_NUMBER = re.compile(r"[_-]\d+$")


def recognise(root: Path) -> bool:
    """Return whether a category's test or validation part has a folder ``Ungood``."""
    return any(
        folder.name.lower() == _ABNORMAL
        for category in category_folders(root)
        for split in ("test", "valid")
        for folder in folders_in(category / split)
    )


def read(root: Path) -> Iterator[ImageItem]:
    """Yield the slices; the kind of those in ``Ungood`` is ``tumour``.

    Parameters
    ----------
    root : Path
        A category, or a folder of categories.

    Yields
    ------
    ImageItem
        With the patient as its group.
    """
    for category in category_folders(root):
        for name, split in SPLIT_FOLDERS.items():
            for folder in folders_in(category / name):
                kind = _KIND if folder.name.lower() == _ABNORMAL else kind_of_folder(folder.name)
                masks: dict[str, Path] = {}
                for mask_folder in _MASK_FOLDERS:
                    masks |= same_stem(folder / mask_folder)
                for path in pictures_in(folder / "img") or pictures_in(folder):
                    mask = masks.get(path.stem)
                    found = (mask,) if mask is not None and kind != NORMAL_KIND else ()
                    patient = _SLICE_NUMBER.sub("", path.stem)
                    yield ImageItem(path, kind, domain_of(category), split, found, patient)
