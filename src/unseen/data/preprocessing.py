"""From the columns of a table to the finite float32 matrix that detectors take."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from unseen.checks import check_choice, check_int, check_real, no_normals, resolve_labels
from unseen.data.categories import CATEGORY_SCALES, OTHER, CategoryCoding, CategoryScale
from unseen.data.conforming import as_text
from unseen.data.scaling import NumericScaling
from unseen.data.schema import COLUMN_TYPES, ColumnType, listed
from unseen.data.tables import Table
from unseen.errors import InputError, NotFittedError, SchemaError
from unseen.types import NORMAL_KIND, FloatArray, IntArray, Json

_STATE_KEYS = frozenset({"parameters", "columns", "types", "categories", "limit", "notes"})
_ARRAY_KEYS = ("columns", "medians", "logged", "centres", "spreads", "indicators")

_FOLD_ROWS = 2048


class TablePreprocessor(TransformerMixin, BaseEstimator):
    """Impute, log, standardise and encode columns, with statistics from normal rows alone.

    Numeric columns, in this order: missing and ±inf become the normals' median; columns whose skewness
    over normals is above ``skewness_threshold`` have negatives set to 0 and log(1 + x) taken; mean and
    standard deviation of the normals are taken out; columns that are constant over the normals are left
    out. Categorical columns become one-hot features and one feature "other" for rare and unknown
    categories. The output is always finite.

    Parameters
    ----------
    log_skewed : bool
        Whether to take the logarithm of skewed columns.
    skewness_threshold : float
        Skewness above which a column counts as skewed.
    standardise : bool
        Whether to standardise numeric columns.
    scale_categories : {"standardise", "balanced", "none"}
        ``none``: 0 and 1, so that no category is further out than another; ``standardise``: each one-hot
        feature to mean 0 and standard deviation 1 over normals (a rare category then lies far out);
        ``balanced``: all features of a column by one factor, so that two random normals differ as much in
        it as in a standardised numeric column.
    clip : float or None
        Numeric features are cut to [-clip, clip] after standardising. None: only to ±1e15.
    max_categories : int
        Most categories of a column that get a feature of their own.
    min_category_count : int
        Least number of normal rows for a category to get its own feature.
    missing_indicator : bool
        Whether numeric columns with missing values among the normals get a further 0/1 feature.

    Attributes
    ----------
    columns_ : tuple of str
        All columns, in order, also those left out of the features.
    types_ : tuple of {"numeric", "categorical", "boolean"}
        Their types.
    feature_names_out_ : tuple of str
        Name of each feature: the column, ``column=category``, ``column=other`` or ``column is missing``.
    column_of_feature_ : int array of shape (n_features,)
        Position in ``columns_`` of the column that each feature is made from.
    n_features_in_ : int
        Number of columns.
    notes_ : tuple of str
        What was left out or put together.
    """

    columns_: tuple[str, ...]
    types_: tuple[ColumnType, ...]
    feature_names_out_: tuple[str, ...]
    column_of_feature_: IntArray
    n_features_in_: int
    notes_: tuple[str, ...]
    _scaling: NumericScaling
    _codings: dict[str, CategoryCoding]

    def __init__(
        self,
        *,
        log_skewed: bool = True,
        skewness_threshold: float = 1.0,
        standardise: bool = True,
        scale_categories: CategoryScale = "none",
        clip: float | None = 10.0,
        max_categories: int = 64,
        min_category_count: int = 10,
        missing_indicator: bool = False,
    ) -> None:
        self.log_skewed = log_skewed
        self.skewness_threshold = skewness_threshold
        self.standardise = standardise
        self.scale_categories = scale_categories
        self.clip = clip
        self.max_categories = max_categories
        self.min_category_count = min_category_count
        self.missing_indicator = missing_indicator

    def fit(self, table: Table | pl.DataFrame | ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn the statistics of the normals.

        Parameters
        ----------
        table : Table, data frame (Polars, pandas, PyArrow) or array-like of shape (n_rows, n_columns)
            Rows. Columns of an array are called ``x0``, ``x1``, ...
        y : array-like of shape (n_rows,) or None
            0 normal, 1 anomaly, -1 unlabelled, or names of kinds; only rows with 0, or of the kind
            ``normal``, are looked at. None: the labels of the Table, or all rows are normal.

        Returns
        -------
        self

        Raises
        ------
        LabelError
            If ``y`` has another length or no row is normal.
        SchemaError
            If no column says anything about the normals.
        """
        self._check_parameters()
        frame, types = _frame_and_types(table)
        if y is None and isinstance(table, Table):
            y = table.y
        normals = _normal_rows(frame, y)
        self.columns_, self.types_ = tuple(frame.columns), types
        self._codings = {}
        for name in self._columns_of("categorical"):
            coding = CategoryCoding.learn(
                as_text(normals[name]),
                scale=self.scale_categories,
                max_categories=self.max_categories,
                min_count=min(self.min_category_count, max(1, normals.height // 2)),
            )
            if coding is not None:
                self._codings[name] = coding
        self._scaling = NumericScaling.learn(
            [_numbers(normals[name]) for name in self._columns_of("numeric", "boolean")],
            log_skewed=self.log_skewed,
            skewness_threshold=self.skewness_threshold,
            standardise=self.standardise,
            clip=self.clip,
            missing_indicator=self.missing_indicator,
        )
        self.notes_ = self._describe(normals)
        self._name_features()
        if not self.feature_names_out_:
            raise SchemaError(
                "TablePreprocessor: every column is constant or without frequent categories over the normals."
            )
        return self

    def transform(self, table: Table | pl.DataFrame | ArrayLike) -> NDArray[np.float32]:
        """Return the features of some rows.

        Parameters
        ----------
        table : Table, polars.DataFrame or array-like of shape (n_rows, n_columns)
            Rows with the columns of the fit; a frame may have them in any order and may have more.

        Returns
        -------
        float32 array of shape (n_rows, n_features)
            C-contiguous and finite.

        Raises
        ------
        SchemaError
            If a column is missing or has another type.
        """
        self._check_fitted()
        frame = self._frame(table)
        out = np.empty((frame.height, len(self.feature_names_out_)), dtype=np.float32)
        numeric = [_numbers(frame[name]) for name in self._columns_of("numeric", "boolean")]
        at = self._scaling.n_features
        self._scaling.apply(numeric, out[:, :at])
        for name, coding in self._codings.items():
            coding.apply(as_text(frame[name]), out[:, at : at + coding.n_features])
            at += coding.n_features
        return out

    def fold(self, contributions: FloatArray) -> FloatArray:
        """Add up what the features of each column contribute.

        Parameters
        ----------
        contributions : float array of shape (n_rows, n_features)
            One value per feature.

        Returns
        -------
        float array of shape (n_rows, n_columns)
            One value per column of ``columns_``; 0 for columns that were left out. ``contributions`` itself
            (not a copy) where each column is one feature.
        """
        self._check_fitted()
        n_columns = len(self.columns_)
        if np.array_equal(self.column_of_feature_, np.arange(n_columns)):
            return contributions
        folded = np.zeros((len(contributions), n_columns), dtype=contributions.dtype)
        for start in range(0, len(contributions), _FOLD_ROWS):  # a block that stays in the cache
            given, out = contributions[start : start + _FOLD_ROWS], folded[start : start + _FOLD_ROWS]
            for feature, column in enumerate(self.column_of_feature_):
                out[:, column] += given[:, feature]
        return folded

    def other_counts(self, table: Table | pl.DataFrame) -> dict[str, int]:
        """Return how many cells of each categorical column are rare or unknown (columns with none left out).

        Parameters
        ----------
        table : Table or polars.DataFrame
            Rows with the columns of the fit.

        Returns
        -------
        dict of str to int
        """
        self._check_fitted()
        frame = self._frame(table)
        counts = {
            name: int(np.count_nonzero(coding.codes(as_text(frame[name])) == len(coding.categories)))
            for name, coding in self._codings.items()
        }
        return {name: count for name, count in counts.items() if count}

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the feature names as scikit-learn wants them.

        Parameters
        ----------
        input_features : object
            Not used.

        Returns
        -------
        object array of shape (n_features,)
        """
        self._check_fitted()
        return np.array(self.feature_names_out_, dtype=object)

    # ------------------------------------------------------------ persistence
    def to_state(self) -> tuple[dict[str, Json], dict[str, NDArray[Any]]]:
        """Return everything that :meth:`from_state` needs.

        Returns
        -------
        values : dict
            JSON values.
        arrays : dict of str to ndarray
            Statistics of the numeric columns and the one-hot rows of each categorical one.
        """
        self._check_fitted()
        values: dict[str, Json] = {
            "parameters": self.get_params(),
            "columns": list(self.columns_),
            "types": list(self.types_),
            "categories": {name: list(coding.categories) for name, coding in self._codings.items()},
            "limit": self._scaling.limit,
            "notes": list(self.notes_),
        }
        arrays: dict[str, NDArray[Any]] = {key: getattr(self._scaling, key) for key in _ARRAY_KEYS}
        for number, coding in enumerate(self._codings.values()):
            arrays[f"one_hot_{number}"] = coding.rows
        return values, arrays

    @classmethod
    def from_state(cls, values: Any, arrays: dict[str, NDArray[Any]]) -> TablePreprocessor:
        """Build a fitted preprocessor from what :meth:`to_state` gave.

        Parameters
        ----------
        values : dict
            JSON values.
        arrays : dict of str to ndarray
            Arrays.

        Returns
        -------
        TablePreprocessor

        Raises
        ------
        SchemaError
            If something is missing, unknown or of another shape.
        """
        if not isinstance(values, dict) or set(values) != _STATE_KEYS:
            raise SchemaError(
                f"TablePreprocessor: the stored state must have the keys {listed(sorted(_STATE_KEYS))}."
            )
        expected = {*_ARRAY_KEYS, *(f"one_hot_{number}" for number in range(len(values["categories"])))}
        if set(arrays) != expected:
            odd = sorted(set(arrays) ^ expected)
            raise SchemaError(f"TablePreprocessor: stored arrays are missing or unknown: {listed(odd)}.")
        restored = cls(**values["parameters"])
        restored._check_parameters()
        restored.columns_, restored.types_ = tuple(values["columns"]), tuple(values["types"])
        restored.notes_ = tuple(values["notes"])
        restored._scaling = NumericScaling(**{key: arrays[key] for key in _ARRAY_KEYS}, limit=values["limit"])
        restored._codings = {
            name: CategoryCoding(tuple(categories), arrays[f"one_hot_{number}"])
            for number, (name, categories) in enumerate(values["categories"].items())
        }
        restored._check_state()
        restored._name_features()
        return restored

    # ---------------------------------------------------------------- helpers
    def _check_state(self) -> None:
        n_numeric = len(self._columns_of("numeric", "boolean"))
        scaling = self._scaling
        shapes = {
            len(getattr(scaling, key)) for key in ("columns", "medians", "logged", "centres", "spreads")
        }
        positions = np.concatenate([scaling.columns, scaling.indicators])
        sound = (
            len(self.columns_) == len(self.types_)
            and set(self.types_) <= set(COLUMN_TYPES)
            and len(shapes) == 1
            and bool(np.all((positions >= 0) & (positions < n_numeric)))
            and set(self._codings) <= set(self._columns_of("categorical"))
            and all(c.rows.shape == (len(c.categories) + 1,) * 2 for c in self._codings.values())
        )
        if not sound:
            raise SchemaError("TablePreprocessor: the stored arrays do not fit the stored columns.")

    def _columns_of(self, *types: ColumnType) -> list[str]:
        return [name for name, kind in zip(self.columns_, self.types_, strict=True) if kind in types]

    def _frame(self, table: Table | pl.DataFrame | ArrayLike) -> pl.DataFrame:
        frame, types = _frame_and_types(table)
        missing = [name for name in self.columns_ if name not in frame.columns]
        if missing:
            raise SchemaError(f"TablePreprocessor: columns {listed(missing)} are missing.")
        given = dict(zip(frame.columns, types, strict=True))
        for name, kind in zip(self.columns_, self.types_, strict=True):
            if (kind == "categorical") != (given[name] == "categorical"):
                raise SchemaError(
                    f"TablePreprocessor: column {name!r} was {kind} in the fit, is {frame[name].dtype}."
                )
        return frame

    def _name_features(self) -> None:
        numeric = self._columns_of("numeric", "boolean")
        position = {name: number for number, name in enumerate(self.columns_)}
        pairs = [(numeric[i], numeric[i]) for i in self._scaling.columns]
        pairs += [(f"{numeric[i]} is missing", numeric[i]) for i in self._scaling.indicators]
        for name, coding in self._codings.items():
            pairs += [(f"{name}={category}", name) for category in (*coding.categories, OTHER)]
        self.feature_names_out_ = tuple(feature for feature, _ in pairs)
        self.column_of_feature_ = np.array([position[name] for _, name in pairs], dtype=np.int64)
        self.n_features_in_ = len(self.columns_)

    def _describe(self, normals: pl.DataFrame) -> tuple[str, ...]:
        numeric = self._columns_of("numeric", "boolean")
        kept = {numeric[i] for i in self._scaling.columns}
        constant = [name for name in numeric if name not in kept]
        notes = []
        if constant:
            notes.append(f"constant or empty over the normals, not used: {listed(constant)}.")
        for name in self._columns_of("categorical"):
            n_categories = normals[name].n_unique()
            coding = self._codings.get(name)
            if coding is None:
                notes.append(f"{name!r} has {n_categories} categories, none of them frequent; not used.")
            elif n_categories > len(coding.categories):
                notes.append(
                    f"{name!r} has {n_categories} categories; the {len(coding.categories)} most frequent get "
                    "their own feature, the rest share one."
                )
        return tuple(notes)

    def _check_parameters(self) -> None:
        check_real(self, "skewness_threshold", self.skewness_threshold)
        check_choice(self, "scale_categories", self.scale_categories, CATEGORY_SCALES)
        check_int(self, "max_categories", self.max_categories, minimum=1)
        check_int(self, "min_category_count", self.min_category_count, minimum=1)
        if self.clip is not None:
            check_real(self, "clip", self.clip, minimum=0, open_minimum=True)

    def _check_fitted(self) -> None:
        if not hasattr(self, "feature_names_out_"):
            raise NotFittedError("TablePreprocessor: not fitted yet; call fit first.")


def _frame_and_types(table: Table | pl.DataFrame | ArrayLike) -> tuple[pl.DataFrame, tuple[ColumnType, ...]]:
    if isinstance(table, Table):
        return table.features, table.schema.types
    if not isinstance(table, pl.DataFrame):
        table = _frame_of_columns(table) if hasattr(table, "columns") else _frame_of_array(table)
    return table, tuple(_type_of(column) for column in table.iter_columns())


def _frame_of_columns(table: Any) -> pl.DataFrame:
    """A data frame of another library (pandas, PyArrow) as one of Polars."""
    try:
        return pl.DataFrame(table)
    except (TypeError, ValueError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        kind = f"{type(table).__module__}.{type(table).__name__}"
        raise InputError(f"TablePreprocessor: the columns of a {kind} cannot be read: {error}") from error


def _frame_of_array(X: ArrayLike) -> pl.DataFrame:
    array = np.asarray(X)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise InputError(
            "TablePreprocessor: an array must be numeric with 2 dimensions, "
            f"got {array.dtype} of shape {array.shape}."
        )
    return pl.DataFrame({f"x{number}": column for number, column in enumerate(np.ascontiguousarray(array.T))})


def _type_of(column: pl.Series) -> ColumnType:
    if column.dtype == pl.Boolean:
        return "boolean"
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return "numeric"
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return "categorical"
    raise SchemaError(
        f"TablePreprocessor: column {column.name!r} of type {column.dtype} cannot be a feature."
    )


def _normal_rows(frame: pl.DataFrame, y: ArrayLike | None) -> pl.DataFrame:
    if y is None:
        normal: NDArray[np.bool_] = np.ones(frame.height, dtype=np.bool_)
    else:
        labels = resolve_labels("TablePreprocessor", frame.height, y)
        normal = labels.normal
        if not normal.any():
            raise no_normals("TablePreprocessor", "fit", labels, NORMAL_KIND)
    return frame if normal.all() else frame.filter(pl.Series(normal))


def _numbers(column: pl.Series) -> NDArray[np.generic]:
    """A numeric or boolean column as numpy; null becomes NaN; no copy where there is none."""
    if column.dtype == pl.Boolean or column.dtype == pl.Null or column.dtype.is_decimal():
        column = column.cast(pl.Float64)
    return column.to_numpy()
