"""Preprocessing: statistics of normals alone, the order of steps, and always finite numbers."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from unseen.data import TablePreprocessor
from unseen.data.scaling import skewness
from unseen.detectors import KNearestNeighbours
from unseen.errors import InputError, LabelError, NotFittedError, ParameterError, SchemaError


def mixed(n_rows: int = 400, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "even": rng.normal(5, 2, n_rows),
            "skewed": rng.lognormal(2, 2, n_rows),
            "constant": np.full(n_rows, 3),
            "service": rng.choice(["web", "ssh", "dns"], n_rows, p=[0.6, 0.38, 0.02]),
            "up": rng.random(n_rows) < 0.5,
            "empty": np.full(n_rows, np.nan),
        }
    )
    y = (rng.random(n_rows) < 0.3).astype(np.int8)
    return frame, y


def test_features_by_hand() -> None:
    frame, y = mixed()
    pre = TablePreprocessor(clip=None).fit(frame, y)
    X = pre.transform(frame)
    normal = y == 0
    even = frame["even"].to_numpy()
    logged = np.log1p(frame["skewed"].to_numpy())
    assert pre.feature_names_out_ == ("even", "skewed", "up", "service=web", "service=ssh", "service=other")
    assert_allclose(X[:, 0], (even - even[normal].mean()) / even[normal].std(), rtol=1e-5, atol=1e-5)
    assert_allclose(X[:, 1], (logged - logged[normal].mean()) / logged[normal].std(), rtol=1e-4, atol=1e-5)
    up = frame["up"].to_numpy().astype(float)
    assert_allclose(X[:, 2], (up - up[normal].mean()) / up[normal].std(), rtol=1e-5, atol=1e-6)
    assert_array_equal(X[:, 3], frame["service"].to_numpy() == "web")
    assert_array_equal(X[:, 5], frame["service"].to_numpy() == "dns")
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert pre.columns_[pre.column_of_feature_[3]] == "service"
    assert any("'constant', 'empty'" in note for note in pre.notes_)


def test_anomalies_do_not_touch_the_statistics() -> None:
    frame, y = mixed()
    hostile = frame.with_columns(
        pl.when(pl.Series(y == 1)).then(1e30).otherwise(pl.col("even")).alias("even"),
        pl.when(pl.Series(y == 1)).then(pl.lit("evil")).otherwise(pl.col("service")).alias("service"),
    )
    first, second = TablePreprocessor().fit(frame, y), TablePreprocessor().fit(hostile, y)
    assert_array_equal(first.transform(frame), second.transform(frame))
    unlabelled = np.where(y == 1, -1, y)
    assert_array_equal(first.transform(frame), TablePreprocessor().fit(hostile, unlabelled).transform(frame))


def test_missing_and_infinite_values_become_the_median_of_normals() -> None:
    values = np.array([1.0, 2.0, 4.0, np.nan, np.inf, -np.inf, 100.0])
    y = np.array([0, 0, 0, 0, 0, 0, 1])
    pre = TablePreprocessor(log_skewed=False, clip=None).fit(values[:, None], y)
    X = pre.transform(values[:, None])[:, 0]
    assert_allclose(X[3:6], X[1])
    filled = np.array([1.0, 2.0, 4.0, 2.0, 2.0, 2.0])
    assert_allclose(X[:6], (filled - filled.mean()) / filled.std(), rtol=1e-6)


def test_null_of_integers_is_missing() -> None:
    frame = pl.DataFrame({"n": [1, 2, None, 3, 9]})
    X = TablePreprocessor(log_skewed=False).fit(frame).transform(frame)
    assert np.isfinite(X).all()
    assert_allclose(
        X[2, 0], TablePreprocessor(log_skewed=False).fit(frame).transform(pl.DataFrame({"n": [2.5]}))[0, 0]
    )


def test_missing_indicator() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0, np.inf], "b": [1.0, 2.0, 3.0, 5.0]})
    pre = TablePreprocessor(missing_indicator=True).fit(frame)
    assert pre.feature_names_out_ == ("a", "b", "a is missing")
    assert_array_equal(pre.transform(frame)[:, 2], [0, 1, 0, 1])


def test_negative_values_of_logged_columns_count_as_zero() -> None:
    values = np.append(np.random.default_rng(0).lognormal(0, 2, 200), [-5.0, 0.0])
    X = TablePreprocessor().fit(values[:, None]).transform(values[:, None])
    assert X[200, 0] == X[201, 0]


def test_tiny_spread_after_the_logarithm_keeps_its_precision() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 500) * 1e-9
    X = TablePreprocessor(clip=None).fit(values[:, None]).transform(values[:, None])[:, 0]
    logged = np.log1p(values)
    assert_allclose(X, (logged - logged.mean()) / logged.std(), rtol=1e-4, atol=1e-4)


def test_large_offset_keeps_its_precision() -> None:
    values = 1.6e9 + np.random.default_rng(0).normal(size=500)
    X = TablePreprocessor().fit(values[:, None]).transform(values[:, None])[:, 0]
    assert_allclose(X, (values - values.mean()) / values.std(), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    fitted=st.lists(st.floats(width=64), min_size=3, max_size=30),
    seen=st.lists(st.floats(width=64), min_size=1, max_size=10),
    clip=st.sampled_from([None, 10.0]),
)
def test_the_output_is_always_finite(fitted: list[float], seen: list[float], clip: float | None) -> None:
    anchor = np.array([0.0, 1.0])
    pre = TablePreprocessor(clip=clip).fit(np.append(anchor, fitted)[:, None] + 0.0)
    if len(pre.feature_names_out_):
        assert np.isfinite(pre.transform(np.array(seen)[:, None])).all()


def test_rows_one_by_one_equal_all_at_once() -> None:
    frame, y = mixed(9000)
    pre = TablePreprocessor().fit(frame, y)
    X = pre.transform(frame)
    assert_array_equal(X[4090:4100], np.concatenate([pre.transform(frame[i]) for i in range(4090, 4100)]))
    assert_array_equal(X, np.concatenate([pre.transform(part) for part in frame.iter_slices(777)]))


def test_clip() -> None:
    X = np.append(np.random.default_rng(0).normal(size=100), 1e9)[:, None]
    y = np.append(np.zeros(100), 1)
    assert TablePreprocessor(clip=3.0, log_skewed=False).fit(X, y).transform(X).max() == 3.0
    assert TablePreprocessor(clip=None, log_skewed=False).fit(X, y).transform(X).max() > 1e8


@pytest.mark.parametrize("scale", ["none", "standardise", "balanced"])
def test_category_scales(scale: str) -> None:
    cells = ["a"] * 60 + ["b"] * 40
    frame = pl.DataFrame({"c": cells})
    X = TablePreprocessor(scale_categories=scale).fit(frame).transform(frame)  # type: ignore[arg-type]
    if scale == "none":
        assert set(np.unique(X).tolist()) == {0.0, 1.0}
    elif scale == "standardise":
        assert_allclose(X[:, :2].mean(0), 0, atol=1e-6)
        assert_allclose(X[:, :2].std(0), 1, atol=0.01)
    else:
        rows = X.astype(np.float64)
        squared = ((rows[:, None] - rows[None]) ** 2).sum(-1)
        assert_allclose(squared.mean(), 2.0, rtol=1e-5)


def test_rare_and_unknown_categories_share_a_feature_and_are_counted() -> None:
    frame = pl.DataFrame({"c": ["a"] * 50 + ["b"] * 30 + ["rare"] * 2})
    pre = TablePreprocessor(min_category_count=10).fit(frame)
    new = pl.DataFrame({"c": ["a", "never seen", "rare", None]})
    assert pre.feature_names_out_ == ("c=a", "c=b", "c=other")
    assert_array_equal(pre.transform(new)[:, 2], [0, 1, 1, 1])
    assert pre.other_counts(new) == {"c": 3}
    assert pre.other_counts(pl.DataFrame({"c": ["a"]})) == {}


def test_a_column_of_ten_thousand_categories() -> None:
    n_rows = 20_000
    frame = pl.DataFrame({"id": [f"id{n % 10_000}" for n in range(n_rows)], "a": np.arange(n_rows)})
    pre = TablePreprocessor().fit(frame)
    assert pre.feature_names_out_ == ("a",)
    assert any("10000 categories" in note for note in pre.notes_)
    wide = TablePreprocessor(min_category_count=1, max_categories=64).fit(frame)
    assert len(wide.feature_names_out_) == 1 + 64 + 1


def test_fold_adds_up_per_column() -> None:
    frame, y = mixed()
    pre = TablePreprocessor().fit(frame, y)
    folded = pre.fold(np.arange(12, dtype=np.float64).reshape(2, 6))
    assert folded.shape == (2, 6)
    assert folded[0].tolist() == [0, 1, 0, 3 + 4 + 5, 2, 0]


def test_state_round_trip_through_json_is_bit_equal() -> None:
    frame, y = mixed()
    pre = TablePreprocessor(missing_indicator=True, scale_categories="standardise").fit(frame, y)
    values, arrays = pre.to_state()
    again = TablePreprocessor.from_state(json.loads(json.dumps(values)), arrays)
    assert_array_equal(again.transform(frame), pre.transform(frame))
    assert again.notes_ == pre.notes_
    assert again.feature_names_out_ == pre.feature_names_out_
    assert again.get_params() == pre.get_params()


def test_damaged_state_is_refused() -> None:
    frame, y = mixed()
    values, arrays = TablePreprocessor().fit(frame, y).to_state()
    with pytest.raises(SchemaError, match="keys"):
        TablePreprocessor.from_state({**values, "more": 1}, arrays)
    with pytest.raises(SchemaError, match="'medians'"):
        TablePreprocessor.from_state(values, {k: v for k, v in arrays.items() if k != "medians"})
    with pytest.raises(SchemaError, match="do not fit"):
        TablePreprocessor.from_state(values, {**arrays, "centres": arrays["centres"][:-1]})
    with pytest.raises(SchemaError, match="do not fit"):
        TablePreprocessor.from_state(values, {**arrays, "columns": arrays["columns"] + 99})


def test_scikit_learn_habits() -> None:
    pre = TablePreprocessor(clip=4.0)
    assert clone(pre).get_params() == pre.get_params()
    with pytest.raises(NotFittedError):
        pre.transform(np.ones((2, 2)))
    assert pre.fit(np.random.default_rng(0).normal(size=(20, 2))).get_feature_names_out().tolist() == [
        "x0",
        "x1",
    ]


def test_errors() -> None:
    frame, y = mixed()
    with pytest.raises(LabelError, match="needs normal rows"):
        TablePreprocessor().fit(frame, np.ones(len(frame)))
    with pytest.raises(LabelError, match="one value a row"):
        TablePreprocessor().fit(frame, y[:-1])
    with pytest.raises(ParameterError, match="scale_categories"):
        TablePreprocessor(scale_categories="odd").fit(frame, y)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="numeric with 2 dimensions"):
        TablePreprocessor().fit(np.array([["a"]]))
    pre = TablePreprocessor().fit(frame, y)
    with pytest.raises(SchemaError, match="'even' are missing"):
        pre.transform(frame.drop("even"))
    with pytest.raises(SchemaError, match="'even' was numeric in the fit"):
        pre.transform(frame.with_columns(even=pl.lit("text")))


def test_skewness_against_scipy() -> None:
    from scipy.stats import skew

    values = np.random.default_rng(0).gamma(0.5, size=300)
    assert skewness(values) == pytest.approx(skew(values))
    assert skewness(values * 1e300) == pytest.approx(skew(values))
    assert skewness(np.full(5, 7.0)) == 0.0


def test_a_skewed_signal_with_real_negatives_keeps_them() -> None:
    draw = np.random.default_rng(0)
    signal = draw.exponential(1.0, 500) - 0.8
    assert skewness(signal) > 1
    X = TablePreprocessor(clip=None).fit(signal[:, None]).transform(signal[:, None])[:, 0]
    assert_allclose(X, (signal - signal.mean()) / signal.std(), rtol=1e-4, atol=1e-4)


def mixed_frame(n_rows: int = 60) -> pl.DataFrame:
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": random.normal(size=n_rows),
            "count": [None if row % 9 == 0 else row for row in range(n_rows)],
            "name": random.choice(["tcp", "udp"], size=n_rows),
            "open": random.random(n_rows) < 0.5,
        }
    )


def test_data_frames_of_other_libraries_are_read() -> None:
    frame = mixed_frame()
    expected = TablePreprocessor().fit_transform(frame)
    assert np.array_equal(TablePreprocessor().fit_transform(frame.to_arrow()), expected)
    pandas = pytest.importorskip("pandas")
    columns = {name: frame[name].to_list() for name in frame.columns}
    of_pandas = pandas.DataFrame(columns).astype({"name": "category"})
    preprocessor = TablePreprocessor().fit(of_pandas)
    assert preprocessor.columns_ == tuple(frame.columns)
    assert np.array_equal(preprocessor.transform(of_pandas), expected)
    with pytest.raises(InputError, match=r"pandas.*cannot be read"):
        TablePreprocessor().fit(pandas.DataFrame({"odd": [1, "a", object()]}))


def test_names_of_kinds_say_which_rows_are_normal() -> None:
    frame = mixed_frame()
    y = np.arange(len(frame)) % 4 == 0
    by_name = TablePreprocessor().fit(frame, np.where(y, "flood", "Normal")).transform(frame)
    assert np.array_equal(by_name, TablePreprocessor().fit(frame, y.astype(int)).transform(frame))
    detector = make_pipeline(TablePreprocessor(), KNearestNeighbours())
    detector.fit(frame, np.where(y, "flood", "normal"))
    assert detector.predict(frame).shape == (len(frame),)
    with pytest.raises(LabelError, match=r"needs normal rows.*flood \(60\)"):
        TablePreprocessor().fit(frame, np.full(len(frame), "flood"))
