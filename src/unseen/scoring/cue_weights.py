r"""Weights of a geometric mean of cues, learned from a few labelled anomalies with given weights as a prior.

With the logarithms :math:`x` of the cues of n normals and m anomalies, each by heads that have not seen them,
standardised by the normals, weights are the slopes of a logistic regression

.. math::
    \min_{v \ge 0,\, b}\; \frac mn \sum_{\text{normals}} \log(1 + e^{v^\top x + b})
        + \sum_{\text{anomalies}} \log(1 + e^{-v^\top x - b}) + \lVert v - v_0 \rVert^2

where :math:`v_0` is the prior, scaled so that a deviation of the normals' fused logarithm counts for 2 in the
log-odds. Few anomalies leave the prior nearly as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

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
