"""What labelled anomalies of many domains have in common, and which kinds may say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unseen.detectors import UnseenDetector
from unseen.detectors.fused.checking import check_mode
from unseen.detectors.fused.choice import TOLERANCE, LeftOut, choose_strengths
from unseen.detectors.fused.common_signs import CommonSigns, SeenRows, common_kinds, learn_signs
from unseen.metrics.ranking import auroc
from unseen.persistence import load, save

COLUMNS = np.array([2, 0])


def seen_rows(n_rows: int, seed: int, shift: float = 0.0) -> SeenRows:
    random = np.random.default_rng(seed)
    return SeenRows(random.normal(size=(n_rows, 4)) - shift, random.normal(size=(n_rows, 3)) + shift)


@pytest.fixture(scope="module")
def fitted() -> CommonSigns:
    kinds = np.repeat(["a", "b"], [30, 10])
    return learn_signs(seen_rows(200, 0), seen_rows(40, 1, 1.0), kinds, COLUMNS, 0)


def test_log_odds_are_the_mean_of_plain_networks(fitted):
    new = seen_rows(9, 2, 0.5)
    numbers = np.concatenate(
        [(new.unviewed[:, COLUMNS] - fitted.centre) / fitted.spread, np.clip(new.placed, -5, 15) / 3], axis=1
    )
    odds = []
    for member in range(3):
        parts: list[nn.Module] = []
        for weights, offsets in zip(fitted.weights, fitted.offsets, strict=True):
            layer = nn.Linear(*weights.shape[1:], dtype=torch.float64)
            layer.weight.data = torch.from_numpy(weights[member].T)
            layer.bias.data = torch.from_numpy(offsets[member, 0])
            parts += [layer, nn.LeakyReLU(0.01)]
        odds.append(nn.Sequential(*parts[:-1])(torch.from_numpy(numbers))[:, 0].detach().numpy())
    np.testing.assert_allclose(fitted.log_odds(new.unviewed, new.placed), np.mean(odds, axis=0))


def test_signs_that_anomalies_share_are_learnt_and_the_same_seed_learns_the_same(fitted):
    normals, anomalies = seen_rows(300, 3), seen_rows(300, 4, 1.0)
    scores = [fitted.log_odds(seen.unviewed, seen.placed) for seen in (normals, anomalies)]
    assert auroc(np.arange(600) >= 300, np.concatenate(scores)) > 0.9
    kinds = np.repeat(["a", "b"], [30, 10])
    again = learn_signs(seen_rows(200, 0), seen_rows(40, 1, 1.0), kinds, COLUMNS, 0)
    np.testing.assert_array_equal(again.log_odds(normals.unviewed, normals.placed), scores[0])
    other = learn_signs(seen_rows(200, 0), seen_rows(40, 1, 1.0), kinds, COLUMNS, 1)
    assert not np.array_equal(other.log_odds(normals.unviewed, normals.placed), scores[0])


def test_every_kind_weighs_the_same():
    normals = seen_rows(200, 0)
    many, few = seen_rows(300, 1), seen_rows(5, 2)
    many.unviewed[:, 0] += 3.0
    few.unviewed[:, 0] -= 3.0
    both = SeenRows(*(np.concatenate(pair) for pair in zip(*map(vars_of, (many, few)), strict=True)))
    kinds = np.repeat(["many", "few"], [300, 5])
    apart = learn_signs(normals, both, kinds, COLUMNS, 0)
    pooled = learn_signs(normals, both, np.full(305, "all"), COLUMNS, 0)
    raised = [signs.log_odds(few.unviewed, few.placed).mean() for signs in (apart, pooled)]
    assert raised[0] > raised[1] + 1.0


def vars_of(seen: SeenRows) -> tuple[np.ndarray, np.ndarray]:
    return seen.unviewed, seen.placed


def test_credits_are_what_a_usual_number_takes_away(fitted):
    new = seen_rows(6, 5, 1.0)
    credits = fitted.credits(new.unviewed, new.placed)
    assert credits.shape == (6, 4 + 3)
    assert (credits[:, [1, 3]] == 0).all()
    usual = new.unviewed.copy()
    usual[:, 2] = fitted.centre[0]
    reached = fitted.log_odds(new.unviewed, new.placed)
    np.testing.assert_allclose(credits[:, 2], reached - fitted.log_odds(usual, new.placed))
    placed = new.placed.copy()
    placed[:, 1] = 0.0
    np.testing.assert_allclose(credits[:, 5], reached - fitted.log_odds(new.unviewed, placed))


def test_arrays_that_do_not_fit_together_are_refused(fitted):
    fitted.check(n_features=4, n_cues=3)
    for wrong in (
        replace(fitted, columns=np.array([2, 4])),
        replace(fitted, columns=np.array([-1, 0])),
        replace(fitted, centre=fitted.centre[:1]),
        replace(fitted, spread=0 * fitted.spread),
        replace(fitted, weights=fitted.weights[:2]),
        replace(fitted, weights=(fitted.weights[0][:2], *fitted.weights[1:])),
        replace(fitted, offsets=(*fitted.offsets[:-1], fitted.offsets[0])),
        replace(fitted, offsets=tuple(layer[:, 0] for layer in fitted.offsets)),
        replace(fitted, centre=fitted.centre * np.nan),
        replace(fitted, weights=(fitted.weights[0] * np.nan, *fitted.weights[1:])),
        replace(fitted, offsets=(*fitted.offsets[:-1], fitted.offsets[-1] + np.inf)),
    ):
        with pytest.raises(ValueError, match="common signs"):
            wrong.check(n_features=4, n_cues=3)
    with pytest.raises(ValueError, match="layers"):
        fitted.check(n_features=4, n_cues=2)


def test_kinds_of_few_rows_or_on_few_domains_are_not_common():
    kinds = np.repeat(["a", "b", "c", "d"], [10, 10, 10, 9])
    domains = np.array([*"ppppppppqr", *"ppppppppqq", *"pppppppppq", *"ppppppqqr"])
    domains[20] = ""
    assert common_kinds(kinds, domains, 8).tolist() == ["a"]
    assert common_kinds(kinds, domains, 2).tolist() == ["a", "b"]
    domains[20] = "p"
    assert common_kinds(kinds, domains, 2).tolist() == ["a", "b", "c"]


def left_out(kind: str, signs: float, seed: int = 0, *, near: bool = False) -> LeftOut:
    """Rows that novelty separates fairly, and log-odds that point at them by so much."""
    random = np.random.default_rng(seed)
    y = np.arange(400) >= 300
    placed = (random.normal(size=400) + 1.5 * y)[:, None]
    local = np.where(y & (random.random(400) < 0.5), 1.0 * near, 0.0)
    domains = np.repeat(["p", "q", "r", "s"], 100)[random.permutation(400)]
    return LeftOut(kind, y, placed, local, random.normal(size=400) + signs * y, domains)


def test_common_signs_speak_unless_a_common_kind_clearly_loses():
    helped, hurt = left_out("a", 2.0), left_out("b", -2.0, 1)
    both = np.array(["a", "b"])
    chosen = choose_strengths([helped], np.ones(1), deciding=both)
    assert chosen.wide == 0.5
    assert chosen.fused[0] > chosen.novelty[0] + 0.02
    assert choose_strengths([helped, hurt], np.ones(1), deciding=both).wide == 0.0
    rare = choose_strengths([helped, hurt], np.ones(1), deciding=both[:1])
    assert rare.wide == 0.5
    assert rare.kinds == ("a", "b")
    assert choose_strengths([helped], np.ones(1), deciding=both[1:]).wide == 0.0
    assert choose_strengths([helped], np.ones(1), deciding=None).wide == 0.0
    untaught = replace(helped, log_odds=np.zeros(400), local=1.0 * helped.y)
    assert choose_strengths([untaught], np.ones(1), deciding=both).wide == 0.0


def test_a_loss_that_chance_explains_refuses_nothing():
    lost = left_out("a", 0.0)
    few = np.flatnonzero(lost.y)[:4]
    lost.log_odds[:] = -1.0
    lost.log_odds[~lost.y] = np.random.default_rng(0).normal(size=300)
    lost.log_odds[few] = 4.0
    lost.placed[few] = -1.0
    in_one = replace(lost, domains=np.where(np.arange(400) >= 300, "p", lost.domains))
    apart = replace(lost, domains=np.where(np.isin(np.arange(400), few), "q", in_one.domains))
    kinds = np.array(["a"])
    assert choose_strengths([in_one], np.ones(1), deciding=kinds).wide < 0.5
    chosen = choose_strengths([apart], np.ones(1), deciding=kinds)
    assert chosen.wide == 0.5
    assert chosen.fused[0] < chosen.novelty[0] - TOLERANCE


def test_what_the_wide_term_costs_a_rare_kind_does_not_silence_nearness():
    helped, rare = left_out("a", 2.0, near=True), left_out("b", -2.0, 1)
    chosen = choose_strengths([helped, rare], np.ones(1), deciding=np.array(["a"]))
    assert (chosen.wide, chosen.local) == (0.5, 0.5)
    assert chosen.fused[1] < chosen.novelty[1] - TOLERANCE
    both = choose_strengths([helped, rare], np.ones(1), deciding=np.array(["a", "b"]))
    assert (both.wide, both.local) == (0.0, 0.5)
    assert (both.fused >= both.novelty - TOLERANCE).all()


def domains_with_a_common_direction(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six domains of their own place in ten columns; anomalies of all kinds are low in two others."""
    random = np.random.default_rng(seed)
    domains = np.repeat([f"d{i}" for i in range(6)], 100)
    kinds = np.tile(np.repeat(["normal", "a", "b", "c"], [85, 5, 5, 5]), 6)
    places = np.repeat(random.normal(size=(6, 10)) * 3, 100, axis=0)
    common = random.normal(size=(600, 1))
    wide = places + common + 0.3 * random.normal(size=(600, 10))
    timing = random.normal(size=(600, 2)) - 1.5 * (kinds != "normal")[:, None]
    return np.concatenate([wide, timing], axis=1), kinds, domains


