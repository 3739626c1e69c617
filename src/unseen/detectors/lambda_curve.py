"""The λ curve: how the anomaly penalty's size changes detection, with known kinds left out in turn.

The paper's Fig. 5 draws AUROC against λ on the kinds that the penalty was meant for. Here every known kind is
left out of stage 2 in turn, so that the curve says what λ does to kinds that were *not* shown (Banda, Khosa &
Sanz, "Strengthening Anomaly Awareness", section 3.4 and Fig. 5). λ = 0 means no stage 2 at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unseen.metrics.ranking import auroc
from unseen.types import BoolArray, FloatArray, StrArray

HELD_BACK = 0.3
"""Share of the normals, and of each kind that stays known, that is kept from stage 2 to judge it."""

Scorer: TypeAlias = Callable[[FloatArray], NDArray[np.float64]]
FineTune: TypeAlias = Callable[[FloatArray, FloatArray, StrArray, float], Scorer]
"""``fine_tune(normals, anomalies, kinds, lambda_max) -> scorer``, always from the same stage-1 weights."""


@dataclass(frozen=True)
class LambdaCurve:
    """AUROC against λ_max, with known kinds left out of stage 2 in turn.

    Attributes
    ----------
    lambdas : float64 array of shape (n_lambdas,)
        The values of λ_max, rising; the first is 0 (stage 1 alone).
    kinds : str array of shape (n_kinds,)
        The kind left out in each column. With one known kind, its two halves (see ``halves``).
    left_out_auroc : float64 array of shape (n_lambdas, n_kinds)
        AUROC of the kind left out against normals that stage 2 has not seen.
    known_auroc : float64 array of shape (n_lambdas, n_kinds)
        In the same run, AUROC of the kinds that took part in stage 2, on rows of theirs that did not.
        NaN where no such row could be spared.
    halves : bool
        Whether the columns are halves of one kind rather than kinds.
    """

    lambdas: NDArray[np.float64]
    kinds: StrArray
    left_out_auroc: NDArray[np.float64]
    known_auroc: NDArray[np.float64]
    halves: bool


def draw_lambda_curve(
    fine_tune: FineTune,
    normals: FloatArray,
    anomalies: FloatArray,
    kinds: StrArray,
    lambdas: Sequence[float],
    *,
    seed: int,
) -> LambdaCurve:
    """Run stage 2 for each λ with each known kind left out in turn.

    Parameters
    ----------
    fine_tune : callable
        ``fine_tune(normals, anomalies, kinds, lambda_max)`` runs stage 2 from the stage-1 weights and returns
        a function from rows to scores. It is called with λ = 0 as well and must then return stage 1's scores.
    normals : float array of shape (n_normals, n_features)
        Training normals; a share ``HELD_BACK`` of them is kept from stage 2.
    anomalies : float array of shape (n_anomalies, n_features)
        Labelled anomalies.
    kinds : str array of shape (n_anomalies,)
        Their kinds. If there is only one, it is cut in two halves along its main direction.
    lambdas : sequence of float
        λ_max values; 0 is added, doubles are dropped.
    seed : int
        Decides which rows are held back.

    Returns
    -------
    LambdaCurve
    """
    grid = np.unique([0.0, *lambdas])
    halves = len(np.unique(kinds)) == 1
    if halves:
        kinds = split_in_halves(anomalies, kinds)
    names = np.unique(kinds)
    rng = np.random.default_rng(seed)
    judged_normals = _held_back(np.zeros(len(normals), dtype=np.int64), rng)
    judged_known = _held_back(np.unique(kinds, return_inverse=True)[1], rng)
    left_out = np.full((len(grid), len(names)), np.nan)
    known = np.full((len(grid), len(names)), np.nan)
    for column, name in enumerate(names):
        outside = kinds == name
        shown = ~outside & ~judged_known
        for row, weight in enumerate(grid):
            scorer = fine_tune(normals[~judged_normals], anomalies[shown], kinds[shown], float(weight))
            normal_scores = scorer(normals[judged_normals])
            left_out[row, column] = _auroc(normal_scores, scorer(anomalies[outside]))
            spared = ~outside & judged_known
            if spared.any():
                known[row, column] = _auroc(normal_scores, scorer(anomalies[spared]))
    return LambdaCurve(grid, names, left_out, known, halves)


def choose_lambda(curve: LambdaCurve, *, margin: float, tolerance: float) -> float:
    """Choose λ_max from the kinds left out: 0 unless stage 2 clearly helps and costs no kind.

    A λ is eligible if no left-out kind loses more than ``tolerance`` of AUROC against λ = 0. Of these the one
    with the highest mean AUROC over left-out kinds is taken, if that mean gains at least ``margin``; else 0.

    Parameters
    ----------
    curve : LambdaCurve
        From :func:`draw_lambda_curve`; the first row is λ = 0.
    margin : float
        Least gain of the mean AUROC that makes stage 2 worth its risk.
    tolerance : float
        Largest loss on any kind left out.

    Returns
    -------
    float
        One of ``curve.lambdas``.
    """
    change = curve.left_out_auroc - curve.left_out_auroc[0]
    eligible = (change.min(axis=1) >= -tolerance) & (change.mean(axis=1) >= margin)
    if not eligible.any():
        return 0.0
    gain = np.where(eligible, change.mean(axis=1), -np.inf)
    return float(curve.lambdas[int(np.argmax(gain))])


def split_in_halves(anomalies: FloatArray, kinds: StrArray) -> StrArray:
    """Name the two halves of the only kind, cut at the median of its main direction.

    Parameters
    ----------
    anomalies : float array of shape (n_anomalies, n_features)
        Rows of one kind.
    kinds : str array of shape (n_anomalies,)
        Its name, in each row.

    Returns
    -------
    str array of shape (n_anomalies,)
        The name with ``" (half 1)"`` or ``" (half 2)"`` added.
    """
    centred = anomalies.astype(np.float64) - anomalies.mean(axis=0, dtype=np.float64)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    rank = np.argsort(np.argsort(centred @ direction, kind="stable"), kind="stable")
    upper = rank >= (len(anomalies) + 1) // 2
    return np.array([f"{kind} (half {1 + int(up)})" for kind, up in zip(kinds, upper, strict=True)])


def _held_back(groups: NDArray[np.int64], rng: np.random.Generator) -> BoolArray:
    """Mark a share ``HELD_BACK`` of each group, rounded down, at random."""
    marked = np.zeros(len(groups), dtype=np.bool_)
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        marked[members[: int(HELD_BACK * len(members))]] = True
    return marked


def _auroc(normal_scores: NDArray[np.float64], anomaly_scores: NDArray[np.float64]) -> float:
    y = np.repeat([0, 1], [len(normal_scores), len(anomaly_scores)])
    return float(auroc(y, np.concatenate([normal_scores, anomaly_scores])))
