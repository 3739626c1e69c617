"""Argument checks, with one wording: whose parameter, what is allowed, what was got."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import InputError, LabelError, ParameterError
from unseen.types import (
    ANOMALY,
    NORMAL,
    NORMAL_KIND,
    UNLABELLED,
    UNNAMED_DOMAIN,
    FloatArray,
    Labels,
    StrArray,
)

_MISSING_KINDS = ("", "nan", "None", "NaN", "null", "<NA>", "NaT")
_LARGEST = 1e16
"""Squares of larger numbers, summed, leave the range of float32."""


def check_int(owner: object, name: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an int, or raise ParameterError if it is not one in range."""
    allowed = f"an int >= {minimum}" + ("" if maximum is None else f" and <= {maximum}")
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ParameterError(_wording(owner, name, allowed, value))
    number = int(value)
    if number < minimum or (maximum is not None and number > maximum):
        raise ParameterError(_wording(owner, name, allowed, value))
    return number


def check_real(
    owner: object,
    name: str,
    value: object,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    open_minimum: bool = False,
    open_maximum: bool = False,
) -> float:
    """Return ``value`` as a finite float, or raise ParameterError if it is not one in range."""
    left, right = "(" if open_minimum else "[", ")" if open_maximum else "]"
    allowed = f"a finite number in {left}{minimum:g}, {maximum:g}{right}"
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ParameterError(_wording(owner, name, allowed, value))
    number = float(value)
    too_low = number < minimum or (open_minimum and number == minimum)
    too_high = number > maximum or (open_maximum and number == maximum)
    if too_low or too_high:
        raise ParameterError(_wording(owner, name, allowed, value))
    return number


