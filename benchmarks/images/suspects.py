"""How good is the list of good pictures to look at first (``unseen fit FOLDER --suspects``)?

Some of the good training pictures are replaced by defective test pictures, as they are or with the noise that
the paper of multi-cue detection adds to its contaminants. Precision at the true count is the share of
contaminants among as many first pictures as there are contaminants.

    python benchmarks/images/suspects.py ../shared/data/images/mtd/magnetic_tile
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "paper"))

from contamination import Task
from document import markdown, spread, write_block

from unseen.detectors.images import NearestNeighbourPatches
from unseen.detectors.images.inputs import labels_of
from unseen.detectors.images.odd_pictures import odd_pictures


def measure(folder: Path, noise: float, options: argparse.Namespace) -> list[list[float]]:
    """Return by seed: contaminants, precision at that number, believed, their precision and recall."""
    found = []
    for seed in options.seeds:
        drawn = argparse.Namespace(**{**vars(options), "noise": noise})
        task = Task(folder, drawn, options.level, 0, seed)
        detector = NearestNeighbourPatches(
            image_size=options.size, cache_dir=options.cache, device="cpu", seed=seed
        )
        labels = labels_of(detector, task.pictures, len(task.y), task.y, None, None, None)
        ranked = odd_pictures(detector, task.pictures, labels).suspects
        dirty = np.isin(ranked.rows, task.dirty)
        believed = dirty[: ranked.n_believed]
        precision = float(believed.mean()) if len(believed) else float("nan")
        recall = float(believed.sum() / len(task.dirty))
        at_count = float(dirty[: len(task.dirty)].mean())
        found.append([float(len(task.dirty)), at_count, float(len(believed)), precision, recall])
        print(folder.name, noise, seed, found[-1], file=sys.stderr, flush=True)
    return found


def line_of(folder: Path, noise: float, options: argparse.Namespace) -> list[str]:
    """A line of the table."""
    figures = np.array(measure(folder, noise, options))
    counted = figures[~np.isnan(figures[:, 3]), 3]
    return [
        f"{folder.name}, {'with noise' if noise else 'as they are'}",
        f"{figures[0, 0]:.0f}",
        ", ".join(f"{value:.0f}" for value in figures[:, 2]),
        spread(figures[:, 1].tolist(), 2),
        spread(counted.tolist(), 2) if len(counted) else "",
        spread(figures[:, 4].tolist(), 2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--level", type=float, default=0.1, help="share of good pictures that are replaced")
    parser.add_argument("--normals", type=int, default=80)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.1], help="share of the full range")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--cache", default=None, help="folder of the features")
    parser.add_argument("--write", metavar="PAGE:BLOCK", help="renew a table in docs")
    options = parser.parse_args()
    options.test, options.shots_tried, options.levels_tried = 0, [0], [options.level]
    header = ["contaminants", "how many", "believed, by seed", "at the true count", "precision", "recall"]
    lines = [line_of(folder, noise, options) for folder in options.folders for noise in options.noise]
    text = markdown(header, lines)
    print(text)
    if options.write:
        page, block = options.write.split(":")
        write_block(page, block, text)


if __name__ == "__main__":
    main()
