"""What the contract of image detectors runs over: small pictures, a backbone of a few averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.detectors.images import BaseImageDetector, looking
from unseen.nn.backbones.frozen import FrozenBackbone

QUICK_BACKBONE = "averages"

SHARED: dict[str, Any] = {
    "backbone": QUICK_BACKBONE,
    "image_size": 32,
    "strides": (4, 8),
    "top_share": 0.05,
    "smoothing": 8.0,
    "device": "cpu",
}
QUICK: dict[str, dict[str, Any]] = {
    "nearest-neighbour-patches": {},
    "patchcore": {"coreset_share": 0.5},
    "padim": {"regularisation": 0.1},
    "spade": {"n_neighbours": 3},
    "pca-residual": {"variance": 0.9},
    "res-ad-patches": {"hidden": (8,), "epochs": 5, "lr": 1e-2},
    "confident-meta-patches": {
        "latent": 8,
        "epochs": 3,
        "lr": 1e-2,
        "regularisation": 1e-4,
        "n_pseudo_domains": 1,
    },
    "value-order": {
        "epochs": 2,
        "episodes": 4,
        "episode_batch": 2,
        "training_patches": 32,
        "top_share": 0.05,
    },
    "multi-cue": {"epochs": 40, "head_batch": 8, "head_width": 8, "lr": 1e-2},
    "adaptive-deviation": {"epochs": 60, "head_batch": 8, "lr": 1e-2},
    "latent-outlier-exposure": {"epochs": 40, "head_batch": 4, "width": 8, "dimensions": 8, "lr": 3e-3},
}
"""Parameters that make each detector quick; a new detector needs an entry here and nothing else."""

Make = Callable[..., BaseImageDetector]


class Averages(torch.nn.Module):
    """Mean and mean square of each colour, over cells of 4 and of 8 pixels."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([scale]))

    def forward(self, x: Tensor, strides: tuple[int, ...]) -> dict[int, Tensor]:
        seen = torch.cat([x, 2 * x.square()], dim=1) * self.scale
        return {s: torch.nn.functional.avg_pool2d(seen, s) for s in strides}


def averages(scale: float = 1.0) -> FrozenBackbone:
    return FrozenBackbone(
        Averages(scale), name="averages", channels={4: 6, 8: 6}, mean=(0.4,) * 3, std=(0.3,) * 3, multiple=8
    )


@dataclass(frozen=True)
class Pictures:
    """Pictures of a small world: normal ones, then ones with a bright square."""

    X: list[np.ndarray]
    y: np.ndarray
    masks: list[np.ndarray]

    @property
    def normals(self) -> list[np.ndarray]:
        return [image for image, label in zip(self.X, self.y, strict=True) if label == 0]


def draw(seed: int, n_normals: int = 6, n_anomalies: int = 6, level: float = 90.0) -> Pictures:
    """Draw pictures with a gradient and noise; defects lie anywhere."""
    random = np.random.default_rng(seed)
    ramp = level + np.linspace(0, 60, 32)[None, :, None] * np.array([1.0, 0.5, 0.2])
    images, masks = [], []
    for number in range(n_normals + n_anomalies):
        values = ramp + random.normal(0, 6, size=(32, 32, 3))
        mask = np.zeros((32, 32), dtype=bool)
        if number >= n_normals:
            row, column = random.integers(2, 22, size=2)
            mask[row : row + 8, column : column + 8] = True
            values[mask] += 80
        images.append(np.clip(values, 0, 255).astype(np.uint8))
        masks.append(mask)
    return Pictures(images, np.repeat([0, 1], [n_normals, n_anomalies]), masks)


@pytest.fixture(scope="session", autouse=True)
def _tiny_backbone() -> Iterator[None]:
    """Lasts for the session, so other backbones stay what they are."""
    before, real = torch.get_num_threads(), looking.load_backbone
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            looking,
            "load_backbone",
            lambda name, *, device: averages() if name == QUICK_BACKBONE else real(name, device=device),
        )
        looking._loaded.cache_clear()
        yield
    looking._loaded.cache_clear()
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def train() -> Pictures:
    return draw(seed=1)


@pytest.fixture(scope="session")
def fresh() -> Pictures:
    """Pictures that no fit has seen."""
    return draw(seed=2, n_normals=8, n_anomalies=8)


@pytest.fixture(scope="session", params=list(IMAGE_DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def make(name: str) -> Make:
    """Make an unfitted detector of the catalogue, with the quick parameters and any others."""

    def build(**parameters: Any) -> BaseImageDetector:
        return IMAGE_DETECTORS[name](**{**SHARED, **QUICK[name], **parameters})

    return build


@pytest.fixture(scope="session")
def fitted(make: Make, train: Pictures) -> BaseImageDetector:
    """A detector fitted on ``train``; tests must not change it."""
    return make().fit(train.X, train.y, masks=train.masks)
