"""How much a head that knows some kinds may say about all others.

The fused score of multi-directional meta-learning is ``novelty + w · log(1 + exp(a'))`` with a' the head's
log-odds in robust units of normals. Each known kind is scored by the *companion* head that never met it, as
an unseen kind would be, and w is chosen from what that does to the AUROC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.latent_novelty import robust_location
from unseen.metrics.ranking import auroc
from unseen.types import NORMAL_KIND, StrArray

HEAD_WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""The weights to choose from."""

USUAL_HEAD_WEIGHT = 0.25


def left_out_table(
    novelty: NDArray[np.float64],
    evidence: Mapping[str, NDArray[np.float64]],
    y: NDArray[np.bool_],
    kinds: NDArray[np.str_],
) -> NDArray[np.float64]:
    """Return the AUROC of the fused score on each left-out kind with each of ``HEAD_WEIGHTS``.

    Parameters
    ----------
    novelty : float64 array of shape (n_rows,)
        Label-free score of normals and known anomalies.
    evidence : mapping of str to float64 array of shape (n_rows,)
        For each kind a', the log-odds of the head that never met it, in robust units.
    y : bool array of shape (n_rows,)
        Which rows are anomalies.
    kinds : str array of shape (n_rows,)
        Kind of each anomaly.

    Returns
    -------
    float64 array of shape (n_kinds, n_weights)
    """
    table = []
    for kind, log_odds in evidence.items():
        judged = ~y | (kinds == kind)
        added = np.logaddexp(0, log_odds[judged])
        table.append([auroc(y[judged], novelty[judged] + weight * added) for weight in HEAD_WEIGHTS])
    return np.array(table)


def guarded_weight(
    table: NDArray[np.float64], weights: Sequence[float], *, usual_weight: float, tolerance: float
) -> float:
    """Choose the weight of the head from what it does on kinds left out.

    Few labelled rows measure an AUROC only roughly. So a small usual weight is the rule; it gives way to a
    smaller one where a left-out kind loses by it, and to another one only for a gain beyond the tolerance.

    Parameters
    ----------
    table : float64 array of shape (n_kinds, n_weights)
        AUROC on each left-out kind with each weight.
    weights : sequence of float
        The weights, rising from 0.
    usual_weight : float >= 0
        The weight to take unless the table speaks against it.
    tolerance : float >= 0
        A weight is refused if some kind loses more than this against the first one, and preferred to the
        usual one if the mean gains more than this.

    Returns
    -------
    float
        One of ``weights``.
    """
    accepted = np.all(table >= table[:, :1] - tolerance, axis=0)
    usual = max(i for i, weight in enumerate(weights) if accepted[i] and weight <= usual_weight)
    means = np.where(accepted, table.mean(axis=0), -np.inf)
    best = int(np.argmax(means))
    return float(weights[best if means[best] > means[usual] + tolerance else usual])


def weight_of_head(
    so_far: NDArray[np.float64],
    log_odds: Mapping[str, NDArray[np.float64]],
    y: NDArray[np.bool_],
    anomaly_kinds: StrArray,
    *,
    tolerance: float,
) -> float:
    """Return w, from what companion heads do on the kinds they never met.

    Parameters
    ----------
    so_far : float64 array of shape (n_rows,)
        Score without a head, of validation normals and then of known anomalies.
    log_odds : mapping of str to float64 array of shape (n_rows,)
        For each kind the log-odds of its companion.
    y : bool array of shape (n_rows,)
        Which rows are anomalies.
    anomaly_kinds : str array of shape (n_anomalies,)
        Their kinds.
    tolerance : float >= 0
        See :func:`guarded_weight`.

    Returns
    -------
    float
        One of ``HEAD_WEIGHTS``.
    """
    evidence = {}
    for kind, values in log_odds.items():
        centre, spread = robust_location(values[~y])
        evidence[kind] = (values - centre) / spread
    kinds = np.concatenate([np.full(int((~y).sum()), NORMAL_KIND), anomaly_kinds])
    table = left_out_table(so_far, evidence, y, kinds)
    return guarded_weight(table, HEAD_WEIGHTS, usual_weight=USUAL_HEAD_WEIGHT, tolerance=tolerance)
