"""The detector to reach for first: what it promises about labels, false alarms and references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen.detectors import UnseenDetector
from unseen.detectors.fused.checking import check_mode
from unseen.detectors.fused.lift import Lift, Raise
from unseen.metrics.ranking import auroc
from unseen.persistence import load, save

QUICK = {"n_trees": 15, "n_jobs": 1}
N_FEATURES = 6


def blob(random: np.random.Generator, n: int, centre: float | np.ndarray, width: float = 1.0) -> np.ndarray:
    return random.normal(size=(n, N_FEATURES)) * width + centre


def against(detector: UnseenDetector, normals: np.ndarray, anomalies: np.ndarray) -> float:
    scores = detector.decision_function(np.concatenate([normals, anomalies]))
    return auroc(np.arange(len(scores)) >= len(normals), scores)


@pytest.mark.parametrize("n_known", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_labels_that_mislead_cost_nothing(n_known, seed):
    """The known kinds lie far out, the unknown one near the normals on the other side."""
    random = np.random.default_rng(seed)
    far = [np.r_[9.0, np.zeros(5)], np.r_[7.0, 7.0, np.zeros(4)]][:n_known]
    near = np.r_[-3.0, -2.0, np.zeros(4)]
    known = [blob(random, 30, centre) for centre in far]
    X = np.concatenate([blob(random, 600, 0.0), *known])
    kinds = np.repeat(["normal", "a", "b"][: n_known + 1], [600, *[30] * n_known])
    fused = UnseenDetector(**QUICK).fit(X, kinds)
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, kinds)
    normals, unknown = blob(random, 500, 0.0), blob(random, 300, near, 0.7)
    assert against(fused, normals, unknown) >= against(plain, normals, unknown) - 0.005


def test_known_kinds_gain_by_their_labels():
    """A tight kind amid the normals: no novelty finds it, its labels do."""
    random = np.random.default_rng(1)
    inside = np.array([0.8, -0.6, 0.4, 0.0, 0.3, -0.2])
    X = np.concatenate([blob(random, 500, 0.0), blob(random, 40, inside, 0.03), blob(random, 40, 5.0)])
    kinds = np.repeat(["normal", "inside", "far"], [500, 40, 40])
    normals, known = blob(random, 500, 0.0), blob(random, 100, inside, 0.03)
    fused = UnseenDetector(**QUICK).fit(X, kinds)
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, kinds)
    assert against(plain, normals, known) < 0.6
    assert against(fused, normals, known) > 0.9


def test_trusted_labels_find_more_of_what_they_show_and_may_cost_what_they_do_not():
    """One name for two sorts of rows amid the normals: a fit without one of them says nothing good of it."""
    random = np.random.default_rng(6)
    here = np.array([1.2, -0.9, 0.6, 0.0, 0.5, -0.3])
    X = np.concatenate([blob(random, 600, 0.0), blob(random, 10, here), blob(random, 10, -2 * here)])
    y = np.repeat([0, 1], [600, 20])
    normals, shown = blob(random, 600, 0.0), blob(random, 200, here)
    hidden = blob(random, 200, np.r_[-2.5, 2.0, np.zeros(4)], 0.5)
    plain, guarded, trusted = (
        UnseenDetector(labels=labels, **QUICK).fit(X, y) for labels in ("ignore", "guarded", "trusted")
    )
    assert trusted.choices_["plain"]["likeness"] == "bold"
    assert guarded.choices_["plain"]["likeness"] == "careful"
    assert against(trusted, normals, shown) > against(guarded, normals, shown) + 0.05
    assert against(trusted, normals, hidden) < against(plain, normals, hidden)
    assert against(guarded, normals, hidden) >= against(plain, normals, hidden) - 0.005


def test_where_domains_are_named_trusted_labels_are_guarded_ones():
    random = np.random.default_rng(5)
    X = np.concatenate([blob(random, 300, 0.0), blob(random, 30, 3.0)])
    y, domains = np.repeat([0, 1], [300, 30]), np.resize(["a", "b", "c"], 330)
    both = [
        UnseenDetector(labels=labels, **QUICK)
        .fit(X, y, domains=domains)
        .decision_function(X, domains=domains)
        for labels in ("guarded", "trusted")
    ]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("seed", range(3))
def test_misses_of_a_kind_that_nobody_labelled_grow_by_the_share_at_most(seed):
    """Known kinds amid the normals, so labels gain; a kind without labels at the rim, where they say nothing.

    The share is measured on folds, by fits with fewer normals; of further ones it is half as much again here.
    """
    random = np.random.default_rng(seed)
    inside = [np.r_[0.9, -0.7, 0.5, np.zeros(3)], np.r_[-0.5, 0.8, np.zeros(3), 0.9]]
    X = np.concatenate([blob(random, 900, 0.0), *[blob(random, 40, place, 0.1) for place in inside]])
    kinds = np.repeat(["normal", "a", "b"], [900, 40, 40])
    fused = UnseenDetector(**QUICK).fit(X, kinds)
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, kinds)
    mode = fused.modes_[0]
    assert fused.choices_["plain"]["likeness"] == "careful"
    assert isinstance(mode.likeness, Lift)
    assert fused.choices_["plain"]["share"] == mode.likeness.share
    normals, hidden = blob(random, 4000, 0.0), blob(random, 500, np.r_[-2.0, -1.5, np.zeros(4)], 0.7)
    missed = 1 - against(plain, normals, hidden)
    assert missed > 0.05
    assert 1 - against(fused, normals, hidden) <= missed / (1 - 1.5 * mode.likeness.share) + 0.005
    known = blob(random, 200, inside[0], 0.1)
    assert against(fused, normals, known) > against(plain, normals, known) + 0.2


def test_a_single_labelled_row_is_heard():
    """Amid the normals, so that novelty does not find what is like it."""
    random = np.random.default_rng(2)
    inside = np.r_[1.1, -0.9, 0.7, 0.3, np.zeros(2)]
    X = np.concatenate([blob(random, 900, 0.0), inside[None]])
    fused = UnseenDetector(**QUICK).fit(X, np.repeat([0, 1], [900, 1]))
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, np.repeat([0, 1], [900, 1]))
    assert isinstance(fused.modes_[0].likeness, Lift)
    normals, known = blob(random, 900, 0.0), blob(random, 100, inside, 0.05)
    assert against(fused, normals, known) > against(plain, normals, known) + 0.1


def test_a_lift_survives_a_file_and_damage_is_refused(tmp_path):
    random = np.random.default_rng(1)
    inside = np.r_[0.9, -0.7, 0.5, np.zeros(3)]
    X = np.concatenate([blob(random, 500, 0.0), blob(random, 40, inside, 0.1), blob(random, 40, 5.0)])
    fused = UnseenDetector(**QUICK).fit(X, np.repeat(["normal", "a", "b"], [500, 40, 40]))
    mode = fused.modes_[0]
    assert isinstance(mode.likeness, Lift)
    rows = np.concatenate([blob(random, 20, 0.0, 2.0), blob(random, 20, inside, 0.2)])
    scores = fused.decision_function(rows)
    one_by_one = np.concatenate([fused.decision_function(rows[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(one_by_one, scores, rtol=1e-9)
    np.testing.assert_array_equal(load(save(fused, tmp_path / "model")).decision_function(rows), scores)
    with pytest.raises(ValueError, match="no share"):
        check_mode(replace(mode, likeness=replace(mode.likeness, share=1.0)), N_FEATURES)
    damage = [{"unit": 0.0}, {"unit": np.nan}, {"odds_spread": np.inf}, {"floor": np.nan}]
    for told in (*damage, {"weights": np.full_like(mode.weights, np.nan)}):
        with pytest.raises(ValueError, match="no numbers"):
            check_mode(replace(mode, **told), N_FEATURES)


def test_labels_never_lower_a_score():
    random = np.random.default_rng(2)
    X = np.concatenate([blob(random, 300, 0.0), blob(random, 20, 4.0), blob(random, 20, -4.0)])
    kinds = np.repeat(["normal", "up", "down"], [300, 20, 20])
    rows = blob(random, 200, 0.0, 3.0)
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, kinds).decision_function(rows)
    assert (UnseenDetector(**QUICK).fit(X, kinds).decision_function(rows) >= plain - 1e-9).all()


@pytest.mark.parametrize("labelled", [0, 1, 40])
def test_one_in_a_hundred_fresh_normals_is_flagged(labelled):
    random = np.random.default_rng(3)
    X = np.concatenate([blob(random, 5000, 0.0), blob(random, labelled, 3.0)])
    y = np.repeat([0, 1], [5000, labelled])
    detector = UnseenDetector(calibration_fraction=0.4, **QUICK).fit(X, y)
    assert 0.005 <= detector.predict(blob(random, 5000, 0.0)).mean() <= 0.02


def test_trimming_is_counted_and_finds_hidden_anomalies():
    random = np.random.default_rng(4)
    X = np.concatenate([blob(random, 380, 0.0), blob(random, 20, 6.0, 0.5)])
    hidden, normals = blob(random, 100, 6.0, 0.5), blob(random, 300, 0.0)
    trimmed = UnseenDetector(trim=0.1, calibration_fraction=0, **QUICK).fit(X)
    kept = UnseenDetector(calibration_fraction=0, **QUICK).fit(X)
    assert trimmed.n_trimmed_ == 40
    assert kept.n_trimmed_ == 0
    assert against(trimmed, normals, hidden) > against(kept, normals, hidden)
    assert against(trimmed, normals, hidden) > 0.99


def drifting_domains(random: np.random.Generator, names: list[str], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Normals whose mean is another in each domain."""
    means = {name: random.normal(size=N_FEATURES) * 4 for name in names}
    X = np.concatenate([blob(random, n, means[name]) for name in names])
    return X, np.repeat(names, n)


