"""Arithmetic on patch features: neighbours, coresets, score maps."""

from unseen.nn.patches.coreset import greedy_k_centre
from unseen.nn.patches.maps import gaussian_smoothing, score_images, top_mean
from unseen.nn.patches.neighbours import Neighbours, nearest_by_cosine, nearest_by_distance

__all__ = [
    "Neighbours",
    "gaussian_smoothing",
    "greedy_k_centre",
    "nearest_by_cosine",
    "nearest_by_distance",
    "score_images",
    "top_mean",
]
