"""Gradient-boosted trees that tell normals from labelled anomalies.

::

    score(x) = b + Σ_t v_t(leaf of x in tree t)        the log-odds of being anomalous

(Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29, 2001; Ke et
al., "LightGBM", NeurIPS 2017, for the histograms.) b is the log-odds that boosting starts from, v_t the
values of the leaves, already times the learning rate. The trees are grown by scikit-learn's
``HistGradientBoostingClassifier`` and kept here as plain arrays, which can be saved and walked for many rows
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from unseen.checks import check_int, check_real
from unseen.detectors.base import BaseDetector
from unseen.nn.anomaly_pool import PseudoAnomalies, anomalies_to_train_on, check_pseudo_anomalies
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_CHUNK_ROWS = 1024


class BoostedTrees(BaseDetector):
    """Log-odds of a boosted classifier of normals and labelled anomalies.

    Normals weigh as much as all anomalies together, and each kind as much as any other. Without labelled
    anomalies the trees learn from pseudo-anomalies. Rows without a label take no part. The score takes one
    value per combination of leaves, so that rows in the same leaves tie.

    Parameters
    ----------
    n_trees : int
        Number of trees.
    learning_rate : float > 0
        Shrinkage of each tree.
    max_depth : int
        Depth of each tree.
    min_samples_leaf : int
        Fewest training rows in a leaf.
    l2 : float >= 0
        Penalty on the values of the leaves.
    pseudo_anomalies : {"without-labels", "always"}
        When to train on rows made from the normals (see :mod:`unseen.nn.anomaly_pool`): only if no anomaly
        is labelled, or beside labelled ones too, as one more kind.
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    base_ : float
        b.
    roots_ : int64 array of shape (n_trees,)
        Node number of each tree's root.
    features_ : int64 array of shape (n_nodes,)
        The feature that a node splits on; 0 in leaves, where it does not matter.
    cuts_ : float64 array of shape (n_nodes,)
        Rows with a value above the cut go right; inf in leaves.
    children_ : int64 array of shape (n_nodes, 2)
        Node numbers left and right; a leaf is its own child.
    values_ : float64 array of shape (n_nodes,)
        v of a leaf; in other nodes the mean over the training rows that passed them.
    depth_ : int
        Depth of the deepest tree.

    Notes
    -----
    ``explain`` follows each row down each tree and credits the change of the value at a split to the feature
    that was split on. The credits sum to the score minus that of a row that stops at every root.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = (
        "through the view only: the trees are not grown again, so with view='raw' references change nothing"
    )

    base_: float
    roots_: NDArray[np.int64]
    features_: NDArray[np.int64]
    cuts_: NDArray[np.float64]
    children_: NDArray[np.int64]
    values_: NDArray[np.float64]
    depth_: int

    def __init__(
        self,
        *,
        n_trees: int = 100,
        learning_rate: float = 0.1,
        max_depth: int = 6,
        min_samples_leaf: int = 5,
        l2: float = 1.0,
        pseudo_anomalies: PseudoAnomalies = "without-labels",
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.l2 = l2
        self.pseudo_anomalies = pseudo_anomalies
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        for name in ("n_trees", "max_depth", "min_samples_leaf"):
            check_int(self, name, getattr(self, name), minimum=1)
        check_real(self, "learning_rate", self.learning_rate, minimum=0, open_minimum=True)
        check_real(self, "l2", self.l2, minimum=0)
        check_pseudo_anomalies(self, self.pseudo_anomalies)

    def _check_fitted_values(self) -> None:
        n_nodes = len(self.features_)
        shapes = (self.cuts_.shape, self.values_.shape, self.children_.shape)
        if shapes != ((n_nodes,), (n_nodes,), (n_nodes, 2)) or len(self.roots_) == 0:
            raise ValueError("the trees' arrays differ in length")
        nodes = np.concatenate([self.roots_.ravel(), self.children_.ravel()])
        if nodes.min() < 0 or nodes.max() >= n_nodes or not 0 <= self.depth_ <= n_nodes:
            raise ValueError("the trees point to nodes that do not exist")
        if self.features_.min() < 0 or self.features_.max() >= self.n_features_in_:
            raise ValueError("the trees split on features that do not exist")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        normals = V[labels.normal]
        anomalies, kinds = anomalies_to_train_on(V, labels, self.pseudo_anomalies, self.seed)
        y = np.repeat([0, 1], [len(normals), len(anomalies)])
        weights = np.concatenate([np.full(len(normals), 0.5 / len(normals)), 0.5 * even_weights(kinds)])
        self._keep(self._grow(np.concatenate([normals, anomalies]), y, weights * len(y)))

    def _grow(
        self, X: FloatArray, y: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> HistGradientBoostingClassifier:
        trees = HistGradientBoostingClassifier(
            max_iter=self.n_trees,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            max_leaf_nodes=None,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2,
            early_stopping=False,
            random_state=self.seed,
        )
        return trees.fit(X.astype(np.float64), y, sample_weight=weights)

    def _keep(self, trees: HistGradientBoostingClassifier) -> None:
        """Bring the grown trees to plain arrays."""
        nodes = [predictors[0].nodes for predictors in trees._predictors]
        sizes = [len(tree) for tree in nodes]
        roots = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
        arrays = [_plain(tree, int(root)) for tree, root in zip(nodes, roots, strict=True)]
        features, cuts, children, values = (np.concatenate(part) for part in zip(*arrays, strict=True))
        self.base_ = float(np.ravel(trees._baseline_prediction)[0])
        self.roots_, self.depth_ = roots, max(int(tree["depth"].max()) for tree in nodes)
        self.features_, self.cuts_, self.children_, self.values_ = features, cuts, children, values

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(len(V), dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            chunk = V[start : start + _CHUNK_ROWS]
            nodes = self._starts(chunk)
            for _ in range(self.depth_):
                nodes, _features = self._step(chunk, nodes)
            out[start : start + _CHUNK_ROWS] = self.base_ + self.values_[nodes].sum(axis=1)
        return out

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.zeros(V.shape, dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            chunk = V[start : start + _CHUNK_ROWS]
            cells = np.arange(len(chunk))[:, None] * V.shape[1]
            nodes = self._starts(chunk)
            for _ in range(self.depth_):
                below, features = self._step(chunk, nodes)
                change = self.values_[below] - self.values_[nodes]
                credits = np.bincount((cells + features).ravel(), change.ravel(), minlength=chunk.size)
                out[start : start + _CHUNK_ROWS] += credits.reshape(chunk.shape)
                nodes = below
        return out

    def _starts(self, V: FloatArray) -> NDArray[np.int64]:
        """Put every row at the root of every tree: shape (n_rows, n_trees)."""
        return np.broadcast_to(self.roots_, (len(V), len(self.roots_)))

    def _step(self, V: FloatArray, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Move every row one node down in every tree; return the new nodes and the features split on."""
        features = self.features_.take(nodes)
        values = V.ravel().take(features + np.arange(len(V))[:, None] * V.shape[1])
        return self.children_.ravel().take(2 * nodes + (values > self.cuts_.take(nodes))), features


def even_weights(kinds: StrArray) -> NDArray[np.float64]:
    """Return weights of rows that sum to 1, with the same sum for each kind.

    Parameters
    ----------
    kinds : str array of shape (n_rows,)
        Kind of each row.

    Returns
    -------
    float64 array of shape (n_rows,)
    """
    _names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (counts[codes] * len(counts)), dtype=np.float64)


def _plain(
    tree: NDArray[Any], root: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return features, cuts, children and values of a grown tree whose root gets number ``root``."""
    leaf = tree["is_leaf"].astype(bool)
    left, right = tree["left"].astype(np.int64), tree["right"].astype(np.int64)
    own = np.arange(len(tree))
    children = root + np.stack([np.where(leaf, own, left), np.where(leaf, own, right)], axis=1)
    cuts = np.where(leaf, np.inf, tree["num_threshold"]).astype(np.float64)
    features = np.where(leaf, 0, tree["feature_idx"]).astype(np.int64)
    values, rows = tree["value"].astype(np.float64), tree["count"].astype(np.float64)
    for node in np.flatnonzero(~leaf)[::-1]:  # scikit-learn numbers parents before their children
        below = [left[node], right[node]]
        values[node] = np.average(values[below], weights=rows[below])
    return features, cuts, children, values
