"""What labels may add to novelty: they raise rows that are like labelled anomalies, and hardly others.

::

    likeness(x) = logit P(x) + ½ B(x) − 2 log((d_a + e) / (d_n + e))
    local(x)    = P(x) · g(x),            g(x) = 1 / (1 + ((d_a + e) / (d_n + e))⁴)
    wide(x)     = log(1 + exp((O(x) − c) / s))

P(x) is the share of anomalies in the leaves of randomised trees, B(x) the log-odds of boosted ones, both
grown on the row and its novelty cues (trees that know how unusual a row is need not guess it from single
columns); d_a and d_n are the distances to the nearest labelled anomaly and the nearest normal, e a hundredth
of the usual distance between normals; O(x) are log-odds of a small network on a few numbers of the row
(:mod:`unseen.detectors.fused.common_signs`), c and s their centre and spread over held-back normals. Where
labels only say *anomaly*, leaves of the randomised trees hold five rows at least, and d_a is a mean over the
two nearest where twenty rows are labelled, over three from thirty on: one labelled row amid the normals says
little.

Without named domains the likeness counts (:mod:`unseen.detectors.fused.likeness`). With them the two other
terms do: the gate g leaves a row alone unless a labelled anomaly is about as near as a normal;
the wide term acts everywhere, and is used only where whole domains left out show that it helps kinds left
out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.forest import Forest, grow_forest
from unseen.detectors.labelled_trees import LabelledTrees, TreeMaterial, TreeOptions, grow_trees
from unseen.scoring.logistic import robust_location
from unseen.types import UNNAMED_DOMAIN, FloatArray, StrArray

_SHARPNESS = 4.0
_VOTE_OF_BOOSTED = 0.5
_VOTE_OF_NEARNESS = 2.0
_SUREST = 9.0
_BOOSTED_DEPTH = 6
_N_EDGES = 31
_LEAST_IN_LEAF = 5
_ROWS_A_NEIGHBOUR = 10
_MOST_NEAR = 3
_MOST_COLUMNS = 1_000
_SMALLEST_SHARE = 1e-3
_SMALLEST_RATIO = 1e-6
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
    boosted : LabelledTrees or None
        Grown on the same; None where only the other terms are used.
    n_near : int
        d_a is the mean distance to so many of the nearest anomalies.
    """

    rows: FloatArray
    kinds: StrArray
    centre: NDArray[np.float64]
    forest: Forest
    boosted: LabelledTrees | None
    n_near: int


