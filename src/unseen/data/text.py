"""CSV and TSV files as a stream of batches with bounded memory.

The file is cut into blocks of whole records (a line break inside quotes is not a cut); each block is
parsed at once with the numeric columns as float64. Only where that fails is a block parsed again as text,
header rows repeated in mid-file are left out, and columns that hold something else than numbers stay text
for the caller to judge.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from unseen.data.batches import ColumnHint, RawBatch, clean_names, regular_batches
from unseen.data.blocks import first_record_end, one_line, record_blocks
from unseen.errors import ReadError

MISSING_CELLS = (
    "",
    "NaN",
    "nan",
    "NAN",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "null",
    "NULL",
    "Null",
    "None",
    "none",
    "?",
    "-",
)
"""Cells of a numeric column that mean "not known"."""

_DELIMITERS = (",", ";", "\t", "|")


class TextSource:
    """One CSV or TSV file, plain or compressed.

    Parameters
    ----------
    path : Path
        The file.
    compression : {"gzip", "zstd"} or None
        How it is compressed.
    tab : bool
        Whether cells are parted by tabs; otherwise the header line decides between ``, ; tab |``.
    encoding : str
        Character encoding.
    column_names : sequence of str or None
        Names of the columns of a file without a header line; None if its first line names them.
    """

    def __init__(
        self,
        path: Path,
        compression: str | None,
        *,
        tab: bool,
        encoding: str = "utf-8",
        column_names: Sequence[str] | None = None,
    ) -> None:
        self.file = str(path)
        self._given_names = None if column_names is None else list(column_names)
        self._path = path
        self._compression = compression
        try:
            self._encoding = codecs.lookup(encoding).name
        except LookupError as error:
            raise ReadError(f"{path}: there is no character encoding called {encoding!r}.") from error
        header, _ = self._header_and_blocks()
        self._delimiter = "\t" if tab else _delimiter(header)
        self._raw_names = self._given_names or _cells(header, self._delimiter)
        self.columns, self.repeats, self.notes = clean_names(self._raw_names, self.file)

    def hints(self) -> dict[str, ColumnHint]:
        """Guess from the first block: numeric if every cell there is a number or missing."""
        for batch in self.batches(self.columns, self.columns, 1 << 30):
            dtypes = dict(zip(self.columns, batch.frame.dtypes, strict=True))
            return {name: "numeric" if dtype == pl.Float64 else "text" for name, dtype in dtypes.items()}
        return dict.fromkeys(self.columns, "text")

    def batches(
        self, columns: Sequence[str], numeric: Collection[str], batch_rows: int
    ) -> Iterator[RawBatch]:
        """Yield the columns in batches; see :class:`unseen.data.sources.TableSource`."""
        return regular_batches(self._parsed_blocks(list(columns), frozenset(numeric)), batch_rows)

    # ---------------------------------------------------------------- parsing
    def _parsed_blocks(self, columns: list[str], numeric: frozenset[str]) -> Iterator[RawBatch]:
        _, blocks = self._header_and_blocks()
        first_record, repeated = 1, 0
        for block in blocks:
            self._check_quotes(block, first_record)
            frame = self._typed(block, columns, numeric)
            n_records = 0 if frame is None else frame.height
            if frame is not None and not self._may_repeat_header(block):
                yield RawBatch(frame, first_record)
            else:
                batch, n_records = self._careful(block, columns, numeric, first_record)
                repeated += n_records - batch.frame.height
                yield batch
            first_record += n_records
        if repeated:
            note = f"{self.file}: left out {repeated} header row(s) repeated among the data."
            if note not in self.notes:
                self.notes.append(note)

    def _typed(self, block: bytes, columns: list[str], numeric: frozenset[str]) -> pl.DataFrame | None:
        """Parse numeric columns as float64; None if that cannot be done."""
        types = {name: pa.float64() if name in numeric else pa.string() for name in columns}
        try:
            return _to_polars(self._parse(block, types))
        except pa.ArrowInvalid:
            return None

    def _careful(
        self, block: bytes, columns: list[str], numeric: frozenset[str], first_record: int
    ) -> tuple[RawBatch, int]:
        self._check_characters(block, first_record)
        try:
            table = self._parse(block, {name: pa.string() for name in self.columns})
        except pa.ArrowInvalid as error:
            raise self._ragged(block, first_record, error) from error
        frame = _to_polars(table)
        names = [name.strip() for name in self._raw_names]
        is_header = frame.select(
            pl.all_horizontal(
                pl.col(column).str.strip_chars() == name
                for column, name in zip(self.columns, names, strict=True)
            )
        ).to_series()
        records = None
        n_records = frame.height
        if is_header.any():
            keep = ~is_header.to_numpy()
            records = first_record + np.flatnonzero(keep)
            frame = frame.filter(pl.Series(keep))
        parsed = [
            numbers
            if name in numeric and (numbers := parse_numbers(frame[name])) is not None
            else frame[name]
            for name in columns
        ]
        return RawBatch(pl.DataFrame(parsed), first_record, records), n_records

    def _parse(self, block: bytes, types: dict[str, Any]) -> Any:
        quoted = b'"' in block
        return pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(column_names=self.columns),
            parse_options=pyarrow.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=quoted),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=list(MISSING_CELLS)
            ),
        )

    def _may_repeat_header(self, block: bytes) -> bool:
        """Whether the header's first named cell occurs at the start of a line of the block."""
        name = self._raw_names[0].encode()
        starts = (name, b'"' + name)
        return bool(name.strip()) and (
            block.startswith(starts) or any(b"\n" + start in block for start in starts)
        )

    def _check_quotes(self, block: bytes, first_record: int) -> None:
        """Refuse a quote that is opened and never closed: it swallows all rows that follow."""
        if block.count(b'"') % 2 == 0:
            return
        try:
            frame = _to_polars(self._parse(block, {name: pa.string() for name in self.columns}))
        except pa.ArrowInvalid:
            return  # told with its row when the block is parsed
        if frame.height and any("\n" in cell for cell in frame.row(-1) if cell is not None):
            raise ReadError(
                f'{self.file}: row {first_record + frame.height - 1} opens a quote (") that is never closed.'
            )

    def _ragged(self, block: bytes, first_record: int, error: Exception) -> ReadError:
        found: list[Any] = []

        def note(row: Any) -> str:
            found.append(row)
            return "skip"

        try:
            pyarrow.csv.read_csv(
                pa.BufferReader(block),
                read_options=pyarrow.csv.ReadOptions(column_names=self.columns, use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=b'"' in block, invalid_row_handler=note
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={name: pa.string() for name in self.columns}
                ),
            )
        except pa.ArrowInvalid:
            found.clear()
        if not found:
            return ReadError(f"{self.file}: cannot be parsed from row {first_record} on: {one_line(error)}")
        row = found[0]
        where = "" if row.number is None else f" row {first_record + row.number - 1}"
        return ReadError(
            f"{self.file}:{where} has {row.actual_columns} cells, "
            f"but the header has {row.expected_columns} columns."
        )

    # ----------------------------------------------------------------- blocks
    def _header_and_blocks(self) -> tuple[str, Iterator[bytes]]:
        blocks = record_blocks(self._path, self._compression, self._encoding)
        for block in blocks:
            stripped = block.lstrip(b"\r\n \t")
            if not stripped:
                continue
            end = first_record_end(stripped)
            if b"\r" in stripped and b"\n" not in stripped:
                raise ReadError(
                    f"{self.file}: its lines end with a carriage return alone; save it with line feeds."
                )
            self._check_characters(stripped[:end], 0)
            header = stripped[:end].decode("utf-8")
            if "\x00" in header:
                raise ReadError(f"{self.file}: is not a text table (it holds zero bytes).")
            rest = stripped if self._given_names else stripped[end:]
            return header, chain([rest] if rest.strip() else [], blocks)
        raise ReadError(f"{self.file}: the file holds no header and no rows.")

    def _check_characters(self, block: bytes, first_record: int) -> None:
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            record = first_record + block.count(b"\n", 0, error.start)
            where = "in the header" if record == 0 else f"near row {record}"
            raise ReadError(
                f"{self.file}: is not UTF-8 text: byte 0x{block[error.start]:02x} {where}; "
                "save it as UTF-8 or give its encoding (for instance cp1252)."
            ) from error


def parse_numbers(series: pl.Series) -> pl.Series | None:
    """Return a text column as Float64 with missing cells null, or None if a cell is not a number.

    Parameters
    ----------
    series : polars.Series of String
        Cells; surrounding white space does not matter.

    Returns
    -------
    polars.Series of Float64, or None
    """
    numbers, bad = split_numbers(series)
    return None if bad.any() else numbers


def split_numbers(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return a text column as Float64 (null where it is no number) and which cells are text.

    Parameters
    ----------
    series : polars.Series of String
        Cells.

    Returns
    -------
    numbers : polars.Series of Float64
    bad : polars.Series of Boolean
        Cells that are neither a number nor one of :data:`MISSING_CELLS`.
    """
    text = series.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & text.is_not_null() & ~text.is_in(MISSING_CELLS)
    return numbers, bad


def _to_polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table, rechunk=True)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _delimiter(header: str) -> str:
    outside = "".join(header.split('"')[::2])
    counts = [outside.count(delimiter) for delimiter in _DELIMITERS]
    return _DELIMITERS[counts.index(max(counts))]


def _cells(header: str, delimiter: str) -> list[str]:
    return next(csv.reader([header.rstrip("\r\n")], delimiter=delimiter, skipinitialspace=True))
