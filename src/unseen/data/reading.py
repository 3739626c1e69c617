"""Reading tables: whole into memory for fitting, or as a stream of batches for scoring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.checks import check_int
from unseen.data.conforming import check_columns, conform
from unseen.data.inference import infer_files
from unseen.data.labelling import RowLabels, explain_no_normals, join_labels, merge_spellings, read_labels
from unseen.data.schema import ColumnRoles, TableSchema, listed
from unseen.data.sources import TableSource, find_files, open_source
from unseen.data.tables import Table
from unseen.errors import LabelError, ReadError
from unseen.types import NORMAL, StrArray

ALL_COLUMNS = "*"


@dataclass(frozen=True)
class TableBatch:
    """Some rows of a scanned table.

    Attributes
    ----------
    features : polars.DataFrame
        The columns of the schema, in its order and types.
    kept : polars.DataFrame
        The columns to carry through (no columns if none were asked for).
    domains : str array of shape (n_rows,) or None
        Domain of each row, if the schema names a domain column and the file has it.
    first_row : int
        Number of rows of this file that came before, header rows left out: 0 for its first batch.
    file : str
        The file the rows are from.
    kinds : str array of shape (n_rows,) or None
        Kind of each row, if the file has the label columns.
    y : int8 array of shape (n_rows,) or None
        0 normal, 1 anomaly, -1 unlabelled, if the file has the label columns.
    """

    features: pl.DataFrame
    kept: pl.DataFrame
    domains: StrArray | None
    first_row: int
    file: str
    kinds: StrArray | None = None
    y: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return self.features.height


def read_table(
    path: str | Path,
    roles: ColumnRoles | None = None,
    *,
    schema: TableSchema | None = None,
    limit: int | None = None,
    require_labels: bool = True,
    encoding: str = "utf-8",
) -> Table:
    """Read a file, a directory or a glob into memory.

    Parameters
    ----------
    path : str or Path
        CSV or TSV (plain, ``.gz`` or ``.zst``), Parquet or Arrow IPC; several files are stacked.
    roles : ColumnRoles or None
        Which columns are labels, domains, groups or ignored. None: the roles of ``schema``, else none.
    schema : TableSchema or None
        Columns and types to bring the table to (scoring, test files). None: they are inferred (fitting).
    limit : int or None
        Read at most this many rows, from the beginning.
    require_labels : bool
        With ``schema``: whether its kind or label column must be there.
    encoding : str
        Character encoding of text files.

    Returns
    -------
    Table

    Raises
    ------
    ReadError
        If there is no file, or one is empty, damaged or has no rows.
    SchemaError
        If a column is missing or a cell does not fit; the message names file, row, column and value.
    LabelError
        If a label cannot be read, or without ``schema`` if no row is normal.
    """
    if limit is not None:
        check_int("read_table", "limit", limit, minimum=1)
    if roles is None:
        roles = ColumnRoles() if schema is None else schema.roles
    sources = [open_source(file, encoding) for file in find_files(path)]
    fitting = schema is None
    if schema is None:
        schema, features, labels, notes = infer_files(sources, roles, limit)
    else:
        schema = replace(schema, roles=roles)
        features, labels = _gather(sources, schema, limit, require_labels)
        extra = [name for name in sources[0].columns if roles.is_feature(name) and name not in schema.names]
        notes = [f"columns not known to the model are not used: {listed(extra)}."] if extra else []
    notes = [note for source in sources for note in source.notes] + notes
    kinds, y = labels.kinds, labels.y
    if kinds is not None and y is not None:
        if fitting and not (y == NORMAL).any():
            raise LabelError(f"{path}: {explain_no_normals(kinds, roles)}")
        kinds, merged = merge_spellings(kinds, y)
        notes += merged
    return Table(features, schema, kinds, y, labels.domains, labels.groups, tuple(notes))


def check_has_column(path: str | Path, column: str, what: str, encoding: str = "utf-8") -> None:
    """Raise SchemaError unless every file of a file, directory or glob has a column.

    Parameters
    ----------
    path : str or Path
        As for :func:`read_table`.
    column : str
        Its name.
    what : str
        What it is needed as, for the message.
    encoding : str
        Character encoding of text files.

    Raises
    ------
    ReadError, SchemaError
        If there is no file, or one lacks the column.
    """
    for file in find_files(path):
        source = open_source(file, encoding)
        check_columns(source.file, source.columns, [column], what)


def scan_table(
    path: str | Path,
    schema: TableSchema,
    *,
    batch_rows: int = 65536,
    keep: Sequence[str] = (),
    require_labels: bool = False,
    encoding: str = "utf-8",
) -> Iterator[TableBatch]:
    """Stream a file, a directory or a glob in batches of bounded size.

    Columns may come in any order; further columns are not read unless kept. A text file is read in
    blocks of about 8 MiB, so memory does not grow with the file.

    Parameters
    ----------
    path : str or Path
        As for :func:`read_table`.
    schema : TableSchema
        What to bring the columns to.
    batch_rows : int
        Largest number of rows in a batch.
    keep : sequence of str
        Columns to carry through; ``("*",)`` for all those of the first file. Of text files, numeric columns
        of the schema come as float64 and all others as the text that stands there.
    require_labels : bool
        Whether the kind or label column must be there.
    encoding : str
        Character encoding of text files.

    Yields
    ------
    TableBatch

    Raises
    ------
    ReadError, SchemaError, LabelError
        As :func:`read_table`, at the first batch that shows the fault.
    """
    check_int("scan_table", "batch_rows", batch_rows, minimum=1)
    files = find_files(path)
    kept_names: list[str] | None = None
    n_rows = 0
    for file in files:
        source = open_source(file, encoding)
        check_columns(source.file, source.columns, schema.names, "needed")
        if kept_names is None:
            kept_names = list(source.columns) if ALL_COLUMNS in keep else list(dict.fromkeys(keep))
        check_columns(source.file, source.columns, kept_names, "kept")
        if require_labels:
            check_columns(source.file, source.columns, _label_columns(schema.roles), "label")
        for batch in _scan_source(source, schema, batch_rows, kept_names):
            n_rows += len(batch)
            yield batch
    if n_rows == 0:
        raise ReadError(f"{path}: there is a header, but there are no rows.")


def _scan_source(
    source: TableSource, schema: TableSchema, batch_rows: int, kept_names: list[str]
) -> Iterator[TableBatch]:
    role_columns = [name for name in schema.roles.named if name in source.columns]
    columns = list(dict.fromkeys([*schema.names, *role_columns, *kept_names]))
    first_row = 0
    for raw in source.batches(columns, schema.of_type("numeric"), batch_rows):
        if raw.frame.height == 0:
            continue
        features = conform(raw, schema, source.file)
        labels = read_labels(raw, schema.roles, source.file) if role_columns else RowLabels()
        kept = raw.frame.select(kept_names)
        yield TableBatch(features, kept, labels.domains, first_row, source.file, labels.kinds, labels.y)
        first_row += raw.frame.height


def _gather(
    sources: Sequence[TableSource], schema: TableSchema, limit: int | None, require_labels: bool
) -> tuple[pl.DataFrame, RowLabels]:
    frames: list[pl.DataFrame] = []
    labels: list[RowLabels] = []
    n_rows = 0
    for source in sources:
        check_columns(source.file, source.columns, schema.names, "needed")
        if require_labels:
            check_columns(source.file, source.columns, _label_columns(schema.roles), "label")
        role_columns = [name for name in schema.roles.named if name in source.columns]
        columns = list(dict.fromkeys([*schema.names, *role_columns]))
        for raw in source.batches(columns, schema.of_type("numeric"), 1 << 20):
            left = raw.frame.height if limit is None else limit - n_rows
            cut = replace(raw, frame=raw.frame.head(left))
            frames.append(conform(cut, schema, source.file))
            labels.append(read_labels(cut, schema.roles, source.file))
            n_rows += cut.frame.height
            if n_rows == limit:
                break
        if n_rows == limit:
            break
    if n_rows == 0:
        raise ReadError(f"{sources[0].file}: there is a header, but there are no rows.")
    return pl.concat(frames, how="vertical_relaxed", rechunk=True), join_labels(labels)


def _label_columns(roles: ColumnRoles) -> list[str]:
    return [name for name in (roles.kind, roles.label) if name is not None]
