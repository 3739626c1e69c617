"""What likeness to labelled anomalies may add, and how that is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.drift import fresh_share, random_parts, regions, stand_in_kinds
from unseen.detectors.fused.evidence import Evidence, evidence_of, how_many_near, learn_labels
from unseen.detectors.fused.likeness import (
    MOST_REACHES,
    MOST_REACHES_OF_ONE_NAME,
    STRENGTH,
    STRENGTH_OF_ONE_NAME,
    JudgedLikeness,
    Level,
    allowed_loss,
    area,
    choose_likeness,
    drift_stands_out,
    raised_by_likeness,
    strength_of_one_name,
    typical_likeness,
)
from unseen.metrics.ranking import auroc

ONE_CUE = np.ones(1)


def judged(left_out: str, kind: str, *, drifted: bool, novelty: float, likeness: float) -> JudgedLikeness:
    """300 normals around 0 in both, and 60 anomalies around the given values."""
    random = np.random.default_rng(len(left_out) + 7 * len(kind) + drifted)
    y = np.arange(360) >= 300
    placed = np.where(y, novelty, 0.0) + random.normal(size=360)
    votes = np.where(y, likeness, 0.0) + random.normal(size=360)
    kinds, nearest = np.full(60, kind), np.full(360, "known")
    return JudgedLikeness(left_out, kind, drifted, y, placed[:, None], votes, kinds, nearest)


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
                nothing.nearest[:300],
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


def test_what_is_added_is_a_softened_ramp_with_an_end():
    added = raised_by_likeness(np.array([-50.0, 3.0, 4.0, 500.0]), 3.0, 2.0, 10.0)
    ramp = 2 * np.log1p(np.exp([0.0, 1.0]))
    np.testing.assert_allclose(added, [0.0, *(10 * (1 - np.exp(-ramp / 10))), 10.0], atol=1e-12)


def test_losses_are_measured_by_what_novelty_misses():
    assert allowed_loss(0.99) == 0.005
    assert allowed_loss(0.8) == pytest.approx(0.01)


def test_the_typical_likeness_of_a_kind_is_a_median():
    parts = [
        JudgedLikeness(
            "part",
            "0",
            False,
            np.array([False, True, True, True, True]),
            np.zeros((5, 1)),
            np.array([99.0, 1.0, 3.0, 7.0, 9.0]),
            np.array(["a", "a", "b", "b"]),
            np.array(["a", "a", "b", "a", "b"]),
        )
    ]
    assert typical_likeness(parts) == {"a": 2.0, "b": 8.0}
    assert typical_likeness([]) == {}


def test_kinds_left_out_that_gain_clearly_let_labels_be_bold():
    rule = choose_likeness(rounds(kinds=4.0, parts=6.0, names=FIVE), ONE_CUE)
    assert rule.name == "bold"
    assert rule.strength == STRENGTH
    assert (rule.fused > rule.novelty + 0.05).all()
    assert rule.kinds == FIVE


def test_few_kinds_left_out_do_not_let_labels_be_bold_whatever_they_gain():
    assert choose_likeness(rounds(kinds=4.0, parts=6.0, names=FIVE[:4]), ONE_CUE).name == "careful"


def test_kinds_that_would_lose_under_drift_keep_labels_careful():
    rule = choose_likeness(rounds(kinds=4.0, parts=6.0, drifted_kinds=-2.0, names=FIVE), ONE_CUE)
    assert rule.name == "careful"
    assert rule.level > 4.0


def test_one_kind_that_bold_labels_cost_keeps_them_careful_whatever_others_gain():
    """Where normals have drifted it loses more than .005, if less than a twentieth of what is missed."""
    others = rounds(kinds=4.0, parts=6.0, names=FIVE)
    bold = choose_likeness(others, ONE_CUE)
    assert bold.name == "bold"
    third = [judged("kind", "ccc", drifted=d, novelty=1.0, likeness=0.6) for d in (False, True)]
    silent, raised = (Level(bold.level, {}, strength, MOST_REACHES) for strength in (0.0, STRENGTH))
    off, on = area(third[1], ONE_CUE, silent), area(third[1], ONE_CUE, raised)
    assert 0.005 < off - on < allowed_loss(off)
    assert choose_likeness(others + third, ONE_CUE).name == "careful"


def test_one_kind_is_judged_by_its_own_rows_and_guarded_by_its_groups():
    assert choose_likeness(rounds(kinds=1.0, parts=6.0, sort="group"), ONE_CUE).name == "bold"
    assert choose_likeness(rounds(kinds=1.0, parts=0.0, sort="group"), ONE_CUE).name == "careful"
    for loss, name in ((-2.0, "careful"), (0.5, "bold")):
        fits = rounds(kinds=loss, parts=6.0, sort="group")
        fits = [item for item in fits if item.left_out != "nothing"]
        fits += [nothing_left_out(drifted=drifted, likeness=-2.0 * drifted) for drifted in (False, True)]
        assert choose_likeness(fits, ONE_CUE).name == name


def test_trusted_labels_are_bold_whatever_kinds_and_groups_lose():
    for sort, names in (("group", ("aaa",)), ("kind", FIVE)):
        fits = rounds(kinds=-2.0, parts=6.0, sort=sort, names=names)
        careful, bold = choose_likeness(fits, ONE_CUE), choose_likeness(fits, ONE_CUE, trusted=True)
        assert careful.name in ("careful", "off")
        assert bold.name == "bold"
        assert bold.strength > 0
        assert (bold.fused < bold.novelty).any()
    assert choose_likeness([], ONE_CUE, trusted=True).name == "careful"


def nothing_left_out(*, drifted: bool, likeness: float) -> JudgedLikeness:
    """Normals that a fit has not met; those of a region left out may be like labelled anomalies."""
    item = judged("nothing", "", drifted=drifted, novelty=0.0, likeness=0.0)
    normals = ~item.y
    none = np.zeros(0, dtype=np.str_)
    told = item.likeness[normals] + likeness
    return JudgedLikeness(
        "nothing", "", drifted, item.y[normals], item.placed[normals], told, none, item.nearest[normals]
    )


def test_drift_stands_out_by_the_auroc_that_labels_add():
    fresh, far = (nothing_left_out(drifted=drifted, likeness=3.0 * drifted) for drifted in (False, True))
    bold, off = Level(0.0, {}, 4.0, 16.0), Level(0.0, {}, 0.0, 16.0)
    y = np.repeat([False, True], 300)
    scores = []
    for item in (fresh, far):
        novelty = item.placed[:, 0]
        most = 16 * (np.quantile(novelty, 0.995) - np.median(novelty))
        scores.append(novelty + most * (1 - np.exp(-4 / most * np.log1p(np.exp(item.likeness)))))
    novelty = np.concatenate([fresh.placed, far.placed])[:, 0]
    expected = auroc(y, np.concatenate(scores)) - auroc(y, novelty)
    assert expected > 0.2
    assert drift_stands_out([fresh, far], ONE_CUE, bold, off) == pytest.approx(expected)
    assert drift_stands_out([fresh, far], ONE_CUE, off, off) == 0
    assert drift_stands_out([fresh], ONE_CUE, bold, off) == 0


def test_labels_that_make_drift_stand_out_are_careful_unless_groups_gain():
    """Normals of a region left out are like the labelled anomalies; groups gain, or only hold their own."""
    for likeness, name in ((1.0, "bold"), (0.5, "careful")):
        fits = [
            item for item in rounds(kinds=likeness, parts=6.0, sort="group") if item.left_out != "nothing"
        ]
        drifted = [nothing_left_out(drifted=drifted, likeness=2.0 * drifted) for drifted in (False, True)]
        calm = [nothing_left_out(drifted=drifted, likeness=-2.0 * drifted) for drifted in (False, True)]
        assert choose_likeness(fits + calm, ONE_CUE).name == "bold"
        assert choose_likeness(fits + drifted, ONE_CUE).name == name


def test_bold_labels_of_one_name_start_at_the_median_and_raise_normals_by_two_reaches_at_most():
    fits = rounds(kinds=1.0, parts=6.0, sort="group")
    rule = choose_likeness(fits, ONE_CUE)
    likeness = [item.likeness[~item.y] for item in fits if not item.drifted]
    assert rule.level == pytest.approx(max(np.median(values) for values in likeness))
    novelty = fits[0].placed[~fits[0].y, 0]
    reach = np.quantile(novelty, 0.995) - np.median(novelty)
    top = max(np.quantile(values, 0.995) for values in likeness)
    assert rule.strength == pytest.approx(2 * reach / np.log1p(np.exp(top - rule.level)))
    assert 0 < rule.strength < STRENGTH_OF_ONE_NAME
    assert rule.most == MOST_REACHES_OF_ONE_NAME
    named = choose_likeness(rounds(kinds=4.0, parts=6.0, names=FIVE), ONE_CUE)
    assert (named.name, named.strength, named.most) == ("bold", STRENGTH, MOST_REACHES)


def test_the_strength_of_one_name_has_an_end():
    """Normals that are all equally unlike labelled anomalies: log 2 would be raised by two reaches."""
    item = judged("part", "part 0", drifted=False, novelty=5.0, likeness=3.0)
    far = JudgedLikeness(**{**vars(item), "likeness": np.zeros(360), "placed": item.placed * 10})
    assert strength_of_one_name([far], ONE_CUE, 0.0) == STRENGTH_OF_ONE_NAME


def test_labels_are_silent_where_even_care_costs_a_kind():
    """The labelled rows are no more like themselves than normals are, and the kinds left out less so."""
    rule = choose_likeness(rounds(kinds=-6.0, parts=-3.0)[:5], ONE_CUE)
    assert rule.name == "off"
    np.testing.assert_array_equal(rule.fused, rule.novelty)


def test_nothing_left_out_leaves_even_odds():
    rule = choose_likeness([], ONE_CUE)
    assert (rule.name, rule.level, rule.strength) == ("careful", 0.0, STRENGTH)


def test_area_is_that_of_novelty_plus_what_is_added():
    item = judged("kind", "a", drifted=False, novelty=1.0, likeness=3.0)
    novelty = item.placed[:, 0]
    most = 3 * (np.quantile(novelty[~item.y], 0.995) - np.median(novelty[~item.y]))
    score = novelty + most * (1 - np.exp(-2.0 * np.log1p(np.exp(item.likeness - 1.0)) / most))
    assert area(item, ONE_CUE, Level(9.0, {"known": 1.0}, 2.0, 3.0)) == pytest.approx(auroc(item.y, score))


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
