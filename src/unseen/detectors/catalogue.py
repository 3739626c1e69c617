"""Every detector, by the name that the command line and saved models use."""

from __future__ import annotations

from unseen.detectors.anomaly_aware_vae import AnomalyAwareVAE
from unseen.detectors.base import BaseDetector
from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.baselines.k_nearest_neighbours import KNearestNeighbours
from unseen.detectors.baselines.mahalanobis import Mahalanobis
from unseen.detectors.baselines.vae import VAE
from unseen.detectors.multi_directional_meta import MultiDirectionalMeta

DETECTORS: dict[str, type[BaseDetector]] = {
    "anomaly-aware-vae": AnomalyAwareVAE,
    "multi-directional-meta": MultiDirectionalMeta,
    "vae": VAE,
    "k-nearest-neighbours": KNearestNeighbours,
    "mahalanobis": Mahalanobis,
    "isolation-forest": IsolationForest,
}
"""Name → class."""
