"""Features of the source and target categories, computed once and kept in a folder.

A category has up to 100 normal training pictures, a copy of each with a synthetic defect, and up to 60 normal
and 100 anomalous test pictures with masks. Texture classes have normals and copies only.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

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
    """Patch features of one category; arrays are float16 of shape (n, channels, height, width)."""

    normals: np.ndarray
    copies: np.ndarray
    shares: np.ndarray
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
        for label, most in ((0, 60), (1, 100))
    ]
    test = test.take(np.sort(np.concatenate(chosen)))
    masks = [test.mask(place, size=SIZE) for place in range(len(test))]
    packed = np.packbits([np.zeros((SIZE, SIZE), bool) if m is None else m for m in masks], axis=-1)
    copies, shares = _copies(train)
    names = np.full(len(train), folder.name)
    return Category(_features(train), copies, shares, _features(test), test.labels.y, packed, names)


def _textures(folder: Path) -> Category:
    images = read_images(folder, layout="nested")
    names = np.array([images.path(place).parent.name for place in range(len(images))])
    copies, shares = _copies(images)
    none = np.zeros(0)
    return Category(_features(images), copies, shares, none, none, none, names)


def _features(images: ImageSet | np.ndarray) -> np.ndarray:
    backbone = load_backbone("efficientnet-lite0", device="cpu")
    batches = iterate_features(backbone, images, SIZE, STRIDES, batch_size=16)
    return np.concatenate([patch_grid(batch.maps).numpy().astype(np.float16) for batch in batches])


def _copies(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Features of copies with a defect, and how much of each patch is defective."""
    make, pictures, masks = SyntheticAnomalies(), [], []
    for batch in images.iterate(16, size=SIZE):
        for image in batch.images:
            draw = np.random.default_rng([0, zlib.crc32(np.ascontiguousarray(image).data)])
            made = make(image, draw)
            pictures.append(made.image)
            masks.append(made.mask)
    features = _features(np.stack(pictures))
    shares = F.adaptive_avg_pool2d(torch.from_numpy(np.stack(masks).astype(np.float32))[:, None], 32)
    return features, shares[:, 0].numpy()
