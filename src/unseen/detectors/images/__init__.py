"""Detectors of pictures: one method, one file; ``unseen.detectors.catalogue.IMAGE_DETECTORS`` names them."""

from unseen.detectors.images.adaptive_deviation import AdaptiveDeviation
from unseen.detectors.images.base import BaseImageDetector
from unseen.detectors.images.confident_meta_patches import ConfidentMetaPatches
from unseen.detectors.images.cue_explaining import CueExplanation
from unseen.detectors.images.latent_outlier_exposure import LatentOutlierExposure
from unseen.detectors.images.multi_cue import MultiCue
from unseen.detectors.images.nearest_neighbour_patches import NearestNeighbourPatches
from unseen.detectors.images.padim import PaDiM
from unseen.detectors.images.patch_core import PatchCore
from unseen.detectors.images.pca_residual import PCAResidual
from unseen.detectors.images.res_ad_patches import ResADPatches
from unseen.detectors.images.spade import Spade
from unseen.detectors.images.value_order import ValueOrder

__all__ = [
    "AdaptiveDeviation",
    "BaseImageDetector",
    "ConfidentMetaPatches",
    "CueExplanation",
    "LatentOutlierExposure",
    "MultiCue",
    "NearestNeighbourPatches",
    "PCAResidual",
    "PaDiM",
    "PatchCore",
    "ResADPatches",
    "Spade",
    "ValueOrder",
]
