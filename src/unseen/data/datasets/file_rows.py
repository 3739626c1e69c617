"""Read the labelled rows of one published file, all of them or a draw, with bounded memory for a draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.data.batches import RawBatch, TableSource
from unseen.data.conforming import check_columns, conform
from unseen.data.datasets.sampling import sample_rows
from unseen.data.schema import TableSchema
from unseen.data.sources import open_source
from unseen.errors import ReadError
from unseen.types import StrArray

_BATCH_ROWS = 1 << 18


@dataclass(frozen=True)
class Layout:
    """How the text files of a data set are laid out.

    Attributes
    ----------
    ignore : tuple of str
        Columns that are no features: identifiers, addresses, times, repeated columns, labels.
    categorical : tuple of str
        Feature columns that hold names.
    column_names : tuple of str or None
        Names of the columns, for files without a header line; None if the first line names them.
    encoding : str
        Character encoding.
    """

    ignore: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    column_names: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def open(self, path: Path) -> TableSource:
        """Open a file of this layout."""
        return open_source(path, self.encoding, self.column_names)

    def features(self, path: Path) -> tuple[str, ...]:
        """Return the feature columns that a file has, in its order."""
        return tuple(name for name in self.open(path).columns if name not in self.ignore)


@dataclass(frozen=True)
class FileRows:
    """The rows kept of one file.

    Attributes
    ----------
    features : polars.DataFrame of shape (n_rows, n_features)
        Columns of the schema.
    kept : polars.DataFrame of shape (n_rows, n_kept)
        The label and time columns asked for, as text.
    kinds : str array of shape (n_rows,)
        Kind of each row.
    rows_in_file : int
        Rows that the file holds, repeated header lines left out.
    notes : tuple of str
        What was left out or sampled.
    """

    features: pl.DataFrame
    kept: pl.DataFrame
    kinds: StrArray
    rows_in_file: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kinds)


def read_rows(
    path: Path,
    layout: Layout,
    schema: TableSchema,
    kinds_of: Callable[[pl.DataFrame], StrArray],
    *,
    keep: Sequence[str] = (),
    max_rows: int | None,
    generator: np.random.Generator,
) -> FileRows:
    """Read the labelled rows of a file; rows without a label are left out.

    A draw needs two passes: one over the kept columns to see the kinds, one over the features of the rows
    drawn.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        Its layout.
    schema : TableSchema
        The features to read.
    kinds_of : callable
        From the kept columns of some rows to their kinds, ``""`` where a row has no label.
    keep : sequence of str
        Columns that ``kinds_of`` and the caller need; none if the kind is that of the file, and ``kinds_of``
        is then given the first feature.
    max_rows : int or None
        Most rows to keep, kinds in equal shares; None keeps all.
    generator : numpy Generator
        Source of the draw.

    Returns
    -------
    FileRows

    Raises
    ------
    ReadError
        If the file is damaged or holds no labelled row.
    SchemaError
        If a column is missing or a cell does not fit; the message names file, row and column.
    """
    source = layout.open(path)
    check_columns(source.file, source.columns, (*schema.names, *keep), "published")
    needed = list(keep) or [schema.names[0]]
    chosen = None if max_rows is None else _draw(source, needed, kinds_of, max_rows, generator)
    features, kept, kinds, total = [], [], [], 0
    columns = list(dict.fromkeys([*schema.names, *needed]))
    for batch in source.batches(columns, schema.of_type("numeric"), _BATCH_ROWS):
        height = batch.frame.height
        batch_kinds = kinds_of(batch.frame.select(needed))
        rows = np.flatnonzero(batch_kinds != "") if chosen is None else _within(chosen, total, height)
        part = _take(batch, rows)
        features.append(conform(part, schema, source.file))
        kept.append(part.frame.select(needed))
        kinds.append(batch_kinds[rows])
        total += height
    if not sum(len(part) for part in kinds):
        raise ReadError(f"{path}: holds no labelled row; is the file complete?")
    return FileRows(
        pl.concat(features, how="vertical_relaxed", rechunk=True),
        pl.concat(kept, how="vertical_relaxed"),
        np.concatenate(kinds),
        total,
        tuple(source.notes) + _left_out(path, sum(len(part) for part in kinds), total, max_rows),
    )


def _draw(
    source: TableSource,
    needed: list[str],
    kinds_of: Callable[[pl.DataFrame], StrArray],
    max_rows: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the rows to keep, ascending, after a pass over the label columns."""
    kinds = [kinds_of(batch.frame) for batch in source.batches(needed, (), _BATCH_ROWS)]
    every = np.concatenate(kinds) if kinds else np.empty(0, dtype=np.str_)
    labelled = np.flatnonzero(every != "")
    return labelled[sample_rows(every[labelled], max_rows, generator)]


def _within(chosen: NDArray[np.int64], first: int, height: int) -> NDArray[np.int64]:
    start, end = np.searchsorted(chosen, (first, first + height))
    return chosen[start:end] - first


def _take(batch: RawBatch, rows: NDArray[np.int64]) -> RawBatch:
    if len(rows) == batch.frame.height:
        return batch
    records = batch.first_record + rows if batch.records is None else batch.records[rows]
    return replace(batch, frame=batch.frame[rows], records=records)


def _left_out(path: Path, kept: int, total: int, max_rows: int | None) -> tuple[str, ...]:
    if kept == total:
        return ()
    if max_rows is not None and kept >= max_rows:
        return (f"{path}: kept {kept} of {total} rows, kinds in equal shares.",)
    return (f"{path}: left out {total - kept} row(s) without a label.",)
