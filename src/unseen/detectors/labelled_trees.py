"""Boosted trees on the labelled kinds, as one bounded cue beside a novelty.

::

    r(x) = b + Σ_t v_t(leaf of x in tree t)            log-odds of being one of the labelled anomalies
    p = 1/(1 + exp(−r)),   e(x) = log((p + δ)/(1 − p + δ)),   δ = .02

Trees pick single columns, which a distance over all columns cannot. ``e`` lies within ±3.9, so that trees
that are very sure outvote a novelty by so much and no more. The trees are grown by scikit-learn's
``HistGradientBoostingClassifier`` and kept as plain arrays.

The weight of the cue is measured on kinds and domains that the trees have not met: for each known kind, and
for each third of the domains, trees are grown without both. They score the anomalies of that kind in those
domains, and normals that train nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from unseen.metrics.ranking import auroc
from unseen.types import UNNAMED_DOMAIN, BoolArray, FloatArray, StrArray

TREE_WEIGHTS = (0.0, 0.25, 0.5, 1.0)
"""The weights to choose from; the last one is the usual one."""

_SOFTENING = 0.02
_MOST_NORMALS = 10_000
_LEARNING_RATE = 0.1
_LEAST_IN_LEAF = 5
_BINS = 64
_FOLDS = 3
_CHUNK_ROWS = 1024
_FEW_CELLS = 2_000_000


@dataclass(frozen=True)
class LabelledTrees:
    """Grown trees.

    Attributes
    ----------
    base : float
        b.
    roots : int64 array of shape (n_trees,)
        Node number of each root.
    features : int64 array of shape (n_nodes,)
        The column that a node splits on; 0 in leaves.
    cuts : float64 array of shape (n_nodes,)
        Rows above the cut go right; inf in leaves.
    children : int64 array of shape (n_nodes, 2)
        Node numbers left and right; a leaf is its own child.
    values : float64 array of shape (n_nodes,)
        v of a leaf; in other nodes the mean over the training rows that passed them.
    depth : int
        Depth of the deepest tree.
    """

    base: float
    roots: NDArray[np.int64]
    features: NDArray[np.int64]
    cuts: NDArray[np.float64]
    children: NDArray[np.int64]
    values: NDArray[np.float64]
    depth: int

    def log_odds(self, rows: FloatArray) -> NDArray[np.float64]:
        """Return r, shape (n_rows,)."""
        out = np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS]
            nodes = self._starts(chunk)
            for _ in range(self.depth):
                nodes, _features = self._step(chunk, nodes)
            out[start : start + _CHUNK_ROWS] = self.base + self.values[nodes].sum(axis=1)
        return out

    def evidence(self, rows: FloatArray) -> NDArray[np.float64]:
        """Return e, shape (n_rows,)."""
        return softened(self.log_odds(rows))

    def credits(self, rows: FloatArray) -> NDArray[np.float64]:
        """Return what each column adds to e against a row of zeros, shape of ``rows``.

        Each change of value on a row's way down a tree is the doing of the column that was split on. The
        credits of r are scaled to sum to ``e(x) − e(0)``.
        """
        zero = np.zeros((1, rows.shape[1]), dtype=rows.dtype)
        change = self._credits(rows) - self._credits(zero)
        rise = self.log_odds(rows) - self.log_odds(zero)
        gain = self.evidence(rows) - self.evidence(zero)
        moved = np.abs(rise) > 1e-9
        return change * np.where(moved, gain / np.where(moved, rise, 1.0), 0.0)[:, None]

    def check(self, n_columns: int) -> None:
        """Raise ValueError if the arrays do not fit together."""
        n_nodes = len(self.features)
        shapes = (self.cuts.shape, self.values.shape, self.children.shape)
        if shapes != ((n_nodes,), (n_nodes,), (n_nodes, 2)) or len(self.roots) == 0:
            raise ValueError("the trees' arrays differ in length")
        nodes = np.concatenate([self.roots.ravel(), self.children.ravel()])
        if nodes.min() < 0 or nodes.max() >= n_nodes or not 0 <= self.depth <= n_nodes:
            raise ValueError("the trees point to nodes that do not exist")
        if self.features.min() < 0 or self.features.max() >= n_columns:
            raise ValueError("the trees split on features that do not exist")

    def _credits(self, rows: FloatArray) -> NDArray[np.float64]:
        out = np.zeros(rows.shape, dtype=np.float64)
        for start in range(0, len(rows), _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS]
            cells = np.arange(len(chunk))[:, None] * rows.shape[1]
            nodes = self._starts(chunk)
            for _ in range(self.depth):
                below, features = self._step(chunk, nodes)
                change = self.values[below] - self.values[nodes]
                credits = np.bincount((cells + features).ravel(), change.ravel(), minlength=chunk.size)
                out[start : start + _CHUNK_ROWS] += credits.reshape(chunk.shape)
                nodes = below
        return out

    def _starts(self, rows: FloatArray) -> NDArray[np.int64]:
        return np.broadcast_to(self.roots, (len(rows), len(self.roots)))

    def _step(
        self, rows: FloatArray, nodes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Move every row one node down in every tree; return the new nodes and the columns split on."""
        features = self.features.take(nodes)
        values = rows.ravel().take(features + np.arange(len(rows))[:, None] * rows.shape[1])
        return self.children.ravel().take(2 * nodes + (values > self.cuts.take(nodes))), features


