"""A small world of pictures in files, and a backbone of a few averages instead of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unseen.detectors.images import looking
from unseen.nn.backbones.frozen import FrozenBackbone

SIDE = 48


class Averages(torch.nn.Module):
    """Mean and mean square of each colour, over cells of 4 and of 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.0]))

    def forward(self, x: Tensor, strides: tuple[int, ...]) -> dict[int, Tensor]:
        seen = torch.cat([x, 2 * x.square()], dim=1) * self.scale
        return {s: torch.nn.functional.avg_pool2d(seen, s) for s in strides}


@contextmanager
def averages_instead_of_a_network() -> Iterator[None]:
    """Let ``--set backbone=averages`` name that backbone."""
    real = looking.load_backbone
    looking._loaded.cache_clear()
    looking.load_backbone = lambda name, **_: FrozenBackbone(  # type: ignore[assignment]
        Averages(), name=name, channels={4: 6, 8: 6}, mean=(0.4,) * 3, std=(0.3,) * 3, multiple=8
    )
    try:
        yield
    finally:
        looking.load_backbone = real
        looking._loaded.cache_clear()


def part(seed: int, *, defect: bool = False, level: float = 90.0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a gradient and noise, maybe with a bright square, and where that is."""
    draw = np.random.default_rng(seed)
    ramp = level + np.linspace(0, 60, SIDE)[None, :, None] * np.array([1.0, 0.5, 0.2])
    image = ramp + draw.normal(0, 4, size=(SIDE, SIDE, 3))
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    if defect:
        top, left = draw.integers(4, SIDE - 18, size=2)
        mask[top : top + 12, left : left + 12] = True
        image[mask] += 70
    return np.clip(image, 0, 255).astype(np.uint8), mask


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def category(
    folder: Path, *, seed: int = 0, train: int = 9, good: int = 6, bad: int = 5, level: float = 90.0
) -> Path:
    """A category in MVTec layout with two kinds of defects; returns its folder."""
    for place in range(train):
        write(folder / f"train/good/{place:03d}.png", part(1000 * seed + place, level=level)[0])
    for place in range(good):
        write(folder / f"test/good/{place:03d}.png", part(1000 * seed + 100 + place, level=level)[0])
    for number, kind in enumerate(("dent", "stain")):
        for place in range(bad):
            image, mask = part(1000 * seed + 200 * (number + 1) + place, defect=True, level=level)
            write(folder / f"test/{kind}/{place:03d}.png", image)
            write(folder / f"ground_truth/{kind}/{place:03d}_mask.png", mask.astype(np.uint8) * 255)
    return folder


QUICK = ("--image-size", "32", "--set", "backbone=averages", "--set", "strides=(4,8)", "--set", "device=cpu")
"""Options of ``fit`` for this world."""
