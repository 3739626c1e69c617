"""Time of scoring Parquet to Parquet beside the time of only reading and writing the same columns.

::

    python benchmarks/scoring_throughput.py                       # 1 M rows, 78 float32 columns, vae
    python benchmarks/scoring_throughput.py --detector anomaly-aware-vae --rows 1000000

A table of heavy-tailed and standard normal columns is made (the same for every run), a detector is fitted on
20 000 of its rows, and the file is scored with p-values, flags and the three columns that say most, which are
written with all 78 columns left out, as ``unseen score`` does by default, and with all of them carried
through. The baseline reads the columns with pyarrow and writes them with the same engine and compression,
once batch by batch and once whole; the ratios are against the faster of the two. Each figure is the median of
``--repeats`` runs, baseline and scoring in turns; memory is the peak resident set (Linux) of a process that
only loads the model and scores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_COLUMNS = 78
TRAINING_ROWS = 20_000
BATCH_ROWS = 65_536
COMPRESSION = "zstd"


def write_table(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write a table of float32 columns, every third one skewed."""
    rng = np.random.default_rng(seed)
    schema = pa.schema([(f"feature_{i}", pa.float32()) for i in range(N_COLUMNS)])
    with pq.ParquetWriter(path, schema, compression=COMPRESSION) as writer:
        for start in range(0, n_rows, BATCH_ROWS):
            count = min(BATCH_ROWS, n_rows - start)
            values = rng.standard_normal((N_COLUMNS, count), dtype=np.float32)
            values[::3] = np.exp(values[::3])
            writer.write_batch(pa.record_batch([pa.array(column) for column in values], schema=schema))


def read_and_write(source: Path, out: Path) -> None:
    """Read all columns and write them again."""
    with (
        pq.ParquetFile(source) as file,
        pq.ParquetWriter(out, file.schema_arrow, compression=COMPRESSION) as w,
    ):
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            w.write_batch(batch)


def read_and_write_whole(source: Path, out: Path) -> None:
    """Read all columns at once (in parallel) and write them again."""
    pq.write_table(pq.read_table(source), out, compression=COMPRESSION)


def fit_model(source: Path, detector: str, folder: Path) -> None:
    """Fit a detector on the first rows of the table and save it."""
    from unseen.data import read_table
    from unseen.detectors import DETECTORS
    from unseen.persistence import save
    from unseen.pipeline import TableModel

    save(TableModel.fit(read_table(source, limit=TRAINING_ROWS), DETECTORS[detector]()), folder)


def score_in_own_process(model: Path, source: Path, out: Path, keep: tuple[str, ...]) -> dict[str, float]:
    """Score in a fresh process; return its seconds (without start-up) and its peak memory in MB."""
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from unseen.persistence import load\n"
        "from unseen.pipeline import score_file\n"
        "summary = score_file(load(sys.argv[1]), sys.argv[2], sys.argv[3], keep=tuple(sys.argv[4:]))\n"
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(json.dumps({'seconds': summary.seconds, 'peak_mb': int(peak) / 1024}))\n"
    )
    command = [sys.executable, "-c", code, str(model), str(source), str(out), *keep]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def seconds_of(call: Callable[[], None]) -> float:
    """Return the time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(folder: Path, n_rows: int, detector: str, repeats: int) -> dict[str, float]:
    """Return the figures of one detector; baseline and scoring take turns, so that both see the same load."""
    source, out, model = folder / "table.parquet", folder / "out.parquet", folder / "model"
    if not source.exists():
        write_table(source, n_rows)
    fit_model(source, detector, model)
    seen: dict[str, list[float]] = {}
    for _ in range(repeats):
        runs = {
            "read_write_streamed_seconds": seconds_of(lambda: read_and_write(source, out)),
            "read_write_whole_seconds": seconds_of(lambda: read_and_write_whole(source, out)),
        }
        for name, keep in (("score", ()), ("score_keeping_all", ("*",))):
            for key, value in score_in_own_process(model, source, out, keep).items():
                runs[f"{name}_{key}"] = value
        baseline = min(runs["read_write_streamed_seconds"], runs["read_write_whole_seconds"])
        runs["ratio"] = runs["score_seconds"] / baseline
        runs["ratio_keeping_all"] = runs["score_keeping_all_seconds"] / baseline
        runs["rows_per_second"] = n_rows / runs["score_seconds"]
        for key, value in runs.items():
            seen.setdefault(key, []).append(value)
    return {key: statistics.median(values) for key, values in seen.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--detector", action="append", help="repeatable; vae and anomaly-aware-vae by default"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for detector in arguments.detector or ["vae", "anomaly-aware-vae"]:
            figures = measure(folder, arguments.rows, detector, arguments.repeats)
            print(f"{detector}, {arguments.rows:,} rows x {N_COLUMNS} columns")
            for name, value in figures.items():
                print(f"  {name:32s} {value:,.2f}", flush=True)


if __name__ == "__main__":
    main()