def test_references_of_a_new_domain_help_where_domains_were_named():
    random = np.random.default_rng(5)
    X, domains = drifting_domains(random, list("abcdefgh"), 60)
    detector = UnseenDetector(calibration_fraction=0, n_references=8, **QUICK).fit(X, domains=domains)
    assert len(detector.modes_) == 2
    normals, _ = drifting_domains(random, ["new"], 200)
    shifted = normals[100:] + np.r_[4.0, 4.0, np.zeros(4)]
    before = against(detector, normals[8:100], shifted)
    adapted = detector.adapt(normals[:8], domains=["new"] * 8)
    rows = np.concatenate([normals[8:100], shifted])
    scores = adapted.decision_function(rows, domains=["new"] * len(rows))
    assert auroc(np.arange(len(rows)) >= 92, scores) > max(before, 0.95)


def calmer_place() -> tuple[UnseenDetector, np.ndarray, np.ndarray, np.ndarray]:
    """A detector, fresh normals of training, and references and normals of a place with less spread."""
    random = np.random.default_rng(11)
    X = np.concatenate([blob(random, 1500, 0.0), blob(random, 30, 5.0)])
    detector = UnseenDetector(**QUICK).fit(X, np.repeat([0, 1], [1500, 30]))
    return detector, blob(random, 400, 0.0), blob(random, 1000, 0.0, 0.6), blob(random, 3000, 0.0, 0.6)


