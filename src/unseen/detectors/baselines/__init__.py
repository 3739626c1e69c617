"""Detectors from the literature: from normal rows alone, and from labelled anomalies too."""

from unseen.detectors.baselines.boosted_trees import BoostedTrees
from unseen.detectors.baselines.coral import CORAL
from unseen.detectors.baselines.deep_sad import DeepSAD
from unseen.detectors.baselines.dev_net import DevNet
from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.baselines.k_nearest_neighbours import KNearestNeighbours
from unseen.detectors.baselines.mahalanobis import Mahalanobis
from unseen.detectors.baselines.mtae import MTAE
from unseen.detectors.baselines.mtl_red import MTLRED
from unseen.detectors.baselines.odin import ODIN
from unseen.detectors.baselines.res_ad import ResAD
from unseen.detectors.baselines.vae import VAE

__all__ = [
    "CORAL",
    "MTAE",
    "MTLRED",
    "ODIN",
    "VAE",
    "BoostedTrees",
    "DeepSAD",
    "DevNet",
    "IsolationForest",
    "KNearestNeighbours",
    "Mahalanobis",
    "ResAD",
]
