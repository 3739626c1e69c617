"""Make the NSL-KDD extract that is embedded in the package.

    python scripts/make_sample.py FOLDER

FOLDER holds ``train_20percent.parquet`` and ``test.parquet`` of NSL-KDD. Rows are drawn by a fixed seed,
each kind on its own: at most ``TRAIN_ROWS`` and ``TEST_ROWS`` of it, all if there are fewer; among the
attacks of a kind every attack name keeps at least a few rows. The order of the source is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

SAMPLES = Path(__file__).resolve().parents[1] / "src" / "unseen" / "data" / "samples"
TRAIN_ROWS = {"normal": 4000, "dos": 400, "probe": 400, "r2l": 209, "u2r": 11}
TEST_ROWS = {"normal": 1500, "dos": 550, "probe": 450, "r2l": 450, "u2r": 67}
FEWEST_PER_ATTACK = 5
LEFT_OUT = ("attack", "difficulty", "attack_in_train")


def main() -> None:
    """Write both files and say how large they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for source, name, rows in (
        ("train_20percent.parquet", "nsl_kdd_train.parquet", TRAIN_ROWS),
        ("test.parquet", "nsl_kdd_test.parquet", TEST_ROWS),
    ):
        extract = draw(pl.read_parquet(folder / source), rows, np.random.default_rng(20090708))
        target = SAMPLES / name
        compact(extract).write_parquet(target, compression="zstd", compression_level=19, statistics=False)
        counts = dict(sorted(extract["family"].value_counts().iter_rows()))
        print(f"{target.name}: {extract.height} rows, {target.stat().st_size} bytes, {counts}")


def draw(table: pl.DataFrame, wanted: dict[str, int], rng: np.random.Generator) -> pl.DataFrame:
    """Return the wanted number of rows of each family, every attack name among them."""
    family, attack = table["family"].to_numpy(), table["attack"].to_numpy()
    chosen: list[np.ndarray] = []
    for kind, most in wanted.items():
        rows = rng.permutation(np.flatnonzero(family == kind))
        first = [rows[attack[rows] == name][:FEWEST_PER_ATTACK] for name in np.unique(attack[rows])]
        surely = np.concatenate(first)
        rest = rows[~np.isin(rows, surely)]
        chosen.append(np.concatenate([surely, rest])[:most])
    return table[np.sort(np.concatenate(chosen))].drop(LEFT_OUT)


def compact(table: pl.DataFrame) -> pl.DataFrame:
    """Store whole numbers as the smallest integers and shares with two decimals as float32."""
    columns = []
    for column in table.iter_columns():
        if column.dtype.is_integer():
            columns.append(column.shrink_dtype())
        elif column.dtype.is_float() and bool((column == column.round()).all()):
            columns.append(column.cast(pl.Int64).shrink_dtype())
        else:
            columns.append(column)
    return pl.DataFrame(columns)


if __name__ == "__main__":
    main()
