"""LHCO2020: AUROC before and after anomaly awareness, from the published HDF5 feature file.

python benchmarks/paper/lhco2020.py FOLDER_WITH_events_anomalydetection_v2.features.h5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from events import compare

from unseen.data.datasets import read_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--max-rows", type=int, default=None, help="read only so many events")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    table = read_dataset("lhco2020", options.root, max_rows_per_file=options.max_rows).train
    print(compare(table, seeds=options.seeds, lambda_max=1.0, published=(".64", ".90")))


if __name__ == "__main__":
    main()
