"""Drift made from the training normals: whole regions of them left out of a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.cells import cell_of, find_centres
from unseen.types import FloatArray, StrArray

N_PARTS = 3
N_DRIFTED = 2
"""In so many rounds a part is left out."""
_CELLS = 24
_ROWS_FOR_CENTRES = 2_000
_FRESH_SHARE = 0.15
_ROWS_A_GROUP = 3


def regions(normals: FloatArray, seed: int) -> NDArray[np.int64]:
    """Return the part that each normal belongs to when regions of the normals are left out in turn.

    Parameters
    ----------
    normals : float array of shape (n_normals, n_features)
        Training normals.
    seed : int
        Draws the cells and deals them out.

    Returns
    -------
    int64 array of shape (n_normals,)
        0, 1 or 2: cells of k-means, dealt out so that the parts hold about as many normals. All 0 where
        there is one cell.
    """
    draw = np.random.default_rng(seed)
    few = draw.permutation(len(normals))[:_ROWS_FOR_CENTRES]
    cells = cell_of(normals, find_centres(normals[few], min(_CELLS, len(normals) // 4 + 1), seed))
    counts = np.bincount(cells)
    part_of_cell = np.zeros(len(counts), dtype=np.int64)
    sizes = np.zeros(N_PARTS)
    for cell in np.argsort(-counts, kind="stable"):
        part_of_cell[cell] = int(np.argmin(sizes))
        sizes[part_of_cell[cell]] += counts[cell]
    return part_of_cell[cells]


def fresh_share(n_normals: int, seed: int) -> NDArray[np.bool_]:
    """Draw the normals that are held back beside a region, to read the scales of the cues off.

    Parameters
    ----------
    n_normals : int
        How many there are.
    seed : int
        Draws them.

    Returns
    -------
    bool array of shape (n_normals,)
    """
    return np.random.default_rng(seed).random(n_normals) < _FRESH_SHARE


def stand_in_kinds(anomalies: FloatArray, seed: int) -> StrArray:
    """Return groups of anomalies that stand for kinds where none are named.

    Parameters
    ----------
    anomalies : float array of shape (n_anomalies, n_features)
        Labelled anomalies.
    seed : int
        Draws the cells.

    Returns
    -------
    str array of shape (n_anomalies,)
        Up to three groups; a single one where there are fewer than six anomalies.
    """
    n_groups = min(N_PARTS, len(anomalies) // _ROWS_A_GROUP)
    if n_groups < 2:
        return np.full(len(anomalies), "group 0", dtype=np.str_)
    cells = cell_of(anomalies, find_centres(anomalies, n_groups, seed))
    return np.array([f"group {cell}" for cell in cells], dtype=np.str_)


def random_parts(kinds: StrArray, seed: int) -> StrArray:
    """Deal the rows of each kind out to three parts.

    Parameters
    ----------
    kinds : str array of shape (n_anomalies,)
        Kind of each labelled anomaly.
    seed : int
        Deals.

    Returns
    -------
    str array of shape (n_anomalies,)
    """
    draw = np.random.default_rng(seed)
    parts = np.zeros(len(kinds), dtype=np.int64)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        parts[rows[draw.permutation(len(rows))]] = np.arange(len(rows)) % N_PARTS
    return np.array([f"part {part}" for part in parts], dtype=np.str_)
