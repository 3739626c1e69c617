"""What likeness to labelled anomalies may add, and how that is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.drift import fresh_share, random_parts, regions, stand_in_kinds
from unseen.detectors.fused.evidence import Evidence, evidence_of, how_many_near, learn_labels
from unseen.detectors.fused.lift import Lift, Raise, exceedance_of
from unseen.detectors.fused.likeness import (
    MOST_REACHES,
    MOST_REACHES_OF_ONE_NAME,
    SHARES,
    SHARES_OVER_DRIFT,
    STRENGTH,
    STRENGTH_OF_ONE_NAME,
    JudgedLikeness,
    allowed_loss,
    area,
    choose_likeness,
    drift_stands_out,
    strength_of_one_name,
)
from unseen.metrics.ranking import auroc

ONE_CUE = np.ones(1)


def judged(left_out: str, kind: str, *, drifted: bool, novelty: float, likeness: float) -> JudgedLikeness:
    """300 normals around 0 in both, and 60 anomalies around the given values."""
    random = np.random.default_rng(len(left_out) + 7 * len(kind) + drifted)
    y = np.arange(360) >= 300
    placed = np.where(y, novelty, 0.0) + random.normal(size=360)
    votes = np.where(y, likeness, 0.0) + random.normal(size=360)
    return JudgedLikeness(left_out, kind, drifted, y, placed[:, None], votes, np.full(60, kind))


FIVE = ("a", "bb", "dddd", "eeeee", "ffffff")


def rounds(
    *,
    kinds: float,
    parts: float,
    sort: str = "kind",
    drifted_kinds: float | None = None,
    names: tuple[str, ...] = ("a", "bb"),
):
    """Fits without a kind or group, without a part and without nothing; the likeness of what was left out."""
    out = [judged("part", f"part {i}", drifted=False, novelty=1.0, likeness=parts) for i in range(3)]
    for drifted in (False, True):
        value = kinds if not drifted or drifted_kinds is None else drifted_kinds
        out += [judged(sort, name, drifted=drifted, novelty=1.0, likeness=value) for name in names]
        nothing = judged("nothing", "", drifted=drifted, novelty=0.0, likeness=0.0)
        out.append(
            JudgedLikeness(
                "nothing",
                "",
                drifted,
                np.zeros(300, dtype=bool),
                nothing.placed[:300],
                nothing.likeness[:300],
                np.zeros(0, dtype=np.str_),
            )
        )
    return out


def test_likeness_is_the_sum_of_three_votes():
    evidence = Evidence(np.array([0.5, 0.9]), np.array([0.0, 2.0]), np.array([1.0, 0.5]), np.array([0, 0]))
    expected = [0.0, np.log(9) + 1.0 - 2 * np.log(0.5)]
    np.testing.assert_allclose(evidence.likeness, expected)


def test_the_more_rows_are_labelled_the_more_of_them_have_to_be_near():
    counts = {1: 1, 7: 1, 19: 1, 20: 2, 29: 2, 30: 3, 500: 3}
    assert {n: how_many_near(n) for n in counts} == counts


def test_labels_of_one_name_are_as_far_as_the_mean_of_the_nearest():
    """Two normals and thirty anomalies on a line; hand-computed distances, and leaves of five rows."""
    normals, anomalies = np.array([[0.0], [1.0]]), np.arange(10.0, 40.0)[:, None]
    cues, seen = np.zeros((32, 1)), np.array([[9.0]])
    for one_name, far in ((False, 1.0), (True, 2.0)):
        labelled = learn_labels(
            (normals, cues[:2]),
            (anomalies, cues[2:]),
            np.full(30, "a"),
            n_trees=3,
            seed=0,
            n_jobs=1,
            one_name=one_name,
        )
        found = evidence_of(labelled, seen, cues[:1], np.array([8.0]), 1.0)
        np.testing.assert_allclose(found.ratio, (far + 0.01) / (8.0 + 0.01), rtol=1e-6)
        assert found.nearest.tolist() == [0]
        no_leaf_is_of_normals_alone = labelled.forest.shares.min() > 0
        assert no_leaf_is_of_normals_alone == one_name


def test_losses_are_measured_by_what_novelty_misses():
    assert allowed_loss(0.99) == 0.005
    assert allowed_loss(0.8) == pytest.approx(0.01)


def test_several_kinds_get_the_larger_share_by_which_none_loses():
    rule = choose_likeness(rounds(kinds=2.0, parts=6.0, names=FIVE), ONE_CUE)
    assert rule.name == "careful"
    assert isinstance(rule.rule, Lift)
    assert rule.rule.share == max(SHARES)
    assert rule.kinds == FIVE
    assert (rule.fused >= rule.novelty - 0.02).all()


def losses(share: float, fits: list[JudgedLikeness]) -> float:
    """What the kind left out last loses by a lift with a share."""
    (nothing,) = [item for item in fits if item.left_out == "nothing" and not item.drifted]
    lift = Lift(share, exceedance_of(nothing.placed[:, 0], 1e-3), exceedance_of(nothing.likeness, 0.3))
    kinds = [item for item in fits if item.left_out == "kind" and item.kind == "ccc"]
    return max(area(item, ONE_CUE, None) - area(item, ONE_CUE, lift) for item in kinds)


@pytest.mark.parametrize("drifted", [False, True])
def test_one_kind_that_a_share_costs_makes_it_smaller(drifted):
    """Novel enough that normals lifted above it count, and not like the labels, as normals may be more."""
    for shift, expected in ((0.0, 0.05), (0.5, 0.025), (9.0, None)):
        fits = rounds(kinds=3.0, parts=6.0)
        third = judged("kind", "ccc", drifted=drifted, novelty=2.5, likeness=-9.0)
        told = np.where(third.y, third.likeness, third.likeness + shift)
        fits.append(JudgedLikeness(**{**vars(third), "likeness": told}))
        allowed = allowed_loss(area(third, ONE_CUE, None))
        rule = choose_likeness(fits, ONE_CUE)
        assert (losses(0.05, fits) <= allowed) == (expected == 0.05)
        assert (losses(0.025, fits) <= allowed) == (expected is not None)
        assert rule.name == ("off" if expected is None else "careful")
        if expected is not None:
            assert isinstance(rule.rule, Lift)
            assert rule.rule.share == expected


def test_where_drift_costs_a_kind_likeness_is_compared_with_normals_that_have_drifted():
    """Normals of a region left out are more like the labels, so what few fresh normals reach says little."""
    fits = [item for item in rounds(kinds=3.0, parts=6.0) if item.left_out != "nothing"]
    third = judged("kind", "ccc", drifted=True, novelty=2.5, likeness=-9.0)
    told = np.where(third.y, third.likeness, third.likeness + 2.0)
    fits.append(JudgedLikeness(**{**vars(third), "likeness": told}))
    fits += [nothing_left_out(drifted=drifted, likeness=2.0 * drifted) for drifted in (False, True)]
    found = choose_likeness(fits, ONE_CUE)
    assert found.name == "careful"
    assert isinstance(found.rule, Lift)
    assert found.rule.share in SHARES_OVER_DRIFT
    drifted = exceedance_of(fits[-1].likeness, 0.3)
    np.testing.assert_allclose(found.rule.likeness.depth(drifted.values), drifted.depths, atol=1e-9)


def test_labels_that_bring_nothing_to_what_they_show_are_not_heard():
    """Rows of likeness as of normals; or rows so novel that labels cannot add to it."""
    for sort, names in (("kind", ("a", "bb")), ("group", ("aaa",))):
        unlike = rounds(kinds=0.0, parts=-3.0, sort=sort, names=names)
        assert choose_likeness(unlike, ONE_CUE).name == "off"
        known = rounds(kinds=2.0, parts=6.0, sort=sort, names=names)
        found = choose_likeness(known, ONE_CUE)
        assert found.name in ("careful", "bold")
        parts = [item for item in known if item.left_out == "part"]
        novel = [
            JudgedLikeness(**{**vars(item), "placed": item.placed + 90 * item.y[:, None]}) for item in parts
        ]
        rest = [item for item in known if item.left_out != "part"]
        rule = choose_likeness(novel + rest, ONE_CUE)
        assert rule.name == "off"
        assert rule.rule is None
        np.testing.assert_array_equal(rule.fused, rule.novelty)


def test_one_kind_is_judged_by_its_own_rows_and_guarded_by_its_groups():
    assert choose_likeness(rounds(kinds=1.0, parts=3.0, sort="group"), ONE_CUE).name == "bold"
    for loss, name in ((-2.0, "off"), (0.8, "bold")):
        fits = rounds(kinds=loss, parts=3.0, sort="group")
        fits = [item for item in fits if item.left_out != "nothing"]
        fits += [nothing_left_out(drifted=drifted, likeness=-2.0 * drifted) for drifted in (False, True)]
        assert choose_likeness(fits, ONE_CUE).name == name


def test_bold_labels_have_to_gain_more_than_a_lift_does():
    """Rows that a lift already puts before all normals leave nothing to gain."""
    for parts, name in ((3.0, "bold"), (6.0, "careful")):
        assert choose_likeness(rounds(kinds=2.0, parts=parts, sort="group"), ONE_CUE).name == name


def test_trusted_labels_are_bold_whatever_kinds_and_groups_lose():
    for sort, names in (("group", ("aaa",)), ("kind", FIVE)):
        fits = rounds(kinds=-2.0, parts=6.0, sort=sort, names=names)
        careful, bold = choose_likeness(fits, ONE_CUE), choose_likeness(fits, ONE_CUE, trusted=True)
        assert careful.name in ("careful", "off")
        assert bold.name == "bold"
        assert isinstance(bold.rule, Raise)
        assert bold.rule.strength > 0
        assert (bold.fused < bold.novelty).any()
    assert choose_likeness([], ONE_CUE, trusted=True).name == "careful"


def nothing_left_out(*, drifted: bool, likeness: float) -> JudgedLikeness:
    """Normals that a fit has not met; those of a region left out may be like labelled anomalies."""
    item = judged("nothing", "", drifted=drifted, novelty=0.0, likeness=0.0)
    normals = ~item.y
    none = np.zeros(0, dtype=np.str_)
    told = item.likeness[normals] + likeness
    return JudgedLikeness("nothing", "", drifted, item.y[normals], item.placed[normals], told, none)


def test_drift_stands_out_by_the_auroc_that_labels_add():
    fresh, far = (nothing_left_out(drifted=drifted, likeness=3.0 * drifted) for drifted in (False, True))
    y = np.repeat([False, True], 300)
    scores = []
    for item in (fresh, far):
        scores.append(item.placed[:, 0] + 30 * (1 - np.exp(-4 / 30 * np.log1p(np.exp(item.likeness)))))
    novelty = np.concatenate([fresh.placed, far.placed])[:, 0]
    expected = auroc(y, np.concatenate(scores)) - auroc(y, novelty)
    assert expected > 0.2
    bold = Raise(0.0, 4.0, 30.0)
    assert drift_stands_out([fresh, far], ONE_CUE, bold) == pytest.approx(expected)
    assert drift_stands_out([fresh, far], ONE_CUE, None) == 0
    assert drift_stands_out([fresh], ONE_CUE, bold) == 0


def test_labels_that_make_drift_stand_out_are_not_bold_unless_groups_gain():
    """Normals of a region left out are like the labelled anomalies; groups gain, or only hold their own."""
    for likeness, bold in ((1.0, True), (0.5, False)):
        fits = [
            item for item in rounds(kinds=likeness, parts=3.0, sort="group") if item.left_out != "nothing"
        ]
        drifted = [nothing_left_out(drifted=drifted, likeness=2.0 * drifted) for drifted in (False, True)]
        calm = [nothing_left_out(drifted=drifted, likeness=-2.0 * drifted) for drifted in (False, True)]
        assert choose_likeness(fits + calm, ONE_CUE).name == "bold"
        assert (choose_likeness(fits + drifted, ONE_CUE).name == "bold") == bold


def test_bold_labels_of_one_name_start_at_the_median_and_raise_normals_by_two_reaches_at_most():
    fits = rounds(kinds=1.0, parts=3.0, sort="group")
    found = choose_likeness(fits, ONE_CUE)
    likeness = [item.likeness[~item.y] for item in fits if not item.drifted]
    assert isinstance(found.rule, Raise)
    assert found.rule.level == pytest.approx(max(np.median(values) for values in likeness))
    novelty = fits[0].placed[~fits[0].y, 0]
    reach = np.quantile(novelty, 0.995) - np.median(novelty)
    top = max(np.quantile(values, 0.995) for values in likeness)
    assert found.rule.strength == pytest.approx(2 * reach / np.log1p(np.exp(top - found.rule.level)))
    assert 0 < found.rule.strength < STRENGTH_OF_ONE_NAME
    assert found.rule.most == pytest.approx(MOST_REACHES_OF_ONE_NAME * found.reach)
    twice = found.for_normals(2 * novelty)
    assert isinstance(twice, Raise)
    assert twice.most == pytest.approx(MOST_REACHES_OF_ONE_NAME * 2 * reach)
    named = choose_likeness(rounds(kinds=4.0, parts=6.0, names=FIVE), ONE_CUE, trusted=True)
    assert isinstance(named.rule, Raise)
    assert (named.rule.strength, named.rule.most) == (STRENGTH, pytest.approx(MOST_REACHES * named.reach))


def test_a_lift_is_put_on_the_scale_of_all_normals():
    found = choose_likeness(rounds(kinds=2.0, parts=6.0, names=FIVE), ONE_CUE)
    novelty = np.arange(1000.0)
    lift = found.for_normals(novelty)
    assert isinstance(lift, Lift)
    assert isinstance(found.rule, Lift)
    np.testing.assert_array_equal(lift.novelty.values, exceedance_of(novelty, 1e-3).values)
    np.testing.assert_array_equal(lift.likeness.values, found.rule.likeness.values)


def test_the_strength_of_one_name_has_an_end():
    """Normals that are all equally unlike labelled anomalies: log 2 would be raised by two reaches."""
    item = judged("part", "part 0", drifted=False, novelty=5.0, likeness=3.0)
    far = JudgedLikeness(**{**vars(item), "likeness": np.zeros(360), "placed": item.placed * 10})
    assert strength_of_one_name([far], ONE_CUE, 0.0) == STRENGTH_OF_ONE_NAME


def test_nothing_left_out_leaves_even_odds():
    found = choose_likeness([], ONE_CUE)
    assert (found.name, found.rule) == ("careful", Raise(0.0, STRENGTH, MOST_REACHES))
    assert found.for_normals(np.array([0.0, 1.0])) == Raise(0.0, STRENGTH, MOST_REACHES * 0.495)


def test_area_is_that_of_novelty_plus_what_is_added():
    item = judged("kind", "a", drifted=False, novelty=1.0, likeness=3.0)
    score = item.placed[:, 0] + 9 * (1 - np.exp(-2.0 * np.log1p(np.exp(item.likeness - 1.0)) / 9))
    assert area(item, ONE_CUE, Raise(1.0, 2.0, 9.0)) == pytest.approx(auroc(item.y, score))
    assert area(item, ONE_CUE, None) == auroc(item.y, item.placed[:, 0])


def test_boosted_trees_on_codes_cut_the_values_themselves():
    """A threshold between two values of one column parts the sides, whatever the codes are."""
    random = np.random.default_rng(0)
    normals, anomalies = random.uniform(0, 1, (200, 3)), random.uniform(0, 1, (30, 3))
    normals[:, 1], anomalies[:, 1] = random.uniform(-5, 0.2, 200), random.uniform(0.7, 2, 30)
    cues = np.zeros((230, 2))
    labelled = learn_labels(
        (normals, cues[:200]),
        (anomalies, cues[200:]),
        np.full(30, "a"),
        n_trees=10,
        seed=0,
        n_jobs=1,
        boosted=True,
    )
    assert labelled.boosted is not None
    rows = np.concatenate([normals, anomalies])
    found = labelled.boosted.log_odds(np.concatenate([rows, cues], axis=1).astype(np.float32))
    assert found[:200].max() < found[200:].min()
    split = labelled.boosted.cuts[np.isfinite(labelled.boosted.cuts)]
    assert ((split >= normals[:, 1].max() - 1e-6) & (split < 0.7)).any()


def test_regions_left_out_are_farther_away_than_rows_left_out():
    random = np.random.default_rng(1)
    rows = np.repeat(random.normal(size=(12, 4)) * 20, 50, axis=0) + random.normal(size=(600, 4))
    part = regions(rows, 0)
    assert (np.bincount(part, minlength=3) >= 100).all()

    def away(out: np.ndarray) -> float:
        kept = rows[~out]
        return float(nearest_rows(rows[out], kept, kept.mean(axis=0), 1)[0].mean())

    assert away(part == 0) > 1.5 * away(random.permutation(600) < 200)
    assert 0.1 < fresh_share(2000, 0).mean() < 0.2


def test_groups_and_parts_of_labelled_rows():
    rows = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], 4, axis=0) + np.arange(12)[:, None] * 0.01
    groups = stand_in_kinds(rows, 0)
    assert [len(np.unique(groups[4 * i : 4 * i + 4])) for i in range(3)] == [1, 1, 1]
    assert len(np.unique(groups)) == 3
    assert len(np.unique(stand_in_kinds(rows[:5], 0))) == 1
    parts = random_parts(np.repeat(["a", "b"], [6, 3]), 0)
    assert all((parts[:6] == f"part {i}").sum() == 2 for i in range(3))
    assert len(np.unique(parts[6:])) == 3
