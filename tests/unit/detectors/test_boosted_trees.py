"""The plain arrays against scikit-learn's boosting, and the credits against the scores."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import BoostedTrees
from unseen.detectors.baselines.boosted_trees import even_weights
from unseen.errors import ParameterError


def world(seed, n_normals=300, dtype=np.float64):
    random = np.random.default_rng(seed)
    X = np.round(random.standard_t(2, size=(n_normals + 20, 6)), 1)
    X[n_normals:] += [0, 3, 0, -3, 0, 0]
    return X.astype(dtype), np.repeat(["normal", "a", "b"], [n_normals, 15, 5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameters", [{}, {"max_depth": 2, "n_trees": 7}, {"min_samples_leaf": 400}])
def test_scores_are_those_of_scikit_learn(dtype, parameters):
    X, kinds = world(0, dtype=dtype)
    detector = BoostedTrees(calibration_fraction=0, **parameters).fit(X, kinds)
    normal = kinds == "normal"
    order = np.concatenate([np.flatnonzero(normal), np.flatnonzero(~normal)])
    weights = np.concatenate([np.full(normal.sum(), 0.5 / normal.sum()), 0.5 * even_weights(kinds[~normal])])
    peer = detector._grow(X[order], (~normal[order]).astype(int), weights * len(X))
    fresh = world(1, 2000, dtype)[0]
    expected = peer.decision_function(fresh)
    np.testing.assert_allclose(detector.decision_function(fresh), expected, rtol=1e-12, atol=1e-12)


def test_each_kind_weighs_the_same():
    weights = even_weights(np.array(["a", "b", "b", "b"]))
    np.testing.assert_allclose(weights, [1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_credits_sum_to_the_score_minus_that_of_the_roots():
    X, kinds = world(0)
    detector = BoostedTrees(n_trees=20).fit(X, kinds)
    start = detector.base_ + detector.values_[detector.roots_].sum()
    np.testing.assert_allclose(
        detector.explain(X).sum(axis=1), detector.decision_function(X) - start, atol=1e-10
    )


def test_credits_go_to_the_features_that_tell_the_kinds_apart():
    X, kinds = world(0)
    credits = BoostedTrees(n_trees=20).fit(X, kinds).explain(X[kinds != "normal"]).mean(axis=0)
    assert set(np.argsort(credits)[-2:]) == {1, 3}


def test_a_kind_never_shown_is_not_found_but_pseudo_anomalies_help():
    """What a classifier alone cannot do, and what the option is for."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(300, 3)), random.normal(size=(20, 3)) + np.array([5, 0, 0])])
    kinds = np.repeat(["normal", "a"], [300, 20])
    far = np.array([[0.0, 0.0, 20.0]])
    plain = BoostedTrees().fit(X, kinds)
    beside = BoostedTrees(pseudo_anomalies="always").fit(X, kinds)
    rank = [(d.decision_function(far) > d.decision_function(X[:300])).mean() for d in (plain, beside)]
    assert rank[0] < 0.9
    assert rank[1] > 0.95


@pytest.mark.parametrize(
    "bad",
    [{"n_trees": 0}, {"learning_rate": 0}, {"max_depth": 0}, {"l2": -1}, {"pseudo_anomalies": "sometimes"}],
)
def test_bad_parameters_are_refused_by_name(bad):
    with pytest.raises(ParameterError, match=next(iter(bad))):
        BoostedTrees(**bad).fit(*world(0))
