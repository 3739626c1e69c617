"""Folds of normal pictures, so that none is compared with itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_FOLDS = 4


def folds_of_normals(
    normals: Sequence[NDArray[np.int64]],
    codes: NDArray[np.int64],
    *,
    seed: int,
    groups: NDArray[np.int64] | None = None,
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
    groups : int64 array of shape (n_pictures,) or None
        Pictures of one group come into the same fold, unless their domain has no other. None: each alone.

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
            fold[rows] = drawn_folds(None if groups is None else groups[rows], len(rows), _FOLDS, draw)
        mine = np.flatnonzero(codes == code)
        for number in np.unique(fold[mine]).tolist():
            yield rows if number < 0 else rows[fold[rows] != number], mine[fold[mine] == number]


def drawn_folds(
    groups: NDArray[np.int64] | None, n: int, folds: int, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Return the fold of each picture, whole groups together.

    Parameters
    ----------
    groups : int64 array of shape (n,) or None
        Group of each; None, or one group only: each picture is drawn by itself.
    n : int
        Pictures.
    folds : int
        How many; as many of them have pictures as there are groups, at most.
    draw : numpy.random.Generator
        Draws them.

    Returns
    -------
    int64 array of shape (n,)
        From 0 on.
    """
    if groups is not None:
        names, places = np.unique(groups, return_inverse=True)
        if len(names) > 1:
            return np.asarray(draw.permutation(np.arange(len(names)) % folds)[places], dtype=np.int64)
    return np.asarray(draw.permutation(np.arange(n) % folds), dtype=np.int64)
