r"""Weights of a geometric mean of cues, learned from a few labelled anomalies with given weights as a prior.

With the logarithms :math:`x` of the cues of n normals and m anomalies, each by heads that have not seen them,
standardised by the normals, weights are the slopes of a logistic regression

.. math::
    \min_{v \ge 0,\, b}\; \frac mn \sum_{\text{normals}} \log(1 + e^{v^\top x + b})
        + \sum_{\text{anomalies}} \log(1 + e^{-v^\top x - b}) + \lVert v - v_0 \rVert^2

where :math:`v_0` is the prior, scaled so that a deviation of the normals' fused logarithm counts for 2 in the
log-odds. Few anomalies leave the prior nearly as it is, so a cue that is no better than chance on this part
would keep much of its weight; :func:`skilled_prior` takes it away beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from unseen.metrics.ranking import auroc

_EVEN_COUNT_FOR = 2
_SLOPE = 2.0
_LEAST_SPREAD = 1e-3


def learned_weights(
    normals: NDArray[np.float64], anomalies: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weights of cues.

    Parameters
    ----------
    normals : float64 array of shape (n, n_cues)
        Logarithms of the cues of normals, at least one.
    anomalies : float64 array of shape (m, n_cues)
        Of labelled anomalies.
    prior : float64 array of shape (n_cues,)
        Weights to start from, >= 0, not all 0.

    Returns
    -------
    float64 array of shape (n_cues,)
        >= 0, of sum 1. The prior's shares without anomalies, or where every weight would be 0.
    """
    shares = np.asarray(prior, dtype=np.float64) / np.sum(prior)
    if len(anomalies) == 0:
        return shares
    centre = normals.mean(axis=0)
    scale = np.maximum(normals.std(axis=0), _LEAST_SPREAD)
    first = _SLOPE * shares * scale / max(float((normals @ shares).std()), _LEAST_SPREAD)
    rows = np.concatenate([normals - centre, anomalies - centre]) / scale
    signs = np.repeat([1.0, -1.0], [len(normals), len(anomalies)])
    counts = np.repeat([len(anomalies) / len(normals), 1.0], [len(normals), len(anomalies)])

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slopes, offset = values[:-1], values[-1]
        odds = signs * (rows @ slopes + offset)
        pulls = counts * signs * expit(odds)
        away = slopes - first
        value = float(counts @ np.logaddexp(0, odds) + away @ away)
        return value, np.append(pulls @ rows + 2 * away, pulls.sum())

    bounds = [(0.0, None)] * len(shares) + [(None, None)]
    found = minimize(loss, np.append(first, 0.0), jac=True, bounds=bounds, method="L-BFGS-B").x[:-1] / scale
    total = float(found.sum())
    return np.asarray(found / total if total > 0 else shares)


def skilled_prior(
    normals: NDArray[np.float64], anomalies: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Return prior weights of cues with less for those that do not tell anomalies from normals.

    .. math::
        w_c' \propto w_c \max(0, 2 a_c' - 1)^2, \qquad a_c' = \frac{m a_c + 2 \bar a}{m + 2}

    where :math:`a_c` is the AUROC of a cue, drawn to the mean of all cues as if two more anomalies had that.

    Parameters
    ----------
    normals, anomalies, prior
        As for :func:`learned_weights`.

    Returns
    -------
    float64 array of shape (n_cues,)
        >= 0, of sum 1; the prior's shares without anomalies, or if no cue tells them.

    Examples
    --------
    >>> import numpy as np
    >>> normals, anomalies = np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.5], [1.0, 0.5]])
    >>> skilled_prior(normals, anomalies, np.array([1.0, 1.0])).round(2).tolist()
    [0.9, 0.1]
    """
    shares = np.asarray(prior, dtype=np.float64) / np.sum(prior)
    if len(anomalies) == 0:
        return shares
    y = np.repeat([0, 1], [len(normals), len(anomalies)])
    each = np.array([auroc(y, cue) for cue in np.concatenate([normals, anomalies]).T])
    drawn = (len(anomalies) * each + _EVEN_COUNT_FOR * each.mean()) / (len(anomalies) + _EVEN_COUNT_FOR)
    found = shares * np.maximum(2 * drawn - 1, 0.0) ** 2
    return np.asarray(found / found.sum() if found.sum() > 0 else shares)
