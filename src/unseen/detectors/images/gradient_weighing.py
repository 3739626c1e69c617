"""How much the gradient map of each cue counts, from how well it finds the defects of labelled anomalies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.metrics.ranking import auroc
from unseen.types import BoolArray

MOST_PICTURES = 16
"""Labelled anomalies whose gradient maps are looked at."""


def weights_of_maps(
    maps: Sequence[NDArray[np.float32]], masks: Sequence[BoolArray], otherwise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights of kinds of maps: how far the AUROC of their pixels lies above one half.

    AUROC is taken within each picture, as each has its own scale, and averaged.

    Parameters
    ----------
    maps : sequence of float arrays of shape (n, height, width)
        One array a kind of map, of the same pictures.
    masks : sequence of bool arrays of shape (height, width)
        Where the defects are, n of them; pictures without a defect, or with nothing else, do not count.
    otherwise : float64 array of shape (n_kinds,)
        Weights if there is no such picture, or where no kind of map finds defects; of sum 1.

    Returns
    -------
    float64 array of shape (n_kinds,)
        >= 0, of sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[True, False], [False, False]])
    >>> good, even, bad = np.eye(2), np.ones((2, 2)), 1.0 - np.eye(2)
    >>> weights_of_maps([good[None], even[None], bad[None]], [mask], np.ones(3) / 3).tolist()
    [1.0, 0.0, 0.0]
    """
    counted = [place for place, mask in enumerate(masks) if mask.any() and not mask.all()]
    if not counted:
        return otherwise
    figures = [
        np.mean([auroc(masks[place].ravel().astype(np.int8), kind[place].ravel()) for place in counted])
        for kind in maps
    ]
    above = np.maximum(2 * np.asarray(figures, dtype=np.float64) - 1, 0.0)
    return np.asarray(above / above.sum()) if above.sum() > 0 else otherwise
