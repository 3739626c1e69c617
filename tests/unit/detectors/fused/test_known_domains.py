"""Rows of domains that the fit knows are compared with normals of such domains."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import UnseenDetector
from unseen.detectors.fused.known import N_PARTS, parts_of_domains
from unseen.persistence import load, save
from unseen.scoring import measure_drift
from unseen.scoring.thresholds import false_alarm_threshold

DOMAINS = np.array([f"patient {i}" for i in range(8)])
N_EACH = 150


def normals(seed: int, n_each: int = N_EACH) -> tuple[np.ndarray, np.ndarray]:
    """Every patient has a place of his own, far from the others'."""
    random = np.random.default_rng(seed)
    places = np.random.default_rng(99).normal(scale=6, size=(len(DOMAINS), 4))
    return (
        np.repeat(places, n_each, axis=0) + random.normal(size=(len(DOMAINS) * n_each, 4)),
        np.repeat(DOMAINS, n_each),
    )


def labelled(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, domains = normals(seed)
    odd, where = normals(seed + 1, 6)
    X = np.concatenate([X, odd + np.array([0, 0, 0, 9.0])])
    kinds = np.repeat(["normal", "high"], [len(domains), len(where)])
    return X, kinds, np.concatenate([domains, where])


@pytest.fixture(scope="module")
def fitted() -> UnseenDetector:
    X, kinds, domains = labelled(0)
    return UnseenDetector(n_trees=10, n_jobs=1, false_alarm_rate=0.05).fit(X, kinds, domains=domains)


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    return normals(7)


def test_fresh_normals_of_known_domains_are_flagged_as_asked_for(fitted, fresh):
    X, domains = fresh
    assert fitted.known_domains_.tolist() == DOMAINS.tolist()
    flagged = fitted.predict(X, domains=domains)
    assert 0.025 <= flagged.mean() <= 0.1
    p_values = fitted.p_values(X, domains=domains)
    np.testing.assert_array_equal(flagged, p_values <= 0.05)
    n = len(fitted.known_calibration_.normal_scores)
    assert measure_drift(p_values, n_calibration=n).distance < 0.08
    against_new_ones = fitted.calibration_.p_values(fitted.decision_function(X, domains=domains))
    assert measure_drift(against_new_ones, n_calibration=n).distance > 0.2


def test_rows_that_are_new_or_nameless_keep_the_usual_threshold(fitted, fresh):
    X, domains = fresh
    names = np.resize(np.array(["", "never seen", "of this one"]), len(X))
    names[names == "of this one"] = domains[names == "of this one"]
    scores = fitted.decision_function(X, domains=names)
    known = np.isin(names, DOMAINS)
    limits = np.where(known, fitted.known_calibration_.threshold, fitted.threshold_)
    assert fitted.known_calibration_.threshold != fitted.threshold_
    np.testing.assert_array_equal(fitted.predict(X, domains=names), scores > limits)
    apart = np.empty(len(X))
    for rows in (known, ~known):
        apart[rows] = fitted.p_values(X[rows], domains=names[rows])
    np.testing.assert_array_equal(fitted.p_values(X, domains=names), apart)
    usual = fitted.calibration_.p_values(scores[~known])
    np.testing.assert_array_equal(apart[~known], usual)


def test_a_row_alone_is_judged_as_among_others(fitted, fresh):
    X, domains = fresh[0][::100], fresh[1][::100].copy()
    domains[::3] = "never seen"
    for method in (fitted.p_values, fitted.predict, lambda *a, **k: fitted.predict_proba(*a, **k)[:, 1]):
        alone = [method(X[i : i + 1], domains=domains[i : i + 1])[0] for i in range(len(X))]
        np.testing.assert_allclose(method(X, domains=domains), alone, rtol=1e-6)


def test_fresh_references_of_a_known_domain_make_it_a_new_one(fitted, fresh):
    X, domains = fresh
    first = domains == DOMAINS[0]
    adapted = fitted.adapt(X[first][:8], domains=domains[first][:8])
    assert DOMAINS[0] not in adapted.known_domains_
    assert DOMAINS[0] in fitted.known_domains_
    scores = adapted.decision_function(X[first], domains=domains[first])
    np.testing.assert_array_equal(
        adapted.p_values(X[first], domains=domains[first]), adapted.calibration_.p_values(scores)
    )
    np.testing.assert_array_equal(  # the others stay as they are
        adapted.p_values(X[~first], domains=domains[~first]),
        fitted.p_values(X[~first], domains=domains[~first]),
    )


def test_a_saved_detector_judges_as_before(fitted, fresh, tmp_path):
    X, domains = fresh[0][::20], fresh[1][::20].copy()
    domains[::3] = "never seen"
    save(fitted, tmp_path / "model")
    again = load(tmp_path / "model")
    for name in ("p_values", "predict", "predict_proba"):
        np.testing.assert_array_equal(
            getattr(again, name)(X, domains=domains), getattr(fitted, name)(X, domains=domains)
        )


def test_normals_held_back_count_beside_those_left_out_until_they_are_enough(fresh):
    X, kinds, domains = labelled(0)
    apart = UnseenDetector(n_trees=5, n_jobs=1, false_alarm_rate=0.05, calibration_fraction=0.0)
    apart.fit(X, kinds, domains=domains)
    assert apart.known_calibration_ is None
    few = np.arange(0, len(fresh[0]), 40)
    apart.calibrate(fresh[0][few], domains=fresh[1][few])
    left_out = false_alarm_threshold(apart.known_scores_.scores, 0.05)[0]
    assert apart.known_calibration_.threshold == pytest.approx(left_out, rel=0.2)
    apart.calibrate(fresh[0], domains=fresh[1])
    held_back = apart.decision_function(fresh[0], domains=fresh[1])
    np.testing.assert_array_equal(apart.known_calibration_.normal_scores, np.sort(held_back))
    nobody = apart.calibrate(fresh[0], domains=np.full(len(fresh[0]), "never seen")).known_calibration_
    assert nobody.threshold == left_out


@pytest.mark.parametrize("how", ["few domains", "one group a domain", "no names"])
def test_one_set_serves_all_where_nothing_tells_known_domains_apart(how):
    X, kinds, domains = labelled(0)
    groups = domains if how == "one group a domain" else None
    names = {"few domains": np.where(domains < DOMAINS[4], "a", domains), "no names": None}.get(how, domains)
    if how == "few domains":
        names = np.where(names >= DOMAINS[6], "b", names)  # four of them
    found = UnseenDetector(n_trees=5, n_jobs=1).fit(X, kinds, domains=names, groups=groups)
    assert found.known_calibration_ is None
    sets = found.calibrations_
    np.testing.assert_array_equal(sets.thresholds(domains), np.full(len(X), found.threshold_))


@pytest.mark.parametrize("view", ["residual-nearest", "scaled-centre"])
def test_a_view_of_references_has_both_sets_too(view):
    X, kinds, domains = labelled(0)
    found = UnseenDetector(n_trees=5, n_jobs=1, view=view, false_alarm_rate=0.05)
    found.fit(X, kinds, domains=domains)
    fresh, names = normals(7)
    assert found.known_domains_.tolist() == DOMAINS.tolist()
    assert 0.025 <= found.predict(fresh, domains=names).mean() <= 0.1


def test_parts_split_domains_and_no_groups():
    domains = np.array(["a"] * 12 + ["b"] * 3 + ["c"] + [""] * 4)
    single = np.arange(len(domains))
    parts = parts_of_domains(domains, single, 0)
    assert (parts[-5:] == -1).all()  # a single row, and rows without a name
    for name in ("a", "b"):
        own = parts[domains == name]
        assert 0 in own
        assert set(own) <= set(range(N_PARTS))
        assert len(set(own)) == min(len(own), N_PARTS)
    groups = np.repeat(np.arange(5), 4)
    parts = parts_of_domains(domains, groups, 0)
    assert all(len(set(parts[groups == group])) == 1 for group in range(4))
    np.testing.assert_array_equal(parts, parts_of_domains(domains, groups, 0))


def test_known_domains_without_scores_are_refused(fitted):
    fitted._check_fitted_values()
    other = fitted.adapt(fitted.store_.rows[:2], domains=["x", "x"])
    other.known_domains_ = np.array(["nobody"])
    with pytest.raises(ValueError, match="no scores"):
        other._check_fitted_values()
