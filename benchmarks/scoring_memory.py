"""Memory while scoring a long file: it must not grow with the number of rows.

::

    python benchmarks/scoring_memory.py                     # 5 M rows x 78 columns
    python benchmarks/scoring_memory.py --rows 1000000 --fdr .1

A Parquet file is made batch by batch, a ``vae`` is fitted on its first rows, and the file is scored in a
process of its own that notes its resident set after every batch. Printed are the peak, the memory after each
tenth of the rows and the growth from the second to the last tenth (Linux only: read from /proc).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from scoring_throughput import N_COLUMNS, fit_model, write_table

WATCHED_SCORING = """
import json, sys
from pathlib import Path
from unseen.persistence import load
from unseen.pipeline import score_file

def status(key):
    return int(Path("/proc/self/status").read_text().split(key + ":")[1].split()[0]) / 1024

seen = []
model, source, out, rate = sys.argv[1:]
summary = score_file(
    load(model), source, out, false_discovery_rate=float(rate) or None,
    progress=lambda rows: seen.append(status("VmRSS")),
)
print(json.dumps({"peak_mb": status("VmHWM"), "seconds": summary.seconds, "resident_mb": seen}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--detector", default="vae")
    parser.add_argument(
        "--fdr", type=float, default=0.0, help="score with a false discovery rate (two passes)"
    )
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source, model = folder / f"table_{arguments.rows}.parquet", folder / "model"
        if not source.exists():
            write_table(source, arguments.rows)
        fit_model(source, arguments.detector, model)
        command = [
            sys.executable, "-c", WATCHED_SCORING,
            str(model), str(source), str(folder / "scores.parquet"), str(arguments.fdr),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    seen = figures["resident_mb"]
    tenths = [seen[max(0, (len(seen) * i) // 10 - 1)] for i in range(1, 11)]
    print(f"{arguments.detector}, {arguments.rows:,} rows x {N_COLUMNS} columns")
    print(f"  seconds                {figures['seconds']:,.1f}")
    print(f"  peak resident          {figures['peak_mb']:,.0f} MB")
    print(f"  after each tenth       {' '.join(f'{value:,.0f}' for value in tenths)} MB")
    print(f"  growth, 2nd to last    {tenths[-1] - tenths[1]:+,.0f} MB")


if __name__ == "__main__":
    main()
