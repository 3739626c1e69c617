"""Frozen networks that turn pictures into feature maps."""

from unseen.nn.backbones.extraction import FeatureBatch, extract, iterate_features, patch_grid
from unseen.nn.backbones.loading import EMBEDDED, load_backbone
from unseen.nn.backbones.protocol import Backbone, FeatureMaps

__all__ = [
    "EMBEDDED",
    "Backbone",
    "FeatureBatch",
    "FeatureMaps",
    "extract",
    "iterate_features",
    "load_backbone",
    "patch_grid",
]