def test_references_left_out_set_the_threshold_of_their_place():
    detector, _fresh, references, place = calmer_place()
    adapted = detector.adapt(references)
    scores = adapted.decision_function(place)
    assert np.mean(scores > detector.threshold_) < 0.002
    assert 0.003 < adapted.predict(place).mean() < 0.02
    np.testing.assert_array_equal(adapted.predict(place), adapted.p_values(place) <= 0.01)
    assert detector.predict(place).mean() < 0.002  # the detector that was adapted stays as it is


def test_a_few_references_hardly_move_the_threshold():
    detector, _fresh, references, _place = calmer_place()
    few, many = detector.adapt(references[:8]), detector.adapt(references)
    assert detector.threshold_ >= few.threshold_ > many.threshold_ + 0.1


def test_adapting_again_replaces_the_references_in_the_threshold(tmp_path):
    detector, fresh, references, _place = calmer_place()
    once = detector.adapt(references[500:])
    twice = detector.adapt(references[:500]).adapt(references[500:])
    assert twice.threshold_ == once.threshold_
    assert load(save(once, tmp_path / "model")).adapt(references[500:]).threshold_ == once.threshold_
    calibrated = once.calibrate(fresh)
    assert calibrated.calibration_ is not None
    assert len(calibrated.calibration_.normal_scores) == 400 + 500
    assert calibrated.threshold_ > calibrated.adapt(references).threshold_


