"""Split-conformal p-values and the selection of rows at a false discovery rate.

A p-value compares a row's score with the scores of *calibration normals*, which no part of the fit has seen.
With ``n`` of them no p-value can be smaller than ``1 / (n + 1)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_int, check_real
from unseen.errors import InputError
from unseen.types import BoolArray


def check_scores(owner: object, scores: ArrayLike, *, name: str = "scores") -> NDArray[np.float64]:
    """Return scores as a float64 vector; ±inf may occur, NaN may not.

    Parameters
    ----------
    owner : object
        Who asks, for the message.
    scores : array-like of shape (n_rows,)
        Anomaly scores.
    name : str
        The argument's name for the message.

    Returns
    -------
    float64 array of shape (n_rows,)

    Raises
    ------
    InputError
        If the scores are not one-dimensional or hold NaN.
    """
    who = owner if isinstance(owner, str) else type(owner).__name__
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{who}: {name} must have one dimension, got shape {array.shape}.")
    missing = np.isnan(array)
    if missing.any():
        raise InputError(
            f"{who}: {name} must not be NaN, got NaN at row {int(np.argmax(missing))} "
            f"({int(missing.sum())} such values)."
        )
    return array


def conformal_p_values(calibration_scores: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    r"""Return the split-conformal p-value of each score.

    .. math:: p(s) = \frac{1 + \#\{i : c_i \ge s\}}{n + 1}

    for the ``n`` calibration scores ``c`` (Vovk, Gammerman and Shafer 2005; Bates, Candès, Lei, Romano and
    Sesia 2023, eq. 4). If a fresh normal row is exchangeable with the calibration normals,
    ``P(p <= a) <= a`` for every ``a``; ties only make p larger.

    Parameters
    ----------
    calibration_scores : array-like of shape (n_calibration,)
        Scores of normals that were not fitted on, in any order (sorted input costs nothing extra). At least
        one.
    scores : array-like of shape (n_rows,)
        Scores to judge; higher = more anomalous.

    Returns
    -------
    float64 array of shape (n_rows,)
        In ``[1 / (n_calibration + 1), 1]``.

    Raises
    ------
    InputError
        If there is no calibration score, or a score is NaN.
    """
    calibration = check_scores("conformal_p_values", calibration_scores, name="calibration_scores")
    rows = check_scores("conformal_p_values", scores)
    n = len(calibration)
    if n == 0:
        raise InputError("conformal_p_values: calibration_scores must hold at least one score, got none.")
    if n > 1 and np.any(calibration[1:] < calibration[:-1]):
        calibration = np.sort(calibration)
    at_least = n - np.searchsorted(calibration, rows, side="left")
    return np.asarray((1.0 + at_least) / (n + 1.0), dtype=np.float64)


def smallest_p(n_calibration: int) -> float:
    """Return the smallest p-value that ``n_calibration`` calibration normals allow: ``1 / (n + 1)``.

    Parameters
    ----------
    n_calibration : int
        The number of calibration normals, >= 0.

    Returns
    -------
    float
    """
    return 1.0 / (check_int("smallest_p", "n_calibration", n_calibration, minimum=0) + 1)


def benjamini_hochberg(p_values: ArrayLike, rate: float) -> BoolArray:
    r"""Select rows so that at most a share ``rate`` of the selected ones is expected to be normal.

    With the sorted p-values :math:`p_{(1)} \le \dots \le p_{(m)}`, all rows with
    :math:`p \le p_{(k)}` are selected, where :math:`k = \max\{i : p_{(i)} \le i \cdot rate / m\}`
    (Benjamini and Hochberg 1995). Conformal p-values that share their calibration normals are positively
    dependent, under which the guarantee holds (Bates et al. 2023, Theorem 2).

    Parameters
    ----------
    p_values : array-like of shape (n_rows,)
        In [0, 1].
    rate : float in (0, 1)
        The false discovery rate.

    Returns
    -------
    bool array of shape (n_rows,)
        True for the selected rows.

    Raises
    ------
    InputError
        If a p-value is NaN or outside [0, 1], or ``rate`` outside (0, 1).
    """
    level = check_real(
        "benjamini_hochberg", "rate", rate, minimum=0, maximum=1, open_minimum=True, open_maximum=True
    )
    p = check_scores("benjamini_hochberg", p_values, name="p_values")
    m = len(p)
    if m == 0:
        return np.zeros(0, dtype=np.bool_)
    if p.min() < 0 or p.max() > 1:
        raise InputError(f"benjamini_hochberg: p_values must lie in [0, 1], got {p.min():g} to {p.max():g}.")
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered <= np.arange(1, m + 1) * level / m)
    if len(passing) == 0:
        return np.zeros(m, dtype=np.bool_)
    return np.asarray(p <= ordered[passing[-1]], dtype=np.bool_)
