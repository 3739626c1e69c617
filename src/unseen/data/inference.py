"""Finding out what the columns of a new table are, and reading it accordingly.

A column is numeric if every cell that is not missing is a number. A column that is mostly numbers but not
wholly is an error that names the first other cell, rather than a text column by accident.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from unseen.data.batches import ColumnHint, RawBatch, TableSource
from unseen.data.conforming import as_text, bad_cell, check_columns, conform, split_truths
from unseen.data.labelling import RowLabels, join_labels, read_labels
from unseen.data.schema import ColumnRoles, ColumnType, TableSchema, listed
from unseen.data.text import TextSource, split_numbers
from unseen.errors import ReadError, SchemaError

_BATCH_ROWS = 1 << 20
_PANDAS_INDEX = r"__index_level_\d+__"
_DECIMAL_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"
_WHOLE_NUMBER = r"^[+-]?\d+$"
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)$"
_NUMBER_AND_SIGN = r"^(?:[$€£]\s*[+-]?(?:\d+\.?\d*|\.\d+)|[+-]?(?:\d+\.?\d*|\.\d+)\s*[%$€£])$"
_DATE = (
    r"^(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}/\d{1,2}/\d{2})([ T]+\d{1,2}:.*)?$"
)


@dataclass(frozen=True)
class _Piece:
    """One batch and the source it came from."""

    batch: RawBatch
    source: TableSource


def infer_files(
    sources: Sequence[TableSource], roles: ColumnRoles, limit: int | None
) -> tuple[TableSchema, pl.DataFrame, RowLabels, list[str]]:
    """Read all rows and infer the schema.

    Parameters
    ----------
    sources : sequence of TableSource
        At least one; the first says which columns there are, the others must have them too.
    roles : ColumnRoles
        Which columns are not features.
    limit : int or None
        Read at most this many rows.

    Returns
    -------
    schema : TableSchema
    features : polars.DataFrame
        In the order and types of the schema.
    labels : RowLabels
    notes : list of str
        Columns left out and why.

    Raises
    ------
    SchemaError
        If a column is missing, no feature is left, or a mostly numeric column holds text.
    ReadError
        If there are no rows.
    """
    hints = [source.hints() for source in sources]
    names, unusable, indices = _feature_columns(sources, hints, roles)
    numeric = {
        name
        for name in names
        if name not in roles.categorical and all(hint[name] == "numeric" for hint in hints)
    }
    pieces, labels = _read(sources, roles, names, numeric, limit)
    types = {name: _settle(name, pieces, roles) for name in names}
    misread = {name for name in numeric if types[name] == "categorical" and _from_text(name, pieces)}
    if misread:
        pieces, labels = _read(sources, roles, names, numeric - misread, limit)
    dated = [name for name in names if types[name] == "categorical" and _holds_dates(name, pieces, roles)]
    names, unusable = _without(names, dated, sources[0]), [*unusable, *dated]
    notes = [f"columns of dates, lists or bytes are not used: {listed(unusable)}."] if unusable else []
    if indices:
        notes.append(f"the row index of pandas is not used: {listed(indices)}.")
    pieces = [
        replace(piece, batch=replace(piece.batch, frame=piece.batch.frame.select(names))) for piece in pieces
    ]
    schema = TableSchema(tuple(names), tuple(types[name] for name in names), roles)
    features = pl.concat(
        [conform(piece.batch, schema, piece.source.file) for piece in pieces],
        how="vertical_relaxed",
        rechunk=True,
    )
    repeated = _identical_repeats(sources[0], features)
    if repeated:
        notes.append(f"columns that repeat another one cell by cell are left out: {listed(repeated)}.")
        kept = [name for name in names if name not in repeated]
        schema = TableSchema(tuple(kept), tuple(types[name] for name in kept), roles)
        features = features.select(kept)
    return schema, features, labels, notes


def _feature_columns(
    sources: Sequence[TableSource], hints: Sequence[dict[str, ColumnHint]], roles: ColumnRoles
) -> tuple[list[str], list[str], list[str]]:
    first = sources[0]
    check_columns(first.file, first.columns, roles.named, "label, domain or group")
    check_columns(first.file, first.columns, roles.ignore, "ignored")
    check_columns(first.file, first.columns, roles.categorical, "categorical")
    candidates = [name for name in first.columns if roles.is_feature(name)]
    indices = [name for name in candidates if re.fullmatch(_PANDAS_INDEX, name)]
    candidates = _without(candidates, indices, first)
    for source in sources[1:]:
        check_columns(source.file, source.columns, [*roles.named, *candidates], "needed")
    unusable = [name for name in candidates if any(hint[name] == "unusable" for hint in hints)]
    return _without(candidates, unusable, first), unusable, indices


def _without(names: Sequence[str], unusable: Sequence[str], source: TableSource) -> list[str]:
    left = [name for name in names if name not in unusable]
    if not left:
        raise SchemaError(f"{source.file}: no feature column is left; it has {listed(source.columns)}.")
    return left


def _read(
    sources: Sequence[TableSource], roles: ColumnRoles, names: list[str], numeric: set[str], limit: int | None
) -> tuple[list[_Piece], RowLabels]:
    pieces: list[_Piece] = []
    labels: list[RowLabels] = []
    n_rows = 0
    for source in sources:
        for batch in source.batches([*names, *roles.named], numeric, _BATCH_ROWS):
            left = batch.frame.height if limit is None else limit - n_rows
            cut = replace(batch, frame=batch.frame.head(left))
            if cut.frame.height:
                labels.append(read_labels(cut, roles, source.file))
                pieces.append(_Piece(replace(cut, frame=cut.frame.select(names)), source))
                n_rows += cut.frame.height
            if n_rows == limit:
                return pieces, join_labels(labels)
    if not pieces:
        raise ReadError(f"{sources[0].file}: there is a header, but there are no rows.")
    return pieces, join_labels(labels)


def _settle(name: str, pieces: Sequence[_Piece], roles: ColumnRoles) -> ColumnType:
    """Decide the type of one column from all its cells."""
    if name in roles.categorical:
        return "categorical"
    columns = [piece.batch.frame[name] for piece in pieces]
    if all(column.dtype == pl.Boolean for column in columns):
        return "boolean"
    if not any(_is_text(column) for column in columns):
        return "numeric"
    n_numbers, n_other = 0, 0
    first_other: SchemaError | None = None
    for piece, column in zip(pieces, columns, strict=True):
        if not _is_text(column):
            n_numbers += len(column) - column.null_count()
            continue
        numbers, other = split_numbers(column.cast(pl.String))
        n_numbers += len(numbers) - numbers.null_count()
        n_other += int(other.sum())
        if first_other is None and other.any():
            row = other.arg_true()[0]
            first_other = bad_cell(piece.source.file, piece.batch.record(row), name, column[row], "a number")
    if first_other is None:
        return "numeric"
    if n_numbers > n_other:
        raise SchemaError(
            f"{first_other} {n_numbers} cells of this column are numbers and {n_other} are text: "
            "correct them, ignore the column or read it as categorical."
        )
    _refuse_as_text(name, pieces, _DECIMAL_COMMA, _WHOLE_NUMBER, "a number with a decimal point")
    _refuse_as_text(name, pieces, _NUMBER_AND_SIGN, _NUMBER, "a number without % or a currency sign")
    return "boolean" if n_numbers == 0 and _says_true_or_false(columns) else "categorical"


def _refuse_as_text(name: str, pieces: Sequence[_Piece], odd: str, plain: str, wanted: str) -> None:
    """A column of numbers of which some are written oddly would become a text column by accident."""
    first: SchemaError | None = None
    for piece in pieces:
        column = piece.batch.frame[name]
        text = as_text(column)
        known = text != ""
        oddly = text.str.contains(odd)
        if not (oddly | ~known | text.str.contains(plain)).all():
            return
        if first is None and oddly.any():
            row = oddly.arg_true()[0]
            told = f"{wanted} (or name the column as categorical)"
            first = bad_cell(piece.source.file, piece.batch.record(row), name, column[row], told)
    if first is not None:
        raise first


def _says_true_or_false(columns: Iterable[pl.Series]) -> bool:
    for column in columns:
        text = as_text(column)
        if split_truths(text)[1].any() or text.str.to_lowercase().is_in(["t", "f", "yes", "no"]).any():
            return False
    return True


def _holds_dates(name: str, pieces: Sequence[_Piece], roles: ColumnRoles) -> bool:
    """Whether all cells of a text column are dates: categories that no later row would have."""
    if name in roles.categorical:
        return False
    columns = [as_text(piece.batch.frame[name]) for piece in pieces]
    return all(((text == "") | text.str.contains(_DATE)).all() for text in columns)


def _is_text(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Categorical, pl.Enum)


def _from_text(name: str, pieces: Sequence[_Piece]) -> bool:
    """Whether some cells of a text file were already turned into numbers."""
    return any(
        isinstance(piece.source, TextSource) and not _is_text(piece.batch.frame[name]) for piece in pieces
    )


def _identical_repeats(source: TableSource, features: pl.DataFrame) -> list[str]:
    """Columns whose name was given twice and that hold the same cells as the first of that name."""
    return [
        name
        for name, original in source.repeats.items()
        if name in features.columns
        and original in features.columns
        and features[name].equals(features[original].alias(name), check_dtypes=True)
    ]
