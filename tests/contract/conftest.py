"""What the contract suite runs over: every detector of the catalogue, small and quick, on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors import DETECTORS, BaseDetector

CLASSIFIER: dict[str, Any] = {
    "hidden": (32,),
    "epochs": 60,
    "batch_size": 64,
    "lr": 1e-2,
    "pseudo_anomalies": "always",
}
"""Classifiers know nothing of rows unlike all they were shown; with pseudo-anomalies they do."""

QUICK: dict[str, dict[str, Any]] = {
    "unseen": {"n_trees": 10, "n_jobs": 1},
    "anomaly-aware-vae": {
        "hidden": (8,),
        "epochs": 3,
        "awareness_epochs": 2,
        "batch_size": 64,
        "lambda_max": 1.0,
    },
    "multi-directional-meta": {
        "latent": 8,
        "width": 16,
        "blocks": 1,
        "episodes": 3,
        "inner_steps": 10,
        "outer_steps": 5,
        "batch_size": 64,
        "n_trees": 10,
    },
    "confident-meta": {
        "hidden": (16,),
        "latent": 8,
        "epochs": 5,
        "tasks": 2,
        "lr": 1e-2,
        "regularisation": 1e-4,
        "n_pseudo_domains": 4,
        "inner_lr": 0.05,
    },
    "vae": {"hidden": (8,), "epochs": 3, "batch_size": 64},
    "k-nearest-neighbours": {"n_neighbours": 3},
    "mahalanobis": {},
    "isolation-forest": {"n_trees": 20},
    "deep-sad": {"hidden": (16,), "latent": 8, "pretraining_epochs": 3, "epochs": 10, "batch_size": 32},
    "dev-net": {**CLASSIFIER, "weight_decay": 1e-3},
    "coral": CLASSIFIER,
    "mtae": {**CLASSIFIER, "classifier_epochs": 60},
    "odin": CLASSIFIER,
    "mtl-red": CLASSIFIER,
    "res-ad": {"hidden": (8,), "epochs": 5, "batch_size": 32},
    "boosted-trees": {"n_trees": 30, "pseudo_anomalies": "always"},
}
"""Parameters that make each detector quick; a new detector needs an entry here and nothing else."""

N_FEATURES = 4

Make = Callable[..., BaseDetector]


@dataclass(frozen=True)
class Rows:
    """Rows of a small world: two domains of normals, two kinds of anomalies."""

    X: np.ndarray
    y: np.ndarray
    kinds: np.ndarray
    domains: np.ndarray

    @property
    def normals(self) -> np.ndarray:
        return self.X[self.y == 0]


def draw(seed: int, n_normals: int = 120, n_each_kind: int = 8) -> Rows:
    """Draw rows in a shuffled order."""
    random = np.random.default_rng(seed)
    mixing = np.array([[1.0, 0.5, 0, 0], [0, 1.0, 0.3, 0], [0, 0, 1.0, 0.8], [0, 0, 0, 0.5]])
    normals = random.normal(size=(n_normals, N_FEATURES)) @ mixing
    blobs = [random.normal(size=(n_each_kind, N_FEATURES)) + shift for shift in (5.0, -4.0)]
    kinds = np.repeat(["normal", "up", "down"], [n_normals, n_each_kind, n_each_kind])
    order = random.permutation(len(kinds))
    domains = np.where(np.arange(len(kinds)) % 2, "east", "west")
    X, y = np.concatenate([normals, *blobs]), (kinds != "normal").astype(int)
    return Rows(X[order], y[order], kinds[order], domains)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def rows() -> Rows:
    return draw(seed=1)


@pytest.fixture(scope="session")
def fresh() -> Rows:
    """Rows that no fit has seen."""
    return draw(seed=2, n_normals=40)


@pytest.fixture(scope="session", params=list(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def make(name: str) -> Make:
    """Make an unfitted detector of the catalogue, with the quick parameters and any others."""

    def build(**parameters: Any) -> BaseDetector:
        return DETECTORS[name](**{**QUICK[name], **parameters})

    return build


@pytest.fixture(scope="session")
def fitted(make: Make, rows: Rows) -> BaseDetector:
    """A detector fitted on ``rows``; tests must not change it."""
    return make().fit(rows.X, rows.y, kinds=rows.kinds)
