"""Parquet and Arrow IPC (Feather) files as a stream of batches with bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from unseen.data.batches import ColumnHint, RawBatch, clean_names
from unseen.errors import ReadError


class _ColumnarSource(ABC):
    """What Parquet and Arrow files share: typed columns, named in a schema."""

    _format: str

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        self._path = path
        with self._reporting():
            self._schema = self._read_schema()
        self.columns, self.repeats, self.notes = clean_names(self._schema.names, self.file)

    def hints(self) -> dict[str, ColumnHint]:
        """Return what the stored types say of each column."""
        return {name: _hint(field.type) for name, field in zip(self.columns, self._schema, strict=True)}

    def batches(
        self, columns: Sequence[str], numeric: Collection[str], batch_rows: int
    ) -> Iterator[RawBatch]:
        """Yield the columns in batches; see :class:`unseen.data.sources.TableSource`."""
        raw = {self._schema.names[self.columns.index(name)] for name in columns}
        positions = [position for position, name in enumerate(self._schema.names) if name in raw]
        first_record = 1
        with self._reporting():
            for batch in self._read_batches(positions, batch_rows):
                frame = self._named(batch).select(columns)
                yield RawBatch(frame, first_record)
                first_record += frame.height

    def _named(self, batch: Any) -> pl.DataFrame:
        """Give the columns of a batch their clean names; equal raw names come in the order of the file."""
        waiting: dict[str, list[str]] = {}
        for raw, clean in zip(self._schema.names, self.columns, strict=True):
            waiting.setdefault(raw, []).append(clean)
        names = [waiting[raw].pop(0) for raw in batch.schema.names]
        frame = pl.from_arrow(pa.Table.from_batches([batch]).rename_columns(names), rechunk=False)
        assert isinstance(frame, pl.DataFrame)
        return frame

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise ReadError(
                f"{self.file}: is not a readable {self._format} file (truncated?): {reason}"
            ) from error

    @abstractmethod
    def _read_schema(self) -> Any:
        """Return the Arrow schema of the file."""

    @abstractmethod
    def _read_batches(self, positions: list[int], batch_rows: int) -> Iterator[Any]:
        """Yield Arrow record batches of the columns at these positions."""


class ParquetSource(_ColumnarSource):
    """One Parquet file; row groups are decoded batch by batch.

    Parameters
    ----------
    path : Path
        The file.
    """

    _format = "Parquet"

    def _read_schema(self) -> Any:
        with pyarrow.parquet.ParquetFile(self._path) as opened:
            return opened.schema_arrow

    def _read_batches(self, positions: list[int], batch_rows: int) -> Iterator[Any]:
        names = list(dict.fromkeys(self._schema.names[position] for position in positions))
        with pyarrow.parquet.ParquetFile(self._path, pre_buffer=False, buffer_size=1 << 20) as opened:
            yield from opened.iter_batches(batch_size=batch_rows, columns=names)


class ArrowSource(_ColumnarSource):
    """One Arrow IPC file or stream (Feather version 2); memory-mapped.

    Parameters
    ----------
    path : Path
        The file.
    """

    _format = "Arrow"

    def _read_schema(self) -> Any:
        with self._opened() as reader:
            return reader.schema

    def _read_batches(self, positions: list[int], batch_rows: int) -> Iterator[Any]:
        with self._opened() as reader:
            for batch in _stored_batches(reader):
                for start in range(0, batch.num_rows, batch_rows):
                    yield batch.select(positions).slice(start, batch_rows)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with pa.memory_map(str(self._path)) as mapped:
            head = mapped.read(6)
            mapped.seek(0)
            yield pa.ipc.open_file(mapped) if head == b"ARROW1" else pa.ipc.open_stream(mapped)


def _stored_batches(reader: Any) -> Iterator[Any]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
    else:
        yield from reader


def _hint(kind: Any) -> ColumnHint:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(value):
        return "boolean"
    if pa.types.is_integer(value) or pa.types.is_floating(value) or pa.types.is_decimal(value):
        return "numeric"
    if pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value):
        return "text"
    if pa.types.is_null(value):
        return "numeric"
    return "unusable"
