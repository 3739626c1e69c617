"""Rows that are quick to fit, with two kinds that are easy to tell from normals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

Run = Callable[..., Any]


def make_rows(seed: int, n_normal: int = 300, n_kind: int = 30) -> pl.DataFrame:
    """Normals around 0 and two kinds, each far out in a column of its own, in two places."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["benign"] * n_normal + ["high"] * n_kind + ["odd"] * n_kind)
    values = rng.normal(size=(len(kinds), 3))
    values[kinds == "high", 0] += 6
    values[kinds == "odd", 1] += 6
    place = np.where(rng.random(len(kinds)) < 0.5, "north", "south")
    columns = {"a": values[:, 0], "b": values[:, 1], "c": values[:, 2], "place": place, "kind": kinds}
    return pl.DataFrame(columns)[rng.permutation(len(kinds))]
