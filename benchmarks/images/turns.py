"""What ``rotations="auto"`` sees: left-out scores of references with turned copies, over those without.

::

    python benchmarks/images/turns.py DIR... --references 2 4 8 --cache FOLDER

One line a category and number of references K: the ratio for seeds 0 to 2, whose references are
``sorted(train/good)[s K : (s + 1) K]``; turned copies are taken at .95 or less. Foreground: the hull.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from few_shot import references
from tables import markdown, write_block

from unseen.data.images import read_images
from unseen.detectors.images.looking import Look, Seeing, rotated
from unseen.nn.patches.turns import AUTO_TURNS, left_out_ratio
from unseen.pixels import Pixels

_LEAST_ON_PART = 0.1


def turned(images: Pixels, _: object) -> list[Look]:
    """Turned copies of pictures."""
    return [Look(rotated(images, 360.0 * i / AUTO_TURNS), None) for i in range(1, AUTO_TURNS)]


def main() -> None:
    """Print and, if asked for, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", nargs="+", default=["2", "4", "8"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--write", metavar="BLOCK", help="put the table into this block of the docs page")
    options = parser.parse_args()
    seeing = Seeing("efficientnet-lite0", 256, (8, 16), 1, 16, options.cache, "cpu", "hull")
    lines = []
    for folder in options.folders:
        normals = read_images(folder).split("train")
        for count in options.references:
            ratios = []
            for seed in range(options.seeds):
                shown = references(normals, count, seed)
                if shown is not None:
                    V = seeing.all_looks(shown, turned, np.ones(len(shown), dtype=np.bool_), None)
                    ratios.append(f"{left_out_ratio(V, _LEAST_ON_PART):.2f}")
            lines.append([folder.name.replace("_", " "), count, ", ".join(ratios)])
            print(*lines[-1], flush=True)
    if options.write:
        table = markdown(["category", "references", "ratio by seed"], lines)
        write_block("methods/value_order.md", options.write, table)


if __name__ == "__main__":
    main()
