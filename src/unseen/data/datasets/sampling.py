"""Which rows of a file to keep when not all are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.types import IntArray, StrArray


def equal_shares(counts: IntArray, total: int) -> NDArray[np.int64]:
    """Share ``total`` places among groups: equally, and what small groups leave over goes to the larger ones.

    Parameters
    ----------
    counts : int array of shape (n_groups,)
        Rows that each group has.
    total : int
        Places to give out, >= 0.

    Returns
    -------
    int64 array of shape (n_groups,)
        Places of each group; at most its count, in sum min(total, sum of counts).

    Examples
    --------
    >>> equal_shares(np.array([1000, 3, 50]), 100).tolist()
    [49, 3, 48]
    """
    shares = np.zeros(len(counts), dtype=np.int64)
    left = min(int(total), int(np.sum(counts)))
    order = np.argsort(counts, kind="stable")
    for position, group in enumerate(order):
        shares[group] = min(int(counts[group]), left // (len(order) - position))
        left -= int(shares[group])
    return shares


def sample_rows(groups: StrArray, total: int | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows to keep, ascending: all if ``total`` is None, else drawn with equal shares per group.

    Parameters
    ----------
    groups : str array of shape (n_rows,)
        The kind of each row.
    total : int or None
        Rows to keep, >= 1.
    generator : numpy Generator
        Source of the draw.

    Returns
    -------
    int64 array
    """
    if total is None or total >= len(groups):
        return np.arange(len(groups), dtype=np.int64)
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shares = equal_shares(counts, total)
    chosen: list[NDArray[Any]] = [
        generator.choice(np.flatnonzero(inverse == group), size=int(shares[group]), replace=False)
        for group in range(len(names))
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)
