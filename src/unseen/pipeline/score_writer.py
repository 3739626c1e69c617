"""Scores as Arrow batches, and the files they are written to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from unseen.data.sources import find_files
from unseen.errors import ParameterError, ReadError, SchemaError
from unseen.pipeline.attribution import top_columns
from unseen.pipeline.staging import staged
from unseen.pipeline.table_model import ScoredBatch

OUTPUT_SUFFIXES = (".parquet", ".csv")
_COMPRESSION = "zstd"


def check_output_name(out: Path) -> str:
    """Return the suffix of a score file's name, or raise ParameterError if it is not one we write."""
    suffix = out.suffix.lower()
    if suffix not in OUTPUT_SUFFIXES:
        raise ParameterError(
            f"cannot write scores to {out}: the name must end in {' or '.join(OUTPUT_SUFFIXES)}."
        )
    return suffix


def refuse_own_input(out: Path, source: str | Path) -> None:
    """Raise ParameterError if a file to write is one of the files that are read.

    Parameters
    ----------
    out : Path
        The file to write.
    source : str or Path
        A table file, folder or glob; where it does not exist, reading it says so.
    """
    try:
        files = find_files(source)
    except ReadError:
        return
    if out.exists() and any(out.samefile(file) for file in files):
        raise ParameterError(f"{out} is the file that is read; give another name to write to.")


def write_frame(frame: pl.DataFrame, file: Path) -> None:
    """Write a short list to a Parquet or CSV file, atomically.

    Parameters
    ----------
    frame : polars.DataFrame
        The list.
    file : Path
        Its name ends in ``.parquet`` or ``.csv``.

    Raises
    ------
    ParameterError
        If the name ends otherwise.
    """
    suffix = check_output_name(file)
    with staged(file) as temporary:
        if suffix == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary, compression="zstd")


class ScoreEncoder:
    """Turns scored batches into Arrow batches of one schema.

    The columns are ``row`` (0-based within its file), ``file`` (only for several files), ``score``,
    ``p_value``, ``flagged``, where the detector can tell ``reason`` and ``like_kind``, for ``k`` of 1 to
    ``top_features`` ``top_k`` (column name) and ``top_k_share``,
    then the columns carried through; of those, names that are taken get the suffix ``_input``.

    Parameters
    ----------
    columns : sequence of str
        Names of the table's columns.
    top_features : int
        How many columns to name a row, at most all of them.
    with_file : bool
        Whether the rows come from several files.
    """

    def __init__(self, columns: Sequence[str], *, top_features: int, with_file: bool) -> None:
        self.columns = pa.array(list(columns), type=pa.string())
        self.top_features = min(top_features, len(self.columns))
        self.with_file = with_file
        self._kept_schema: pa.Schema | None = None

    def encode(self, scored: ScoredBatch, *, first_row: int, file: str, kept: pl.DataFrame) -> pa.RecordBatch:
        """Return one batch.

        Parameters
        ----------
        scored : ScoredBatch
            Scores of consecutive rows.
        first_row : int
            Position of the first of them in its file.
        file : str
            The file they come from.
        kept : polars DataFrame
            Columns to carry through; may have none.

        Returns
        -------
        pyarrow.RecordBatch
        """
        n_rows = len(scored)
        out: dict[str, Any] = {"row": pa.array(np.arange(first_row, first_row + n_rows, dtype=np.int64))}
        if self.with_file:
            codes = pa.array(np.zeros(n_rows, dtype=np.int32))
            out["file"] = pa.DictionaryArray.from_arrays(codes, pa.array([file], type=pa.string()))
        out["score"] = pa.array(scored.score)
        out["p_value"] = pa.array(scored.p_value)
        out["flagged"] = pa.array(scored.flagged)
        if scored.reason is not None and scored.like_kind is not None:
            out["reason"] = pa.array(scored.reason).dictionary_encode()
            out["like_kind"] = pa.array(scored.like_kind, mask=scored.like_kind == "").dictionary_encode()
        if self.top_features and scored.contributions is not None:
            codes_of, shares_of = top_columns(scored.contributions, self.top_features)
            for place in range(self.top_features):
                codes, shares = codes_of[:, place], shares_of[:, place]
                missing = codes < 0
                out[f"top_{place + 1}"] = pa.DictionaryArray.from_arrays(
                    pa.array(np.ascontiguousarray(codes), mask=missing), self.columns
                )
                out[f"top_{place + 1}_share"] = pa.array(np.ascontiguousarray(shares), mask=missing)
        for name, values in self._conformed(kept, set(out)).items():
            out[name] = values
        return pa.RecordBatch.from_pydict(out)

    def _conformed(self, kept: pl.DataFrame, taken: set[str]) -> dict[str, Any]:
        """Return the kept columns in the types of the first batch."""
        if kept.width == 0:
            return {}
        table = kept.to_arrow().combine_chunks()
        if self._kept_schema is None:
            plain = [_plain(item) for item in table.schema]
            self._kept_schema = pa.schema(plain)
        try:
            table = table.cast(self._kept_schema)
        except (pa.ArrowInvalid, ValueError) as error:
            raise SchemaError(
                f"a column to keep changes its type within the input ({error}); name fewer with --keep."
            ) from error
        return {
            _free_name(item.name, taken): _one_array(table.column(i)) for i, item in enumerate(table.schema)
        }


class ScoreFile:
    """A Parquet or CSV file that grows batch by batch; a context manager.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : {".parquet", ".csv"}
        The format.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        self._path = path
        self._suffix = suffix
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one batch."""
        if self._suffix == ".csv":
            batch = _without_dictionaries(batch)
        if self._writer is None:
            self._writer = self._open(batch.schema)
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Write what the format needs at its end."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, schema: pa.Schema) -> Any:
        if self._suffix == ".csv":
            nested = [item.name for item in schema if pa.types.is_nested(item.type)]
            if nested:
                raise ParameterError(
                    f"CSV cannot hold column {nested[0]!r}, whose cells are lists or structures; write "
                    ".parquet, or keep other columns."
                )
            return pa_csv.CSVWriter(self._path, schema)
        # Real numbers hardly repeat: a dictionary of them costs more time than all the rest of the writing.
        repeating = [item.name for item in schema if not pa.types.is_floating(item.type)]
        return pq.ParquetWriter(self._path, schema, compression=_COMPRESSION, use_dictionary=repeating)


def _plain(item: pa.Field) -> pa.Field:
    """A field in a type that every format can hold: text where it was a dictionary or only nulls."""
    if pa.types.is_dictionary(item.type):
        return item.with_type(item.type.value_type)
    if pa.types.is_null(item.type):
        return item.with_type(pa.string())
    return item


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [array.dictionary_decode() if pa.types.is_dictionary(array.type) else array for array in batch]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}_input"
    taken.add(name)
    return name
