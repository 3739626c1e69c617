"""Finding table files and opening each as a stream of batches, whatever its format."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unseen.data.batches import ColumnHint, RawBatch, TableSource
from unseen.data.columnar import ArrowSource, ParquetSource
from unseen.data.text import TextSource
from unseen.errors import ReadError

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".data")
PARQUET_SUFFIXES = (".parquet", ".pq")
ARROW_SUFFIXES = (".arrow", ".ipc", ".feather")
OTHER_SUFFIXES = (
    ".xlsx", ".xls", ".xlsm", ".ods", ".json", ".jsonl", ".zip", ".pkl", ".npy", ".npz", ".h5", ".orc",
)  # fmt: skip
"""Endings of files that hold tables for other programs; as text they would be read as nonsense."""

COMPRESSION_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}


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
            raise ReadError(
                f"{text}: the directory holds no table file ({_known()}), and no pictures (PNG, JPEG, BMP, "
                "TIFF)."
            )
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
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened: {error.strerror}.") from error
    if not head:
        raise ReadError(f"{path}: the file is empty (0 bytes).")
    suffix, compression = _suffixes(path)
    if suffix in OTHER_SUFFIXES:
        raise ReadError(f"{path}: {suffix} files are not read; save the table as CSV or Parquet.")
    if suffix in PARQUET_SUFFIXES or (suffix not in TEXT_SUFFIXES and head[:4] == b"PAR1"):
        return ParquetSource(path)
    if suffix in ARROW_SUFFIXES or (suffix not in TEXT_SUFFIXES and head[:6] == b"ARROW1"):
        return ArrowSource(path)
    return TextSource(path, compression, tab=suffix == ".tsv", encoding=encoding, column_names=column_names)


def _suffixes(path: Path) -> tuple[str, str | None]:
    suffix = path.suffix.lower()
    compression = COMPRESSION_SUFFIXES.get(suffix)
    if compression is None:
        return suffix, None
    return Path(path.stem).suffix.lower() or ".csv", compression


def _known() -> str:
    suffixes: tuple[Any, ...] = TEXT_SUFFIXES[:2] + PARQUET_SUFFIXES[:1] + ARROW_SUFFIXES
    return ", ".join(suffixes) + "; .csv.gz, .csv.zst"


__all__ = [
    "PARQUET_SUFFIXES",
    "ColumnHint",
    "RawBatch",
    "TableSource",
    "find_files",
    "is_table_file",
    "open_source",
]
