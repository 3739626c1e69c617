"""How far a measured figure may be from the true one.

Intervals of a single test set (AUROC, rates) speak of other rows from the same source. The spread over seeds
speaks of other draws of shots and splits. They answer different questions; report which one is meant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, norm, rankdata

from unseen.checks import check_int, check_real
from unseen.errors import InputError
from unseen.metrics.ranking import auroc, check_ranking


class Interval(NamedTuple):
    """An estimate and its confidence interval.

    Attributes
    ----------
    estimate : float
        The measured figure.
    low, high : float
        Ends of the interval.
    """

    estimate: float
    low: float
    high: float


class Spread(NamedTuple):
    """Mean and spread of one figure over seeds.

    Attributes
    ----------
    mean : float
        Arithmetic mean.
    standard_deviation : float
        With ``n - 1``; NaN for a single value.
    minimum, maximum : float
        The extremes.
    n : int
        How many values.
    """

    mean: float
    standard_deviation: float
    minimum: float
    maximum: float
    n: int


def delong_interval(y: ArrayLike, scores: ArrayLike, *, confidence: float = 0.95) -> Interval:
    r"""Return the AUROC with DeLong's interval, on the logit scale.

    With :math:`V_i` the share of normals below anomaly ``i`` and :math:`W_j` the share of anomalies above
    normal ``j`` (ties count one half), the variance is :math:`\operatorname{var}(V)/m +
    \operatorname{var}(W)/n` (DeLong, DeLong and Clarke-Pearson 1988), from mid-ranks (Sun and Xu 2014). The
    interval is symmetric in the logit, so it stays inside [0, 1] (Pepe 2003). Where the variance is 0 (a
    perfect ranking, or a perfectly wrong one) or undefined (a single anomaly or normal), it is Wilson's for
    ``min(m, n)`` trials: wide, but not empty.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.
    confidence : float in (0, 1)
        Coverage.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If scores are NaN, ``y`` is unusable (LabelError) or ``confidence`` outside (0, 1).
    """
    z = _normal_quantile("delong_interval", confidence)
    anomalous, values = check_ranking("delong_interval", y, scores)
    area = auroc(anomalous, values)
    m, n = int(anomalous.sum()), int((~anomalous).sum())
    ranks = rankdata(values)
    above = (ranks[anomalous] - rankdata(values[anomalous])) / n
    below = 1 - (ranks[~anomalous] - rankdata(values[~anomalous])) / m
    variance = np.var(above, ddof=1) / m + np.var(below, ddof=1) / n if min(m, n) > 1 else 0.0
    if variance <= 0 or area in (0.0, 1.0):
        low, high = _wilson(area, min(m, n), z)
        return Interval(area, low, high)
    half = z * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    return Interval(area, 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre)))


def hanley_mcneil_error(area: float, n_anomalies: int, n_normals: int) -> float:
    r"""Return the standard error of an AUROC from the area and the counts alone.

    .. math:: \sqrt{\frac{A(1-A) + (m-1)(Q_1 - A^2) + (n-1)(Q_2 - A^2)}{m n}},
        \quad Q_1 = \frac{A}{2-A},\; Q_2 = \frac{2A^2}{1+A}

    (Hanley and McNeil 1982.)

    Parameters
    ----------
    area : float in [0, 1]
        AUROC ``A``.
    n_anomalies, n_normals : int
        ``m`` and ``n``, >= 1.

    Returns
    -------
    float

    Raises
    ------
    ParameterError
        If an argument is outside its range.
    """
    who = "hanley_mcneil_error"
    a = check_real(who, "area", area, minimum=0, maximum=1)
    m = check_int(who, "n_anomalies", n_anomalies, minimum=1)
    n = check_int(who, "n_normals", n_normals, minimum=1)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n)
    return math.sqrt(max(variance, 0.0))


def bootstrap_interval(
    y: ArrayLike, scores: ArrayLike, *, seed: int, confidence: float = 0.95, n_resamples: int = 1000
) -> Interval:
    """Return the AUROC with its percentile bootstrap interval, normals and anomalies resampled apart.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : array-like of shape (n_rows,)
        Higher = more anomalous; ±inf allowed.
    seed : int
        Seed of the resampling.
    confidence : float in (0, 1)
        Coverage.
    n_resamples : int
        How many resamples, >= 1.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If scores are NaN, ``y`` is unusable (LabelError) or an argument is outside its range.
    """
    who = "bootstrap_interval"
    _normal_quantile(who, confidence)
    count = check_int(who, "n_resamples", n_resamples, minimum=1)
    rng = np.random.default_rng(check_int(who, "seed", seed, minimum=0))
    anomalous, values = check_ranking(who, y, scores)
    anomalies, normals = values[anomalous], values[~anomalous]
    _, levels = np.unique(values, return_inverse=True)
    levels = levels.reshape(-1)
    n_levels = int(levels.max()) + 1
    areas = np.empty(count)
    for i in range(count):
        hits = np.bincount(rng.choice(levels[anomalous], len(anomalies)), minlength=n_levels)
        passes = np.bincount(rng.choice(levels[~anomalous], len(normals)), minlength=n_levels)
        wins = hits @ (np.cumsum(passes) - 0.5 * passes)
        areas[i] = wins / (len(anomalies) * len(normals))
    low, high = np.quantile(areas, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(auroc(anomalous, values), float(low), float(high))


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return a rate with Wilson's score interval (1927), close to nominal coverage on average.

    Parameters
    ----------
    successes : int
        In ``[0, trials]``.
    trials : int
        >= 1.
    confidence : float in (0, 1)
        Coverage.

    Returns
    -------
    Interval

    Raises
    ------
    ParameterError
        If an argument is outside its range.
    """
    n = check_int("wilson_interval", "trials", trials, minimum=1)
    k = check_int("wilson_interval", "successes", successes, minimum=0, maximum=n)
    low, high = _wilson(k / n, n, _normal_quantile("wilson_interval", confidence))
    return Interval(k / n, low, high)


