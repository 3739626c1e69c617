"""What detection costs on top of the backbone, and what the search in two stages changes.

::

    python benchmarks/images/cost.py DIR... --references 8 --out FILE --write

DIR is a category in MVTec layout. The backbone alone and each detector run in turn over the same pictures,
already of the detector's size, on one thread; figures are medians over the rounds of processor time a
picture. ``ratio`` is a detector's whole time (backbone included) over that of the backbone in the same round.
The figures of detection are those of the test pictures of each category, by exact search and by two stages.
With ``--write`` the tables go into ``docs/image_cost.md``; ``--out`` keeps what was measured, and a second
run measures only what is not there.
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
from tables import markdown, write_block

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
    "nearest neighbour, residual norm, 8 rotations": lambda: NearestNeighbourPatches(
        score="residual-norm", rotations=8, **SHARED
    ),
    "PatchCore, 10 %": lambda: PatchCore(**SHARED),
    "PaDiM": lambda: PaDiM(**SHARED),
    "PCA residual": lambda: PCAResidual(**SHARED),
    "value order without adaptation": lambda: ValueOrderDetector(adaptation=False, **SHARED),
    "value order without adaptation, exact": lambda: ValueOrderDetector(
        adaptation=False, search="exact", **SHARED
    ),
    "value order": lambda: ValueOrderDetector(epochs=0, **SHARED),
}
COMPARED: dict[str, Callable[..., BaseImageDetector]] = {
    "cosine": NearestNeighbourPatches,
    "residual norm": lambda **options: NearestNeighbourPatches(score="residual-norm", **options),
    "value order": lambda **options: ValueOrderDetector(adaptation=False, **options),
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


def compare(folder: Path, options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Figures of detection by both searches, seed by seed."""
    images = read_images(folder)
    test = images.split("test")
    for seed in range(options.seeds):
        shown = references(images.split("train"), str(options.references), seed)
        for name, make in COMPARED.items():
            row: dict[str, Any] = {"category": folder.name, "seed": seed, "score": name}
            if shown is None or any(row.items() <= known.items() for known in report["figures"]):
                continue
            for search in ("exact", "two-stage"):
                detector = make(search=search, cache_dir=options.cache, **SHARED).fit(shown)
                found = judge(test, *detector.score_and_explain(test), 256)
                row |= {f"{figure} {search}": found[figure] for figure in FIGURES}
            report["figures"].append(row)
            keep(report, options.out)
            print(json.dumps(row), file=sys.stderr, flush=True)


def keep(report: dict[str, Any], path: Path | None) -> None:
    """Write what was measured down."""
    if path is not None:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def time_table(times: dict[str, dict[str, float]]) -> str:
    """One line a detector: milliseconds a picture and ratio to the backbone, of scores and with maps."""
    lines = [["backbone alone", f"{times['backbone']['ms']:.1f}", "1", "", ""]]
    for name in TIMED:
        parts = [
            times[f"{name} | {what}"] for what in ("scores", "scores and maps") if f"{name} | {what}" in times
        ]
        if parts:
            lines.append([name, *(cell for p in parts for cell in (f"{p['ms']:.1f}", f"{p['ratio']:.2f}"))])
    header = ["detector", "scores, ms", "× backbone", "scores and maps, ms", "× backbone"]
    return markdown(header, lines)


def figure_table(rows: list[dict[str, Any]]) -> str:
    """One line a category, seed and score: figures by exact search, and how two stages differ."""
    lines = []
    for row in rows:
        cells = []
        for figure in FIGURES:
            exact, staged = row[f"{figure} exact"], row[f"{figure} two-stage"]
            cells.append(f"{exact:.3f}".removeprefix("0") + f" ({staged - exact:+.3f})".replace("0.", "."))
        lines.append([f"{row['category'].replace('_', ' ')}, {row['seed']}", row["score"], *cells])
    return markdown(["part, seed", "score", "image AUROC", "pixel AUROC", "PRO"], lines)


def main() -> None:
    """Measure, keep it where asked, write the tables where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", type=int, default=8)
    parser.add_argument("--detectors", nargs="+", default=list(TIMED), choices=list(TIMED))
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=2, help="of the figures of detection; 0: times only")
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--out", type=Path, default=None, help="results; what is there is not run again")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/image_cost.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"references": options.references, "times": {}, "figures": []}
    if options.out is not None and options.out.exists():
        report |= json.loads(options.out.read_text(encoding="utf-8"))
    if not report["times"]:
        report["times"] = measure(options.folders[0], options)
        keep(report, options.out)
    for folder in options.folders:
        compare(folder, options, report)
    print(json.dumps(report, indent=1))
    if options.write:
        write_block("image_cost.md", "times", time_table(report["times"]))
        write_block("image_cost.md", "searches", figure_table(report["figures"]))


if __name__ == "__main__":
    main()
