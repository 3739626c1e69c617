"""The data sets of the comparison: table, official test table, and how splits are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unseen.data import ColumnRoles, Table, read_table
from unseen.protocols import know_every_kind, leave_one_kind_out

MOST_NORMALS = 10_000


@dataclass(frozen=True)
class DataSet:
    """One table of the comparison.

    Attributes
    ----------
    name : str
        Short name.
    table, test : Table
        Training rows, and the official test rows (None: drawn from the table).
    splits : function
        Makes the splits when given ``shots`` and ``seeds``.
    kinds : tuple of str
        The kinds that are reported.
    held_out : bool
        Whether kinds are left out; in tables without named kinds every kind is known.
    """

    name: str
    table: Table
    test: Table | None
    splits: Callable[..., Any]
    kinds: tuple[str, ...]
    held_out: bool = True


def nsl_kdd(root: Path) -> list[DataSet]:
    """NSL-KDD: the publisher's first fifth trains, the official test file tests; 10 000 normals."""
    roles = ColumnRoles(kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train"))
    train = read_table(root / "nsl_kdd" / "train_20percent.parquet", roles)
    test = read_table(root / "nsl_kdd" / "test.parquet", roles, schema=train.schema)
    splits = partial(leave_one_kind_out, max_normals=MOST_NORMALS)
    return [DataSet("nsl-kdd", train, test, splits, ("dos", "probe", "r2l", "u2r"))]


def cic_ids2017(root: Path) -> list[DataSet]:
    """CIC-IDS2017, stratified sample; 30 % of the benign flows test."""
    roles = ColumnRoles(kind="family", normal=("BENIGN",), ignore=("Attack Type",))
    table = read_table(root / "cic_ids2017" / "flows_stratified.parquet", roles)
    kinds = ("DoS", "DDoS", "PortScan", "BruteForce")
    splits = partial(leave_one_kind_out, max_normals=MOST_NORMALS, held_out_kinds=kinds)
    return [DataSet("cic-ids2017", table, None, splits, kinds)]


def mit_bih(root: Path) -> list[DataSet]:
    """MIT-BIH between patients: DS1 trains, DS2 tests; every record is a domain."""
    ignored = ("record_split", "r_sample", "symbol", "channel", "window_mean_mv", "window_std_mv")
    file = root / "mitbih" / "beats.parquet"
    table = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record", ignore=ignored))
    halves = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record_split")).domains
    assert halves is not None
    train, test = (table.take(np.flatnonzero(halves == half)) for half in ("DS1", "DS2"))
    kinds = ("F", "S", "V")
    return [DataSet("mit-bih", train, test, partial(leave_one_kind_out, held_out_kinds=kinds), kinds)]


def adbench(root: Path) -> list[DataSet]:
    """The sets of ADBench: binary labels, so every kind is known; 30 % of the rows test."""
    sets = []
    for file in sorted((root / "adbench").glob("*.parquet"), key=lambda path: int(path.stem.split("_")[0])):
        table = read_table(file, ColumnRoles(label="label"))
        assert table.kinds is not None
        assert table.y is not None
        kinds = tuple(str(kind) for kind in np.unique(table.kinds[table.y == 1]))
        splits = partial(know_every_kind, max_normals=MOST_NORMALS)
        sets.append(DataSet(file.stem.split("_", 1)[1], table, None, splits, kinds, held_out=False))
    return sets


GROUPS: dict[str, Callable[[Path], list[DataSet]]] = {
    "nsl-kdd": nsl_kdd,
    "cic-ids2017": cic_ids2017,
    "mit-bih": mit_bih,
    "adbench": adbench,
}
"""Name → reader of one or more data sets."""
