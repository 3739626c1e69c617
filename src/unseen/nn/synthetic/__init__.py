"""Synthetic anomalies: Perlin masks, textures, augmentations; all seeded by a generator."""

from unseen.nn.synthetic.anomalies import SyntheticAnomalies, SyntheticAnomaly
from unseen.nn.synthetic.augmentations import AUGMENTATIONS, augment
from unseen.nn.synthetic.foreground import estimate_foreground
from unseen.nn.synthetic.perlin import perlin_masks, perlin_noise
from unseen.nn.synthetic.textures import (
    DRAWINGS,
    DrawnTextures,
    FolderTextures,
    PictureTextures,
    TextureSource,
)

__all__ = [
    "AUGMENTATIONS",
    "DRAWINGS",
    "DrawnTextures",
    "FolderTextures",
    "PictureTextures",
    "SyntheticAnomalies",
    "SyntheticAnomaly",
    "TextureSource",
    "augment",
    "estimate_foreground",
    "perlin_masks",
    "perlin_noise",
]
