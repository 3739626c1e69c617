"""A monotone logistic curve from scores to probabilities that stays stable with very few anomalies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from unseen.types import BoolArray

SLOPE_MEAN = 1.0
"""Prior mean of the slope: far out, the odds of an anomaly grow in proportion to the score's distance."""

SLOPE_SPREAD = 1.0
"""Prior standard deviation of the slope."""

SMALLEST_SLOPE = 1e-3
"""The slope never falls below this, so that probabilities keep rising with the score."""

_LARGEST_POSITION = 50.0
"""Positions are clipped to ± this while fitting, so that infinite scores stay finite there."""


class LogisticCurve(NamedTuple):
    """Parameters of ``P(anomaly | s) = expit(intercept + slope * asinh((s - centre) / scale))``.

    Attributes
    ----------
    centre : float
        Median of the finite calibration normals' scores.
    scale : float
        Their robust spread; positive.
    intercept : float
        Log-odds at ``centre``.
    slope : float
        Rise of the log-odds, >= ``SMALLEST_SLOPE``.
    """

    centre: float
    scale: float
    intercept: float
    slope: float


def robust_location(normal_scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return median and spread (1.4826 × median absolute deviation) of the finite scores.

    Where more than half of the scores are equal the mean absolute deviation (× 1.2533) stands in, and 1 where
    all are; 0 and 1 where none is finite. The spread is never so small that dividing by it would overflow.

    Parameters
    ----------
    normal_scores : float64 array of shape (n,)
        Scores of normals; ±inf are left out.

    Returns
    -------
    tuple of (float, float)
        Centre and positive spread.
    """
    finite = normal_scores[np.isfinite(normal_scores)]
    if len(finite) == 0:
        return 0.0, 1.0
    largest = float(np.max(np.abs(finite)))
    unit = largest if largest > 1e150 else 1.0  # sums of huge scores would overflow
    centre = float(np.median(finite / unit))
    distance = np.abs(finite / unit - centre)
    for spread in (1.4826 * float(np.median(distance)), 1.2533 * float(np.mean(distance))):
        if spread > 1e-12 * max(abs(centre), 1e-288):
            return centre * unit, min(spread, 1.0) * unit if unit > 1 else spread
    return centre * unit, unit


def positions(scores: NDArray[np.float64], centre: float, scale: float) -> NDArray[np.float64]:
    r"""Return the log-scaled robust position of each score, :math:`\operatorname{asinh}((s - c) / \sigma)`.

    Linear within a spread of the centre, logarithmic beyond, strictly rising, and ±inf at ±inf.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Anomaly scores.
    centre, scale : float
        From :func:`robust_location`.

    Returns
    -------
    float64 array of shape (n_rows,)
    """
    with np.errstate(over="ignore"):
        return np.asarray(np.arcsinh((scores - centre) / scale), dtype=np.float64)


def fit_logistic(scores: NDArray[np.float64], anomalous: BoolArray) -> LogisticCurve:
    r"""Fit the curve to validation rows by maximum a posteriori.

    Minimises :math:`\sum_i \log(1 + e^{-\tilde y_i (a + b t_i)}) + (b - 1)^2 / 2` over the intercept ``a``
    (no prior) and the slope ``b >= 0.001``, where ``t`` is :func:`positions` and :math:`\tilde y = \pm 1`:
    Platt's (1999) scaling with a Gaussian prior N(1, 1) on the slope. The problem is convex. The prior holds
    the slope finite when a handful of anomalies is separated perfectly; the free intercept makes the mean
    probability over the pool equal its share of anomalies.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Scores of validation rows; ±inf allowed.
    anomalous : bool array of shape (n_rows,)
        Which of them are anomalies; both sorts must occur.

    Returns
    -------
    LogisticCurve
    """
    centre, scale = robust_location(scores[~anomalous])
    t = np.clip(positions(scores, centre, scale), -_LARGEST_POSITION, _LARGEST_POSITION)
    target = anomalous.astype(np.float64)
    n = len(t)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        intercept, slope = parameters
        eta = intercept + slope * t
        pull = (slope - SLOPE_MEAN) / SLOPE_SPREAD**2
        value = np.sum(np.logaddexp(0, eta) - target * eta) + pull * (slope - SLOPE_MEAN) / 2
        error = expit(eta) - target
        return float(value) / n, np.array([error.sum(), error @ t + pull]) / n

    start = np.array([float(logit(target.mean())) - SLOPE_MEAN * float(np.median(t)), SLOPE_MEAN])
    bounds = [(None, None), (SMALLEST_SLOPE, None)]
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 500}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return LogisticCurve(centre, scale, float(found.x[0]), float(found.x[1]))


def curve_without_anomalies(normal_scores: NDArray[np.float64], threshold: float) -> LogisticCurve:
    """Return the curve that stands in when no anomaly was seen: prior slope, one half at the threshold.

    Parameters
    ----------
    normal_scores : float64 array of shape (n,)
        Scores of calibration normals.
    threshold : float
        Where the probability is 0.5; if infinite, the largest finite normal score takes its place.

    Returns
    -------
    LogisticCurve
    """
    centre, scale = robust_location(normal_scores)
    if not np.isfinite(threshold):
        finite = normal_scores[np.isfinite(normal_scores)]
        threshold = float(finite.max()) if len(finite) else centre
    at_threshold = float(positions(np.array([threshold]), centre, scale)[0])
    return LogisticCurve(centre, scale, -SLOPE_MEAN * at_threshold, SLOPE_MEAN)


def probabilities(
    scores: NDArray[np.float64], curve: LogisticCurve, *, fitted_prior: float, prior: float
) -> NDArray[np.float64]:
    r"""Evaluate the curve, moved from the pool's share of anomalies to another one.

    .. math:: \operatorname{expit}(a + b\,t(s) + \operatorname{logit}(\pi) - \operatorname{logit}(\pi_0))

    (Saerens, Latinne and Decaestecker 2002, for a shift of the class prior alone.)

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Anomaly scores.
    curve : LogisticCurve
        The curve.
    fitted_prior : float in (0, 1)
        Share of anomalies for which the curve holds, :math:`\pi_0`.
    prior : float in (0, 1)
        Share of anomalies among the rows scored, :math:`\pi`.

    Returns
    -------
    float64 array of shape (n_rows,)
        P(anomaly), rising with the score until float64 cannot tell it from 1.
    """
    shift = float(logit(prior) - logit(fitted_prior))
    t = positions(scores, curve.centre, curve.scale)
    return np.asarray(expit(curve.intercept + shift + curve.slope * t), dtype=np.float64)
