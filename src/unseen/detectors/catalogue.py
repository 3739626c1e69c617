"""Every detector, by the name that the command line and saved models use."""

from __future__ import annotations

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
from unseen.detectors.confident_meta import ConfidentMeta
from unseen.detectors.images.adaptive_deviation import AdaptiveDeviation
from unseen.detectors.images.base import BaseImageDetector
from unseen.detectors.images.confident_meta_patches import ConfidentMetaPatches
from unseen.detectors.images.latent_outlier_exposure import LatentOutlierExposure
from unseen.detectors.images.multi_cue import MultiCue
from unseen.detectors.images.nearest_neighbour_patches import NearestNeighbourPatches
from unseen.detectors.images.padim import PaDiM
from unseen.detectors.images.patch_core import PatchCore
from unseen.detectors.images.pca_residual import PCAResidual
from unseen.detectors.images.res_ad_patches import ResADPatches
from unseen.detectors.images.spade import Spade
from unseen.detectors.images.value_order import ValueOrder
from unseen.detectors.multi_directional_meta import MultiDirectionalMeta
from unseen.detectors.unseen_detector import UnseenDetector

DETECTORS: dict[str, type[BaseDetector]] = {
    "unseen": UnseenDetector,
    "anomaly-aware-vae": AnomalyAwareVAE,
    "multi-directional-meta": MultiDirectionalMeta,
    "confident-meta": ConfidentMeta,
    "vae": VAE,
    "k-nearest-neighbours": KNearestNeighbours,
    "mahalanobis": Mahalanobis,
    "isolation-forest": IsolationForest,
    "res-ad": ResAD,
    "mtl-red": MTLRED,
    "odin": ODIN,
    "mtae": MTAE,
    "boosted-trees": BoostedTrees,
    "dev-net": DevNet,
    "deep-sad": DeepSAD,
    "coral": CORAL,
}
"""Name → class."""

IMAGE_DETECTORS: dict[str, type[BaseImageDetector]] = {
    "nearest-neighbour-patches": NearestNeighbourPatches,
    "patchcore": PatchCore,
    "padim": PaDiM,
    "value-order": ValueOrder,
    "multi-cue": MultiCue,
    "adaptive-deviation": AdaptiveDeviation,
    "latent-outlier-exposure": LatentOutlierExposure,
    "confident-meta-patches": ConfidentMetaPatches,
    "spade": Spade,
    "pca-residual": PCAResidual,
    "res-ad-patches": ResADPatches,
}
"""Name → class, of the detectors of pictures."""
