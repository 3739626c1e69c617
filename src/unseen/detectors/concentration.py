"""Scores of training rows that contaminants cannot talk down: concentration on the most normal rows.

A model that learns from all rows learns the contaminants, too, most of all where they come in a crowd. As in
the concentration steps of the minimum covariance determinant (P. J. Rousseeuw, K. Van Driessen, "A fast
algorithm for the minimum covariance determinant estimator", Technometrics 41, 1999), here with isolation
forests (Liu, Ting & Zhou, ICDM 2008), which need no scale and resist crowds better than distances do::

    s_0 = scores of a forest grown on all rows
    s_t = scores of a forest grown on the share h of the rows with the lowest s_{t-1}        t = 1, 2, 3

From t = 1 on rows are divided into two halves (groups stay whole), and each half is scored by the forest of
the other, so that no row vouches for itself. Where domains are named, the median score of its domain is taken
from each score: the normals of a rare domain are otherwise the first to be suspected.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from unseen.checks import check_choice, check_real
from unseen.scoring.contamination import estimate_contamination
from unseen.types import BoolArray, FloatArray, StrArray

Trim = float | Literal["auto"] | None
"""What detectors take as ``trim``; see :func:`kept_after_trimming`."""

CORE = 0.65
"""h: contaminants may be up to a third of the rows."""

ROUNDS = 3
_TREES, _LAST_TREES = 100, 300
_TREE_ROWS = 256
_FEWEST_ROWS = 8


def concentrated_scores(
    rows: FloatArray,
    seed: int,
    *,
    domains: StrArray | None = None,
    halves: BoolArray | None = None,
    rounds: int = ROUNDS,
) -> NDArray[np.float64]:
    """Return the score s_3 of each row; higher = more anomalous.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        What is taken for normal.
    seed : int
        Grows the trees and, without ``halves``, divides the rows.
    domains : str array of shape (n_rows,) or None
        Domain of each row.
    halves : bool array of shape (n_rows,) or None
        Which rows make up one of the two halves. None: drawn.
    rounds : int
        The last t.

    Returns
    -------
    float64 array of shape (n_rows,)
        With fewer than 8 rows all are equal.
    """
    n_rows = len(rows)
    if n_rows < _FEWEST_ROWS:
        return np.full(n_rows, 0.5)
    rng = np.random.default_rng(seed)
    if halves is None:
        halves = np.zeros(n_rows, dtype=np.bool_)
        halves[rng.permutation(n_rows)[: n_rows // 2]] = True
    values = rows.astype(np.float32)
    scores = centred_by_domain(_scores(values, values, _TREES, rng), domains)
    for number in range(1, rounds + 1):
        n_trees = _LAST_TREES if number == rounds else _TREES
        core = core_of(scores)
        for half in (halves, ~halves):
            learn_from = core & ~half if np.any(core & ~half) else core
            if half.any():
                scores[half] = _scores(values[learn_from], values[half], n_trees, rng)
        scores = centred_by_domain(scores, domains)
    return scores


def core_of(scores: NDArray[np.float64]) -> BoolArray:
    """Return which rows are the share h with the lowest scores.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Higher = more anomalous.

    Returns
    -------
    bool array of shape (n_rows,)
    """
    core = np.zeros(len(scores), dtype=np.bool_)
    core[np.argsort(scores, kind="stable")[: int(np.ceil(CORE * len(scores)))]] = True
    return core


def centred_by_domain(scores: NDArray[np.float64], domains: StrArray | None) -> NDArray[np.float64]:
    """Return each score minus the median of its domain; the scores as they are without named domains.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Scores.
    domains : str array of shape (n_rows,) or None
        Domain of each row.

    Returns
    -------
    float64 array of shape (n_rows,)
    """
    if domains is None:
        return scores
    names, codes = np.unique(domains, return_inverse=True)
    if len(names) < 2:
        return scores
    medians = np.array([np.median(scores[codes == code]) for code in range(len(names))])
    return np.asarray(scores - medians[codes])


def kept_after_trimming(
    rows: FloatArray, trim: Trim, seed: int, domains: StrArray | None = None
) -> BoolArray:
    """Return which rows stay when the most suspicious ones are left out.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        What is taken for normal.
    trim : float in [0, 0.5], "auto" or None
        The share to leave out (rounded down); ``"auto"``: as many as :func:`estimate_contamination` believes
        to be anomalous; None: nothing.
    seed, domains
        See :func:`concentrated_scores`.

    Returns
    -------
    bool array of shape (n_rows,)
    """
    keep = np.ones(len(rows), dtype=np.bool_)
    if trim is None or trim == 0:
        return keep
    scores = concentrated_scores(rows, seed, domains=domains)
    if isinstance(trim, str):
        keep = scores <= estimate_contamination(scores).threshold
    else:
        n_left_out = int(trim * len(rows) + 1e-9)
        keep[np.argsort(-scores, kind="stable")[:n_left_out]] = False
    return keep


def check_trim(owner: object, trim: object) -> None:
    """Raise ParameterError unless this is a ``trim`` that :func:`kept_after_trimming` takes.

    Parameters
    ----------
    owner : object
        Whose parameter it is, for the message.
    trim : object
        As given to its constructor.
    """
    if isinstance(trim, str):
        check_choice(owner, "trim", trim, ["auto"])
    elif trim is not None:
        check_real(owner, "trim", trim, minimum=0, maximum=0.5)


def _scores(
    learn_from: FloatArray, rows: FloatArray, n_trees: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    forest = IsolationForest(
        n_estimators=n_trees,
        max_samples=min(_TREE_ROWS, len(learn_from)),
        random_state=int(rng.integers(2**31)),
    )
    forest.fit(learn_from)
    return np.asarray(-forest.score_samples(rows), dtype=np.float64)
