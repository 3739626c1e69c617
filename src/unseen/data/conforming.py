"""Bringing the columns of a batch to the types of a schema, naming the place of a cell that does not fit."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

import polars as pl

from unseen.data.batches import RawBatch
from unseen.data.schema import ColumnType, TableSchema, listed
from unseen.data.text import MISSING_CELLS, split_numbers
from unseen.errors import SchemaError

_TRUE, _FALSE = ("true", "t", "yes", "1", "1.0"), ("false", "f", "no", "0", "0.0")


def check_columns(file: str, present: Sequence[str], wanted: Collection[str], what: str) -> None:
    """Raise SchemaError if a wanted column is not in the file.

    Parameters
    ----------
    file : str
        The file, for the message.
    present : sequence of str
        Its columns.
    wanted : collection of str
        The columns that are needed.
    what : str
        What they are needed as.
    """
    missing = [name for name in wanted if name not in present]
    if not missing:
        return
    close = difflib.get_close_matches(missing[0], present, n=1)
    folded = [name for name in present if name.casefold() == missing[0].casefold()]
    hint = f"; did you mean {(folded or close)[0]!r}?" if folded or close else f"; it has {listed(present)}."
    plural = "columns" if len(missing) > 1 else "column"
    raise SchemaError(f"{file}: {what} {plural} {listed(missing)} missing{hint}")


def conform(batch: RawBatch, schema: TableSchema, file: str) -> pl.DataFrame:
    """Return the feature columns of a batch in the order and types of the schema.

    Parameters
    ----------
    batch : RawBatch
        Has at least the columns of the schema.
    schema : TableSchema
        What is wanted.
    file : str
        The file, for messages.

    Returns
    -------
    polars.DataFrame
        numeric columns as they are if they hold numbers, else Float64; boolean columns Boolean;
        categorical columns String, stripped, ``""`` where missing.

    Raises
    ------
    SchemaError
        If a cell or a column type does not fit; the message names file, row, column and value.
    """
    columns = [
        conform_column(batch.frame[name], kind, batch, file)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pl.DataFrame(columns)


def conform_column(series: pl.Series, kind: ColumnType, batch: RawBatch, file: str) -> pl.Series:
    """Return one column in the wanted type; see :func:`conform`."""
    if kind == "categorical":
        return as_text(series)
    dtype = series.dtype
    if kind == "numeric":
        if dtype.is_float() or dtype.is_integer():
            return series
        if dtype == pl.Boolean or dtype == pl.Null or dtype.is_decimal():
            return series.cast(pl.Float64)
        if _is_text(dtype):
            numbers, bad = split_numbers(series.cast(pl.String))
            if bad.any():
                raise _bad_cell(series, bad, batch, file, "a number")
            return numbers
    else:
        if dtype == pl.Boolean:
            return series
        if dtype.is_numeric() or dtype == pl.Null or _is_text(dtype):
            truths, bad = split_truths(as_text(series))
            if bad.any():
                raise _bad_cell(series, bad, batch, file, "true or false")
            return truths
    raise SchemaError(f"{file}: column {series.name!r} must be {kind}, but the file has type {dtype}.")


def split_truths(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return a text column as Boolean (null where missing) and which cells are neither true nor false."""
    folded = text.str.strip_chars().str.to_lowercase()
    truths = (
        pl.DataFrame({"text": folded})
        .select(
            pl.when(pl.col("text").is_in(_TRUE))
            .then(pl.lit(True))
            .when(pl.col("text").is_in(_FALSE))
            .then(pl.lit(False))
            .alias(text.name)
        )
        .to_series()
    )
    missing = [cell.lower() for cell in MISSING_CELLS]
    return truths, truths.is_null() & text.is_not_null() & ~folded.is_in(missing)


def as_text(series: pl.Series) -> pl.Series:
    """Return a column as stripped text, ``""`` where missing; whole numbers without ``.0``."""
    dtype = series.dtype
    if dtype.is_float():
        value = pl.col(series.name)
        whole = value.is_finite() & (value == value.round()) & (value.abs() < 2**53)
        text = (
            series.to_frame()
            .select(
                pl.when(whole)
                .then(value.cast(pl.Int64, strict=False).cast(pl.String))
                .when(value.is_not_nan())
                .then(value.cast(pl.String))
            )
            .to_series()
            .alias(series.name)
        )
    else:
        text = series.cast(pl.String)
        if _is_text(dtype):
            text = text.str.strip_chars()
    return text.fill_null("")


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _bad_cell(series: pl.Series, bad: pl.Series, batch: RawBatch, file: str, wanted: str) -> SchemaError:
    row = bad.arg_true()[0]
    return bad_cell(file, batch.record(row), series.name, series[row], wanted)


def bad_cell(file: str, record: int, column: str, value: object, wanted: str) -> SchemaError:
    """Return the error for one cell; rows count from 1 below the header."""
    shown = str(value)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return SchemaError(f"{file}: row {record}, column {column!r}: expected {wanted}, got {shown!r}.")