@dataclass(frozen=True)
class Evidence:
    """What labels say about rows.

    Attributes
    ----------
    probability : float64 array of shape (n_rows,)
        P.
    boosted : float64 array of shape (n_rows,)
        B; zeros where no boosted trees were grown.
    ratio : float64 array of shape (n_rows,)
        (d_a + e) / (d_n + e).
    nearest : int64 array of shape (n_rows,)
        Position of the nearest labelled anomaly.
    """

    probability: NDArray[np.float64]
    boosted: NDArray[np.float64]
    ratio: NDArray[np.float64]
    nearest: NDArray[np.int64]

    @property
    def gate(self) -> NDArray[np.float64]:
        """g, shape (n_rows,), in [0, 1]."""
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + self.ratio**_SHARPNESS))

    @property
    def likeness(self) -> NDArray[np.float64]:
        """Log-odds of being like a labelled anomaly, shape (n_rows,)."""
        nearness = -_VOTE_OF_NEARNESS * np.log(self.ratio)
        return self.log_odds() + _VOTE_OF_BOOSTED * self.boosted_odds() + nearness

    @property
    def local(self) -> NDArray[np.float64]:
        """P · g, shape (n_rows,), in [0, 1]."""
        return self.probability * self.gate

    def log_odds(self) -> NDArray[np.float64]:
        """Return logit P of each row, shape (n_rows,), kept finite."""
        share = np.clip(self.probability, _SMALLEST_SHARE, 1 - _SMALLEST_SHARE)
        return np.asarray(np.log(share / (1 - share)))

    def boosted_odds(self) -> NDArray[np.float64]:
        """Return B of each row, shape (n_rows,), within ±9."""
        return np.asarray(np.clip(self.boosted, -_SUREST, _SUREST))


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
    boosted: bool = False,
    one_name: bool = False,
) -> LabelledRows:
    """Grow trees on normals and labelled anomalies; each side, and each kind, weighs the same.

    Parameters
    ----------
    normals, anomalies : pair of float arrays of shapes (n_rows, n_features) and (n_rows, n_cues)
        Rows and their placed cues, as if no cue had been fitted on them.
    kinds : str array of shape (n_anomalies,)
        Kind of each anomaly.
    n_trees, seed, n_jobs : int
        Number of trees of each sort, their seed, and the threads to grow them with.
    boosted : bool
        Whether to grow boosted trees, too.
    one_name : bool
        Whether labels only say *anomaly*, and no domains are named. Leaves of the randomised trees then hold
        five rows at least, so that no labelled row has one for itself, and d_a is a mean over up to three.

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
    columns = most_apart(X[~y], X[y], kinds)
    some = X if len(columns) == X.shape[1] else np.ascontiguousarray(X[:, columns])
    forest = grow_forest(
        some,
        y,
        weights,
        n_trees=n_trees,
        max_features=0.5,
        seed=seed,
        n_jobs=n_jobs,
        least_in_leaf=_LEAST_IN_LEAF if one_name else 1,
    )
    trees = _boost(some[~y], some[y], kinds, n_trees, seed) if boosted else None
    if len(columns) < X.shape[1]:
        forest = replace(forest, features=columns[forest.features])
        trees = None if trees is None else replace(trees, features=columns[trees.features])
    rows = np.ascontiguousarray(anomalies[0])
    n_near = how_many_near(len(kinds)) if one_name else 1
    return LabelledRows(rows, kinds, rows.mean(axis=0, dtype=np.float64), forest, trees, n_near)


def how_many_near(n_labelled: int) -> int:
    """Return over how many labelled anomalies d_a is a mean: a tenth of them, from 1 to 3.

    Parameters
    ----------
    n_labelled : int
        Of one name.
    """
    return int(np.clip(n_labelled // _ROWS_A_NEIGHBOUR, 1, _MOST_NEAR))


def _boost(
    normals: FloatArray, anomalies: FloatArray, kinds: StrArray, n_trees: int, seed: int
) -> LabelledTrees:
    """Grow boosted trees on columns cut at their quantiles, so that growing them need not look for cuts."""
    edges = _edges(normals, anomalies)
    nowhere = np.full(len(normals), UNNAMED_DOMAIN)
    here = np.full(len(kinds), UNNAMED_DOMAIN)
    material = TreeMaterial(_codes(normals, edges), nowhere, _codes(anomalies, edges), kinds, here)
    trees = grow_trees(material, TreeOptions(n_trees, _BOOSTED_DEPTH, np.random.default_rng(seed)))
    cuts = trees.cuts.copy()
    for node in np.flatnonzero(np.isfinite(cuts)):
        cuts[node] = edges[trees.features[node]][int(cuts[node])]
    return replace(trees, cuts=cuts)


def most_apart(normals: FloatArray, anomalies: FloatArray, kinds: StrArray) -> NDArray[np.int64]:
    """Return the columns that trees grow on: of very many those in which a kind lies farthest apart.

    Parameters
    ----------
    normals, anomalies : float array of shape (n_rows, n_columns)
        Both sides.
    kinds : str array of shape (n_anomalies,)
        Kind of each anomaly.

    Returns
    -------
    int64 array of shape (min(n_columns, 1000),)
        Ascending. How far a kind lies apart is the distance of its mean from that of the normals, in standard
        deviations of all rows.
    """
    n_columns = normals.shape[1]
    if n_columns <= _MOST_COLUMNS:
        return np.arange(n_columns)
    means = np.stack([anomalies[kinds == kind].mean(axis=0, dtype=np.float64) for kind in np.unique(kinds)])
    apart = np.abs(means - normals.mean(axis=0, dtype=np.float64)).max(axis=0)
    spread = np.concatenate([normals, anomalies]).std(axis=0, dtype=np.float64)
    found = np.where(spread > 0, apart / np.where(spread > 0, spread, 1.0), 0.0)
    return np.sort(np.argsort(-found, kind="stable")[:_MOST_COLUMNS])


def _edges(normals: FloatArray, anomalies: FloatArray) -> list[NDArray[np.float64]]:
    """Values between which each column is cut: quantiles of both sides, at most 62."""
    shares = np.linspace(0, 1, _N_EDGES)
    sides = [np.quantile(side, shares, axis=0, method="lower") for side in (normals, anomalies)]
    return [np.unique(column) for column in np.concatenate(sides).astype(np.float64).T]


def _codes(rows: FloatArray, edges: list[NDArray[np.float64]]) -> FloatArray:
    """Return how many edges of its column are below each value."""
    codes = [np.searchsorted(own, rows[:, j], side="left") for j, own in enumerate(edges)]
    return np.column_stack(codes).astype(np.float64)


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
    distances, positions = nearest_rows(V, labelled.rows, labelled.centre, labelled.n_near)
    floor = 0.01 * usual
    ratio = (distances.mean(axis=1) + floor) / (nearest_normal + floor)
    ratio = np.maximum(ratio, _SMALLEST_RATIO)
    features = tree_features(V, placed)
    probability = labelled.forest.probability(features)
    boosted = labelled.boosted.log_odds(features) if labelled.boosted else np.zeros(len(V))
    return Evidence(probability, boosted, ratio, positions[:, 0])


def log_odds_location(log_odds: NDArray[np.float64]) -> tuple[float, float]:
    """Return centre and spread of the normals' log-odds; the spread is at least .5."""
    centre, spread = robust_location(log_odds)
    return centre, max(spread, 0.5)
