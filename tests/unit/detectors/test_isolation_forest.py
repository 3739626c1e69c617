"""The plain arrays against scikit-learn's forest, and the credits against path lengths."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as SklearnForest

from unseen.detectors import IsolationForest
from unseen.detectors.baselines.isolation_forest import mean_path_length
from unseen.errors import ParameterError

SIZES = [(1, 256), (2, 256), (5, 256), (300, 256), (300, 40), (3000, 256)]


def heavy_tails(random, n):
    return np.round(random.standard_t(2, size=(n, 7)), 1)


@pytest.mark.parametrize(("n_rows", "max_samples"), SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_those_of_scikit_learn(n_rows, max_samples, dtype):
    random = np.random.default_rng(n_rows)
    X, rows = heavy_tails(random, n_rows).astype(dtype), heavy_tails(random, 2000).astype(dtype)
    detector = IsolationForest(n_trees=30, max_samples=max_samples, seed=4, calibration_fraction=0).fit(X)
    peer = SklearnForest(n_estimators=30, max_samples=min(max_samples, n_rows), random_state=4).fit(X)
    np.testing.assert_allclose(detector.decision_function(rows), -peer.score_samples(rows), rtol=1e-12)


def test_mean_path_length_by_hand():
    expected = [0.0, 1.0, 2 * (np.log(2) + 0.5772156649015329) - 4 / 3]
    np.testing.assert_allclose(mean_path_length(np.array([1, 2, 3])), expected)


def test_credits_telescope_from_the_mean_path_to_the_row_s_own():
    random = np.random.default_rng(0)
    X = heavy_tails(random, 500)
    detector = IsolationForest(n_trees=25, calibration_fraction=0).fit(X)
    own = -np.log2(detector.decision_function(X)) * detector.normaliser_
    mean = detector.path_lengths_[detector.roots_].mean()
    np.testing.assert_allclose(detector.explain(X).sum(axis=1), mean - own, atol=1e-10)


def test_the_mean_path_is_that_of_the_rows_the_tree_was_grown_on():
    X = np.array([[0.0], [1.0], [10.0]])
    detector = IsolationForest(n_trees=1, max_samples=3, calibration_fraction=0).fit(X)
    leaves = detector.path_lengths_[np.isinf(detector.cuts_)]
    assert sorted(leaves) == [1.0, 2.0, 2.0]
    assert detector.path_lengths_[detector.roots_[0]] == pytest.approx(5 / 3)


def test_a_feature_that_never_varies_gets_no_credit():
    random = np.random.default_rng(1)
    X = np.column_stack([random.normal(size=200), np.zeros(200)])
    detector = IsolationForest(n_trees=10).fit(X)
    credits = detector.explain(X + np.array([0.0, 5.0]))
    assert (credits[:, 1] == 0).all()
    assert (credits[:, 0] != 0).any()


@pytest.mark.parametrize("parameters", [{"n_trees": 0}, {"max_samples": 0}, {"max_samples": 0.5}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ParameterError, match=rf"{next(iter(parameters))} must be"):
        IsolationForest(**parameters).fit(np.zeros((3, 2)))
