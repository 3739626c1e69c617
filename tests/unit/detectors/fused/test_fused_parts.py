"""The parts of the fused detector against independent computations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from unseen.detectors.fused.choice import TOLERANCE, LeftOut, choose_cues, choose_strengths, weights_of
from unseen.detectors.fused.forest import MAX_DEPTH, grow_forest
from unseen.detectors.fused.novelty import (
    CUES,
    add_references,
    cue_values,
    fit_normals,
    fresh_neighbours,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.ranks import rank_knots, ranks
from unseen.detectors.fused.reasons import reason_of
from unseen.detectors.fused.scales import fit_scales
from unseen.scoring.fusion import log_scaled_robust_z


def test_scales_place_as_the_fusion_function_does():
    random = np.random.default_rng(0)
    normals, rows = random.gamma(2.0, size=(200, 3)), random.gamma(4.0, size=(50, 3))
    placed = fit_scales(normals).place(rows)
    for j in range(3):
        np.testing.assert_allclose(placed[:, j], log_scaled_robust_z(rows[:, j], normals[:, j]), rtol=1e-9)


def test_scales_of_constant_cues_are_finite():
    assert np.isfinite(fit_scales(np.ones((5, 2))).place(np.array([[1.0, 3.0]]))).all()


def test_ranks_count_ties_half():
    knots = rank_knots(np.array([[0.0], [1.0], [1.0], [2.0]]))
    np.testing.assert_allclose(ranks(np.array([[-1.0], [1.0], [5.0]]), knots)[:, 0], [0.0, 0.5, 1.0])


def test_ranks_are_those_of_searching_both_sides():
    random = np.random.default_rng(6)
    knots, V = (
        rank_knots(random.integers(0, 9, size=(60, 4)) * 1.0),
        random.integers(-1, 11, size=(80, 4)) * 1.0,
    )
    sides = [np.searchsorted(knots[2], V[:, 2], side=side) for side in ("left", "right")]
    np.testing.assert_array_equal(ranks(V, knots)[:, 2], np.sum(sides, axis=0) / (2 * knots.shape[1]))


def test_without_knots_all_ranks_are_one_half():
    assert ranks(np.ones((2, 3)), np.zeros((3, 0))).tolist() == [[0.5] * 3] * 2


@pytest.mark.parametrize("least_in_leaf", [1, 5])
def test_forest_agrees_with_scikit_learn_and_credits_add_up(least_in_leaf: int):
    random = np.random.default_rng(1)
    X = random.normal(size=(300, 4)).astype(np.float32)
    y = X[:, 0] * X[:, 1] > 0.5
    weights = np.where(y, 3.0, 1.0)
    forest = grow_forest(
        X, y, weights, n_trees=7, max_features=0.5, seed=3, n_jobs=1, least_in_leaf=least_in_leaf
    )
    reference = ExtraTreesClassifier(
        n_estimators=7,
        max_features=0.5,
        max_depth=MAX_DEPTH,
        min_samples_leaf=least_in_leaf,
        random_state=3,
    )
    reference.fit(X, y, sample_weight=weights)
    fresh = random.normal(size=(40, 4)).astype(np.float32)
    probability = forest.probability(fresh)
    np.testing.assert_allclose(probability, reference.predict_proba(fresh)[:, 1], atol=1e-12)
    at_roots = forest.shares[forest.roots].mean()
    np.testing.assert_allclose(forest.credits(fresh).sum(axis=1) + at_roots, probability, atol=1e-12)


def test_cues_have_their_plain_values():
    random = np.random.default_rng(2)
    bank, rows = random.normal(size=(60, 3)), random.normal(size=(5, 3))
    normals = fit_normals(bank, own_spread(bank, 4), 4)
    values = cue_values(normals, rows, nearest_normals(normals, rows, None))
    distances = np.linalg.norm(rows[:, None] - bank[None], axis=2)
    order = np.argsort(distances, axis=1)[:, :4]
    nearest = np.take_along_axis(distances, order, axis=1)
    between = np.sort(np.linalg.norm(bank[:, None] - bank[None], axis=2), axis=1)[:, 1:5].mean(axis=1)
    np.testing.assert_allclose(values[:, CUES.index("neighbours")], nearest.mean(axis=1))
    local = (nearest / (between[order] + np.median(between))).mean(axis=1)
    np.testing.assert_allclose(values[:, CUES.index("local")], local)
    np.testing.assert_allclose(values[:, CUES.index("length")], np.linalg.norm(rows, axis=1))


def test_training_rows_meet_neither_themselves_nor_their_domain():
    bank = np.array([[0.0], [0.1], [5.0], [5.2]])
    normals = fit_normals(bank, own_spread(bank, 1), 1)
    unnamed, own = np.full(4, ""), np.arange(4)
    alone = fresh_neighbours(normals, bank, unnamed, unnamed, own)[0][:, 0]
    np.testing.assert_allclose(alone, [0.1, 0.1, 0.2, 0.2])
    domains = np.array(["a", "a", "b", "b"])
    apart = fresh_neighbours(normals, bank, domains, domains, own)[0][:, 0]
    np.testing.assert_allclose(apart, [5.0, 4.9, 4.9, 5.1])


def test_normals_without_a_domain_do_not_meet_themselves_where_others_have_one():
    """Rows of named domains meet all of other names and of none."""
    random = np.random.default_rng(5)
    bank = random.normal(size=(30, 3))
    domains = np.array(["", "a", "b"])[np.arange(30) % 3]
    normals, own = fit_normals(bank, np.ones(30), 4), np.arange(30)
    distances, positions = fresh_neighbours(normals, bank, domains, domains, own)
    apart = np.linalg.norm(bank[:, None] - bank[None], axis=2)
    same = (domains[:, None] == domains[None]) & (domains[:, None] != "")
    apart[same | np.eye(30, dtype=bool)] = np.inf
    np.testing.assert_array_equal(positions, np.argsort(apart, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :4], rtol=1e-9)
    new = fresh_neighbours(normals, bank[:1] + 0.1, domains[:1], domains, np.array([-1]))[0]
    expected = np.sort(np.linalg.norm(bank - bank[0] - 0.1, axis=1))[:4]
    np.testing.assert_allclose(new[0], expected, rtol=1e-9)


def test_references_join_the_neighbours():
    bank = np.random.default_rng(3).normal(size=(50, 2))
    normals = fit_normals(bank, own_spread(bank, 3), 3)
    far = np.full((4, 2), 20.0) + np.arange(4)[:, None] / 10
    own = add_references(normals, far, 300.0)
    before = cue_values(normals, far[:1], nearest_normals(normals, far[:1], None))
    after = cue_values(normals, far[:1], nearest_normals(normals, far[:1], own), own)
    assert (after[0, :4] < before[0, :4]).all()


def test_a_single_near_reference_is_enough():
    bank = np.random.default_rng(3).normal(size=(50, 2))
    normals = fit_normals(bank, own_spread(bank, 3), 3)
    own = add_references(normals, np.array([[20.0, 20.0], [40.0, 40.0]]), 300.0)
    distances, positions = nearest_normals(normals, np.array([[20.0, 21.0]]), own)
    np.testing.assert_allclose(distances, [[1.0, 1.0, 1.0]])
    assert positions.tolist() == [[50, 50, 50]]


def left_out(kind: str, *, helped: bool, seed: int = 0) -> LeftOut:
    """Rows whose novelty separates a kind fairly; labels of other kinds point at it, or at normals."""
    random = np.random.default_rng(seed)
    y = np.arange(400) >= 300
    placed = np.zeros((400, len(CUES)))
    placed[:, 0] = random.normal(size=400) + 2.0 * y
    wanted = y if helped else ~y
    local = np.where(wanted & (random.random(400) < 0.5), 1.0, 0.0)
    domains = np.repeat(["p", "q", "r", "s"], 100)[random.permutation(400)]
    return LeftOut(kind, y, placed, local, 3 * local - 2, domains)


def test_labels_that_help_kinds_left_out_may_speak():
    weights = weights_of({"neighbours": 1.0})
    chosen = choose_strengths([left_out("a", helped=True)], weights, deciding=np.array(["a", "b"]))
    assert chosen.local > 0
    assert chosen.wide > 0
    assert chosen.fused[0] > chosen.novelty[0]


def test_labels_that_mislead_on_one_kind_cost_it_no_more_than_the_tolerance():
    weights = weights_of({"neighbours": 1.0})
    rounds = [left_out("a", helped=True), left_out("b", helped=False, seed=1)]
    chosen = choose_strengths(rounds, weights, deciding=np.array(["a", "b"]))
    assert (chosen.fused >= chosen.novelty - TOLERANCE).all()
    assert choose_strengths(rounds, weights, deciding=None).wide == 0.0


def test_the_wide_term_needs_domains_left_out():
    weights = weights_of({"neighbours": 1.0})
    assert choose_strengths([left_out("a", helped=True)], weights, deciding=None).wide == 0.0


def test_cues_change_only_where_others_are_clearly_better():
    fine = left_out("a", helped=True)
    noisy = fine.placed.copy()
    noisy[:, CUES.index("covariance")] = np.random.default_rng(5).normal(size=400) * 20
    assert choose_cues([fine], residual=False) in ("near", "neighbours", "all")
    bad = LeftOut("a", fine.y, noisy, fine.local, fine.log_odds)
    assert choose_cues([bad], residual=False) in ("near", "neighbours")
    assert choose_cues([], residual=False) == "all"
    assert choose_cues([], residual=True) == "residual"


def test_cues_that_cost_a_kind_are_not_chosen_whatever_another_gains():
    fine = left_out("a", helped=True)
    placed = fine.placed.copy()
    placed[:, CUES.index("covariance")] = np.random.default_rng(5).normal(size=400) * 20
    gaining = LeftOut("a", fine.y, placed, fine.local, fine.log_odds)
    losing = placed.copy()
    losing[:, [CUES.index("neighbours"), CUES.index("local")]] *= -0.1
    losing[:, CUES.index("covariance")] = np.where(fine.y, 90.0, 0.0)
    assert choose_cues([gaining, gaining], residual=False) in ("near", "neighbours")
    assert (
        choose_cues([gaining, LeftOut("b", fine.y, losing, fine.local, fine.log_odds)], residual=False)
        == "all"
    )


def test_growing_trees_warns_of_nothing_in_a_process_without_warning_filters():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), np.repeat([0, 1], 20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        grow_forest(X, y, np.ones(40), n_trees=2, max_features=0.5, seed=0, n_jobs=1)
    assert caught == []


def test_reasons_of_rows_by_hand():
    novelty = np.array([-0.4, 0.3, 0.3, 0.6, 0.1, 1.2, 0.6, 3.0])
    raised = np.array([0.0, 0.1, 0.22, 0.0, 0.9, 0.9, 2.4, 0.1])
    share = raised / np.maximum(np.maximum(novelty, 0) + raised, 1.0)
    found = reason_of(novelty, novelty + raised, share, share >= 0.25)
    assert found.tolist() == [
        "usual", "usual", "novel", "novel", "like known", "novel and like known", "like known", "novel",
    ]  # fmt: skip
