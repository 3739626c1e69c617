"""Put features, kinds and domains together as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from unseen.data.schema import ColumnRoles, TableSchema
from unseen.data.tables import Table
from unseen.types import ANOMALY, NORMAL, NORMAL_KIND, UNLABELLED, StrArray

KIND_COLUMN = "kind"
DOMAIN_COLUMN = "domain"


def schema_of(
    columns: Sequence[str], *, categorical: Sequence[str] = (), domains: bool = False
) -> TableSchema:
    """Return the schema of a data set: numeric columns but for the categorical ones named.

    Parameters
    ----------
    columns : sequence of str
        Feature columns in order.
    categorical : sequence of str
        Those of them that hold names.
    domains : bool
        Whether the data set names domains.

    Returns
    -------
    TableSchema
        Its roles call the kind column ``kind`` and the domain column ``domain``, as
        a table written from it would.
    """
    types = tuple("categorical" if name in categorical else "numeric" for name in columns)
    roles = ColumnRoles(kind=KIND_COLUMN, domain=DOMAIN_COLUMN if domains else None)
    return TableSchema(tuple(columns), types, roles)  # type: ignore[arg-type]


def table_of(
    features: pl.DataFrame,
    kinds: StrArray,
    schema: TableSchema,
    *,
    domains: StrArray | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Return a table from its parts.

    Parameters
    ----------
    features : polars.DataFrame of shape (n_rows, n_columns)
        Feature columns of ``schema``, in its order.
    kinds : str array of shape (n_rows,)
        ``"normal"``, a kind of anomaly, or ``""`` for unlabelled rows.
    schema : TableSchema
        The schema.
    domains : str array of shape (n_rows,) or None
        Domain of each row.
    notes : sequence of str
        What to tell the reader.

    Returns
    -------
    Table
    """
    y = np.full(len(kinds), ANOMALY, dtype=np.int8)
    y[kinds == NORMAL_KIND] = NORMAL
    y[kinds == ""] = UNLABELLED
    return Table(
        features=features.select(schema.names),
        kinds=kinds,
        y=y,
        domains=domains,
        groups=None,
        schema=schema,
        notes=tuple(notes),
    )