@pytest.fixture(scope="module")
def guarded() -> UnseenDetector:
    X, kinds, domains = domains_with_a_common_direction(0)
    taught = (domains != "d0") & (kinds != "c")
    y = (kinds != "normal").astype(int)
    detector = UnseenDetector(calibration_fraction=0, n_jobs=1, n_trees=20)
    return detector.fit(X[taught], y[taught], kinds=kinds[taught], domains=domains[taught])


def test_a_direction_that_kinds_share_serves_a_kind_left_out_in_a_new_domain(guarded):
    X, kinds, domains = domains_with_a_common_direction(0)
    judged = (domains == "d0") & np.isin(kinds, ["normal", "c"])
    parts = guarded.reasons(X[judged], domains=domains[judged])
    y = kinds[judged] == "c"
    assert guarded.choices_["plain"]["wide"] > 0
    assert auroc(y, parts.score) > auroc(y, parts.novelty) + 0.02
    low = parts.contributions[y]
    assert low[:, 10:].sum(axis=1).mean() > low[:, :10].sum(axis=1).mean()
    usual = guarded.modes_[0].usual_raise
    assert (parts.reason[(parts.raised < usual) & (parts.novelty < 0.4)] == "usual").all()


def test_common_signs_are_saved_and_a_file_that_does_not_fit_is_refused(guarded, tmp_path: Path):
    X, _kinds, domains = domains_with_a_common_direction(0)
    save(guarded, tmp_path / "model")
    read = load(tmp_path / "model")
    mode = read.modes_[0]
    assert isinstance(mode.signs, CommonSigns)
    expected = guarded.decision_function(X, domains=domains)
    np.testing.assert_array_equal(read.decision_function(X, domains=domains), expected)
    with pytest.raises(ValueError, match="common signs"):
        check_mode(replace(mode, signs=replace(mode.signs, columns=mode.signs.columns + 12)), 12)
