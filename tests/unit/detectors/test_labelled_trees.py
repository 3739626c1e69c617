"""Trees of the fused score: scores, credits, and the weight that kinds left out allow."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from unseen.detectors import labelled_trees
from unseen.detectors.labelled_trees import (
    FreshNormals,
    TreeMaterial,
    TreeOptions,
    grow_trees,
    left_out_evidence,
    softened,
    usual_tree_weight,
    weighted_trees,
)


@pytest.fixture(scope="module")
def material():
    """Normals of six domains; two kinds beyond them in the first column, one in the second."""
    draw = np.random.default_rng(0)
    normals = draw.normal(size=(300, 4)).astype(np.float32)
    anomalies = draw.normal(size=(90, 4)).astype(np.float32)
    anomalies[:60, 0] += 4
    anomalies[60:, 1] += 4
    kinds = np.repeat(["left", "right", "up"], 30)
    domains = np.array([f"d{i % 6}" for i in range(300)])
    return TreeMaterial(normals, domains, anomalies, kinds, domains[:90])


def options(seed=0):
    return TreeOptions(n_trees=20, max_depth=3, generator=np.random.default_rng(seed))


def test_log_odds_are_those_of_scikit_learn(material):
    trees = grow_trees(material, options())
    X = np.concatenate([material.normals, material.anomalies])
    y = np.repeat([0, 1], [300, 90])
    weights = np.concatenate([np.full(300, 0.5 / 300), np.full(90, 0.5 / 90)]) * 390
    expected = HistGradientBoostingClassifier(
        max_iter=20, max_depth=3, max_leaf_nodes=None, min_samples_leaf=5, l2_regularization=1.0,
        early_stopping=False, max_bins=64, random_state=0,
    ).fit(X.astype(np.float64), y, sample_weight=weights)  # fmt: skip
    np.testing.assert_allclose(trees.log_odds(X), expected.decision_function(X), atol=1e-5)


def test_evidence_is_bounded_and_rises():
    values = softened(np.array([-1e4, -3.0, 0.0, 3.0, 1e4]))
    assert np.all(np.diff(values) > 0)
    assert values[2] == 0
    np.testing.assert_allclose(values[[0, -1]], [-np.log(1.02 / 0.02), np.log(1.02 / 0.02)], atol=1e-9)


def test_credits_sum_to_the_evidence_above_that_of_zeros(material):
    trees = grow_trees(material, options())
    zero = np.zeros((1, 4), dtype=np.float32)
    rise = trees.evidence(material.anomalies) - trees.evidence(zero)
    np.testing.assert_allclose(trees.credits(material.anomalies).sum(axis=1), rise, atol=1e-9)
    assert np.all(trees.credits(zero) == 0)


def test_kinds_that_others_resemble_are_found_by_trees_that_never_met_them(material):
    fresh = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    evidence = left_out_evidence(material, fresh, options())
    assert set(evidence) == {"left", "right", "up"}
    of_fresh, of_kind = evidence["left"]
    assert of_kind.mean() > of_fresh.mean() + 2  # "right" lies where "left" does
    of_fresh, of_kind = evidence["up"]
    assert abs(of_kind.mean() - of_fresh.mean()) < 1  # nothing known lies there


def test_weight_is_the_largest_that_kinds_left_out_do_not_lose_by():
    kinds = np.repeat(["a", "b"], 2)
    fresh = FreshNormals(np.zeros((4, 1)), np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.5, 4.0, 2.5, 4.0]))
    good = (np.zeros(4), np.full(2, 3.0))
    bad = (np.zeros(4), np.full(2, -3.0))
    assert usual_tree_weight(fresh, kinds, {"a": good, "b": good}, tolerance=0.0) == 1.0
    assert usual_tree_weight(fresh, kinds, {"a": bad, "b": bad}, tolerance=0.0) == 0.0
    assert usual_tree_weight(fresh, kinds, {"a": bad, "b": bad}, tolerance=1.0) == 1.0
    assert usual_tree_weight(fresh, kinds, {}, tolerance=1.0) == 0.0


def test_one_known_kind_cannot_be_left_out_so_that_there_are_no_trees(material):
    alone = material.kinds == "up"
    one = TreeMaterial(
        material.normals,
        material.domains,
        material.anomalies[alone],
        material.kinds[alone],
        material.anomaly_domains[alone],
    )
    fresh = FreshNormals(material.normals[:50], np.zeros(50), np.ones(int(alone.sum())))
    assert weighted_trees(one, fresh, options(), weight=None, tolerance=0.005) == (None, 0.0)
    trees, weight = weighted_trees(one, fresh, options(), weight=0.5, tolerance=0.005)
    assert weight == 0.5
    assert trees is not None


def test_arrays_that_do_not_fit_together_are_refused(material):
    trees = grow_trees(material, options())
    trees.check(4)
    with pytest.raises(ValueError, match="features that do not exist"):
        trees.check(1)


class CountingThreads(HistGradientBoostingClassifier):
    """Boosted trees that note how many threads they may grow on."""

    seen: ClassVar[list[int]] = []

    def fit(self, *arguments, **named):
        self.seen.append(openmp_threads())
        return super().fit(*arguments, **named)


def openmp_threads():
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp")


@pytest.mark.parametrize(("few_cells", "expected"), [(390 * 4, 1), (390 * 4 - 1, 2)])
def test_only_large_trees_grow_on_several_threads(material, monkeypatch, few_cells, expected):
    monkeypatch.setattr(CountingThreads, "seen", [])
    monkeypatch.setattr(labelled_trees, "HistGradientBoostingClassifier", CountingThreads)
    monkeypatch.setattr(labelled_trees, "_FEW_CELLS", few_cells)
    with threadpool_limits(2, user_api="openmp"):
        several = grow_trees(material, options())
        assert openmp_threads() == 2  # the limit is lifted again
    assert CountingThreads.seen == [expected]
    np.testing.assert_array_equal(several.values, grow_trees(material, options()).values)
