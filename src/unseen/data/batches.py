"""What every opened table file gives: clean column names and batches of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
