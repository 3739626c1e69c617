"""Memory while scoring many pictures: it must not grow with their number.

::

    python benchmarks/images/memory.py --pictures 10000 --references 8

Pictures of a surface with noise are drawn when they are asked for, 256 x 256. A process of its own fits the
detector on references and takes scores and maps batch by batch. Printed are its peak resident set at
1000, 3000, ... pictures and the seconds (Linux only: read from /proc).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.pixels import ImageBatch, Pixels, Size, check_size

CHECKPOINTS = (1000, 3000, 10_000, 30_000)
SIDE = 256


class DrawnSurfaces:
    """Pictures that are computed when they are asked for; an ``ImageSource``."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self.base = np.random.default_rng(0).integers(60, 180, (SIDE, SIDE, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pixels:
        draw = np.random.default_rng([self.seed, index])
        return np.asarray(np.roll(self.base, draw.integers(SIDE, size=2), axis=(0, 1)) + draw.integers(8))

    def key(self, index: int) -> str:
        return f"surface {self.seed} {index}"

    def iterate(self, batch: int = 32, *, size: Size, indices: Any = None) -> Iterator[ImageBatch]:
        assert check_size("DrawnSurfaces", size) == (SIDE, SIDE)
        chosen = np.arange(self.count) if indices is None else np.asarray(indices)
        for start in range(0, len(chosen), batch):
            places = chosen[start : start + batch]
            yield ImageBatch(places, np.stack([self[int(i)] for i in places]).astype(np.uint8))


def peak_mb() -> float:
    """Peak resident set of this process."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def watch(detector: str, pictures: int, references: int) -> dict[str, Any]:
    """Fit, score, and note the peak on the way."""
    fitted = IMAGE_DETECTORS[detector](device="cpu").fit(DrawnSurfaces(references, 1))
    report: dict[str, Any] = {"after fit": round(peak_mb())}
    began, done = time.perf_counter(), 0
    for batch in fitted.score_batches(DrawnSurfaces(pictures, 2)):
        before, done = done, done + len(batch.scores)
        if any(before < point <= done for point in (*CHECKPOINTS, pictures)):
            report[f"{done}"] = round(peak_mb())
    return report | {"seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Measure in a process of its own and print one JSON object of megabytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--references", type=int, default=8)
    parser.add_argument("--detector", default="nearest-neighbour-patches", choices=list(IMAGE_DETECTORS))
    parser.add_argument("--here", action="store_true", help="measure this process itself")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(watch(options.detector, options.pictures, options.references)))
        return
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--here"], check=True)


if __name__ == "__main__":
    main()
