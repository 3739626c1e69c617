"""A table in memory: features, labels and the schema they follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.data.labelling import merge_spellings
from unseen.data.schema import TableSchema
from unseen.errors import LabelError, SchemaError
from unseen.types import NORMAL, NORMAL_KIND, UNNAMED_DOMAIN, Labels, StrArray


@dataclass(frozen=True)
class Table:
    """Rows with features, and what is known of each.

    Attributes
    ----------
    features : polars.DataFrame
        The columns of ``schema`` in its order. NaN, null and ±inf are kept.
    schema : TableSchema
        Names and types of the features, roles of the other columns.
    kinds : str array of shape (n_rows,) or None
        ``"normal"``, the kind of an anomaly, or ``""`` for unlabelled rows. None if there is no label.
    y : int8 array of shape (n_rows,) or None
        0 normal, 1 anomaly, -1 unlabelled.
    domains, groups : str array of shape (n_rows,) or None
        Names, if the table has such a column.
    notes : tuple of str
        What was changed while reading; worth showing to the user.
    """

    features: pl.DataFrame
    schema: TableSchema
    kinds: StrArray | None = None
    y: NDArray[np.int8] | None = None
    domains: StrArray | None = None
    groups: StrArray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.features.height

    @property
    def labels(self) -> Labels:
        """Labels of all rows; rows of a table without labels count as normal."""
        n_rows = len(self)
        y = np.full(n_rows, NORMAL, dtype=np.int8) if self.y is None else self.y
        kinds = np.full(n_rows, NORMAL_KIND) if self.kinds is None else self.kinds
        domains = np.full(n_rows, UNNAMED_DOMAIN) if self.domains is None else self.domains
        return Labels(y, kinds, domains, self.groups)

    def take(self, rows: NDArray[Any]) -> Table:
        """Return some rows.

        Parameters
        ----------
        rows : int or bool array
            Index array or mask over the rows.

        Returns
        -------
        Table
            Those rows in that order, with the same schema and notes.
        """
        index = np.asarray(rows)
        if index.dtype == np.bool_:
            index = np.flatnonzero(index)

        def of(values: Any) -> Any:
            return None if values is None else values[index]

        return replace(
            self,
            features=self.features[index.astype(np.int64)],
            kinds=of(self.kinds),
            y=of(self.y),
            domains=of(self.domains),
            groups=of(self.groups),
        )


def concat(tables: Sequence[Table]) -> Table:
    """Stack tables of the same columns.

    Parameters
    ----------
    tables : sequence of Table
        At least one. Numeric columns of different width become Float64.

    Returns
    -------
    Table
        With the schema of the first and the notes of all.

    Raises
    ------
    SchemaError
        If columns or types differ.
    LabelError
        If only some of the tables have kinds, domains or groups.
    """
    first = tables[0]
    for table in tables[1:]:
        if (table.schema.names, table.schema.types) != (first.schema.names, first.schema.types):
            raise SchemaError("concat: the tables differ in columns or types; read them with one schema.")

    def stacked(name: str) -> Any:
        parts = [getattr(table, name) for table in tables]
        given = [part for part in parts if part is not None]
        if given and len(given) < len(parts):
            raise LabelError(f"concat: only {len(given)} of {len(parts)} tables have {name}.")
        return np.concatenate(given) if given else None

    kinds, y = stacked("kinds"), stacked("y")
    notes = [note for table in tables for note in table.notes]
    if kinds is not None and y is not None:
        kinds, merged = merge_spellings(kinds, y)
        notes += merged
    features = pl.concat([table.features for table in tables], how="vertical_relaxed", rechunk=True)
    return Table(
        features, first.schema, kinds, y, stacked("domains"), stacked("groups"), tuple(dict.fromkeys(notes))
    )
