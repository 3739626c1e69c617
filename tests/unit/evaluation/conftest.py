"""A small world to evaluate on: normals in three clusters, three kinds of anomalies, a text column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from unseen.data import Table, TableSchema

MakeTable = Callable[..., Table]

CENTRES = {"normal": 0.0, "far": 6.0, "near": 2.5, "aside": -4.0}
SCHEMA = TableSchema(("a", "b", "c", "word"), ("numeric", "numeric", "numeric", "categorical"))


def small_table(seed: int = 0, n_normals: int = 150, n_each: int = 24, n_domains: int = 0) -> Table:
    """Draw a table; rows of a kind lie around the kind's centre, domains shift their rows."""
    rng = np.random.default_rng(seed)
    names = [kind for kind in CENTRES if kind != "normal"]
    kinds = rng.permutation(["normal"] * n_normals + names * n_each)
    centres = np.outer([CENTRES[kind] for kind in kinds], [1, 0.5, 0])
    numbers = rng.normal(size=(len(kinds), 3)) + centres
    domains = None
    if n_domains:
        codes = rng.integers(0, n_domains, len(kinds))
        numbers[:, 2] += 5.0 * codes
        domains = np.array([f"site {code}" for code in codes])
    words = np.where(rng.random(len(kinds)) < 0.7, "yes", "no")
    frame = pl.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1], "c": numbers[:, 2], "word": words})
    y = (kinds != "normal").astype(np.int8)
    return Table(frame, SCHEMA, kinds=kinds, y=y, domains=domains)


@pytest.fixture
def make_table() -> MakeTable:
    return small_table
