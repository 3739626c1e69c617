"""Features of the source and target categories, computed once and kept in a folder.

A category has up to 100 normal training pictures, a copy of each with the synthetic defect that detectors are
trained on and one with a defect of another kind, and up to 40 normal and 40 anomalous test pictures with
masks. Texture classes have no test pictures.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from defects import other_defect

from unseen.data.images import ImageSet, read_images
from unseen.nn.backbones import iterate_features, load_backbone, patch_grid
from unseen.nn.synthetic import SyntheticAnomalies

SIZE = 256
STRIDES = (8, 16)
CATEGORIES = {
    "screw": "mvtec_ad/screw",
    "cookie": "aws_cookies/cookie",
    "magnetic tile": "mtd/magnetic_tile",
}
TEXTURES = "dtd_textures"


@dataclass(frozen=True)
class Category:
    """Patch features of one category; arrays are float16 of shape (n, channels, height, width).

    Masks are packed bits of a SIZE x SIZE grid.
    """

    normals: np.ndarray
    copies: np.ndarray
    shares: np.ndarray
    others: np.ndarray
    other_masks: np.ndarray
    test: np.ndarray
    y: np.ndarray
    masks: np.ndarray
    names: np.ndarray


def load_category(name: str, root: Path, folder: Path) -> Category:
    """Return a category, from ``folder`` if it is there."""
    file = folder / f"{name.replace(' ', '_')}.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = _textures(root / TEXTURES) if name == TEXTURES else _category(root / CATEGORIES[name])
        np.savez(file, **vars(made))
    with np.load(file) as found:
        return Category(**{key: found[key] for key in Category.__dataclass_fields__})


def _category(folder: Path) -> Category:
    images = read_images(folder)
    draw = np.random.default_rng(0)
    train, test = images.split("train"), images.split("test")
    train = train.take(np.sort(draw.permutation(len(train))[:100]))
    chosen = [
        np.random.default_rng(0).permutation(np.flatnonzero(test.labels.y == label))[:most]
        for label, most in ((0, 40), (1, 40))
    ]
    test = test.take(np.sort(np.concatenate(chosen)))
    masks = [test.mask(place, size=SIZE) for place in range(len(test))]
    packed = np.packbits([np.zeros((SIZE, SIZE), bool) if m is None else m for m in masks], axis=-1)
    names = np.full(len(train), folder.name)
    return Category(_features(train), *_copies(train), _features(test), test.labels.y, packed, names)


def _textures(folder: Path) -> Category:
    images = read_images(folder, layout="nested")
    names = np.array([images.path(place).parent.name for place in range(len(images))])
    none = np.zeros(0)
    return Category(_features(images), *_copies(images), none, none, none, names)


def _features(images: ImageSet | np.ndarray) -> np.ndarray:
    backbone = load_backbone("efficientnet-lite0", device="cpu")
    batches = iterate_features(backbone, images, SIZE, STRIDES, batch_size=16)
    return np.concatenate([patch_grid(batch.maps).numpy().astype(np.float16) for batch in batches])


def _copies(images: ImageSet) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Copies with a defect and how defective each patch is; copies with another, and masks."""
    make = SyntheticAnomalies(share=0.05, exponents=(2, 5))
    pictures, masks, others, other_masks = [], [], [], []
    for batch in images.iterate(16, size=SIZE):
        for image in batch.images:
            code = zlib.crc32(np.ascontiguousarray(image).data)
            made = make(image, np.random.default_rng([0, code]))
            pictures.append(made.image)
            masks.append(made.mask)
            other, changed = other_defect(image, np.random.default_rng([1, code]))
            others.append(other)
            other_masks.append(changed)
    shares = F.adaptive_avg_pool2d(torch.from_numpy(np.stack(masks).astype(np.float32))[:, None], 32)
    packed = np.packbits(other_masks, axis=-1)
    return _features(np.stack(pictures)), shares[:, 0].numpy(), _features(np.stack(others)), packed
