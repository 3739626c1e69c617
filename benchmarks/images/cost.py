"""What detection costs on top of the backbone, and what the search in two stages changes.

::

    python benchmarks/images/cost.py DIR... --references 8 --out FILE

DIR is a category in MVTec layout. The backbone alone and each detector run in turn over the same pictures,
already of the detector's size, on one thread; figures are medians over the rounds of processor time a
picture. ``ratio`` is a detector's whole time (backbone included) over that of the backbone in the same round.
The figures of detection are those of the test pictures of each category, by exact search and by two stages.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from few_shot import judge, references

from unseen.data.images import read_images
from unseen.detectors.images import BaseImageDetector, NearestNeighbourPatches, PaDiM, PatchCore, PCAResidual
from unseen.detectors.images import ValueOrder as ValueOrderDetector
from unseen.nn.backbones import load_backbone

SHARED: dict[str, Any] = {"device": "cpu", "calibration_folds": 0}
TIMED: dict[str, Callable[[], BaseImageDetector]] = {
    "nearest neighbour, cosine": lambda: NearestNeighbourPatches(**SHARED),
    "nearest neighbour, cosine, exact": lambda: NearestNeighbourPatches(search="exact", **SHARED),
    "nearest neighbour, residual norm": lambda: NearestNeighbourPatches(score="residual-norm", **SHARED),
    "nearest neighbour, residual norm, exact": lambda: NearestNeighbourPatches(
        score="residual-norm", search="exact", **SHARED
    ),
    "PatchCore, 10 %": lambda: PatchCore(**SHARED),
    "PaDiM": lambda: PaDiM(**SHARED),
    "PCA residual": lambda: PCAResidual(**SHARED),
    "value order without adaptation": lambda: ValueOrderDetector(adaptation=False, **SHARED),
    "value order": lambda: ValueOrderDetector(epochs=0, **SHARED),
}
FIGURES = ("image_auroc", "pixel_auroc", "pro")


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def measure(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Milliseconds a picture and ratios to the backbone, all in turn within each round."""
    images = read_images(folder)
    shown = references(images.split("train"), str(options.references), 0)
    assert shown is not None, f"{folder} has too few normal pictures"
    batches = list(images.split("test").take(np.arange(options.pictures)).iterate(16, size=256))
    pictures = np.concatenate([batch.images for batch in batches])
    stack = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    backbone = load_backbone(device="cpu")
    detectors = {name: TIMED[name]().fit(shown) for name in options.detectors}
    spent: dict[str, list[float]] = {"backbone": []}
    for _ in range(options.rounds + 1):  # the first one warms up
        spent["backbone"].append(
            seconds(lambda: [backbone(part, (8, 16)) for part in torch.split(stack, 16)])
        )
        for name, detector in detectors.items():
            for what, run in (
                ("scores", detector.decision_function),
                ("scores and maps", run_maps(detector)),
            ):
                spent.setdefault(f"{name} | {what}", []).append(seconds(lambda run=run: run(pictures)))
    alone = np.array(spent["backbone"][1:])
    return {
        name: {
            "ms": float(np.median(times[1:]) * 1e3 / len(pictures)),
            "ratio": float(np.median(np.array(times[1:]) / alone)),
        }
        for name, times in spent.items()
    }


def run_maps(detector: BaseImageDetector) -> Callable[[Any], object]:
    """Scores and maps batch by batch, as the command line takes them."""
    return lambda pictures: [batch.scores.sum() for batch in detector.score_batches(pictures)]


def compare(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Figures of detection by both searches, seed by seed."""
    images = read_images(folder)
    test, rows = images.split("test"), []
    for seed in range(options.seeds):
        shown = references(images.split("train"), str(options.references), seed)
        if shown is None:
            continue
        for score in ("cosine", "residual-norm"):
            found = {}
            for search in ("exact", "two-stage"):
                detector = NearestNeighbourPatches(
                    score=score, search=search, cache_dir=options.cache, **SHARED
                ).fit(shown)
                found[search] = judge(test, *detector.score_and_explain(test), 256)
            row: dict[str, Any] = {"category": folder.name, "seed": seed, "score": score}
            for figure in FIGURES:
                row |= {f"{figure} {search}": values[figure] for search, values in found.items()}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Measure, print one JSON object, write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", type=int, default=8)
    parser.add_argument("--detectors", nargs="+", default=list(TIMED), choices=list(TIMED))
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=2, help="of the figures of detection; 0: times only")
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"references": options.references, "times": measure(options.folders[0], options)}
    report["figures"] = [row for folder in options.folders for row in compare(folder, options)]
    text = json.dumps(report, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
