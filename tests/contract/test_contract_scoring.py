"""Scores, decisions and explanations, for every detector."""

from __future__ import annotations

import numpy as np
import pytest


def test_scores_are_finite_float64_of_one_value_a_row(fitted, fresh):
    scores = fitted.decision_function(fresh.X)
    assert scores.dtype == np.float64
    assert scores.shape == (len(fresh.X),)
    assert np.isfinite(scores).all()


def test_higher_means_more_anomalous(fitted, fresh):
    outliers = np.array([[30.0, -30, 30, -30], [-30, 30, -30, 30]])
    assert fitted.decision_function(outliers).min() > fitted.decision_function(fresh.normals).max()
    assert fitted.predict(outliers).tolist() == [1, 1]
    assert fitted.p_values(outliers).max() <= fitted.p_values(fresh.normals).min()


def test_one_by_one_equals_all_at_once(fitted, fresh):
    at_once = fitted.decision_function(fresh.X)
    one_by_one = np.concatenate([fitted.decision_function(row[None]) for row in fresh.X])
    np.testing.assert_allclose(one_by_one, at_once, rtol=1e-5)
    explained = np.concatenate([fitted.explain(row[None]) for row in fresh.X])
    np.testing.assert_allclose(explained, fitted.explain(fresh.X), rtol=1e-4, atol=1e-6)


def test_scores_do_not_depend_on_the_other_rows_or_their_order(fitted, fresh):
    order = np.random.default_rng(0).permutation(len(fresh.X))
    np.testing.assert_allclose(
        fitted.decision_function(fresh.X[order]), fitted.decision_function(fresh.X)[order], rtol=1e-5
    )


def test_scoring_twice_gives_the_same_bits(fitted, fresh):
    np.testing.assert_array_equal(fitted.decision_function(fresh.X), fitted.decision_function(fresh.X))


def test_predict_agrees_with_the_threshold(fitted, rows):
    scores = fitted.decision_function(rows.X)
    flags = fitted.predict(rows.X)
    assert set(np.unique(flags)) == {0, 1}
    np.testing.assert_array_equal(flags, (scores > fitted.threshold_).astype(np.int8))


def test_p_values_fall_with_the_score_and_stay_in_range(fitted, rows):
    scores, p = fitted.decision_function(rows.X), fitted.p_values(rows.X)
    n = len(fitted.calibration_.normal_scores)
    assert p.min() >= 1 / (n + 1)
    assert p.max() <= 1
    assert (np.diff(p[np.argsort(scores)]) <= 0).all()


@pytest.mark.parametrize("labelled", [True, False], ids=["with known kinds", "normals only"])
def test_probabilities_sum_to_one_and_rise_with_the_score(make, rows, fresh, labelled):
    detector = make().fit(rows.X, rows.y) if labelled else make().fit(rows.normals)
    probabilities = detector.predict_proba(fresh.X)
    assert probabilities.shape == (len(fresh.X), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert probabilities.min() >= 0
    anomalous = probabilities[np.argsort(detector.decision_function(fresh.X)), 1]
    assert (np.diff(anomalous) >= 0).all()
    assert anomalous[-1] > anomalous[0]


def test_explanations_are_finite_and_one_a_feature(fitted, fresh):
    contributions = fitted.explain(fresh.X)
    assert contributions.shape == fresh.X.shape
    assert contributions.dtype in (np.float32, np.float64)
    assert np.isfinite(contributions).all()


def test_the_feature_that_is_off_contributes_most(fitted, rows):
    usual = np.median(rows.normals, axis=0)
    for feature in (0, 2):
        odd = usual.copy()
        odd[feature] += 25.0
        assert int(np.argmax(fitted.explain(odd[None])[0])) == feature


def test_score_and_explain_gives_both(fitted, fresh):
    scores, contributions = fitted.score_and_explain(fresh.X)
    np.testing.assert_allclose(scores, fitted.decision_function(fresh.X), rtol=1e-6)
    np.testing.assert_allclose(contributions, fitted.explain(fresh.X), rtol=1e-4, atol=1e-6)


def test_float32_rows_score_like_float64_rows(fitted, make, rows, fresh):
    single = fresh.X.astype(np.float32)
    np.testing.assert_allclose(
        fitted.decision_function(single), fitted.decision_function(single.astype(np.float64)), rtol=1e-4
    )
    detector = make().fit(rows.X.astype(np.float32), rows.y)
    scores = detector.decision_function(single)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_whole_numbers_lists_and_unusual_memory_layouts_work(make, rows, fitted, fresh):
    expected = fitted.decision_function(fresh.X)
    wide = np.repeat(fresh.X, 2, axis=1)
    for same in (fresh.X.tolist(), np.asfortranarray(fresh.X), wide[:, ::2]):
        np.testing.assert_allclose(fitted.decision_function(same), expected, rtol=1e-6)
    refitted = make().fit(np.asfortranarray(rows.X), rows.y, kinds=rows.kinds)
    np.testing.assert_allclose(refitted.decision_function(fresh.X), expected, rtol=1e-3)
    whole = np.rint(rows.X * 3).astype(np.int32)
    assert np.isfinite(make().fit(whole, rows.y).decision_function(whole)).all()


def test_arrays_given_are_never_changed(make, rows, fresh):
    X, y, kinds, domains = (array.copy() for array in (rows.X, rows.y, rows.kinds, rows.domains))
    scored = fresh.X.astype(np.float32)
    kept = scored.copy()
    for array in (X, y, kinds, domains, scored):
        array.flags.writeable = False
    detector = make(view="scaled-centre", n_references=4).fit(X, y, kinds=kinds, domains=domains)
    detector.calibrate(X, y, kinds=kinds, domains=domains)
    adapted = detector.adapt(scored[:5])
    for method in ("decision_function", "predict", "predict_proba", "p_values", "explain"):
        getattr(adapted, method)(scored)
    np.testing.assert_array_equal(X, rows.X)
    np.testing.assert_array_equal(y, rows.y)
    np.testing.assert_array_equal(scored, kept)
