"""A small table with two known kinds, two text columns' worth of structure, and domains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from unseen.data import ColumnRoles, Table, TableSchema
from unseen.detectors import Mahalanobis
from unseen.pipeline import TableModel

N_NORMAL, N_KIND = 400, 40
ROLES = ColumnRoles(kind="kind", domain="place")


def make_frame(seed: int, n_normal: int = N_NORMAL, n_kind: int = N_KIND) -> pl.DataFrame:
    """Normals around 0; ``high`` lies high in column a, ``odd`` has another colour and a high b."""
    rng = np.random.default_rng(seed)
    n_rows = n_normal + 2 * n_kind
    kinds = np.array(["normal"] * n_normal + ["high"] * n_kind + ["odd"] * n_kind)
    values = rng.normal(size=(n_rows, 3))
    values[kinds == "high", 0] += 6
    values[kinds == "odd", 1] += 6
    colour = np.where(rng.random(n_rows) < 0.5, "red", "blue")
    order = rng.permutation(n_rows)
    frame = pl.DataFrame(
        {
            "a": values[:, 0],
            "b": values[:, 1],
            "c": values[:, 2],
            "colour": colour,
            "place": np.where(np.arange(n_rows) % 2 == 0, "north", "south"),
            "kind": kinds,
        }
    )
    return frame[order]


def as_table(frame: pl.DataFrame) -> Table:
    """The frame as a table, as reading it would give."""
    kinds = frame["kind"].to_numpy().astype(np.str_)
    return Table(
        features=frame.select("a", "b", "c", "colour"),
        schema=TableSchema(
            ("a", "b", "c", "colour"), ("numeric", "numeric", "numeric", "categorical"), ROLES
        ),
        kinds=kinds,
        y=(kinds != "normal").astype(np.int8),
        domains=frame["place"].to_numpy().astype(np.str_),
    )


@pytest.fixture
def table() -> Table:
    return as_table(make_frame(0))


@pytest.fixture
def make_table() -> Callable[..., Table]:
    """Takes a seed, and numbers of normals and of rows a kind."""
    return lambda seed, *counts: as_table(make_frame(seed, *counts))


@pytest.fixture
def frame() -> pl.DataFrame:
    """Other rows than those of ``table``, with all columns."""
    return make_frame(1)


@pytest.fixture
def model(table: Table) -> TableModel:
    return TableModel.fit(table, Mahalanobis(false_alarm_rate=0.05))
