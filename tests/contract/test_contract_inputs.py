"""What cannot be used is refused with one line that says what is wrong; what is odd but usable works."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InputError, LabelError

from .conftest import N_FEATURES

NAN = np.full((6, N_FEATURES), 1.0)
NAN[2, 1] = np.nan
INFINITE = np.full((6, N_FEATURES), 1.0)
INFINITE[4, 3] = -np.inf

BAD_ROWS = {
    "NaN": (NAN, r"finite.*row 2, column 1"),
    "infinity": (INFINITE, r"finite.*row 4, column 3"),
    "one row without its dimension": (np.ones(N_FEATURES), r"2 dimensions.*reshape"),
    "three dimensions": (np.ones((2, N_FEATURES, 1)), r"2 dimensions"),
    "no rows": (np.ones((0, N_FEATURES)), r"at least one row"),
    "no columns": (np.ones((3, 0)), r"at least one row and one column"),
    "text": ([["a", "b", "c", "d"]], r"numeric"),
    "objects": (np.array([[None, object(), 1, 2]], dtype=object), r"numeric"),
    "numbers too large to square": (
        np.full((3, N_FEATURES), 1e17),
        r"within ±1e\+16.*row 0, column 0.*scale",
    ),
    "ragged lists": ([[1.0, 2.0], [3.0]], r"numeric"),
    "complex numbers": (np.ones((3, N_FEATURES), dtype=complex), r"numeric.*[Cc]omplex"),
}
BAD_LABELS = {
    "too short": (np.zeros(5), r"one value a row"),
    "two columns": (np.zeros((136, 2)), r"one value a row"),
    "another number": (np.r_[np.zeros(135), 2], r"0 \(normal\), 1 \(anomaly\) or -1"),
    "not a number": (np.r_[np.zeros(135), np.nan], r"0 \(normal\), 1 \(anomaly\) or -1"),
    "no normals": (np.ones(136), r"needs normal rows"),
    "all unlabelled": (np.full(136, -1), r"needs normal rows"),
    "names without the normal one": (np.full(136, "attack"), r"needs normal rows"),
}


def check_message(caught: pytest.ExceptionInfo[BaseException], owner: str) -> None:
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(owner)


@pytest.mark.parametrize("what", BAD_ROWS)
def test_bad_rows_are_refused_by_fit_and_by_scoring(make, fitted, what):
    rows, message = BAD_ROWS[what]
    owner = type(fitted).__name__
    with pytest.raises(InputError, match=message) as caught:
        make().fit(rows)
    check_message(caught, owner)
    for method in ("decision_function", "predict", "explain", "adapt", "calibrate"):
        with pytest.raises(InputError, match=message) as caught:
            getattr(fitted, method)(rows)
        check_message(caught, owner)


@pytest.mark.parametrize("n_features", [N_FEATURES - 1, N_FEATURES + 1])
def test_another_number_of_features_is_refused(fitted, n_features):
    for method in ("decision_function", "predict_proba", "explain", "adapt", "calibrate"):
        with pytest.raises(InputError, match=rf"{n_features} features.*fitted on {N_FEATURES}"):
            getattr(fitted, method)(np.ones((3, n_features)))


@pytest.mark.parametrize("what", BAD_LABELS)
def test_bad_labels_are_refused(make, rows, what):
    y, message = BAD_LABELS[what]
    assert len(rows.X) == 136
    detector = make()
    with pytest.raises(LabelError, match=message) as caught:
        detector.fit(rows.X, y)
    check_message(caught, type(detector).__name__)


@pytest.mark.parametrize("argument", ["kinds", "domains", "groups"])
def test_names_of_the_wrong_length_are_refused(make, rows, argument):
    with pytest.raises(LabelError, match=rf"{argument} must have one value a row"):
        make().fit(rows.X, rows.y, **{argument: ["a", "b"]})


def test_domains_of_the_wrong_length_are_refused_when_scoring(fitted, fresh):
    for method in ("decision_function", "adapt", "explain"):
        with pytest.raises(LabelError, match=r"domains must have one value a row"):
            getattr(fitted, method)(fresh.X, domains=["a"])


def test_a_failed_fit_leaves_an_unfitted_detector_unfitted(make):
    detector = make()
    with pytest.raises(InputError):
        detector.fit(NAN)
    assert not detector.__sklearn_is_fitted__()


@pytest.mark.filterwarnings("error")
def test_one_normal_row_is_enough_to_score(make):
    only = np.array([[1.0, 2.0, 3.0, 4.0]])
    detector = make().fit(only)
    scores = detector.decision_function(np.concatenate([only, only + 100]))
    assert np.isfinite(scores).all()
    assert scores[1] >= scores[0]
    assert np.isfinite(detector.explain(only)).all()


@pytest.mark.filterwarnings("error")
def test_constant_and_repeated_columns_work(make, rows):
    X = np.column_stack([rows.X, np.full(len(rows.X), 7.0), rows.X[:, 0]])
    detector = make().fit(X, rows.y)
    scores = detector.decision_function(X)
    assert np.isfinite(scores).all()
    assert np.isfinite(detector.explain(X)).all()
    assert scores[rows.y == 1].mean() > scores[rows.y == 0].mean()


@pytest.mark.filterwarnings("error")
def test_rows_that_are_all_the_same_work(make):
    detector = make().fit(np.ones((20, N_FEATURES)))
    assert np.isfinite(detector.decision_function(np.zeros((2, N_FEATURES)))).all()
    assert np.isfinite(detector.predict_proba(np.ones((2, N_FEATURES)))).all()


@pytest.mark.filterwarnings("error")
def test_one_column_works(make, rows):
    detector = make().fit(rows.X[:, :1], rows.y)
    assert np.isfinite(detector.decision_function(rows.X[:, :1])).all()


@pytest.mark.filterwarnings("error")
def test_fewer_rows_than_columns_work(make):
    X = np.random.default_rng(0).normal(size=(6, 30))
    detector = make().fit(X)
    assert np.isfinite(detector.decision_function(X)).all()


def test_one_anomaly_of_one_kind_works(make, rows):
    X = np.concatenate([rows.normals, rows.X[rows.y == 1][:1]])
    y = np.r_[np.zeros(len(rows.normals)), 1]
    assert np.isfinite(make().fit(X, y).decision_function(X)).all()


def test_very_large_values_do_not_break_scoring(fitted):
    scores = fitted.decision_function(np.array([[1e6, -1e6, 1e6, -1e6], [0.0, 0, 0, 0]]))
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1]
