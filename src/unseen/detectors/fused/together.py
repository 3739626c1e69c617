"""Many kinds are left out several at a time, so that the time of a fit does not grow with their number.

Up to ``MOST_FITS`` kinds each are left out by themselves. More are dealt out to so many fits, the frequent
ones to different fits, and each kind of a fit is judged by itself; kinds with too few rows are judged
together. No fit knows any of the kinds that it is judged by.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.types import StrArray

MOST_FITS = 12
"""So many fits at most leave kinds out."""


def left_out_together(kinds: StrArray, seed: int) -> NDArray[np.int64]:
    """Number the fits in which rows of labelled anomalies are left out.

    Parameters
    ----------
    kinds : str array of shape (n_anomalies,)
        Kind of each labelled anomaly.
    seed : int
        Deals kinds with equally many rows out.

    Returns
    -------
    int64 array of shape (n_anomalies,)
        From 0 on; up to ``MOST_FITS`` kinds are numbered by their names.
    """
    names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    if len(names) <= MOST_FITS:
        return codes.astype(np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    frequent_first = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    fits = np.empty(len(names), dtype=np.int64)
    fits[frequent_first] = np.arange(len(names)) % MOST_FITS
    return fits[codes]


def judged_apart(kinds: StrArray, least: int) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return which rows of a fit are judged by themselves, and under which name.

    Parameters
    ----------
    kinds : str array of shape (n_rows,)
        Kinds that one fit leaves out.
    least : int
        Kinds with fewer rows are judged together.

    Returns
    -------
    list of pairs of str and bool array of shape (n_rows,)
        A single kind is always judged by itself.
    """
    names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    if len(names) == 1:
        return [(str(names[0]), np.ones(len(kinds), dtype=np.bool_))]
    found = [(str(names[i]), codes == i) for i in np.flatnonzero(counts >= least)]
    rare = np.flatnonzero(counts < least)
    if len(rare):
        name = str(names[rare[0]]) + (f" and {len(rare) - 1} more" if len(rare) > 1 else "")
        found.append((name, np.isin(codes, rare)))
    return found
