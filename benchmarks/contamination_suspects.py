"""How good is the list of suspicious training rows, and how near is the number of them to the truth?

Normals of NSL-KDD (the publisher's first fifth) or of MIT-BIH (records of DS1, patients as domains) with
anomalies of all kinds among them, in natural proportion and without a label; ``find_suspects`` ranks and
counts. Precision at the true count is the share of contaminants among as many first rows as there are
contaminants; precision and recall are those of the rows that are believed to be anomalous. The counting rule
was set on seeds 0 to 2 of NSL-KDD, so the figures are of seeds 3 to 5.

    python benchmarks/contamination_suspects.py nsl-kdd ../shared/data/nsl_kdd
    python benchmarks/contamination_suspects.py mit-bih ../shared/data/mitbih
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))

from document import markdown, spread, write_block

from unseen.data import ColumnRoles, Table, read_table
from unseen.pipeline.suspects import find_suspects

LEVELS = "0,.05,.1,.15,.2"


def read(name: str, root: Path) -> Table:
    """Return the training rows with the names of their kinds."""
    if name == "nsl-kdd":
        ignored = ("attack", "difficulty", "attack_in_train")
        roles = ColumnRoles(kind="family", normal=("normal",), ignore=ignored)
        return read_table(root / "train_20percent.parquet", roles)
    dropped = ("record_split", "r_sample", "symbol", "channel", "window_mean_mv", "window_std_mv")
    file = root / "beats.parquet"
    table = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record", ignore=dropped))
    halves = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record_split"))
    assert halves.domains is not None
    return table.take(halves.domains == "DS1")


def contaminated(table: Table, level: float, n_rows: int, seed: int) -> tuple[Table, np.ndarray]:
    """Return ``n_rows`` rows that all pass for normal, and which of them are anomalies."""
    rng = np.random.default_rng(seed)
    labels = table.labels
    n_bad = round(level * n_rows)
    normals = rng.choice(np.flatnonzero(labels.normal), n_rows - n_bad, replace=False)
    anomalies = rng.choice(np.flatnonzero(labels.anomaly), n_bad, replace=False)
    rows = rng.permutation(np.concatenate([normals, anomalies]))
    return replace(table.take(rows), kinds=None, y=None), labels.anomaly[rows]


def line_of(table: Table, level: float, options: argparse.Namespace) -> list[str]:
    """Measure one level over the seeds."""
    n_rows = min(options.rows, int(table.labels.normal.sum()))
    believed, at_count, precisions, recalls = [], [], [], []
    for seed in options.seeds:
        rows, bad = contaminated(table, level, n_rows, seed)
        found = find_suspects(rows, seed=seed)
        assert found is not None
        believed.append(found.n_believed)
        if bad.any():
            at_count.append(float(bad[found.rows[: int(bad.sum())]].mean()))
            taken = bad[found.rows[: found.n_believed]]
            recalls.append(float(taken.sum() / bad.sum()))
            if len(taken):
                precisions.append(float(taken.mean()))
        print(level, seed, bad.sum(), found.n_believed, at_count[-1:], file=sys.stderr, flush=True)
    n_bad = round(level * n_rows)
    cells = [spread(values, 2) if values else "" for values in (at_count, precisions, recalls)]
    return [f"{level:.0%}", str(n_bad), ", ".join(map(str, believed)), *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["nsl-kdd", "mit-bih"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--levels", default=LEVELS, type=lambda text: [float(p) for p in text.split(",")])
    parser.add_argument("--seeds", default="3,4,5", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--write", metavar="PAGE:BLOCK", help="renew a table in docs")
    options = parser.parse_args()
    table = read(options.table, options.root)
    header = ["ε", "contaminants", "believed, by seed", "precision at the true count", "precision", "recall"]
    text = markdown(header, [line_of(table, level, options) for level in options.levels])
    print(text)
    if options.write:
        page, block = options.write.split(":")
        write_block(page, block, text)


if __name__ == "__main__":
    main()
