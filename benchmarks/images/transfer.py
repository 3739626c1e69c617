"""Value-order decomposition trained on some parts, judged on others, beside detectors without training.

::

    python benchmarks/images/transfer.py --source DIR... --target DIR... --references 2 4 8 --cache FOLDER

One layer is trained for each row of the ablation on the source categories (their normals and, as queries,
their anomalies with masks); targets give references only. One line of JSON a row, target, K and seed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from few_shot import judge, references

from unseen.data.images import ImageSet, concat_images, read_images
from unseen.detectors.images import BaseImageDetector, NearestNeighbourPatches, PatchCore, ValueOrder

ABLATION: dict[str, dict[str, Any]] = {
    "value order": {},
    "without adaptation": {"adaptation": False},
    "without sorting": {"sorting": False},
    "without S_n": {"use_normal": False},
    "without S_a": {"use_abnormal": False},
    "without adaptation, S_n": {"adaptation": False, "use_normal": False},
    "without adaptation, S_n, sorting": {"adaptation": False, "use_normal": False, "sorting": False},
}
"""Rows of value-order decomposition; the last two are its value projection alone, sorted and not."""


def rivals(shared: dict[str, Any]) -> dict[str, BaseImageDetector]:
    """Detectors that need no training."""
    return {
        "cosine": NearestNeighbourPatches(**shared),
        "residual norm": NearestNeighbourPatches(score="residual-norm", **shared),
        "PatchCore": PatchCore(**shared),
    }


def some_of(images: ImageSet, most: int, seed: int) -> ImageSet:
    """At most so many normal and so many anomalous pictures."""
    draw = np.random.default_rng(seed)
    places = [np.flatnonzero(images.labels.y == label) for label in (0, 1)]
    return images.take(np.sort(np.concatenate([draw.permutation(rows)[:most] for rows in places])))


def main() -> None:
    """Train once a row, then judge on every target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, nargs="+", required=True)
    parser.add_argument("--target", type=Path, nargs="+", required=True)
    parser.add_argument("--references", nargs="+", default=["4"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=list(ABLATION), choices=list(ABLATION))
    parser.add_argument("--source-images", type=int, default=80, help="normals, and anomalies, of a category")
    parser.add_argument(
        "--target-images", type=int, default=1000, help="test normals, and anomalies, of a target"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--episode-batch", type=int, default=8)
    parser.add_argument("--training-references", type=int, default=8)
    parser.add_argument("--training-patches", type=int, default=256)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--strides", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--out", type=Path, default=None, help="one JSON object a line is added to this file")
    options = parser.parse_args()
    shared: dict[str, Any] = {
        "image_size": options.size,
        "strides": tuple(options.strides),
        "cache_dir": options.cache,
        "device": "cpu",
        "calibration_folds": 0,
    }
    source = concat_images(
        [some_of(read_images(folder), options.source_images, 0) for folder in options.source]
    )
    training = {
        "epochs": options.epochs,
        "episodes": options.episodes,
        "lr": options.lr,
        "episode_batch": options.episode_batch,
        "n_references": options.training_references,
        "training_patches": options.training_patches,
    }
    trained: dict[str, BaseImageDetector] = {}
    for name in options.rows:
        began = time.perf_counter()
        detector = ValueOrder(**training, **shared, **ABLATION[name])
        trained[name] = detector.fit(source)
        losses = detector.history_.get("loss", np.array([np.nan]))
        print(
            f"# {name}: {time.perf_counter() - began:.0f} s, loss {losses[0]:.4f} to {losses[-1]:.4f}",
            flush=True,
        )
    for folder in options.target:
        images = read_images(folder)
        test = some_of(images.split("test"), options.target_images, 1)
        for count in options.references:
            for seed in range(options.seeds):
                shown = references(images.split("train"), count, seed)
                if shown is None:
                    continue
                rows = {name: made.adapt(shown) for name, made in trained.items()}
                rows |= {name: made.fit(shown) for name, made in rivals(shared).items()}
                for name, detector in rows.items():
                    scores, maps = detector.score_and_explain(test)
                    where = {"source": [path.name for path in options.source], "category": folder.name}
                    figures = judge(test, scores, np.asarray(maps), options.size)
                    line = json.dumps(
                        {**where, "detector": name, "references": count, "seed": seed, **figures}
                    )
                    print(line, flush=True)
                    if options.out is not None:
                        with options.out.open("a", encoding="utf-8") as file:
                            file.write(line + "\n")


if __name__ == "__main__":
    main()
