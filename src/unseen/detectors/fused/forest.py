"""Randomised trees that tell labelled anomalies from normals, as plain arrays.

P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006. The trees are grown
by scikit-learn and kept as arrays, which can be saved and walked for many rows at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from unseen.types import FloatArray

MAX_DEPTH = 12
_CHUNK_ROWS = 2048


@dataclass(frozen=True)
class Forest:
    """Grown trees.

    Attributes
    ----------
    roots : int64 array of shape (n_trees,)
        Node number of each root.
    features : int64 array of shape (n_nodes,)
        The feature a node splits on; 0 in leaves.
    cuts : float64 array of shape (n_nodes,)
        Rows with a value above the cut go right; inf in leaves.
    children : int64 array of shape (n_nodes, 2)
        Node numbers left and right; a leaf is its own child.
    shares : float64 array of shape (n_nodes,)
        Weighted share of anomalies among the training rows of a node.
    depth : int
        Depth of the deepest tree.
    """

    roots: NDArray[np.int64]
    features: NDArray[np.int64]
    cuts: NDArray[np.float64]
    children: NDArray[np.int64]
    shares: NDArray[np.float64]
    depth: int

    def probability(self, X: FloatArray) -> NDArray[np.float64]:
        """Return the mean share of anomalies in the leaves of each row, in [0, 1].

        Parameters
        ----------
        X : float array of shape (n_rows, n_features)
            Features that the trees were grown on.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        out = np.empty(len(X), dtype=np.float64)
        for start in range(0, len(X), _CHUNK_ROWS):
            *_, (leaves, _features) = self._walk(X[start : start + _CHUNK_ROWS])
            out[start : start + _CHUNK_ROWS] = self.shares[leaves].mean(axis=1)
        return out

    def credits(self, X: FloatArray) -> NDArray[np.float64]:
        """Return how much each feature moved each row's probability on its way down.

        Parameters
        ----------
        X : float array of shape (n_rows, n_features)
            Features that the trees were grown on.

        Returns
        -------
        float64 array of shape (n_rows, n_features)
            Rows sum to ``probability`` minus the mean share at the roots.
        """
        out = np.zeros(X.shape, dtype=np.float64)
        for start in range(0, len(X), _CHUNK_ROWS):
            chunk = X[start : start + _CHUNK_ROWS]
            cells = np.arange(len(chunk))[:, None] * X.shape[1]
            before = np.broadcast_to(self.roots, (len(chunk), len(self.roots)))
            for after, features in self._walk(chunk):
                change = (self.shares[after] - self.shares[before]) / len(self.roots)
                moved = np.bincount((cells + features).ravel(), change.ravel(), minlength=chunk.size)
                out[start : start + _CHUNK_ROWS] += moved.reshape(chunk.shape)
                before = after
        return out

    def _walk(self, X: FloatArray) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the nodes of every row in every tree after each step, and the features split on."""
        nodes = np.broadcast_to(self.roots, (len(X), len(self.roots)))
        flat = np.ascontiguousarray(X, dtype=np.float32).ravel()
        starts = np.arange(len(X))[:, None] * X.shape[1]
        yield nodes, np.zeros(nodes.shape, dtype=np.int64)
        for _ in range(self.depth):
            features = self.features.take(nodes)
            right = flat.take(features + starts) > self.cuts.take(nodes)
            below = self.children.ravel().take(2 * nodes + right)
            if np.array_equal(below, nodes):
                return
            nodes = below
            yield nodes, features


def grow_forest(
    X: FloatArray,
    y: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    n_trees: int,
    max_features: float,
    seed: int,
    n_jobs: int,
    least_in_leaf: int = 1,
) -> Forest:
    """Grow extremely randomised trees.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        Normals and anomalies.
    y : bool array of shape (n_rows,)
        True for anomalies; both must occur.
    weights : float64 array of shape (n_rows,)
        Weight of each row.
    n_trees : int
        How many trees.
    max_features : float in (0, 1]
        Share of the features tried at a split.
    seed : int
        Seed of the trees; their number of threads changes nothing.
    n_jobs : int
        Threads to grow with.
    least_in_leaf : int
        Rows that a leaf holds at least.

    Returns
    -------
    Forest
    """
    trees = ExtraTreesClassifier(
        n_estimators=n_trees,
        max_features=max_features,
        max_depth=MAX_DEPTH,
        min_samples_leaf=least_in_leaf,
        random_state=seed,
        n_jobs=n_jobs,
    )
    with warnings.catch_warnings():
        # Where a process has no warning filter scikit-learn takes its own threads for somebody else's.
        warnings.filterwarnings("ignore", message=r".*sklearn\.utils\.parallel", category=UserWarning)
        trees.fit(X.astype(np.float32), y, sample_weight=weights)
    grown = [estimator.tree_ for estimator in trees.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in grown[:-1])]).astype(np.int64)
    features, cuts, children, shares = [], [], [], []
    for tree, root in zip(grown, roots, strict=True):
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count)
        left, right = (np.where(leaf, own, side) for side in (tree.children_left, tree.children_right))
        children.append(root + np.stack([left, right], axis=1))
        features.append(np.where(leaf, 0, tree.feature))
        cuts.append(np.where(leaf, np.inf, tree.threshold))
        totals = tree.value[:, 0, :]
        shares.append(totals[:, 1] / totals.sum(axis=1))
    return Forest(
        roots,
        np.concatenate(features).astype(np.int64),
        np.concatenate(cuts),
        np.concatenate(children).astype(np.int64),
        np.concatenate(shares),
        max(int(tree.max_depth) for tree in grown),
    )
