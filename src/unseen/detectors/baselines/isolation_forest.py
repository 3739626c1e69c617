"""Isolation forest: anomalies are cut off from the rest after few random splits.

F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008::

    s(x) = 2 ^ ( −h(x) / c(ψ) )
    c(m) = 2 (ln(m − 1) + 0.5772…) − 2 (m − 1)/m,   c(2) = 1,   c(1) = 0

``h(x)`` is the mean over the trees of the path length of ``x``: the depth of its leaf plus ``c(m)`` for the
``m`` training rows of that leaf. ``ψ`` is the number of rows that each tree was grown on. The trees are
grown by scikit-learn and kept here as plain arrays, which can be saved and walked for many rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as _Forest

from unseen.checks import check_int
from unseen.detectors.base import BaseDetector
from unseen.detectors.concentration import Trim, check_trim, kept_after_trimming
from unseen.types import FloatArray, Labels, StrArray

_CHUNK_ROWS = 1024


class IsolationForest(BaseDetector):
    """Mean path length in random trees, mapped to (0, 1).

    Parameters
    ----------
    n_trees : int
        Number of trees.
    max_samples : int
        Rows that each tree is grown on, ψ; all normals if there are fewer.
    trim : float in [0, 0.5], "auto" or None
        Leave out the most suspicious share of the normals before anything is learned from them, for normals
        that may hold unnoticed anomalies; ``"auto"``: as many as are believed to be anomalous. See
        :mod:`unseen.detectors.concentration`. None: nothing is left out.
    view : {"raw", "residual-centre", "scaled-centre", "residual-nearest"}
        How rows are seen from the references of their domain.
    n_references : int
        References of each training domain where ``view`` is not ``"raw"``.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Grows the trees and draws the calibration rows.

    Attributes
    ----------
    roots_ : int64 array of shape (n_trees,)
        Node number of each tree's root.
    features_ : int64 array of shape (n_nodes,)
        The feature that a node splits on; 0 in leaves, where it does not matter.
    cuts_ : float32 array of shape (n_nodes,)
        Rows with a value above the cut go right; inf in leaves.
    children_ : int64 array of shape (n_nodes, 2)
        Node numbers left and right; a leaf is its own child.
    path_lengths_ : float64 array of shape (n_nodes,)
        Path length of a leaf; in other nodes the mean over the training rows that passed them.
    depth_ : int
        Depth of the deepest tree.
    normaliser_ : float
        c(ψ).

    Notes
    -----
    ``explain`` follows each row down each tree: a split changes the path length to be expected, and the
    change, mean over the trees, is credited to the feature that was split on (positive = shorter path =
    more anomalous). The credits sum to the mean path length of the training rows minus ``h(x)``.

    Values are compared in single precision, as scikit-learn does.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "through the view only: the trees are not grown again, so with view='raw' references change nothing"
    )

    roots_: NDArray[np.int64]
    features_: NDArray[np.int64]
    cuts_: NDArray[np.float32]
    children_: NDArray[np.int64]
    path_lengths_: NDArray[np.float64]
    depth_: int
    normaliser_: float

    def __init__(
        self,
        *,
        n_trees: int = 200,
        max_samples: int = 256,
        trim: Trim = None,
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.max_samples = max_samples
        self.trim = trim
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_int(self, "n_trees", self.n_trees, minimum=1)
        check_int(self, "max_samples", self.max_samples, minimum=1)
        check_trim(self, self.trim)

    def _check_fitted_values(self) -> None:
        n_nodes = len(self.features_)
        shapes = (self.cuts_.shape, self.path_lengths_.shape, self.children_.shape)
        if shapes != ((n_nodes,), (n_nodes,), (n_nodes, 2)) or len(self.roots_) == 0:
            raise ValueError("the trees' arrays differ in length")
        nodes = np.concatenate([self.roots_.ravel(), self.children_.ravel()])
        if nodes.min() < 0 or nodes.max() >= n_nodes or not 0 <= self.depth_ <= n_nodes:
            raise ValueError("the trees point to nodes that do not exist")
        if self.features_.min() < 0 or self.features_.max() >= self.n_features_in_:
            raise ValueError("the trees split on features that do not exist")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        normals = V[labels.normal].astype(np.float32)
        normals = normals[kept_after_trimming(normals, self.trim, self.seed, labels.domains[labels.normal])]
        n_samples = min(self.max_samples, len(normals))
        forest = _Forest(n_estimators=self.n_trees, max_samples=n_samples, random_state=self.seed)
        trees = [estimator.tree_ for estimator in forest.fit(normals).estimators_]
        sizes = [tree.node_count for tree in trees]
        self.roots_ = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
        self.depth_ = max(int(tree.max_depth) for tree in trees)
        self.normaliser_ = float(mean_path_length(np.array([n_samples]))[0])
        arrays = [_plain(tree, int(root)) for tree, root in zip(trees, self.roots_, strict=True)]
        features, cuts, children, path_lengths = (np.concatenate(part) for part in zip(*arrays, strict=True))
        self.features_ = features
        self.cuts_ = cuts
        self.children_ = children
        self.path_lengths_ = path_lengths

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        lengths = np.empty(len(V), dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            chunk = V[start : start + _CHUNK_ROWS]
            nodes = self._starts(chunk)
            for _ in range(self.depth_):
                nodes, _features = self._step(chunk, nodes)
            lengths[start : start + len(chunk)] = self.path_lengths_[nodes].mean(axis=1)
        return self._scores_of(lengths)

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._score_and_explain(V, domains)[1]

    def _score_and_explain(
        self, V: FloatArray, domains: StrArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lengths = np.empty(len(V), dtype=np.float64)
        credits = np.empty(V.shape, dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            chunk = V[start : start + _CHUNK_ROWS]
            nodes = self._starts(chunk)
            first_cells = np.arange(len(chunk))[:, None] * V.shape[1]
            total = np.zeros(chunk.size, dtype=np.float64)
            for _ in range(self.depth_):
                below, features = self._step(chunk, nodes)
                change = self.path_lengths_.take(nodes) - self.path_lengths_.take(below)
                total += np.bincount((first_cells + features).ravel(), change.ravel(), chunk.size)
                nodes = below
            credits[start : start + len(chunk)] = total.reshape(chunk.shape) / len(self.roots_)
            lengths[start : start + len(chunk)] = self.path_lengths_.take(nodes).mean(axis=1)
        return self._scores_of(lengths), credits

    def _scores_of(self, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map mean path lengths to scores."""
        if self.normaliser_ == 0:
            return np.full(len(lengths), 0.5)
        return np.asarray(2.0 ** (-lengths / self.normaliser_))

    def _starts(self, V: FloatArray) -> NDArray[np.int64]:
        """Put every row at the root of every tree: shape (n_rows, n_trees)."""
        return np.broadcast_to(self.roots_, (len(V), len(self.roots_)))

    def _step(self, V: FloatArray, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Move every row one node down in every tree; return the new nodes and the features split on."""
        features = self.features_.take(nodes)
        first_cells = np.arange(len(V))[:, None] * V.shape[1]
        values = V.astype(np.float32, copy=False).ravel().take(features + first_cells)
        right = values > self.cuts_.take(nodes)
        return self.children_.ravel().take(2 * nodes + right), features


def mean_path_length(n_rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return c(m), the mean path length of an unsuccessful search among m rows.

    Parameters
    ----------
    n_rows : int array of shape (n,)
        Numbers of rows, m >= 1.

    Returns
    -------
    float64 array of shape (n,)
    """
    m = np.maximum(np.asarray(n_rows, dtype=np.float64), 2.0)
    length = 2.0 * (np.log(np.maximum(m - 1.0, 1.0)) + np.euler_gamma) - 2.0 * (m - 1.0) / m
    return np.where(np.asarray(n_rows) <= 1, 0.0, np.where(m == 2.0, 1.0, length))


def _plain(
    tree: Any, root: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Return features, cuts, children and path lengths of a grown tree whose root gets number ``root``."""
    n_nodes = tree.node_count
    left, right = tree.children_left, tree.children_right
    leaf = left < 0
    own = np.arange(n_nodes)
    children = root + np.stack([np.where(leaf, own, left), np.where(leaf, own, right)], axis=1)
    cuts = np.where(leaf, np.inf, _rounded_down(tree.threshold)).astype(np.float32)
    rows = np.asarray(tree.n_node_samples)
    depth = np.zeros(n_nodes, dtype=np.float64)
    for node in np.flatnonzero(~leaf):  # scikit-learn numbers parents before their children
        depth[[left[node], right[node]]] = depth[node] + 1
    lengths = depth + mean_path_length(rows)
    for node in np.flatnonzero(~leaf)[::-1]:
        below = [left[node], right[node]]
        lengths[node] = np.average(lengths[below], weights=rows[below])
    features = np.where(leaf, 0, tree.feature)
    return features.astype(np.int64), cuts, children.astype(np.int64), lengths


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value: ``x > value`` is the same for a float32 x."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
