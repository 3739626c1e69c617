"""Every detector, by the name that the command line and saved models use."""

from __future__ import annotations

from unseen.detectors.base import BaseDetector
from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.baselines.k_nearest_neighbours import KNearestNeighbours
from unseen.detectors.baselines.mahalanobis import Mahalanobis

DETECTORS: dict[str, type[BaseDetector]] = {
    "k-nearest-neighbours": KNearestNeighbours,
    "mahalanobis": Mahalanobis,
    "isolation-forest": IsolationForest,
}
"""Name → class."""
