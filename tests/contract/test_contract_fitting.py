"""Constructor, fit, clone and calibration, for every detector."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.base import clone

from unseen.checks import resolve_labels
from unseen.detectors import DETECTORS
from unseen.errors import LabelError, NotCalibratedError, NotFittedError, ParameterError
from unseen.persistence.hints import annotated, matches
from unseen.scoring.calibration import hold_back

from .conftest import QUICK, draw

METHODS = ("decision_function", "p_values", "predict", "predict_proba", "explain", "score_and_explain")
COMMON = ["view", "n_references", "calibration_fraction", "false_alarm_rate", "normal", "seed"]


def test_every_detector_is_in_the_suite():
    assert set(QUICK) == set(DETECTORS)


def test_the_constructor_only_stores(name):
    signature = inspect.signature(DETECTORS[name])
    markers = {parameter: object() for parameter in signature.parameters}
    detector = DETECTORS[name](**markers)
    assert vars(detector) == markers


def test_parameters_are_keyword_only_and_the_common_ones_come_last(name):
    parameters = inspect.signature(DETECTORS[name]).parameters
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert list(parameters)[-len(COMMON) :] == COMMON


def test_fit_returns_self_and_leaves_parameters_alone(make, rows):
    detector = make()
    before = dict(detector.get_params())
    assert detector.fit(rows.X, rows.y) is detector
    after = detector.get_params()
    assert after == before
    assert all(after[key] is before[key] for key in before)


def test_fitted_attributes_are_annotated_and_of_that_type(name, fitted):
    hints = {key: hint for key, hint in annotated(DETECTORS[name]).items() if key.endswith("_")}
    values = {key: value for key, value in vars(fitted).items() if key not in fitted.get_params()}
    assert set(values) == set(hints)
    assert [key for key in hints if not matches(values[key], hints[key])] == []


def test_same_seed_same_scores(make, rows, fresh):
    detector = make(seed=3)
    first = detector.fit(rows.X, rows.y).decision_function(fresh.X)
    again = detector.fit(rows.X, rows.y).decision_function(fresh.X)
    other = make(seed=3).fit(rows.X, rows.y).decision_function(fresh.X)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, other)


def test_fit_does_not_touch_the_global_random_state(make, rows):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.get_state()[1].copy()  # noqa: NPY002
    make().fit(rows.X, rows.y)
    np.testing.assert_array_equal(np.random.get_state()[1], expected)  # noqa: NPY002


def test_clone_is_unfitted_and_fits_to_the_same_scores(fitted, rows, fresh):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copied.decision_function(fresh.X)
    copied.fit(rows.X, rows.y, kinds=rows.kinds)
    np.testing.assert_array_equal(copied.decision_function(fresh.X), fitted.decision_function(fresh.X))


def test_kind_names_as_y_mean_the_same_as_numbers_and_kinds(make, rows, fitted, fresh):
    by_name = make().fit(rows.X, rows.kinds)
    np.testing.assert_array_equal(by_name.decision_function(fresh.X), fitted.decision_function(fresh.X))
    assert by_name.threshold_ == fitted.threshold_


def test_other_names_for_normal(make, rows, fitted, fresh):
    renamed = np.where(rows.kinds == "normal", "Benign", rows.kinds)
    detector = make(normal=("Benign", "background")).fit(rows.X, renamed)
    np.testing.assert_array_equal(detector.decision_function(fresh.X), fitted.decision_function(fresh.X))


def test_unlabelled_rows_are_neither_normals_nor_anomalies(make, rows, fresh):
    far = np.full((30, rows.X.shape[1]), 50.0)
    X = np.concatenate([rows.X, far])
    y = np.concatenate([rows.y, np.full(len(far), -1)])
    with_unlabelled = make().fit(X, y)
    without = make().fit(rows.X, rows.y)
    assert len(with_unlabelled.calibration_.normal_scores) == len(without.calibration_.normal_scores)
    scores = with_unlabelled.decision_function(np.concatenate([fresh.normals, far[:1]]))
    assert scores[-1] > scores[:-1].max()


def test_y_none_takes_all_rows_as_normal(make, rows, fresh):
    X = rows.normals
    none = make().fit(X).decision_function(fresh.X)
    zeros = make().fit(X, np.zeros(len(X))).decision_function(fresh.X)
    np.testing.assert_array_equal(none, zeros)


def test_unfitted_is_an_error_in_every_method(make, rows):
    detector = make()
    for method in METHODS:
        with pytest.raises(NotFittedError, match=r"fit first"):
            getattr(detector, method)(rows.X)
    with pytest.raises(NotFittedError):
        detector.adapt(rows.X)
    with pytest.raises(NotFittedError):
        detector.calibrate(rows.X)
    with pytest.raises(NotFittedError):
        detector.threshold_  # noqa: B018 - the property raises


def test_uncalibrated_is_an_error_until_calibrate(make, rows, fresh):
    detector = make(calibration_fraction=0).fit(rows.X, rows.y)
    assert np.isfinite(detector.decision_function(fresh.X)).all()
    for method in ("p_values", "predict", "predict_proba"):
        with pytest.raises(NotCalibratedError, match=r"calibrate"):
            getattr(detector, method)(fresh.X)
    before = detector.decision_function(fresh.X)
    assert detector.calibrate(fresh.X, fresh.y) is detector
    np.testing.assert_array_equal(detector.decision_function(fresh.X), before)
    assert len(detector.p_values(fresh.X)) == len(fresh.X)


def test_calibration_rows_take_no_part_in_the_fit(make):
    """Changing the rows that are held back changes the threshold, and no score."""
    rows = draw(seed=9)
    detector = make().fit(rows.X, rows.y)
    held = hold_back(resolve_labels("test", len(rows.y), rows.y), 0.2, 0)
    assert held.any()
    changed = rows.X.copy()
    changed[held] += 0.37
    other = make().fit(changed, rows.y)
    np.testing.assert_array_equal(other.decision_function(rows.X), detector.decision_function(rows.X))
    assert other.threshold_ != detector.threshold_


def test_groups_are_not_split_between_fit_and_calibration(make, rows):
    groups = np.arange(len(rows.X)) // 10
    detector = make().fit(rows.X, rows.y, groups=groups)
    sizes = {int((groups[rows.y == 0] == group).sum()) for group in np.unique(groups)}
    assert len(detector.calibration_.normal_scores) >= min(sizes)


def test_calibrate_without_normals_is_an_error(fitted, rows):
    with pytest.raises(LabelError, match=r"normal"):
        clone(fitted).fit(rows.X, rows.y).calibrate(rows.X[:3], np.ones(3))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("view", "sideways"),
        ("n_references", 0),
        ("n_references", 2.5),
        ("calibration_fraction", -0.1),
        ("calibration_fraction", 1.0),
        ("calibration_fraction", float("nan")),
        ("false_alarm_rate", 0),
        ("false_alarm_rate", 1),
        ("seed", -1),
        ("seed", "zero"),
    ],
)
def test_bad_common_parameters_are_named_when_fitting(make, rows, parameter, value):
    with pytest.raises(ParameterError, match=rf"{parameter} must be .*got") as caught:
        make(**{parameter: value}).fit(rows.X, rows.y)
    assert "\n" not in str(caught.value)
