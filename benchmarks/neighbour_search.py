"""Exact search for neighbours against the search in cells: what is found, what it changes, what it costs.

Banks of normals are drawn from those of a table, and where it has too few, from its rows moved a tenth of the
way to another one, so that no two rows are alike. Queries are normals and anomalies that are not in the bank.
Cells lie side by side, as the detector lays them.

    python benchmarks/neighbour_search.py ../shared/data/nsl_kdd --write
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block
from flows import read_nsl_kdd

from unseen.data import TablePreprocessor
from unseen.detectors.cell_search import build_index, in_order_of_cells, near_rows
from unseen.detectors.exact_search import nearest_rows
from unseen.metrics.ranking import auroc

PAGE = "methods/unseen_detector.md"
K = 5
MOVED = 0.1


def bank_of(normals: np.ndarray, n_rows: int, random: np.random.Generator) -> np.ndarray:
    """Return so many normals: those there are, then mixtures of two of them."""
    if n_rows <= len(normals):
        return normals[random.choice(len(normals), n_rows, replace=False)]
    first, second = (random.integers(len(normals), size=n_rows - len(normals)) for _ in range(2))
    mixed = (1 - MOVED) * normals[first] + MOVED * normals[second]
    return np.concatenate([normals, mixed.astype(normals.dtype)])


def measure(bank: np.ndarray, queries: np.ndarray, y: np.ndarray, n_probes: list[int]) -> list[list[str]]:
    """Return a line for the exact search and one for each number of cells searched."""
    start = time.process_time()
    exact, where = nearest_rows(queries, bank, bank.mean(axis=0, dtype=np.float64), K)
    seconds = time.process_time() - start
    name = f"{len(bank):,}".replace(",", " ")
    reference = auroc(y, exact.mean(axis=1))
    lines = [[name, "exact", "1.000", f"{reference:.4f}", "", f"{1e6 * seconds / len(queries):.0f}"]]
    for probes in n_probes:
        start = time.process_time()
        ordered, index, places = in_order_of_cells(bank, build_index(bank, probes, 0))
        built = time.process_time() - start
        start = time.process_time()
        found, positions = near_rows(queries, ordered, index, K)
        seconds = time.process_time() - start
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(positions, places[where], strict=True)])
        change = auroc(y, found.mean(axis=1)) - reference
        cost = f"{1e6 * seconds / len(queries):.0f}"
        label = f"{probes} of {len(index.centres)} cells"
        lines.append([name, label, f"{recall:.3f}", f"{change:+.4f}", f"{built:.1f}", cost])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", default="20000,100000,500000")
    parser.add_argument("--probes", default="8,24")
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    train, test = read_nsl_kdd(options.data)
    random = np.random.default_rng(0)
    normal = np.flatnonzero(train.labels.normal)
    preprocessor = TablePreprocessor().fit(train.take(normal), np.zeros(len(normal), dtype=np.int8))
    normals = preprocessor.transform(train.take(normal))
    asked = np.sort(random.choice(len(test.labels), options.queries, replace=False))
    queries, y = preprocessor.transform(test.take(asked)), test.labels.y[asked]
    lines = []
    for n_rows in map(int, options.rows.split(",")):
        bank = bank_of(normals, n_rows, random)
        lines += measure(bank, queries, y, [int(item) for item in options.probes.split(",")])
    header = ["normals", "search", f"recall of {K}", "AUROC, and its change", "build s", "µs a row"]
    text = markdown(header, lines)
    print(text)
    if options.write:
        write_block(PAGE, "neighbour-search", text)


if __name__ == "__main__":
    main()
