"""Bringing several cues to one score, or several p-values to one.

Scores of different detectors have different units. Either each is placed on the scale of the calibration
normals and summed, or each is turned into a p-value and these are combined by a rule that stays (nearly)
valid when the cues depend on one another, as cues of the same row always do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from unseen.errors import InputError, ParameterError
from unseen.scoring.conformal import check_scores
from unseen.scoring.logistic import robust_location

_SMALLEST_P = 1e-300


def log_scaled_robust_z(scores: ArrayLike, normal_scores: ArrayLike) -> NDArray[np.float64]:
    r"""Place scores on the log scale of the normals, in robust standard deviations.

    .. math:: z(s) = \frac{l(s) - \operatorname{med} l(n)}{1.4826 \operatorname{MAD} l(n)},
        \qquad l(s) = \operatorname{sign}(s - m) \log\left(1 + \frac{|s - m|}{\sigma}\right)

    where ``m`` is the smallest finite normal score and :math:`\sigma` the distance of the normals' median
    from it: ``l`` is log(1 + x) for a score that is a distance, whatever its unit. Where the median equals
    the smallest score their robust spread takes its place.

    Parameters
    ----------
    scores : array-like of shape (n_rows,)
        Scores to place; ±inf stay ±inf.
    normal_scores : array-like of shape (n_normals,)
        Scores of normals that were not fitted on, at least one finite.

    Returns
    -------
    float64 array of shape (n_rows,)
        0 at the median of the normals; rising with the score.

    Raises
    ------
    InputError
        If a score is NaN or no normal score is finite.
    """
    rows = check_scores("log_scaled_robust_z", scores)
    normals = check_scores("log_scaled_robust_z", normal_scores, name="normal_scores")
    normals = normals[np.isfinite(normals)]
    if len(normals) == 0:
        raise InputError("log_scaled_robust_z: normal_scores must hold at least one finite score.")
    lowest = float(normals.min())
    unit = float(np.median(normals)) - lowest
    if unit <= 1e-12 * max(abs(lowest), 1e-288):
        unit = robust_location(normals)[1]
    centre, spread = robust_location(_signed_log(normals, lowest, unit))
    return (_signed_log(rows, lowest, unit) - centre) / spread


def sum_fusion(cues: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the weighted mean of cues that share one scale.

    Parameters
    ----------
    cues : array-like of shape (n_rows, n_cues)
        One column a cue, for instance from :func:`log_scaled_robust_z`. Not NaN; +inf wins over all but -inf.
    weights : array-like of shape (n_cues,) or None
        Not negative, not all 0; they are divided by their sum. None: equal.

    Returns
    -------
    float64 array of shape (n_rows,)

    Raises
    ------
    InputError
        If cues are NaN or not two-dimensional, or a row holds +inf and -inf at once.
    ParameterError
        If the weights are unusable.
    """
    columns = _columns("sum_fusion", "cues", cues)
    shares = _shares("sum_fusion", weights, columns.shape[1])
    used = columns[:, shares > 0]
    if np.any(np.isposinf(used).any(axis=1) & np.isneginf(used).any(axis=1)):
        raise InputError("sum_fusion: cues must not hold +inf and -inf in one row.")
    return np.asarray(np.sum(used * shares[shares > 0], axis=1), dtype=np.float64)


