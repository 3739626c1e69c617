"""Arithmetic on patch features: neighbours, coresets, score maps."""

from unseen.nn.patches.cells import Cells, divide, nearest_in_cells
from unseen.nn.patches.coreset import greedy_k_centre
from unseen.nn.patches.maps import gaussian_smoothing, score_images, top_mean
from unseen.nn.patches.neighbours import Neighbours, largest_cosine, nearest_by_cosine, nearest_by_distance

__all__ = [
    "Cells",
    "Neighbours",
    "divide",
    "gaussian_smoothing",
    "greedy_k_centre",
    "largest_cosine",
    "nearest_by_cosine",
    "nearest_by_distance",
    "nearest_in_cells",
    "score_images",
    "top_mean",
]
