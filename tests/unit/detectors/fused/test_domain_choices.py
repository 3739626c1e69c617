"""Blocks of columns, the choice of cues on domains left out, and scores of domains left out."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import UnseenDetector
from unseen.detectors.fused.blocks import MOST_BLOCKS, column_blocks, small_blocks
from unseen.detectors.fused.checking import check_scatter
from unseen.detectors.fused.choice import LeftOut
from unseen.detectors.fused.cue_choice import candidate_weights, choose_domain_weights
from unseen.detectors.fused.gains import gain_of
from unseen.detectors.fused.left_out import LeftOutScores, ratio_of_thresholds
from unseen.detectors.fused.novelty import (
    CUES,
    Blocks,
    cue_names,
    cue_values,
    fit_normals,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.scatter import domain_factors, scatter_of, usual_scatter
from unseen.references import build_store
from unseen.scoring.domains import balanced_over_domains, guaranteed_on_new_domains

DOMAINS = np.array([f"patient {i}" for i in range(8)])


def waves_and_timing(random: np.random.Generator, n: int) -> np.ndarray:
    """Six columns that follow one hidden number, two that follow another."""
    wave, timing = random.normal(size=(n, 1)), random.normal(size=(n, 1))
    noise = random.normal(size=(n, 8))
    return np.concatenate([wave + 0.3 * noise[:, :6], timing + 0.3 * noise[:, 6:]], axis=1)


def test_columns_that_move_together_are_one_block_whatever_the_domains_are_like():
    random = np.random.default_rng(0)
    domains = np.repeat(DOMAINS, 50)
    offset = 20 * random.normal(size=(8, 1))  # between domains all columns move together
    V = waves_and_timing(random, 400) + np.repeat(offset, 50, axis=0)
    assert column_blocks(V, domains).tolist() == [0] * 6 + [1] * 2
    assert column_blocks(V[:, [7, 0, 6, 1]], domains).tolist() == [0, 1, 0, 1]


def test_blocks_are_few_and_constant_columns_do_no_harm():
    random = np.random.default_rng(1)
    V = random.normal(size=(500, 10))
    V[:, 3] = 1.0
    blocks = column_blocks(V, np.full(500, "a"))
    assert len(np.unique(blocks)) == MOST_BLOCKS
    assert column_blocks(V[:, :1], np.full(500, "a")).tolist() == [0]


def test_cues_of_blocks_have_their_plain_values():
    random = np.random.default_rng(2)
    before, residuals = random.normal(size=(200, 3)), random.normal(size=(200, 3))
    codes = np.array([0, 1, 0])
    normals = fit_normals(residuals, own_spread(residuals, 3), 3, Blocks(codes, before))
    rows, rows_before = random.normal(size=(7, 3)), random.normal(size=(7, 3))
    found = cue_values(normals, rows, nearest_normals(normals, rows, None), None, rows_before)
    names = cue_names(2)
    assert found.shape == (7, len(names))
    of = dict(zip(names, found.T, strict=True))
    np.testing.assert_allclose(of["length 1"], np.linalg.norm(rows[:, [0, 2]], axis=1))
    np.testing.assert_allclose(of["length 2"], np.abs(rows[:, 1]))
    alone = np.abs(rows_before[:, 1] - before[:, 1].mean()) / before[:, 1].std()
    np.testing.assert_allclose(of["columns 2"], alone, rtol=1e-6)


def test_scatter_by_hand():
    references = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0], [4.0, 3.0]])
    assert scatter_of(references) == pytest.approx(1.5)  # 1, 1, 2 and 4
    assert scatter_of(references[:1]) == 0.0


def test_residuals_of_restless_domains_are_divided_by_the_root_of_their_scatter_block_by_block():
    steady = np.arange(8.0)[:, None] * [1.0, 0.0, 0.0]
    restless = np.arange(8.0)[:, None] * [4.0, 0.0, 1.0]
    X = np.concatenate([steady, restless, 4 * restless, np.ones((3, 3))])
    domains = np.repeat(["a", "b", "c", "same"], [8, 8, 8, 3])
    every, blocks = np.ones(len(X), dtype=np.bool_), np.array([0, 0, 1])
    store = build_store(X, domains, every, every, keep_rows=True)
    usual = usual_scatter(store, blocks)
    np.testing.assert_allclose(usual, [4.0, 2.5])  # of 1, 4, 16 and of 1, 4
    np.testing.assert_allclose(
        domain_factors(store, usual, blocks),
        [[0.5, 0.5, 1], [1, 1, 0.4**0.5], [2, 2, 1.6**0.5], [1, 1, 1], [1, 1, 1]],
    )
    np.testing.assert_allclose(domain_factors(store, np.zeros(2), blocks), 1.0)


def test_fewer_references_move_the_unit_less():
    X = np.concatenate([np.arange(8.0)[:, None], 16 * np.arange(4.0)[:, None]])
    every = np.ones(12, dtype=np.bool_)
    store = build_store(X, np.repeat(["a", "b"], [8, 4]), every, every, keep_rows=True)
    blocks = np.zeros(1, dtype=np.int64)
    factors = domain_factors(store, np.ones(1), blocks)
    np.testing.assert_allclose(factors[:, 0], [1.0, 10 ** (4 / 12), 1.0])  # 16 is cut at 10


def test_scatter_of_other_columns_is_refused():
    X = np.arange(6.0).reshape(3, 2)
    every = np.ones(3, dtype=np.bool_)
    store = build_store(X, np.array(["a"] * 3), every, every, keep_rows=True)
    blocks, scatter = np.array([0, 1]), np.array([1.0, 0.0])
    check_scatter(store, blocks, scatter, 2)
    check_scatter(None, None, None, 2)
    for wrong in (
        (store, None, None, 2),
        (None, blocks, scatter, 2),
        (store, blocks, scatter, 3),
        (store, blocks, scatter[:1], 2),
        (store, blocks, -scatter, 2),
        (store, blocks, scatter * np.nan, 2),
    ):
        with pytest.raises(ValueError, match="scatter"):
            check_scatter(*wrong)


def left_out(kind: str, domains: np.ndarray, lift: float, seed: int) -> LeftOut:
    """Normals, and ten rows of a kind in each domain, which a block lifts and the usual cues hardly see."""
    random = np.random.default_rng(seed)
    names = cue_names(2)
    y = np.arange(400 + 10 * len(domains)) >= 400
    placed = random.normal(size=(len(y), len(names)))
    placed[:, CUES.index("neighbours")] += 1.0 * y
    placed[:, names.index("columns 2")] += lift * y
    where = np.concatenate([np.full(400, "elsewhere"), np.repeat(domains, 10)])
    return LeftOut(kind, y, placed, np.zeros(len(y)), np.zeros(len(y)), where)


def test_a_block_joins_where_it_helps_kinds_in_many_domains():
    rounds = [left_out("a", DOMAINS[:4], 3.0, 0), left_out("b", DOMAINS[4:], 3.0, 1)]
    name, weights = choose_domain_weights(rounds, cue_names(2), residual=False)
    assert "columns 2" in name
    assert weights[cue_names(2).index("columns 2")] > 0
    assert weights.sum() == pytest.approx(1.0)


def test_a_gain_in_a_single_domain_decides_nothing():
    rounds = [left_out("a", DOMAINS[:1], 3.0, 0), left_out("b", DOMAINS[:1], 3.0, 1)]
    assert choose_domain_weights(rounds, cue_names(2), residual=False)[0] == "near"
    assert choose_domain_weights([], cue_names(2), residual=True)[0] == "residual"


def test_a_block_that_costs_one_kind_stays_out():
    rounds = [left_out("a", DOMAINS[:4], 3.0, 0), left_out("b", DOMAINS[4:], -3.0, 1)]
    assert "columns 2" not in choose_domain_weights(rounds, cue_names(2), residual=False)[0]


def test_the_error_of_a_gain_by_hand():
    gains = np.array([0.1, 0.3, 0.2, 0.0])
    kinds = np.array(["a", "a", "b", "b"])
    means, error = gain_of(gains, kinds, np.array(["p", "q", "p", "q"]))
    assert means == pytest.approx({"a": 0.2, "b": 0.1})
    # Weights 1/4 each; p: (-.1 + .1) / 4 = 0, q: (.1 - .1) / 4 = 0.
    assert error == pytest.approx(0.0)
    _, error = gain_of(gains, kinds, np.array(["p", "q", "q", "p"]))
    # p: (-.1 - .1) / 4, q: (.1 + .1) / 4; two effective domains: a factor of 2.
    assert error == pytest.approx(np.sqrt(2 * 2 * 0.05**2))


def test_lengths_of_blocks_weigh_as_much_as_the_other_cues_of_residuals():
    usual = next(iter(candidate_weights(cue_names(2), residual=True).values()))
    assert usual == {"neighbours": 1.0, "length": 1.0, "length 1": 1.0, "length 2": 1.0}
    assert next(iter(candidate_weights(cue_names(1), residual=True).values())) == {
        "neighbours": 1.0,
        "length": 1.0,
    }
    plain = candidate_weights(cue_names(2), residual=False)
    assert not any("length" in cue for named in plain.values() for cue in named)


def test_small_blocks_have_less_than_an_equal_share_of_the_columns():
    assert small_blocks(np.array([0, 0, 0, 1])) == (1,)
    assert small_blocks(np.array([0, 1, 1, 2, 2, 2])) == (0,)
    assert small_blocks(np.array([0, 0, 1, 1])) == ()
    assert small_blocks(np.zeros(5, dtype=np.int64)) == ()


def test_columns_of_small_blocks_are_usual():
    sets = candidate_weights(cue_names(3), residual=False, small=(1, 2))
    assert next(iter(sets.items())) == (
        "near, small blocks",
        {"neighbours": 1.0, "local": 0.25, "columns 2": 0.625, "columns 3": 0.625},
    )
    assert "near" in sets
    sets = candidate_weights(cue_names(2), residual=True, small=(1,))
    assert next(iter(sets.values())) == {
        "neighbours": 1.0,
        "length": 1.0,
        "length 1": 1.0,
        "length 2": 1.0,
        "columns 2": 1.0,
    }
    assert choose_domain_weights([], cue_names(2), residual=True, small=(1,))[0] == "residual, small blocks"


@pytest.fixture(scope="module")
def patients() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    domains = np.repeat(DOMAINS, 70)
    kinds = np.tile(np.repeat(["normal", "early", "wide"], [50, 10, 10]), 8)
    X = waves_and_timing(random, len(domains)) + np.repeat(3 * random.normal(size=(8, 8)), 70, axis=0)
    X[kinds == "early", 6:] -= 6.0
    X[kinds == "wide", :6] += 5.0
    return X, kinds, domains


def test_new_domains_raise_no_more_alarms_than_is_guaranteed(patients):
    X, kinds, domains = patients
    detector = UnseenDetector(n_trees=10, n_jobs=1, false_alarm_rate=0.05)
    flagged = []
    for out in range(8):
        inside = domains != DOMAINS[out]
        held = ~inside & (kinds == "normal")
        detector.fit(X[inside], kinds[inside], domains=domains[inside])
        assert detector.calibration_.guaranteed_false_alarm_rate == pytest.approx(
            guaranteed_on_new_domains(7, 0.05), abs=0.01
        )
        flagged.append(detector.predict(X[held], domains=domains[held]).mean())
    assert np.mean(flagged) <= guaranteed_on_new_domains(7, 0.05) + 0.05


def test_references_bring_a_threshold_of_their_own(patients):
    X, kinds, domains = patients
    inside = domains != DOMAINS[0]
    fitted = UnseenDetector(n_trees=10, n_jobs=1).fit(X[inside], kinds[inside], domains=domains[inside])
    fresh = np.flatnonzero(~inside & (kinds == "normal"))
    adapted = fitted.adapt(X[fresh[:8]], domains=domains[fresh[:8]])
    assert adapted.threshold_ != fitted.threshold_
    assert adapted.predict(X[fresh[8:]], domains=domains[fresh[8:]]).mean() <= 0.2
    assert fitted.left_out_[1].enough


def test_normals_of_new_domains_reach_as_far_in_both_modes(patients):
    X, kinds, domains = patients
    fitted = UnseenDetector(n_trees=10, n_jobs=1).fit(X, kinds, domains=domains)
    plain, other = (
        np.quantile(balanced_over_domains(item.scores, item.domains), 0.99) for item in fitted.left_out_
    )
    assert other == pytest.approx(plain)


def test_the_ratio_of_thresholds_by_hand():
    names = np.repeat([f"d{i}" for i in range(5)], 100)
    rising = np.tile(np.arange(1.0, 101.0), 5)
    plain, other = LeftOutScores(rising, names), LeftOutScores(3 * rising, names)
    assert ratio_of_thresholds(plain, other) == pytest.approx(3)
    few = LeftOutScores(rising[:400], names[:400])
    assert ratio_of_thresholds(plain, few) == 1
    assert ratio_of_thresholds(plain, LeftOutScores(-rising, names)) == 1