def harmonic_p(p_values: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Return the weighted harmonic mean of p-values, made valid under any dependence.

    .. math:: \min\left(1,\; T(w) \Big/ \sum_i \frac{w_i}{p_i}\right)

    with the factor of :func:`harmonic_factor`. For one cue it is that cue's p-value.

    Parameters
    ----------
    p_values : array-like of shape (n_rows, n_cues)
        In (0, 1].
    weights : array-like of shape (n_cues,) or None
        Not negative, not all 0; cues of weight 0 are left out. None: equal.

    Returns
    -------
    float64 array of shape (n_rows,)
        In (0, 1].

    Raises
    ------
    InputError
        If a p-value is outside (0, 1].
    ParameterError
        If the weights are unusable.
    """
    p, shares = _p_values("harmonic_p", p_values, weights)
    if p.shape[1] == 1:
        return p[:, 0]
    mean = 1.0 / np.sum(shares / p, axis=1)
    return np.asarray(np.minimum(1.0, harmonic_factor(shares) * mean), dtype=np.float64)


def harmonic_factor(weights: ArrayLike) -> float:
    r"""Return the factor that makes a weighted harmonic mean of p-values a p-value.

    .. math:: T(w) = \inf_{0 < r < 1} \frac{1}{1 - r} \sum_i w_i \log\left(1 + \frac{1 - r}{r w_i}\right)

    Why it is valid: write :math:`x_i = 1 / (T p_i)`. If :math:`\sum w_i x_i \ge 1/\alpha` then, for
    :math:`s = r/\alpha`, also :math:`\sum w_i \min((x_i - s)_+, (1/\alpha - s)/w_i) \ge 1/\alpha - s`. Since
    :math:`P(x_i > x) \le 1/(T x)` the expectation of the left side is at most
    :math:`\sum w_i \log(1 + (1 - r)/(r w_i)) / T`, and Markov's inequality gives probability at most
    :math:`\alpha`, whatever the dependence. For equal weights it is the optimal factor of Vovk and Wang
    (2020).

    Parameters
    ----------
    weights : array-like of shape (n_cues,)
        Positive; divided by their sum.

    Returns
    -------
    float
        1 for one cue, 2 for two equal ones, about log(n_cues) for many; never above n_cues.

    Raises
    ------
    ParameterError
        If the weights are unusable.
    """
    given = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    shares = _shares("harmonic_factor", given, len(given))
    shares = shares[shares > 0]

    def factor(r: float) -> float:
        return float(np.sum(shares * np.log1p((1 - r) / (r * shares))) / (1 - r))

    best = minimize_scalar(factor, bounds=(1e-6, 1 - 1e-6), method="bounded")
    return min(float(best.fun), float(len(shares)))


def cauchy_p(p_values: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Return the Cauchy combination of p-values.

    .. math:: T = \sum_i w_i \tan\{(0.5 - p_i)\pi\}, \qquad p = 0.5 - \arctan(T)/\pi

    (Liu and Xie 2020.) Exact for independent p-values, and close for small p under dependence; unlike
    :func:`harmonic_p` it is no guarantee at moderate p, but it loses much less power.

    Parameters
    ----------
    p_values : array-like of shape (n_rows, n_cues)
        In (0, 1]. A p-value of exactly 1 pulls the combination to 1 whatever the others say, so conformal
        p-values of 1 are read as ``1 - 1e-9``.
    weights : array-like of shape (n_cues,) or None
        Not negative, not all 0; cues of weight 0 are left out. None: equal.

    Returns
    -------
    float64 array of shape (n_rows,)
        In (0, 1).

    Raises
    ------
    InputError
        If a p-value is outside (0, 1].
    ParameterError
        If the weights are unusable.
    """
    p, shares = _p_values("cauchy_p", p_values, weights)
    p = np.clip(p, _SMALLEST_P, 1 - 1e-9)
    # 1 / tan(pi p) is tan((0.5 - p) pi) without the loss of digits near p = 0.
    statistic = np.sum(shares / np.tan(np.pi * p), axis=1)
    return np.asarray(np.arctan2(1.0, statistic) / np.pi, dtype=np.float64)


def bonferroni_p(p_values: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Return the smallest p-value after a Bonferroni split, :math:`\min(1, \min_i p_i / w_i)`.

    Valid under any dependence, since the error rate is split into shares :math:`w_i` that sum to 1.

    Parameters
    ----------
    p_values : array-like of shape (n_rows, n_cues)
        In (0, 1].
    weights : array-like of shape (n_cues,) or None
        Not negative, not all 0; cues of weight 0 are left out. None: equal.

    Returns
    -------
    float64 array of shape (n_rows,)
        In (0, 1].

    Raises
    ------
    InputError
        If a p-value is outside (0, 1].
    ParameterError
        If the weights are unusable.
    """
    p, shares = _p_values("bonferroni_p", p_values, weights)
    return np.asarray(np.minimum(1.0, np.min(p / shares, axis=1)), dtype=np.float64)


def _signed_log(values: NDArray[np.float64], origin: float, unit: float) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        shifted = (values - origin) / unit
    return np.asarray(np.sign(shifted) * np.log1p(np.abs(shifted)), dtype=np.float64)


def _columns(owner: str, name: str, values: ArrayLike) -> NDArray[np.float64]:
    columns = np.asarray(values, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[1] == 0:
        raise InputError(f"{owner}: {name} must have 2 dimensions (rows, cues), got shape {columns.shape}.")
    if np.isnan(columns).any():
        raise InputError(f"{owner}: {name} must not be NaN.")
    return columns


def _shares(owner: str, weights: ArrayLike | None, n_cues: int) -> NDArray[np.float64]:
    shares = np.ones(n_cues) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != (n_cues,):
        raise ParameterError(
            f"{owner}: weights must have one value a cue ({n_cues}), got shape {shares.shape}."
        )
    if not np.all(np.isfinite(shares)) or shares.min() < 0 or shares.sum() <= 0:
        raise ParameterError(f"{owner}: weights must be finite, not negative and not all 0, got {weights!r}.")
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _p_values(
    owner: str, p_values: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The p-values and shares of the cues whose weight is not 0."""
    p = _columns(owner, "p_values", p_values)
    if p.size and (p.min() <= 0 or p.max() > 1):
        raise InputError(f"{owner}: p_values must lie in (0, 1], got {p.min():g} to {p.max():g}.")
    shares = _shares(owner, weights, p.shape[1])
    return p[:, shares > 0], shares[shares > 0]
