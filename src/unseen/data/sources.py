"""Finding table files and opening each as a stream of batches, whatever its format."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.errors import ReadError

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".data")
PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".ipc", ".feather")
COMPRESSION_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}

ColumnHint: TypeAlias = Literal["numeric", "boolean", "text", "unusable"]
"""What a file says of a column before its cells are looked at; ``unusable``: dates, lists, binary."""


@dataclass(frozen=True)
class RawBatch:
    """Some rows of one file, cells not checked yet.

    Attributes
    ----------
    frame : polars.DataFrame
        The columns asked for; a numeric column of a text file is String here if a cell is not a number.
    first_record : int
        Number of the first row in the file as a person counts: the row below the header is 1.
    records : int array of shape (n_rows,) or None
        Number of every row, where rows in between were left out.
    """

    frame: pl.DataFrame
    first_record: int
    records: NDArray[np.int64] | None = None

    def record(self, row: int) -> int:
        """Return the number in the file of a row of this batch."""
        return self.first_record + row if self.records is None else int(self.records[row])


class TableSource(Protocol):
    """One open table file."""

    file: str
    columns: tuple[str, ...]
    notes: list[str]
    repeats: dict[str, str]

    def hints(self) -> dict[str, ColumnHint]:
        """Return what the file says of each column."""

    def batches(
        self, columns: Sequence[str], numeric: Collection[str], batch_rows: int
    ) -> Iterator[RawBatch]:
        """Yield the columns in batches of at most ``batch_rows`` rows."""


def find_files(path: str | Path) -> list[Path]:
    """Return the table files that a path, a directory or a glob pattern means, sorted.

    Parameters
    ----------
    path : str or Path
        A file; a directory (its table files, not those of folders inside); or a glob (``**`` allowed).

    Returns
    -------
    list of Path

    Raises
    ------
    ReadError
        If there is none.
    """
    text = os.fspath(path)
    place = Path(text)
    if place.is_dir():
        files = sorted(item for item in place.iterdir() if item.is_file() and is_table_file(item))
        if not files:
            raise ReadError(f"{text}: the directory holds no table file ({_known()}).")
        return files
    if place.is_file():
        return [place]
    if glob.has_magic(text):
        files = sorted(Path(item) for item in glob.glob(text, recursive=True) if Path(item).is_file())
        if not files:
            raise ReadError(f"{text}: no file matches this pattern.")
        return files
    raise ReadError(f"{text}: there is no such file or directory.")


def is_table_file(path: Path) -> bool:
    """Return whether the name ends like a table file and is not hidden."""
    known = TEXT_SUFFIXES + PARQUET_SUFFIXES + ARROW_SUFFIXES
    return not path.name.startswith((".", "_")) and _suffixes(path)[0] in known


def open_source(
    path: Path, encoding: str = "utf-8", column_names: Sequence[str] | None = None
) -> TableSource:
    """Open a table file by its suffix; other names by their first bytes, else as text.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        Character encoding of text files.
    column_names : sequence of str or None
        Names of the columns of a text file without a header line; None if its first line names them.

    Returns
    -------
    TableSource

    Raises
    ------
    ReadError
        If the file is empty, damaged, or of no known format.
    """
    from unseen.data.columnar import ArrowSource, ParquetSource
    from unseen.data.text import TextSource

    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened: {error.strerror}.") from error
    if not head:
        raise ReadError(f"{path}: the file is empty (0 bytes).")
    suffix, compression = _suffixes(path)
    if suffix in PARQUET_SUFFIXES or (suffix not in TEXT_SUFFIXES and head[:4] == b"PAR1"):
        return ParquetSource(path)
    if suffix in ARROW_SUFFIXES or (suffix not in TEXT_SUFFIXES and head[:6] == b"ARROW1"):
        return ArrowSource(path)
    return TextSource(path, compression, tab=suffix == ".tsv", encoding=encoding, column_names=column_names)


def clean_names(raw: Sequence[str], file: str) -> tuple[tuple[str, ...], dict[str, str], list[str]]:
    """Strip column names and make them unique, always in the same way.

    Parameters
    ----------
    raw : sequence of str
        Names as in the file.
    file : str
        The file, for the notes.

    Returns
    -------
    names : tuple of str
        The second column called ``x`` becomes ``x_2`` (``x_3`` if that name is taken), a column without
        a name ``unnamed_<position>``.
    repeats : dict of str to str
        The first column of the same name for each that was renamed for it.
    notes : list of str
        What was renamed.
    """
    stripped = [name.strip() or f"unnamed_{position}" for position, name in enumerate(raw, start=1)]
    taken = set(stripped)
    names: list[str] = []
    notes: list[str] = []
    seen: set[str] = set()
    repeats: dict[str, str] = {}
    for position, name in enumerate(stripped, start=1):
        unique = name
        if name in seen:
            number = 2
            while f"{name}_{number}" in taken:
                number += 1
            unique = f"{name}_{number}"
            taken.add(unique)
            repeats[unique] = name
            notes.append(f"{file}: column {position} repeats the name {name!r}; called {unique!r}.")
        elif not raw[position - 1].strip():
            notes.append(
                f"{file}: column {position} has no name; called {unique!r} (ignore it if it counts rows)."
            )
        seen.add(unique)
        names.append(unique)
    return tuple(names), repeats, notes


def regular_batches(batches: Iterator[RawBatch], batch_rows: int) -> Iterator[RawBatch]:
    """Cut batches that are longer than ``batch_rows``."""
    for batch in batches:
        for start in range(0, batch.frame.height, batch_rows):
            frame = batch.frame.slice(start, batch_rows)
            records = None if batch.records is None else batch.records[start : start + batch_rows]
            yield RawBatch(frame, batch.first_record + start, records)


def _suffixes(path: Path) -> tuple[str, str | None]:
    suffix = path.suffix.lower()
    compression = COMPRESSION_SUFFIXES.get(suffix)
    if compression is None:
        return suffix, None
    return Path(path.stem).suffix.lower() or ".csv", compression


def _known() -> str:
    suffixes: tuple[Any, ...] = TEXT_SUFFIXES[:2] + PARQUET_SUFFIXES[:1] + ARROW_SUFFIXES
    return ", ".join(suffixes) + "; .csv.gz, .csv.zst"