def test_choices_say_what_kinds_left_out_reached():
    random = np.random.default_rng(6)
    X = np.concatenate([blob(random, 300, 0.0), blob(random, 20, 4.0), blob(random, 20, -4.0)])
    kinds = np.repeat(["normal", "up", "down"], [300, 20, 20])
    chosen = UnseenDetector(**QUICK).fit(X, kinds).choices_["plain"]
    assert chosen["kinds"] == ["down", "up"]
    assert all(f >= n - 0.005 for n, f in zip(chosen["novelty"], chosen["fused"], strict=True))


def test_reasons_name_the_kind_the_normal_and_the_feature():
    random = np.random.default_rng(7)
    inside = np.array([0.8, -0.6, 0.4, 0.0, 0.3, -0.2])
    X = np.concatenate([blob(random, 400, 0.0), blob(random, 30, inside, 0.03), blob(random, 30, 5.0)])
    detector = UnseenDetector(**QUICK).fit(X, np.repeat(["normal", "inside", "far"], [400, 30, 30]))
    odd = np.zeros(N_FEATURES)
    odd[4] = -9.0
    rows = np.stack([odd, inside])
    found = detector.reasons(rows)
    assert found.reason.tolist() == ["novel", "like known"]
    assert found.like_kind.tolist() == ["", "inside"]
    assert found.nearest_kind[1] == "inside"
    assert found.kind_distance[1] < found.normal_distance[1]
    assert int(np.argmax(found.contributions[0])) == 4
    np.testing.assert_allclose(found.score, found.novelty + found.raised)
    np.testing.assert_allclose(found.score, detector.decision_function(rows), rtol=1e-6)
    distance = np.linalg.norm(found.nearest_normal - rows, axis=1)
    np.testing.assert_allclose(distance, found.normal_distance, rtol=1e-5)


def test_rows_amid_the_normals_are_not_said_to_be_like_a_known_kind():
    """Known kinds far out; their rows are said to be like them, whatever labels add, and others are not."""
    random = np.random.default_rng(9)
    X = np.concatenate([blob(random, 600, 0.0), blob(random, 30, 5.0), blob(random, 30, -5.0)])
    detector = UnseenDetector(**QUICK).fit(X, np.repeat(["normal", "up", "down"], [600, 30, 30]))
    found = detector.reasons(blob(random, 300, 0.0, 0.5))
    plain = (found.score < 0.5) & (found.raised < 0.25)
    assert plain.mean() > 0.9
    assert set(found.reason[plain].tolist()) == {"usual"}
    assert set(found.like_kind[plain].tolist()) == {""}
    midst = detector.reasons(np.zeros((1, N_FEATURES)))
    assert (detector.choices_["plain"]["likeness"], midst.raised[0]) == ("off", 0)  # there is nothing to gain
    assert (midst.contributions == 0).all()  # so no column is named for what labels add next to nothing to
    assert set(detector.reasons(blob(random, 50, 5.0)).like_kind.tolist()) == {"up"}


