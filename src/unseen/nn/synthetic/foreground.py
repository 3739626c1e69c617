"""Tell a part from the plain ground that it lies on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from unseen.pixels import Pixels, check_pixels
from unseen.types import BoolArray

_BORDER_SHARE = 0.04
_SMOOTHING_SHARE = 0.01
_LEAST, _MOST = 0.02, 0.90
_LEVELS = 256
_ROUNDING = 1e-9


def estimate_foreground(image: Pixels, *, hull: bool = False) -> BoolArray:
    """Return where a picture differs from the colour of its border.

    The distance of each pixel's colour to the border's median colour is split in two by Otsu's threshold (N.
    Otsu, IEEE Trans. SMC 1979) after slight smoothing, and holes are filled. Where that gives almost nothing
    or almost everything, or the border itself is busy, the picture shows a surface rather than a part, and
    all of it counts.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)
        Red, green, blue.
    hull : bool
        Whether everything within the convex hull of the part counts as the part: a gap or a missing piece
        shows the ground, and is a defect all the same.

    Returns
    -------
    bool array of shape (height, width)
    """
    pixels = check_pixels("estimate_foreground", image).astype(np.float32)
    height, width = pixels.shape[:2]
    edge = max(1, round(_BORDER_SHARE * min(height, width)))
    inner = np.zeros((height, width), dtype=np.bool_)
    inner[edge:-edge, edge:-edge] = True
    distance = np.linalg.norm(pixels - np.median(pixels[~inner], axis=0), axis=2)
    distance = ndimage.gaussian_filter(distance, _SMOOTHING_SHARE * min(height, width))
    part = distance > _otsu(distance)
    part = np.asarray(ndimage.binary_fill_holes(part), dtype=np.bool_)
    busy_border = part[~inner].mean() > 0.5
    if busy_border or not _LEAST <= part.mean() <= _MOST:
        return np.ones((height, width), dtype=np.bool_)
    return _within_hull(part) if hull else part


def _within_hull(part: BoolArray) -> BoolArray:
    """Which pixels lie in the convex hull of those that are True."""
    inner = part & ~ndimage.binary_erosion(part)
    try:
        edges = ConvexHull(np.argwhere(inner)).equations
    except QhullError:  # all on one line
        return part
    rows, columns = np.indices(part.shape, dtype=np.float64)
    within = np.ones(part.shape, dtype=np.bool_)
    for down, right, offset in edges:
        within &= down * rows + right * columns + offset <= _ROUNDING
    return within


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold with the largest variance between the two sides."""
    counts, edges = np.histogram(values, bins=_LEVELS)
    centres = (edges[:-1] + edges[1:]) / 2.0
    below = np.cumsum(counts)
    above = below[-1] - below
    sum_below = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sum_below / below - (sum_below[-1] - sum_below) / above
        between = below.astype(np.float64) * above * gap**2
    return float(edges[1 + int(np.argmax(np.nan_to_num(between[:-1], nan=-1.0)))])
