"""Folds of normal pictures, so that none is compared with itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_FOLDS = 4


def folds_of_normals(
    normals: Sequence[NDArray[np.int64]], codes: NDArray[np.int64], *, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield normals to compare with, and the pictures that are compared with them.

    Parameters
    ----------
    normals : sequence of int64 array
        Rows of the normals of each domain. Of four folds of them, each is compared with the other three; a
        single one, and pictures that are no normals of a domain, with all.
    codes : int64 array of shape (n_pictures,)
        Which of these each picture is compared with.
    seed : int
        Draws the folds.

    Yields
    ------
    others : int64 array
        Rows of normals.
    rows : int64 array
        Rows of pictures; each comes once.
    """
    draw = np.random.default_rng(seed)
    for code, rows in enumerate(normals):
        fold = np.full(len(codes), -1, dtype=np.int64)
        if len(rows) > 1:
            fold[rows] = draw.permutation(np.arange(len(rows)) % _FOLDS)
        mine = np.flatnonzero(codes == code)
        for number in np.unique(fold[mine]).tolist():
            yield rows if number < 0 else rows[fold[rows] != number], mine[fold[mine] == number]
