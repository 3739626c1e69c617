"""Detectors: one method, one file; :data:`DETECTORS` names them all."""

from unseen.detectors.anomaly_aware_vae import AnomalyAwareVAE
from unseen.detectors.base import BaseDetector
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
from unseen.detectors.catalogue import DETECTORS
from unseen.detectors.confident_meta import ConfidentMeta
from unseen.detectors.multi_directional_meta import MultiDirectionalMeta
from unseen.detectors.unseen_detector import UnseenDetector

__all__ = [
    "CORAL",
    "DETECTORS",
    "MTAE",
    "MTLRED",
    "ODIN",
    "VAE",
    "AnomalyAwareVAE",
    "BaseDetector",
    "BoostedTrees",
    "ConfidentMeta",
    "DeepSAD",
    "DevNet",
    "IsolationForest",
    "KNearestNeighbours",
    "Mahalanobis",
    "MultiDirectionalMeta",
    "ResAD",
    "UnseenDetector",
]
