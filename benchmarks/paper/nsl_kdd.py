"""NSL-KDD, each kind left out in turn: AUROC of every detector on kinds it was not shown, and on known
ones.

The publisher's first fifth of the training file trains (10 000 normals, ``--shots`` labelled rows of each
other kind), the official test file tests, with as many normals as anomalies of a kind.

    python benchmarks/paper/nsl_kdd.py ../shared/data/nsl_kdd --detectors vae,anomaly-aware-vae
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from document import markdown, spread, write_block

from unseen.data import ColumnRoles, read_table
from unseen.detectors import DETECTORS
from unseen.evaluation import ResultRow, evaluate
from unseen.protocols import leave_one_kind_out

KINDS = ("dos", "probe", "r2l", "u2r")


def table_of(rows: list[ResultRow]) -> str:
    """Return the AUROC per held-out kind, their mean, and the mean over known kinds, per detector."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    means: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        key = (row["detector"], row["role"])
        found[key][row["kind"]].append(row["auroc"])
        means[key][row["seed"]].append(row["auroc"])
    lines = []
    for detector in dict.fromkeys(row["detector"] for row in rows):
        kinds = found[(detector, "held-out")]
        mean = {
            role: spread([float(np.mean(v)) for v in means[(detector, role)].values()], 3)
            for role in ("held-out", "known")
        }
        lines.append([detector, *(spread(kinds[kind], 3) for kind in KINDS), mean["held-out"], mean["known"]])
    return markdown(["AUROC", *KINDS, "mean held out", "mean known"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--detectors", default=",".join(DETECTORS))
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/nsl_kdd"))
    parser.add_argument("--write", metavar="PAGE:BLOCK", help="renew a table in docs")
    options = parser.parse_args()
    roles = ColumnRoles(kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train"))
    train = read_table(options.root / "train_20percent.parquet", roles)
    test = read_table(options.root / "test.parquet", roles, schema=train.schema)
    results = evaluate(
        train,
        test=test,
        detectors={name: DETECTORS[name]() for name in options.detectors.split(",")},
        splits=partial(
            leave_one_kind_out, shots=options.shots, seeds=range(options.seeds), max_normals=10_000
        ),
        out=options.out,
    )
    text = table_of(results.rows)
    print(text)
    if options.write:
        page, block = options.write.split(":")
        write_block(page, block, text)


if __name__ == "__main__":
    main()
