"""Stack the files of a data set as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from unseen.data.datasets.assembly import schema_of, table_of
from unseen.data.datasets.file_rows import FileRows, Layout, read_rows
from unseen.data.datasets.kinds import Kind, name_kinds
from unseen.data.schema import TableSchema
from unseen.data.tables import Table
from unseen.types import StrArray


@dataclass(frozen=True)
class FilePart:
    """One file of a data set.

    Attributes
    ----------
    path : Path
        The file.
    layout : Layout
        Its layout.
    domain : str or None
        Domain of all its rows; None if the data set names no domains.
    label : str or None
        Published label of all its rows, where it follows from the file's name; None if a column holds it.
    """

    path: Path
    layout: Layout
    domain: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class LabelNames:
    """Where labels are and what they mean.

    Attributes
    ----------
    kinds : mapping
        Label key -> kind.
    fine : bool
        Name single attacks instead of groups.
    column : str or None
        Column of the labels; None if each file has one label.
    """

    kinds: Mapping[str, Kind]
    fine: bool
    column: str | None = None

    def of(self, rows: pl.DataFrame, part: FilePart) -> StrArray:
        """Return the kinds of some rows of a file.

        Parameters
        ----------
        rows : polars.DataFrame
            Has the label column, unless the file has one label.
        part : FilePart
            The file.

        Returns
        -------
        str array of shape (n_rows,)
        """
        if part.label is not None or self.column is None:
            labels = np.full(rows.height, part.label or "")
        else:
            labels = rows[self.column].cast(pl.String).fill_null("").to_numpy().astype(np.str_)
        return name_kinds(labels, self.kinds, fine=self.fine, where=str(part.path))


def shared_schema(parts: Sequence[FilePart]) -> TableSchema:
    """Return the schema of the features of the first file; the others must have them, too.

    Parameters
    ----------
    parts : sequence of FilePart
        At least one.

    Returns
    -------
    TableSchema
    """
    first = parts[0]
    return schema_of(
        first.layout.features(first.path),
        categorical=first.layout.categorical,
        domains=first.domain is not None,
    )


def read_parts(
    parts: Sequence[FilePart],
    schema: TableSchema,
    labels: LabelNames,
    *,
    max_rows: int | None,
    generator: np.random.Generator,
) -> tuple[Table, int]:
    """Read files and stack their rows.

    Parameters
    ----------
    parts : sequence of FilePart
        At least one.
    schema : TableSchema
        The features to read.
    labels : LabelNames
        Where labels are and what they mean.
    max_rows : int or None
        Most rows kept of each file.
    generator : numpy Generator
        Source of the draw.

    Returns
    -------
    table : Table
    rows_in_files : int
    """
    keep = () if labels.column is None else (labels.column,)
    read = [
        read_rows(
            part.path,
            part.layout,
            schema,
            lambda rows, part=part: labels.of(rows, part),  # type: ignore[misc]
            keep=keep,
            max_rows=max_rows,
            generator=generator,
        )
        for part in parts
    ]
    named = [np.full(len(rows), part.domain or "") for part, rows in zip(parts, read, strict=True)]
    domains = None if parts[0].domain is None else np.concatenate(named)
    return stack(read, schema, domains), sum(rows.rows_in_file for rows in read)


def stack(read: Sequence[FileRows], schema: TableSchema, domains: StrArray | None) -> Table:
    """Return the rows of several files as one table, with the notes of all.

    Parameters
    ----------
    read : sequence of FileRows
        At least one.
    schema : TableSchema
        Their schema.
    domains : str array of shape (n_rows,) or None
        Domain of each row.

    Returns
    -------
    Table
    """
    return table_of(
        pl.concat([rows.features for rows in read], how="vertical_relaxed", rechunk=True),
        np.concatenate([rows.kinds for rows in read]),
        schema,
        domains=domains,
        notes=[note for rows in read for note in rows.notes],
    )
