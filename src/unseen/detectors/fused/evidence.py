"""What labels may add to novelty: they raise rows that are near labelled anomalies, and hardly others.

::

    local(x)  = P(x) · g(x),            g(x) = 1 / (1 + ((d_a + e) / (d_n + e))⁴)
    wide(x)   = log(1 + exp((logit P(x) − c) / s))

P(x) is the share of anomalies in the leaves of trees grown on the row and its novelty cues (trees that know
how unusual a row is need not guess it from single columns); d_a and d_n are the distances to the nearest
labelled anomaly and the nearest normal, e a hundredth of the usual distance between normals; c and s are
centre and spread of logit P over held-back normals. The gate g leaves a row alone unless a labelled anomaly
is about as near as a normal. Known kinds gain by it, and what lies elsewhere keeps its novelty.

The wide term acts everywhere. It says of a kind that nobody labelled whatever the trees happen to say there,
so it is used only where whole domains left out show that it helps kinds left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.baselines.k_nearest_neighbours import nearest_rows
from unseen.detectors.fused.forest import Forest, grow_forest
from unseen.scoring.logistic import robust_location
from unseen.types import FloatArray, StrArray

_SHARPNESS = 4.0
_SMALLEST_SHARE = 1e-3
_DECIMALS = 4


@dataclass(frozen=True)
class LabelledRows:
    """Labelled anomalies as one view sees them, and trees grown on them.

    Attributes
    ----------
    rows : float array of shape (n_labelled, n_features)
        The anomalies.
    kinds : str array of shape (n_labelled,)
        Their kinds.
    centre : float64 array of shape (n_features,)
        Their mean, for the search.
    forest : Forest
        Grown on the features and the placed cues.
    """

    rows: FloatArray
    kinds: StrArray
    centre: NDArray[np.float64]
    forest: Forest


@dataclass(frozen=True)
class Evidence:
    """What labels say about rows.

    Attributes
    ----------
    probability : float64 array of shape (n_rows,)
        P.
    gate : float64 array of shape (n_rows,)
        g.
    nearest : int64 array of shape (n_rows,)
        Position of the nearest labelled anomaly.
    """

    probability: NDArray[np.float64]
    gate: NDArray[np.float64]
    nearest: NDArray[np.int64]

    @property
    def local(self) -> NDArray[np.float64]:
        """P · g, shape (n_rows,), in [0, 1]."""
        return self.probability * self.gate

    def log_odds(self) -> NDArray[np.float64]:
        """Return logit P of each row, shape (n_rows,), kept finite."""
        share = np.clip(self.probability, _SMALLEST_SHARE, 1 - _SMALLEST_SHARE)
        return np.asarray(np.log(share / (1 - share)))

    def wide(self, centre: float, spread: float) -> NDArray[np.float64]:
        """Return the wide term of each row, shape (n_rows,).

        Parameters
        ----------
        centre, spread : float
            Of the normals' log-odds.
        """
        return np.asarray(np.logaddexp(0, (self.log_odds() - centre) / spread))


def tree_features(V: FloatArray, placed: NDArray[np.float64]) -> FloatArray:
    """Return what the trees see: the row and its placed cues, float32."""
    return np.concatenate([V, np.round(placed, _DECIMALS)], axis=1).astype(np.float32)


def learn_labels(
    normals: tuple[FloatArray, NDArray[np.float64]],
    anomalies: tuple[FloatArray, NDArray[np.float64]],
    kinds: StrArray,
    *,
    n_trees: int,
    seed: int,
    n_jobs: int,
) -> LabelledRows:
    """Grow trees on normals and labelled anomalies; each side, and each kind, weighs the same.

    Parameters
    ----------
    normals, anomalies : pair of float arrays of shapes (n_rows, n_features) and (n_rows, n_cues)
        Rows and their placed cues, as if no cue had been fitted on them.
    kinds : str array of shape (n_anomalies,)
        Kind of each anomaly.
    n_trees, seed, n_jobs : int
        Number of trees, their seed, and the threads to grow them with.

    Returns
    -------
    LabelledRows
    """
    _names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    of_kinds = 1.0 / (counts[codes] * len(counts))
    n_rows = len(normals[0]) + len(kinds)
    weights = np.concatenate([np.full(len(normals[0]), 1 / len(normals[0])), of_kinds]) * n_rows / 2
    X = np.concatenate([tree_features(*normals), tree_features(*anomalies)])
    y = np.arange(n_rows) >= len(normals[0])
    forest = grow_forest(X, y, weights, n_trees=n_trees, max_features=0.5, seed=seed, n_jobs=n_jobs)
    rows = np.ascontiguousarray(anomalies[0])
    return LabelledRows(rows, kinds, rows.mean(axis=0, dtype=np.float64), forest)


def evidence_of(
    labelled: LabelledRows,
    V: FloatArray,
    placed: NDArray[np.float64],
    nearest_normal: NDArray[np.float64],
    usual: float,
) -> Evidence:
    """Return what labels say about rows.

    Parameters
    ----------
    labelled : LabelledRows
        The anomalies and the trees.
    V : float array of shape (n_rows, n_features)
        The rows.
    placed : float64 array of shape (n_rows, n_cues)
        Their placed cues.
    nearest_normal : float64 array of shape (n_rows,)
        d_n.
    usual : float
        The usual distance between neighbouring normals.

    Returns
    -------
    Evidence
    """
    distances, positions = nearest_rows(V, labelled.rows, labelled.centre, 1)
    floor = 0.01 * usual
    ratio = (distances[:, 0] + floor) / (nearest_normal + floor)
    with np.errstate(over="ignore"):
        gate = 1.0 / (1.0 + ratio**_SHARPNESS)
    return Evidence(labelled.forest.probability(tree_features(V, placed)), gate, positions[:, 0])


def log_odds_location(log_odds: NDArray[np.float64]) -> tuple[float, float]:
    """Return centre and spread of the normals' log-odds; the spread is at least .5."""
    centre, spread = robust_location(log_odds)
    return centre, max(spread, 0.5)
