"""Detectors: one method, one file; :data:`DETECTORS` names them all."""

from unseen.detectors.anomaly_aware_vae import AnomalyAwareVAE
from unseen.detectors.base import BaseDetector
from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.baselines.k_nearest_neighbours import KNearestNeighbours
from unseen.detectors.baselines.mahalanobis import Mahalanobis
from unseen.detectors.baselines.vae import VAE
from unseen.detectors.catalogue import DETECTORS
from unseen.detectors.multi_directional_meta import MultiDirectionalMeta

__all__ = [
    "DETECTORS",
    "VAE",
    "AnomalyAwareVAE",
    "BaseDetector",
    "IsolationForest",
    "KNearestNeighbours",
    "Mahalanobis",
    "MultiDirectionalMeta",
]