def check_choice(owner: object, name: str, value: object, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``, else raise ParameterError."""
    allowed = list(choices)
    if not isinstance(value, str) or value not in allowed:
        raise ParameterError(_wording(owner, name, "one of " + ", ".join(map(repr, allowed)), value))
    return value


def check_matrix(
    owner: object, X: ArrayLike, *, name: str = "X", n_features: int | None = None
) -> FloatArray:
    """Return ``X`` as a finite 2-D float32 or float64 array with at least one row and column.

    Parameters
    ----------
    owner : object
        Who asks; its class name (or the string itself) opens the message.
    X : array-like of shape (n_rows, n_features)
        Numbers. float32 stays float32, everything else becomes float64. Named columns (of a data frame) must
        be those that ``owner`` was fitted on, in their order, if it was fitted on named ones.
    name : str
        The argument's name for the message.
    n_features : int or None
        The number of columns that is required, if any.

    Returns
    -------
    ndarray of shape (n_rows, n_features)

    Raises
    ------
    InputError
        If ``X`` is not numeric, not 2-D, empty, holds NaN, ±inf or numbers beyond ±1e16, or has other
        columns.
    """
    who = _owner_name(owner)
    if n_features is not None:
        _check_column_names(who, name, column_names(X), getattr(owner, "feature_names_", None))
    if hasattr(X, "toarray"):
        raise InputError(f"{who}: {name} is a sparse matrix; give {name}.toarray().")
    try:
        array = np.asarray(X)
        if array.dtype.kind == "c":
            raise TypeError("Complex numbers have no order.")
        if array.dtype != np.float32:
            array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{who}: {name} must be numeric; encode text columns first "
            f"(unseen.data.TablePreprocessor). {error}"
        ) from error
    if array.ndim != 2:
        hint = "; use X.reshape(1, -1) for a single row" if array.ndim == 1 else ""
        raise InputError(f"{who}: {name} must have 2 dimensions (rows, features), got {array.ndim}{hint}.")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(f"{who}: {name} must have at least one row and one column, got shape {array.shape}.")
    if n_features is not None and array.shape[1] != n_features:
        raise InputError(
            f"{who}: {name} has {array.shape[1]} features, but {who} was fitted on {n_features}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()  # not finite if a value is not; huge finite values are looked at below
    if not np.isfinite(total):
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            row, column = bad[0]
            raise InputError(
                f"{who}: {name} must be finite, got {array[row, column]} at row {row}, column {column} "
                f"({len(bad)} such values); impute first (unseen.data.TablePreprocessor does)."
            )
    _check_size(who, name, array)
    return array


def column_names(X: object) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns; None if it has none, or not all of them are text."""
    names = getattr(X, "columns", None)
    if names is None:
        return None
    listed = tuple(names)
    return tuple(map(str, listed)) if all(isinstance(item, str) for item in listed) else None


def _check_column_names(
    who: str, name: str, got: tuple[str, ...] | None, fitted: tuple[str, ...] | None
) -> None:
    if got is None or fitted is None or got == fitted:
        return
    missing = [item for item in fitted if item not in got]
    further = [item for item in got if item not in fitted]
    if missing:
        what = f"lacks column {missing[0]!r}" + (f" and {len(missing) - 1} more" if missing[1:] else "")
    elif further:
        what = f"has a further column {further[0]!r}"
    else:
        what = "has its columns in another order"
    raise InputError(f"{who}: {name} {what} than {who} was fitted on; select them by name, in that order.")


def _check_size(who: str, name: str, array: FloatArray) -> None:
    if max(array.max(), -array.min()) <= _LARGEST:
        return
    row, column = np.argwhere(np.abs(array) > _LARGEST)[0]
    raise InputError(
        f"{who}: {name} must lie within ±{_LARGEST:g}, got {array[row, column]:g} at row {row}, column "
        f"{column}; scale it first (unseen.data.TablePreprocessor does)."
    )


def resolve_labels(
    owner: object,
    n_rows: int,
    y: ArrayLike | None = None,
    *,
    kinds: ArrayLike | None = None,
    domains: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    normal: str | Sequence[str] = NORMAL_KIND,
) -> Labels:
    """Bring the ways of naming labels to one form.

    Parameters
    ----------
    owner : object
        Who asks, for the message.
    n_rows : int
        The number of rows that every argument must have.
    y : array-like of shape (n_rows,) or None
        0 normal, 1 anomaly, -1 (among objects also None, ``pandas.NA``) unlabelled; or kind names, of which
        ``normal`` are the normal ones and an empty or missing one means unlabelled. None: from ``kinds``, or
        all rows normal if that is None too.
    kinds : array-like of shape (n_rows,) or None
        Kind name of each row. Read only where ``y`` is 1 if ``y`` is given as numbers.
    domains, groups : array-like of shape (n_rows,) or None
        Names; missing domains become ``""``.
    normal : str or sequence of str
        The kind name(s) that mean normal, compared without case and surrounding white space.

    Returns
    -------
    Labels

    Raises
    ------
    LabelError
        If a length differs, ``y`` holds other numbers, or a row is called normal and anomalous at once.
    """
    who = _owner_name(owner)
    kind_names = None if kinds is None else _names(who, "kinds", kinds, n_rows)
    codes: np.ndarray[Any, np.dtype[np.int8]]
    if y is None and kind_names is None:
        codes = np.zeros(n_rows, dtype=np.int8)
    else:
        array = None if y is None else _numbers_if_any(np.asarray(y))
        if array is not None and array.dtype.kind in "biuf":
            codes = _codes(who, array, n_rows)
        else:
            if array is not None:
                kind_names = _names(who, "y", array, n_rows)
            assert kind_names is not None
            normal_names = [normal] if isinstance(normal, str) else [str(name) for name in normal]
            codes = np.full(n_rows, ANOMALY, dtype=np.int8)
            codes[_are_among(kind_names, normal_names)] = NORMAL
            codes[kind_names == ""] = UNLABELLED
    resolved = np.full(n_rows, "anomaly", dtype=object) if kind_names is None else kind_names.astype(object)
    resolved[(codes == ANOMALY) & (resolved == "")] = "anomaly"
    resolved[codes == NORMAL] = NORMAL_KIND
    resolved[codes == UNLABELLED] = ""
    if np.any(resolved[codes == ANOMALY] == NORMAL_KIND):
        row = int(np.flatnonzero((codes == ANOMALY) & (resolved == NORMAL_KIND))[0])
        raise LabelError(f"{who}: row {row} has y = 1 but its kind is {NORMAL_KIND!r}.")
    named_domains = (
        np.full(n_rows, UNNAMED_DOMAIN) if domains is None else _names(who, "domains", domains, n_rows)
    )
    named_groups = None if groups is None else _names(who, "groups", groups, n_rows)
    return Labels(codes, resolved.astype(np.str_), named_domains, named_groups)


def no_normals(owner: object, needs: str, labels: Labels, normal: str | Sequence[str]) -> LabelError:
    """Return the error for labels without a normal row.

    Parameters
    ----------
    owner : object
        Who asks, for the message.
    needs : str
        What needs them.
    labels : Labels
        As resolved.
    normal : str or sequence of str
        The kind name(s) that mean normal.

    Returns
    -------
    LabelError
    """
    kinds, counts = np.unique(labels.kinds, return_counts=True)
    found = ", ".join(
        f"{kinds[i]!s} ({counts[i]})" if kinds[i] else f"unlabelled ({counts[i]})"
        for i in np.argsort(-counts, kind="stable")[:6]
    )
    wanted = normal if isinstance(normal, str) else " or ".join(normal)
    return LabelError(
        f"{_owner_name(owner)}: {needs} needs normal rows (y = 0, or kind {wanted}), got none; "
        f"there are {found}."
    )


def resolve_domains(owner: object, n_rows: int, domains: ArrayLike | None) -> StrArray:
    """Return the domain of each row as a str array; the unnamed domain where none is given."""
    if domains is None:
        return np.full(n_rows, UNNAMED_DOMAIN)
    return _names(_owner_name(owner), "domains", domains, n_rows)


def _numbers_if_any(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return objects that are all numbers, truth values or missing (-1) as numbers, others as they are."""
    if array.dtype.kind != "O" or any(isinstance(value, str) for value in array.flat):
        return array
    missing = np.array(
        [value is None or str(value) in _MISSING_KINDS for value in array.flat], dtype=np.bool_
    )
    present = array.ravel()[~missing]
    if len(present) == 0 or not all(isinstance(value, (Real, np.bool_)) for value in present):
        return array
    numbers = np.full(array.size, float(UNLABELLED))
    numbers[~missing] = present.astype(np.float64)
    return numbers.reshape(array.shape)


def _codes(who: str, array: np.ndarray[Any, Any], n_rows: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    if array.shape != (n_rows,):
        raise LabelError(f"{who}: y must have one value a row ({n_rows}), got shape {array.shape}.")
    bad = ~np.isin(array, (NORMAL, ANOMALY, UNLABELLED))
    if bad.any():
        raise LabelError(
            f"{who}: y must be 0 (normal), 1 (anomaly) or -1 (unlabelled), got {array[bad][0]} "
            f"at row {int(np.flatnonzero(bad)[0])}; give kind names as text."
        )
    return array.astype(np.int8)


def _are_among(kinds: StrArray, wanted: Sequence[str]) -> NDArray[np.bool_]:
    folded = {name.strip().casefold() for name in wanted}
    distinct, inverse = np.unique(kinds, return_inverse=True)
    return np.array([str(kind).strip().casefold() in folded for kind in distinct], dtype=np.bool_)[inverse]


def _names(who: str, name: str, values: ArrayLike, n_rows: int) -> StrArray:
    array = np.asarray(values)
    if array.shape != (n_rows,):
        raise LabelError(f"{who}: {name} must have one value a row ({n_rows}), got shape {array.shape}.")
    if array.dtype.kind == "U":
        text = array
    elif array.dtype.kind == "O":
        text = np.array(["" if value is None else str(value) for value in array], dtype=np.str_)
    else:
        text = array.astype(np.str_)
    missing = np.isin(text, _MISSING_KINDS)
    if missing.any():
        text = text.copy()
        text[missing] = ""
    return text


def _owner_name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def _wording(owner: object, name: str, allowed: str, value: object) -> str:
    return f"{_owner_name(owner)}: {name} must be {allowed}, got {value!r}."
