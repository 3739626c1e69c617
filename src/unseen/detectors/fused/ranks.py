"""Each column by its rank among the normals, so that no scale and no far value matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.types import FloatArray

N_KNOTS = 512
"""How many order statistics of a column stand for it."""


def rank_knots(normals: FloatArray) -> FloatArray:
    """Return evenly spaced order statistics of each column.

    Parameters
    ----------
    normals : float array of shape (n_normals, n_features)
        At least one row.

    Returns
    -------
    float array of shape (n_features, min(n_normals, 512))
        Each row ascending.
    """
    ordered = np.sort(normals, axis=0)
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), N_KNOTS)).round().astype(np.int64)
    return np.ascontiguousarray(ordered[places].T)


def ranks(V: FloatArray, knots: FloatArray) -> NDArray[np.float64]:
    """Return the share of the knots below each value, ties counted half.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        The rows.
    knots : float array of shape (n_features, n_knots)
        From :func:`rank_knots`; without any knot all ranks are one half.

    Returns
    -------
    float64 array of shape (n_rows, n_features)
        In [0, 1].
    """
    if knots.shape[1] == 0:
        return np.full(V.shape, 0.5)
    first = _first_of_its_value(knots)
    out = np.empty(V.shape[::-1], dtype=np.float64)
    for j, (column, values) in enumerate(zip(knots, np.ascontiguousarray(V.T), strict=True)):
        up_to = np.searchsorted(column, values, side="right")
        at = np.maximum(up_to - 1, 0)
        out[j] = up_to + np.where(column[at] == values, first[j, at], up_to)
    return np.ascontiguousarray(out.T / (2 * knots.shape[1]))


def _first_of_its_value(knots: FloatArray) -> NDArray[np.int64]:
    """Position of the first knot with the value of each; one search a value then finds both sides."""
    changes = np.zeros(knots.shape, dtype=np.int64)
    changes[:, 1:] = np.where(knots[:, 1:] != knots[:, :-1], np.arange(1, knots.shape[1]), 0)
    return np.maximum.accumulate(changes, axis=1)
