"""The default detector on many normals: time of the whole fit, of scoring, and peak memory.

Banks are those of ``neighbour_search.py`` (normals of NSL-KDD's training file, filled up with mixtures of two
of them); 10 labels of each kind take part. Scored are rows of the test file. Every size runs in a process of
its own, with calibration, on one thread; memory is the peak above what the process held before the fit, with
the data read.

    python benchmarks/large_bank.py ../shared/data/nsl_kdd --write
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block
from flows import NSL_KINDS, read_nsl_kdd

from neighbour_search import bank_of
from unseen.data import Table, TablePreprocessor
from unseen.detectors import UnseenDetector
from unseen.metrics.ranking import auroc

PAGE = "methods/unseen_detector.md"
SHOTS = 10


def megabytes(key: str) -> float:
    """Return a figure of this process from Linux's /proc."""
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) / 1024


def labelled(train: Table, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return some rows of each kind, and their kinds."""
    kinds = train.labels.kinds
    few = [random.choice(np.flatnonzero(kinds == kind), SHOTS, replace=False) for kind in NSL_KINDS]
    rows = np.concatenate(few)
    return rows, kinds[rows]


def measure(root: Path, n_normals: int, n_queries: int) -> list[str]:
    """Fit on so many normals and score; return a line of the table."""
    train, test = read_nsl_kdd(root)
    random = np.random.default_rng(0)
    normal = np.flatnonzero(train.labels.normal)
    preprocessor = TablePreprocessor().fit(train.take(normal), np.zeros(len(normal), dtype=np.int8))
    bank = bank_of(preprocessor.transform(train.take(normal)), n_normals, random)
    rows, kinds = labelled(train, random)
    X = np.concatenate([bank, preprocessor.transform(train.take(rows))])
    named = np.concatenate([np.full(len(bank), "normal"), kinds])
    y = np.repeat([0, 1], [len(bank), len(rows)])
    asked = np.sort(random.choice(len(test.labels), n_queries, replace=False))
    queries, truth = preprocessor.transform(test.take(asked)), test.labels.y[asked]
    del train, test, bank
    before = megabytes("VmRSS")
    start = time.process_time()
    detector = UnseenDetector(max_bank_rows=n_normals, n_jobs=1).fit(X, y, kinds=named)
    fitted = time.process_time() - start
    start = time.process_time()
    scores = detector.decision_function(queries)
    seconds = time.process_time() - start
    return [
        f"{n_normals:,}".replace(",", " "),
        f"{fitted:.0f}",
        f"{1e6 * seconds / len(queries):.0f}",
        f"{megabytes('VmHWM') - before:,.0f}".replace(",", " "),
        f"{X.nbytes / 2**20:.0f}",
        f"{auroc(truth, scores):.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", default="20000,100000,500000")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    lines = []
    for n_normals in map(int, options.rows.split(",")):
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            lines.append(alone.apply(measure, (options.data, n_normals, options.queries)))
        print(f"{n_normals}: done", file=sys.stderr, flush=True)
    header = ["normals", "fit s", "µs a row", "peak memory, MB", "the rows themselves, MB", "AUROC"]
    text = markdown(header, lines)
    print(text)
    if options.write:
        write_block(PAGE, "large-bank", text)


if __name__ == "__main__":
    main()
