"""Few-shot detection of defects in pictures: image and pixel figures by detector, category and references.

::

    python benchmarks/images/few_shot.py DIR... --references 2 4 8 all --seeds 3 --cache FOLDER --out FILE

DIR is a category in MVTec layout. The references of seed s are ``sorted(train/good)[s K : (s + 1) K]``; the
test pictures are all of ``test``. Every detector sees the same features, which are kept in the cache, so that
a picture goes through the backbone once. One line of JSON a detector, category, K and seed.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from tables import few_shot_table, write_block

from unseen.data.images import ImageSet, read_images
from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.metrics import LocalisationMeter, auroc, average_precision

_AUTO = {"rotations": "auto", "foreground": "hull"}

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "cosine": ("nearest-neighbour-patches", {}),
    "residual norm": ("nearest-neighbour-patches", {"score": "residual-norm"}),
    "PatchCore": ("patchcore", {}),
    "PaDiM": ("padim", {}),
    "SPADE": ("spade", {}),
    "PCA residual": ("pca-residual", {}),
    "value order, no training": ("value-order", {"adaptation": False}),
    "cosine, turns": ("nearest-neighbour-patches", {"rotations": "auto"}),
    "residual norm, turns": ("nearest-neighbour-patches", {"score": "residual-norm", "rotations": "auto"}),
    "cosine, automatic": ("nearest-neighbour-patches", _AUTO),
    "residual norm, automatic": ("nearest-neighbour-patches", {"score": "residual-norm", **_AUTO}),
    "PatchCore, automatic": ("patchcore", _AUTO),
    "PCA residual, automatic": ("pca-residual", _AUTO),
    "value order, no training, automatic": ("value-order", {"adaptation": False, **_AUTO}),
    "cosine, 8 rotations": ("nearest-neighbour-patches", {"rotations": 8}),
    "residual norm, 8 rotations": ("nearest-neighbour-patches", {"score": "residual-norm", "rotations": 8}),
    "cosine, estimate": ("nearest-neighbour-patches", {"foreground": "estimate"}),
    "cosine, hull": ("nearest-neighbour-patches", {"foreground": "hull"}),
    "cosine, estimate, 8 rotations": (
        "nearest-neighbour-patches",
        {"rotations": 8, "foreground": "estimate"},
    ),
    "residual norm, estimate, 8 rotations": (
        "nearest-neighbour-patches",
        {"score": "residual-norm", "rotations": 8, "foreground": "estimate"},
    ),
}
"""What is compared: name of the row → catalogue name and parameters. turns: rotated references where
they help; automatic: that and the hull of the part. The command line's default is "residual norm, turns"."""

KEYS = ("category", "detector", "references", "seed", "size", "strides")
"""What makes a run."""


def references(normals: ImageSet, count: str, seed: int) -> ImageSet | None:
    """The reference pictures of a seed; None if the seed has none left."""
    if count == "all":
        return normals if seed == 0 else None
    order = np.argsort([str(normals.path(i)) for i in range(len(normals))])
    chosen = order[seed * int(count) : (seed + 1) * int(count)]
    return normals.take(chosen) if len(chosen) == int(count) else None


def judge(images: ImageSet, scores: np.ndarray, maps: np.ndarray, size: int) -> dict[str, float]:
    """Image and pixel figures of one category."""
    meter = LocalisationMeter(bins=2**20)
    for place, (kind, values) in enumerate(zip(images.labels.kinds, maps, strict=True)):
        mask = images.mask(place, size=size)
        if mask is not None:
            meter.add(mask, values, str(kind))
    found = meter.overall()
    return {
        "image_auroc": auroc(images.labels.y, scores),
        "image_ap": average_precision(images.labels.y, scores),
        "pixel_auroc": found.auroc,
        "pixel_f1": found.f1,
        "pro": found.pro,
    }


def named(folder: Path, options: argparse.Namespace, name: str, count: str, seed: int) -> dict[str, Any]:
    """What a run is called in the file of results."""
    place = {"category": folder.name, "detector": name, "references": count, "seed": seed}
    return place | {"size": options.size, "strides": options.strides}


def finished(path: Path | None) -> list[dict[str, Any]]:
    """The runs in a file of results."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(folder: Path, options: argparse.Namespace, name: str, count: str, seed: int) -> dict[str, Any] | None:
    """Fit on the references, score the test pictures, judge."""
    images = read_images(folder)
    shown = references(images.split("train"), count, seed)
    catalogue_name, parameters = ROWS[name]
    if shown is None or (count == "all" and catalogue_name == "value-order"):  # made for few references
        return None
    shared = {
        "image_size": options.size,
        "strides": tuple(options.strides),
        "cache_dir": options.cache,
        "device": "cpu",
        "calibration_folds": 0,
    }
    began = time.perf_counter()
    detector = IMAGE_DETECTORS[catalogue_name](**shared, **parameters).fit(shown)
    fitted = time.perf_counter()
    test = images.split("test")
    scores, maps = detector.score_and_explain(test)
    seconds = {"fit_seconds": fitted - began, "score_seconds": time.perf_counter() - fitted}
    figures = judge(test, scores, np.asarray(maps), options.size)
    where = named(folder, options, name, count, seed)
    return where | figures | {key: round(value, 2) for key, value in seconds.items()}


def main() -> None:
    """Run what was asked for and is not in the file of results, one line each."""
    options = parsed()
    run_all(options)
    if options.write:
        rows = [row for row in finished(options.out) if row["references"] in options.references]
        rows = [row for row in rows if (row["size"], row["strides"]) == (options.size, options.strides)]
        table = few_shot_table(rows, options.detectors, options.references)
        write_block("methods/value_order.md", options.write, table)


def run_all(options: argparse.Namespace) -> None:
    """Run what is not in the file of results, until the time is over."""
    known = [{key: row[key] for key in KEYS} for row in finished(options.out)]
    began = time.perf_counter()
    for count in options.references:
        for name in options.detectors:
            for folder in options.folders:
                for seed in range(options.seeds):
                    if named(folder, options, name, count, seed) in known:
                        continue
                    if time.perf_counter() - began > options.seconds:
                        return
                    row = run(folder, options, name, count, seed)
                    if row is not None:
                        record(row, options.out)


def record(row: dict[str, Any], path: Path | None) -> None:
    """Print a run and add it to the file of results."""
    line = json.dumps(row)
    print(line, flush=True)
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", nargs="+", default=["4"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--detectors", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--strides", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--out", type=Path, default=None, help="results; what is there is not run again")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no run after this time")
    parser.add_argument("--write", metavar="BLOCK", help="put the table into this block of the docs page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
