"""Detectors from the literature that learn from normal rows alone."""

from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.baselines.k_nearest_neighbours import KNearestNeighbours
from unseen.detectors.baselines.mahalanobis import Mahalanobis
from unseen.detectors.baselines.vae import VAE

__all__ = ["VAE", "IsolationForest", "KNearestNeighbours", "Mahalanobis"]
