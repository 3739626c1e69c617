"""Calibrate on the normals themselves, each left out in turn, and each domain on its own pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from unseen.scoring.calibration import Calibration
from unseen.types import BoolArray, FloatArray, Labels

_MOST_CROSS_SCORED = 64


def cross_scores(
    V: FloatArray,
    *,
    folds: int,
    seed: int,
    score: Callable[[FloatArray, FloatArray], NDArray[np.float64]],
) -> NDArray[np.float64] | None:
    """Score each normal by a memory of the others.

    Parameters
    ----------
    V : float32 array of shape (n_normals, n_looks, channels + 2, grid height, grid width)
        The normals.
    folds : int
        So many are left out in turn; no more than there are normals.
    seed : int
        Draws the folds and, if there are more than 64 normals, which 64 are scored.
    score : callable
        ``score(V_remembered, V_asked)``: scores of the latter by a memory of the former.

    Returns
    -------
    float64 array of shape (at most 64,) or None
        None if there are no others or no folds.
    """
    folds = min(folds, len(V))
    if folds < 2:
        return None
    draw = np.random.default_rng(seed)
    fold = draw.permutation(np.arange(len(V)) % folds)
    wanted = np.zeros(len(V), dtype=np.bool_)
    wanted[draw.permutation(len(V))[:_MOST_CROSS_SCORED]] = True
    scores = np.zeros(len(V))
    for number in range(folds):
        rows = (fold == number) & wanted
        if rows.any():
            scores[rows] = score(V[fold != number], V[rows])
    return np.asarray(scores[wanted])


def calibrations_by_domain(
    scores: NDArray[np.float64], labels: Labels, names: Iterable[str], false_alarm_rate: float
) -> tuple[dict[str, Calibration], BoolArray]:
    """Calibrate each domain that has normals on its own pictures.

    Parameters
    ----------
    scores : float64 array of shape (n_pictures,)
        Of pictures that are not remembered.
    labels : Labels
        Of these pictures.
    names : iterable of str
        Domains that have a memory.
    false_alarm_rate : float in (0, 1)
        For their thresholds.

    Returns
    -------
    calibrations : dict of str to Calibration
        Of the domains among ``names`` that have normals here.
    rest : bool array of shape (n_pictures,)
        Pictures of all other domains.
    """
    found: dict[str, Calibration] = {}
    rest = np.ones(len(labels), dtype=np.bool_)
    for name in names:
        rows = labels.domains == name
        if (rows & labels.normal).any():
            found[name] = Calibration.from_scores(
                scores[rows], labels.y[rows], false_alarm_rate=false_alarm_rate
            )
            rest &= ~rows
    return found, rest
