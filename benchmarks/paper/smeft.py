"""SMEFT: the paper's recipe on a table of simulated events of one's own.

The table has the kinematic variables as columns and one column that names the sample, with the Standard Model
events as the normal ones.

    python benchmarks/paper/smeft.py events.parquet --kind-column sample --normal SM
"""

from __future__ import annotations

import argparse
from pathlib import Path

from events import compare

from unseen.data import ColumnRoles, read_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--kind-column", default="sample")
    parser.add_argument("--normal", default="SM")
    parser.add_argument("--lambda-max", type=float, default=0.07)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    table = read_table(options.table, ColumnRoles(kind=options.kind_column, normal=(options.normal,)))
    text = compare(table, seeds=options.seeds, lambda_max=options.lambda_max, published=(".64", ".71"))
    print(text)


if __name__ == "__main__":
    main()
