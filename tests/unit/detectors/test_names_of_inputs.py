"""Names that come with the rows: columns of a data frame, and kinds; and what scikit-learn asks for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_predict, cross_val_score

from unseen.detectors import KNearestNeighbours, Mahalanobis, UnseenDetector
from unseen.errors import InputError, LabelError
from unseen.persistence import load, save

NAMES = ["a", "b", "c", "d"]
MAKE = {
    "unseen": lambda: UnseenDetector(n_trees=10, n_jobs=1),
    "neighbours": KNearestNeighbours,
    "mahalanobis": Mahalanobis,
}


def rows(n_normals: int = 120, n_anomalies: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(size=(n_normals, 4)), random.normal(size=(n_anomalies, 4)) + 4])
    return X * np.array([1.0, 2.0, 3.0, 4.0]), np.repeat([0, 1], [n_normals, n_anomalies])


@pytest.mark.parametrize("name", MAKE)
def test_columns_of_a_data_frame_are_those_of_the_fit(name, tmp_path):
    X, y = rows()
    frame = pl.DataFrame(X, schema=NAMES)
    fitted = MAKE[name]().fit(frame, y)
    assert fitted.feature_names_in_.tolist() == NAMES
    assert np.array_equal(fitted.decision_function(frame[:5]), fitted.decision_function(X[:5]))
    for detector in (fitted, load(save(fitted, tmp_path / "model"))):
        for other, message in (
            (frame.select(NAMES[::-1]), "its columns in another order"),
            (frame.rename({"b": "z"}), "lacks column 'b'"),
            (frame.with_columns(more=1.0), "a further column 'more'"),
        ):
            for method in ("decision_function", "predict", "explain", "adapt", "calibrate"):
                with pytest.raises(InputError, match=message):
                    getattr(detector, method)(other)


def test_rows_without_column_names_have_none():
    X, y = rows()
    detector = Mahalanobis().fit(X, y)
    assert not hasattr(detector, "feature_names_in_")
    frame = pl.DataFrame(X, schema=NAMES)
    assert np.array_equal(detector.decision_function(frame), detector.decision_function(X))


@pytest.mark.parametrize("name", MAKE)
def test_names_of_normals_are_compared_without_case_and_white_space(name):
    X, y = rows()
    kinds = np.where(y == 0, " Benign ", "attack")
    spelled = MAKE[name]().set_params(normal="BENIGN").fit(X, kinds)
    plain = MAKE[name]().fit(X, y, kinds=np.full(len(y), "attack"))
    assert np.array_equal(spelled.decision_function(X), plain.decision_function(X))
    with pytest.raises(
        LabelError, match=r"kind normal\), got none; there are  Benign  \(120\), attack \(12\)"
    ):
        MAKE[name]().fit(X, kinds)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
def test_out_of_fold_scores_by_scikit_learn(method):
    X, y = rows()
    found = cross_val_predict(MAKE["mahalanobis"](), X, y, method=method, cv=StratifiedKFold(3))
    assert found.shape == ((len(y), 2) if method == "predict_proba" else (len(y),))
    of_anomalies = found[:, 1] if found.ndim == 2 else found
    assert of_anomalies[y == 1].mean() > of_anomalies[y == 0].mean()


def test_cross_validated_auroc():
    X, y = rows()
    values = cross_val_score(MAKE["neighbours"](), X, y, scoring="roc_auc", cv=StratifiedKFold(3))
    assert (values > 0.9).all()
