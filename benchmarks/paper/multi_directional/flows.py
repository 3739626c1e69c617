"""Network flows, each kind left out in turn: NSL-KDD (official test file) and CIC-IDS2017 (one sample)."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from tables import means, per_kind

from unseen.data import ColumnRoles, Table, read_table
from unseen.detectors import DETECTORS
from unseen.evaluation import ResultRow, evaluate
from unseen.protocols import leave_one_kind_out

NSL_KINDS = ("dos", "probe", "r2l", "u2r")
NSL_NORMALS = 10_000
CIC_KINDS = ("DoS", "DDoS", "PortScan", "BruteForce")
CIC_KINDS_OF_BOTH_SAMPLES = ("DoS", "PortScan", "BruteForce")


def read_nsl_kdd(root: Path) -> tuple[Table, Table]:
    """Return the publisher's first fifth of the training file, and the official test file."""
    roles = ColumnRoles(kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train"))
    train = read_table(root / "train_20percent.parquet", roles)
    return train, read_table(root / "test.parquet", roles, schema=train.schema)


def nsl_kdd(options: argparse.Namespace) -> str:
    """Evaluate on NSL-KDD; return the summary and the table a kind."""
    train, test = read_nsl_kdd(options.data)
    splits = partial(
        leave_one_kind_out, shots=options.shots, seeds=range(options.seeds), max_normals=NSL_NORMALS
    )
    results = evaluate(
        train,
        test=test,
        detectors={name: DETECTORS[name]() for name in options.detectors},
        splits=splits,
        out=options.out,
        jobs=options.jobs,
    )
    return _both(results.rows, NSL_KINDS)


def cic_ids2017(options: argparse.Namespace) -> str:
    """Evaluate on a sample of CIC-IDS2017; 30 % of the benign flows test.

    WebAttack and Bot (12 and 8 flows in ``flows_stratified.parquet``) are always known and not reported.

    Of ``flows_common.parquet`` only kinds are reported that both samples it was made of have: all other kinds
    come from one sample and nearly all benign flows from the other one, so which sample a row is from would
    pass for detection.
    """
    common = "common" in options.data.name
    ignored = ("source",) if common else ("Attack Type",)
    table = read_table(options.data, ColumnRoles(kind="family", normal=("BENIGN",), ignore=ignored))
    kinds = CIC_KINDS_OF_BOTH_SAMPLES if common else CIC_KINDS
    splits = partial(
        leave_one_kind_out, shots=options.shots, seeds=range(options.seeds), held_out_kinds=kinds
    )
    results = evaluate(
        table,
        detectors={name: DETECTORS[name]() for name in options.detectors},
        splits=splits,
        out=options.out,
        jobs=options.jobs,
    )
    return _both(results.rows, kinds)


def _both(rows: list[ResultRow], kinds: tuple[str, ...]) -> str:
    return f"{means(rows, kinds)}\n\n{per_kind(rows, kinds)}"