def softened(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``log((p + .02)/(1 − p + .02))`` with p the probability of these log-odds.

    Parameters
    ----------
    log_odds : float64 array of shape (n_rows,)
        r.

    Returns
    -------
    float64 array of shape (n_rows,)
        Rises with r, within ±3.94.
    """
    p = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -700, 700)))
    return np.log(p + _SOFTENING) - np.log(1.0 - p + _SOFTENING)


@dataclass(frozen=True)
class TreeMaterial:
    """What trees are grown from.

    Attributes
    ----------
    normals : float array of shape (n_normals, n_features)
        Training normals.
    domains : str array of shape (n_normals,)
        Their domains.
    anomalies : float array of shape (n_anomalies, n_features)
        Labelled anomalies, at least one.
    kinds, anomaly_domains : str arrays of shape (n_anomalies,)
        Their kinds and domains.
    """

    normals: FloatArray
    domains: StrArray
    anomalies: FloatArray
    kinds: StrArray
    anomaly_domains: StrArray


@dataclass(frozen=True)
class TreeOptions:
    """Number of trees, depth of each, and the generator that draws rows."""

    n_trees: int
    max_depth: int
    generator: np.random.Generator


def grow_trees(material: TreeMaterial, options: TreeOptions) -> LabelledTrees:
    """Grow trees that tell normals from labelled anomalies.

    Normals weigh as much as all anomalies together, and each kind as much as any other.

    Parameters
    ----------
    material : TreeMaterial
        Of the normals at most 10 000 are drawn.
    options : TreeOptions
        Number and depth.

    Returns
    -------
    LabelledTrees
    """
    normals, anomalies = material.normals, material.anomalies
    if len(normals) > _MOST_NORMALS:
        normals = normals[np.sort(options.generator.choice(len(normals), _MOST_NORMALS, replace=False))]
    _names, codes, counts = np.unique(material.kinds, return_inverse=True, return_counts=True)
    y = np.repeat([0, 1], [len(normals), len(anomalies)])
    of_anomalies = 0.5 / (counts[codes] * len(counts))
    weights = np.concatenate([np.full(len(normals), 0.5 / len(normals)), of_anomalies]) * len(y)
    booster = HistGradientBoostingClassifier(
        max_iter=options.n_trees,
        learning_rate=_LEARNING_RATE,
        max_depth=options.max_depth,
        max_leaf_nodes=None,
        min_samples_leaf=_LEAST_IN_LEAF,
        l2_regularization=1.0,
        max_bins=_BINS,
        early_stopping=False,
        random_state=0,
    )
    rows = np.concatenate([normals, anomalies]).astype(np.float64)
    # Threads that wait for each other cost more than they do where there is little to do, or others at work.
    with threadpool_limits(1 if rows.size <= _FEW_CELLS else None, user_api="openmp"):
        booster.fit(rows, y, sample_weight=weights)
    return _plain_arrays(booster)


def left_out_evidence(
    material: TreeMaterial, fresh: FloatArray, options: TreeOptions
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return, for each known kind, what trees say that have met neither it nor the domain of the row.

    Parameters
    ----------
    material : TreeMaterial
        Training rows.
    fresh : float array of shape (n_fresh, n_features)
        Normals that are in no training domain.
    options : TreeOptions
        Of the trees.

    Returns
    -------
    dict of str to (float64 array of shape (n_fresh,), float64 array of shape (n_of_the_kind,))
        e of the fresh normals (mean over the thirds) and of the kind's anomalies. Kinds are left out for
        which no other kind is known in some two thirds of the domains.
    """
    parts_of_normals, parts = _thirds(material.domains, material.anomaly_domains, options.generator)
    out = {}
    for kind in np.unique(material.kinds):
        mine = material.kinds == kind
        of_normals, of_kind = [], np.zeros(int(mine.sum()))
        for part in range(_FOLDS):
            taught, kept = ~mine & (parts != part), parts_of_normals != part
            if not taught.any() or not kept.any():
                break
            trees = grow_trees(_some(material, kept, taught), options)
            of_normals.append(trees.evidence(fresh))
            asked = parts[mine] == part
            of_kind[asked] = trees.evidence(material.anomalies[mine][asked])
        else:
            out[str(kind)] = (np.mean(of_normals, axis=0), of_kind)
    return out


@dataclass(frozen=True)
class FreshNormals:
    """Normals that train nothing, and the score without trees of them and of the labelled anomalies.

    Attributes
    ----------
    rows : float array of shape (n_fresh, n_features)
        In no training domain, where domains are named.
    novelty : float64 array of shape (n_fresh,)
        Their score without trees.
    novelty_of_anomalies : float64 array of shape (n_anomalies,)
        That of the labelled anomalies.
    """

    rows: FloatArray
    novelty: NDArray[np.float64]
    novelty_of_anomalies: NDArray[np.float64]


def weighted_trees(
    material: TreeMaterial,
    fresh: FreshNormals,
    options: TreeOptions,
    *,
    weight: float | None,
    tolerance: float,
) -> tuple[LabelledTrees | None, float]:
    """Return trees and their weight.

    Parameters
    ----------
    material : TreeMaterial
        Training rows.
    fresh : FreshNormals
        What the weight is measured on.
    options : TreeOptions
        Of the trees.
    weight : float >= 0 or None
        None: see :func:`usual_tree_weight`.
    tolerance : float >= 0
        Loss of mean AUROC on kinds left out that is put up with.

    Returns
    -------
    trees : LabelledTrees or None
        None where the weight is 0.
    weight : float
    """
    if weight is None:
        weight = usual_tree_weight(
            fresh, material.kinds, left_out_evidence(material, fresh.rows, options), tolerance=tolerance
        )
    return (grow_trees(material, options) if weight > 0 else None), weight


def usual_tree_weight(
    fresh: FreshNormals,
    kinds: StrArray,
    evidence: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    *,
    weights: Sequence[float] = TREE_WEIGHTS,
    tolerance: float,
) -> float:
    """Return the largest weight by which kinds left out do not lose in the mean.

    Parameters
    ----------
    fresh : FreshNormals
        Normals and scores without trees.
    kinds : str array of shape (n_anomalies,)
        Kinds of the labelled anomalies.
    evidence : dict
        From :func:`left_out_evidence`; if it is empty the weight is 0.
    weights : sequence of float
        To choose from, rising from 0.
    tolerance : float >= 0
        Loss of mean AUROC against weight 0 that is put up with.

    Returns
    -------
    float
        One of ``weights``.
    """
    if not evidence:
        return 0.0
    table = []
    for kind, (of_fresh, of_kind) in evidence.items():
        y = np.repeat([0, 1], [len(of_fresh), len(of_kind)])
        novelty = np.concatenate([fresh.novelty, fresh.novelty_of_anomalies[kinds == kind]])
        added = np.concatenate([of_fresh, of_kind])
        table.append([auroc(y, novelty + weight * added) for weight in weights])
    means = np.mean(table, axis=0)
    return float(max(w for w, mean in zip(weights, means, strict=True) if mean >= means[0] - tolerance))


def _some(material: TreeMaterial, normals: BoolArray, anomalies: BoolArray) -> TreeMaterial:
    return TreeMaterial(
        material.normals[normals],
        material.domains[normals],
        material.anomalies[anomalies],
        material.kinds[anomalies],
        material.anomaly_domains[anomalies],
    )


def _thirds(
    domains: StrArray, anomaly_domains: StrArray, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Deal domains out to thirds; rows themselves where fewer than three domains are named."""
    names = np.unique(np.concatenate([domains, anomaly_domains]))
    names = names[names != UNNAMED_DOMAIN]
    by_row = [np.arange(len(rows)) % _FOLDS for rows in (domains, anomaly_domains)]
    if len(names) < _FOLDS:
        return generator.permutation(by_row[0]), generator.permutation(by_row[1])
    part_of = dict(zip(generator.permutation(names), np.arange(len(names)) % _FOLDS, strict=True))
    parts = []
    for rows, spare in zip((domains, anomaly_domains), by_row, strict=True):
        parts.append(
            np.array([part_of.get(name, j) for name, j in zip(rows, spare, strict=True)], dtype=np.int64)
        )
    return parts[0], parts[1]


def _plain_arrays(booster: HistGradientBoostingClassifier) -> LabelledTrees:
    nodes = [predictors[0].nodes for predictors in booster._predictors]
    roots = np.cumsum([0, *(len(tree) for tree in nodes[:-1])]).astype(np.int64)
    arrays = [_plain(tree, int(root)) for tree, root in zip(nodes, roots, strict=True)]
    features, cuts, children, values = (np.concatenate(part) for part in zip(*arrays, strict=True))
    base = float(np.ravel(booster._baseline_prediction)[0])
    depth = max(int(tree["depth"].max()) for tree in nodes)
    return LabelledTrees(base, roots, features, cuts, children, values, depth)


def _plain(
    tree: NDArray[Any], root: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return columns, cuts, children and values of a tree whose root gets number ``root``."""
    leaf = tree["is_leaf"].astype(bool)
    own = np.arange(len(tree))
    left, right = tree["left"].astype(np.int64), tree["right"].astype(np.int64)
    children = root + np.stack([np.where(leaf, own, left), np.where(leaf, own, right)], axis=1)
    cuts = np.where(leaf, np.inf, tree["num_threshold"]).astype(np.float64)
    values, rows = tree["value"].astype(np.float64), tree["count"].astype(np.float64)
    for node in np.flatnonzero(~leaf)[::-1]:  # scikit-learn numbers parents before their children
        below = [left[node], right[node]]
        values[node] = np.average(values[below], weights=rows[below])
    return np.where(leaf, 0, tree["feature_idx"]).astype(np.int64), cuts, children, values