def test_a_large_bank_is_searched_in_cells_and_kept_whole(monkeypatch, tmp_path):
    random = np.random.default_rng(8)
    X = np.concatenate([blob(random, 2000, 0.0), blob(random, 20, 4.0)])
    y = np.repeat([0, 1], [2000, 20])
    normals, anomalies = blob(random, 300, 0.0), blob(random, 300, 1.5)
    exact = UnseenDetector(calibration_fraction=0, **QUICK).fit(X, y)
    monkeypatch.setattr("unseen.detectors.unseen_detector.EXACT_ROWS", 600)
    large = UnseenDetector(calibration_fraction=0, **QUICK).fit(X, y)
    drawn = UnseenDetector(calibration_fraction=0, max_bank_rows=600, **QUICK).fit(X, y)
    assert [len(found.modes_[0].normals.bank) for found in (exact, large, drawn)] == [2000, 2000, 600]
    assert exact.modes_[0].normals.index is None
    assert large.modes_[0].normals.index is not None
    assert abs(against(large, normals, anomalies) - against(exact, normals, anomalies)) < 0.02
    rows = np.concatenate([normals[:20], anomalies[:20]])
    one_by_one = np.concatenate([large.decision_function(rows[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(one_by_one, large.decision_function(rows), rtol=1e-9)
    path = save(large, tmp_path / "model")
    np.testing.assert_array_equal(load(path).decision_function(rows), large.decision_function(rows))


@pytest.mark.parametrize("seed", range(3))
def test_one_name_that_hides_a_novel_kind_costs_that_kind_nothing(seed):
    """Labelled rows lie near the normals in two places; a third place, far out, has no label."""
    random = np.random.default_rng(seed)
    places = [np.r_[2.5, np.zeros(5)], np.r_[0.0, 2.5, np.zeros(4)]]
    X = np.concatenate([blob(random, 600, 0.0), *[blob(random, 25, place, 0.7) for place in places]])
    y = np.repeat([0, 1], [600, 50])
    fused = UnseenDetector(**QUICK).fit(X, y)
    plain = UnseenDetector(labels="ignore", **QUICK).fit(X, y)
    normals, hidden = blob(random, 500, 0.0), blob(random, 300, np.r_[0.0, 0.0, -9.0, np.zeros(3)], 0.7)
    known = blob(random, 300, places[0], 0.7)
    assert fused.choices_["plain"]["likeness"] == "bold"
    assert against(fused, normals, known) > against(plain, normals, known) + 0.03
    assert against(fused, normals, hidden) >= against(plain, normals, hidden) - 0.005


def test_bold_labels_of_one_name_survive_a_file_and_a_second_fit_and_damage_is_refused(tmp_path):
    random = np.random.default_rng(0)
    places = [np.r_[2.5, np.zeros(5)], np.r_[0.0, 2.5, np.zeros(4)]]
    X = np.concatenate([blob(random, 400, 0.0), *[blob(random, 25, place, 0.7) for place in places]])
    y = np.repeat([0, 1], [400, 50])
    fused = UnseenDetector(**QUICK).fit(X, y)
    mode = fused.modes_[0]
    assert fused.choices_["plain"]["likeness"] == "bold"
    assert mode.labelled is not None
    assert mode.labelled.n_near == 3
    assert isinstance(mode.likeness, Raise)
    assert mode.likeness.most == pytest.approx(16 * mode.reach)
    rows = blob(random, 40, 1.0, 2.0)
    scores = fused.decision_function(rows)
    one_by_one = np.concatenate([fused.decision_function(rows[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(one_by_one, scores, rtol=1e-9)
    np.testing.assert_array_equal(UnseenDetector(**QUICK).fit(X, y).decision_function(rows), scores)
    np.testing.assert_array_equal(load(save(fused, tmp_path / "model")).decision_function(rows), scores)
    for damaged in (
        replace(mode, likeness=replace(mode.likeness, most=0.0)),
        replace(mode, likeness=replace(mode.likeness, most=np.inf)),
        replace(mode, labelled=replace(mode.labelled, n_near=0)),
        replace(mode, labelled=replace(mode.labelled, n_near=51)),
    ):
        with pytest.raises(ValueError, match=r"no end|to be near"):
            check_mode(damaged, N_FEATURES)
    check_mode(mode, N_FEATURES)