def clopper_pearson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    r"""Return a rate with Clopper and Pearson's interval (1934), which never covers less than stated.

    The ends are the :math:`\alpha/2` quantile of Beta(k, n - k + 1) and the :math:`1 - \alpha/2` quantile of
    Beta(k + 1, n - k).

    Parameters
    ----------
    successes : int
        ``k``, in ``[0, trials]``.
    trials : int
        ``n``, >= 1.
    confidence : float in (0, 1)
        Coverage :math:`1 - \alpha`.

    Returns
    -------
    Interval

    Raises
    ------
    ParameterError
        If an argument is outside its range.
    """
    who = "clopper_pearson_interval"
    n = check_int(who, "trials", trials, minimum=1)
    k = check_int(who, "successes", successes, minimum=0, maximum=n)
    _normal_quantile(who, confidence)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high)


def spread_over_seeds(values: ArrayLike) -> Spread:
    """Return mean and spread of one figure over seeds.

    Parameters
    ----------
    values : array-like of shape (n_seeds,)
        One figure a seed; at least one, no NaN.

    Returns
    -------
    Spread

    Raises
    ------
    InputError
        If there is no value, or one is NaN.
    """
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or np.isnan(array).any():
        raise InputError(
            f"spread_over_seeds: values must be a vector of numbers without NaN, got {values!r}."
        )
    deviation = float(np.std(array, ddof=1)) if len(array) > 1 else math.nan
    return Spread(float(array.mean()), deviation, float(array.min()), float(array.max()), len(array))


def _normal_quantile(owner: str, confidence: float) -> float:
    level = check_real(
        owner, "confidence", confidence, minimum=0, maximum=1, open_minimum=True, open_maximum=True
    )
    return float(norm.ppf((1 + level) / 2))


def _wilson(rate: float, n: int, z: float) -> tuple[float, float]:
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
