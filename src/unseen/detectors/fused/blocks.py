"""Columns that move together, so that a few columns of one sort are not drowned by many of another.

A heartbeat has 187 samples of its wave and three numbers of its timing; a distance over all columns hardly
sees the three. Columns are clustered by how they are correlated within the domains, and cues look at each
cluster, a *block*, by itself. Blocks are used only where whole domains left out can tell which of them serve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from unseen.types import FloatArray, StrArray

MOST_BLOCKS = 4
LEAST_CORRELATION = 0.15
_MOST_COLUMNS = 2_000


def column_blocks(V: FloatArray, domains: StrArray) -> NDArray[np.int64]:
    """Number the blocks of columns.

    Average linkage on one minus the absolute correlation of the rows about the mean of their domain; blocks
    part where the mean absolute correlation between them falls below ``LEAST_CORRELATION``. Of more than
    ``MOST_BLOCKS`` the nearest are merged.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        Normals, at least one.
    domains : str array of shape (n_rows,)
        Their domains.

    Returns
    -------
    int64 array of shape (n_features,)
        From 0 on, in the order of the columns; all 0 for a single column and for very wide rows.
    """
    n_features = V.shape[1]
    if n_features < 2 or n_features > _MOST_COLUMNS:
        return np.zeros(n_features, dtype=np.int64)
    _names, codes, counts = np.unique(domains, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), n_features))
    np.add.at(sums, codes, V)
    centred = V - (sums / counts[:, None])[codes]
    apart = 1.0 - np.abs(_correlation(centred))
    np.fill_diagonal(apart, 0.0)
    tree = linkage(squareform(apart, checks=False), "average")
    found = fcluster(tree, 1.0 - LEAST_CORRELATION, "distance")
    if found.max() > MOST_BLOCKS:
        found = fcluster(tree, MOST_BLOCKS, "maxclust")
    _values, first, numbers = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers].astype(np.int64)


def small_blocks(codes: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the numbers of blocks with less than an equal share of the columns.

    Parameters
    ----------
    codes : int64 array of shape (n_features,)
        Block of each column, from 0 on.

    Returns
    -------
    tuple of int
        Ascending; empty for a single block, or blocks of one size.
    """
    counts = np.bincount(codes)
    return tuple(np.flatnonzero(counts < len(codes) / len(counts)).tolist())


def _correlation(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations of columns of mean 0; 0 with a column that does not vary."""
    scale = np.sqrt(np.mean(np.square(centred), axis=0))
    unit = np.where(scale > 1e-12 * max(1.0, float(scale.max(initial=0.0))), scale, np.inf)
    scaled = centred / unit
    return np.clip((scaled.T @ scaled) / len(scaled), -1.0, 1.0)
