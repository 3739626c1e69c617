"""Detectors of pictures where some of the training normals are anomalies: figures by contamination.

::

    python benchmarks/images/contamination.py DIR... --levels 0 .1 .2 --seeds 0 1 2 --parts FOLDER
    python benchmarks/images/contamination.py DIR... --table shots --parts FOLDER --write

DIR is a category in MVTec layout. For each seed ``--shots`` test anomalies become labelled training pictures,
and the share of the training normals is replaced by test anomalies with Gaussian noise (standard deviation
``--noise`` of the full range); a lower level replaces a part of what a higher one replaces. Both leave the
test set. All detectors see the same pictures, the same labels and the same features.

One JSON file a category, row, level, number of shots and seed in ``--parts``; parts that are there are not
computed again. ``--write`` puts the tables into ``docs/methods/multi_cue.md``.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.data.images import ImageSet, read_images
from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.detectors.images import MultiCue
from unseen.metrics import LocalisationMeter, auroc, average_precision
from unseen.nn.patches.pictures import ArrayPictures
from unseen.pixels import ImageBatch, Pixels, Size, resize_image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "paper"))
from document import markdown, write_block

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "multi-cue": ("multi-cue", {}),
    "adaptive-deviation": ("adaptive-deviation", {}),
    "latent-outlier-exposure": ("latent-outlier-exposure", {}),
    "patchcore": ("patchcore", {"max_patches": 20_000}),
    "padim": ("padim", {}),
    "nearest-neighbour-patches": (
        "nearest-neighbour-patches",
        {"score": "residual-norm", "rotations": "auto"},
    ),
    "nearest-neighbour-patches, 150000 patches": (
        "nearest-neighbour-patches",
        {"score": "residual-norm", "rotations": "auto", "max_patches": 150_000},
    ),
    "nearest-neighbour-patches, cosine": ("nearest-neighbour-patches", {"max_patches": 4000}),
    "multi-cue, published weights": ("multi-cue", {"cue_weights": "fixed", "uncertainty": "entropy"}),
    "multi-cue, features": ("multi-cue", {"inputs": "features", "deviation_rate": 1.0}),
    "multi-cue, as in the paper": (
        "multi-cue",
        {
            "inputs": "features",
            "deviation_rate": 1.0,
            "top_share": 0.1,
            "reweighting": "all",
            "uncertainty": "entropy",
            "cue_weights": "fixed",
        },
    ),
    "multi-cue, no reweighting": ("multi-cue", {"reweighting": "none"}),
    "multi-cue, weights over the whole batch": ("multi-cue", {"reweighting": "all"}),
    "multi-cue, local": ("multi-cue", {"inputs": "local"}),
    "multi-cue, neighbours": ("multi-cue", {"inputs": "neighbours"}),
    "multi-cue, whitened": ("multi-cue", {"inputs": "whitened"}),
    "multi-cue, distance": ("multi-cue", {"inputs": "distance"}),
    "multi-cue, both": ("multi-cue", {"inputs": "both"}),
    "latent-outlier-exposure, hard": ("latent-outlier-exposure", {"kind": "hard"}),
}
"""What is compared: name of the row → catalogue name and parameters."""

RIVALS = list(ROWS)[:6]
PAGE = "methods/multi_cue.md"


class Joined:
    """Some pictures of a set, then arrays, as one source of pictures.

    Parameters
    ----------
    images : ImageSet
        The first pictures.
    arrays : list of uint8 arrays
        The others.
    """

    def __init__(self, images: ImageSet, arrays: list[Pixels]) -> None:
        self._images, self._arrays = images, ArrayPictures("benchmark", arrays)

    def __len__(self) -> int:
        return len(self._images) + len(self._arrays)

    def __getitem__(self, index: int) -> Pixels:
        """Return one picture in its own size."""
        first = len(self._images)
        return self._images[index] if index < first else self._arrays[index - first]

    def key(self, index: int) -> str:
        """Return a hash of what a picture is."""
        first = len(self._images)
        return self._images.key(index) if index < first else self._arrays.key(index - first)

    def iterate(
        self, batch: int = 32, *, size: Size, indices: NDArray[Any] | None = None
    ) -> Iterator[ImageBatch]:
        """Yield pictures in order, brought to one size."""
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices)
        for start in range(0, len(chosen), batch):
            places = chosen[start : start + batch]
            yield ImageBatch(places, np.stack([resize_image(self[i], size) for i in places.tolist()]))


class Task:
    """The pictures of one category, level, number of shots and seed."""

    def __init__(
        self, folder: Path, options: argparse.Namespace, level: float, shots: int, seed: int
    ) -> None:
        images = read_images(folder)
        train, test = images.split("train"), images.split("test")
        draw = np.random.default_rng(seed)
        anomalies = draw.permutation(np.flatnonzero(test.labels.y == 1))
        good = draw.permutation(np.flatnonzero(test.labels.y == 0))[: options.test]
        normals = draw.permutation(len(train))[: options.normals]
        most = max(options.shots_tried)
        count = round(level * len(normals))
        room = most + round(max(options.levels_tried) * len(normals))
        labelled, dirty = anomalies[:shots], anomalies[most : most + count]
        tested = np.concatenate([good, anomalies[room : room + options.test]])
        self.test = test.take(np.sort(tested))
        clean = train.take(normals[count:])
        arrays = [noised(test[int(i)], options.noise, [seed, int(i)]) for i in dirty]
        shown = test.take(labelled)
        self.pictures = Joined(clean, arrays + [shown[i] for i in range(len(shown))])
        n = len(clean) + count
        self.y = np.concatenate([np.zeros(n, np.int8), np.ones(shots, np.int8)])
        self.masks = [None] * n + [shown.mask(i) for i in range(len(shown))]
        self.dirty = np.arange(len(clean), n)


def noised(image: Pixels, deviation: float, seed: list[int]) -> Pixels:
    """A picture with Gaussian noise."""
    draw = np.random.default_rng(seed)
    noisy = image + draw.normal(0.0, 255.0 * deviation, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def judge(images: ImageSet, scores: np.ndarray, maps: np.ndarray, size: int) -> dict[str, float]:
    """Image and pixel figures."""
    meter = LocalisationMeter(bins=2**16)
    for place, (kind, values) in enumerate(zip(images.labels.kinds, maps, strict=True)):
        mask = images.mask(place, size=size)
        if mask is not None:
            meter.add(mask, values, str(kind))
    return {
        "image_auroc": auroc(images.labels.y, scores),
        "image_ap": average_precision(images.labels.y, scores),
        "pixel_auroc": meter.overall().auroc,
    }


def cue_figures(detector: MultiCue, test: ImageSet) -> dict[str, float]:
    """AUROC of each cue alone, and of other maps of the cues and ways to fuse them."""
    monotone = copy.copy(detector).set_params(uncertainty="probability")
    found = monotone.explain_cues(test, size=32)
    y = test.labels.y
    p = found.cues[:, 1]
    entropy = np.log1p(-(p * np.log(p + 1e-12) + (1 - p) * np.log(1 - p + 1e-12))) / np.log1p(np.log(2))
    deviation, segmentation = found.values[:, 0], found.cues[:, 2]
    scaled = {
        "exponential": 1 - np.exp(-deviation / detector.margin),
        "ratio": deviation / (deviation + detector.margin),
        "clipped": np.minimum(1, deviation / detector.margin),
    }

    def fused(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        logs = np.log(np.maximum(np.stack([first, second, segmentation]), 0.05))
        return auroc(y, np.asarray(detector.weights) @ logs)

    figures = {"deviation": auroc(y, deviation), "segmentation": auroc(y, segmentation)}
    figures |= {"probability": auroc(y, p), "entropy": auroc(y, entropy)}
    figures |= {f"fused, {name}": fused(values, entropy) for name, values in scaled.items()}
    figures["fused, probability"] = fused(scaled["exponential"], p)
    return {f"cue {name}": value for name, value in figures.items()}


def run(
    folder: Path, options: argparse.Namespace, row: str, level: float, shots: int, seed: int
) -> dict[str, Any]:
    """Fit, score and judge one part."""
    task = Task(folder, options, level, shots, seed)
    name, parameters = ROWS[row]
    shared = {
        "image_size": options.size,
        "cache_dir": options.cache,
        "device": "cpu",
        "calibration_folds": 0,
        "seed": seed,
    }
    began = time.perf_counter(), time.process_time()
    detector = IMAGE_DETECTORS[name](**{**shared, **parameters})
    detector.fit(task.pictures, task.y, masks=task.masks)
    fitted = time.perf_counter(), time.process_time()
    scores, maps = detector.score_and_explain(task.test)
    figures = judge(task.test, scores, np.asarray(maps), options.size)
    figures["fit_seconds"] = round(fitted[0] - began[0], 1)
    figures["fit_processor_seconds"] = round(fitted[1] - began[1], 1)
    if isinstance(detector, MultiCue):
        figures |= cue_figures(detector, task.test)
        figures["inputs"] = detector.inputs_
        names = ("deviation", "probability", "segmentation")
        figures |= {f"weight {n}": w for n, w in zip(names, detector.weights_.tolist(), strict=True)}
        of_maps = zip(names, detector.gradient_weights_.tolist(), strict=True)
        figures |= {f"weight of gradients, {n}": w for n, w in of_maps}
    if hasattr(detector, "suspects") and level > 0:
        ranked = detector.suspects()
        dirty = np.isin(ranked.rows, task.dirty)
        figures["list_precision"] = float(dirty[: len(task.dirty)].mean())
        figures["contaminants"] = len(task.dirty)
        figures["believed"] = ranked.n_believed
        figures["count_error"] = abs(ranked.n_believed - len(task.dirty))
        figures["believed_precision"] = float(dirty[: ranked.n_believed].mean()) if ranked.n_believed else 0.0
        figures["believed_recall"] = float(dirty[: ranked.n_believed].sum() / len(task.dirty))
    if wants_gradients(options, row, level):
        assert isinstance(detector, MultiCue)
        figures |= gradient_figures(detector, task.test, options)
    where = {"category": folder.name, "row": row, "level": level, "shots": shots, "seed": seed}
    return where | figures


def wants_gradients(options: argparse.Namespace, row: str, level: float) -> bool:
    """Whether gradient maps are judged in a part."""
    return options.gradients > 0 and row.startswith("multi-cue") and level == options.gradients_at


def gradient_figures(detector: MultiCue, test: ImageSet, options: argparse.Namespace) -> dict[str, float]:
    """Pixel AUROC of gradient maps over some defective pictures."""
    draw = np.random.default_rng(0)
    chosen = np.sort(draw.permutation(np.flatnonzero(test.labels.y == 1))[: options.gradients])
    some = test.take(chosen)
    names = ("deviation", "uncertainty", "segmentation")
    maps = {name: detector.localise(some, gradients=name) for name in names}
    # maps of several cues are sums of these, as smoothing is linear
    parts, weights = np.stack(list(maps.values())), detector.gradient_weights_.astype(np.float32)
    maps["fused"] = np.tensordot(weights / weights.sum(), parts, axes=1)
    maps["cues"] = parts.mean(axis=0)
    maps["input"] = detector.localise(some, gradients="input")
    figures = {
        f"gradients {name}": judge_pixels(some, maps[name], options.size)
        for name in ("fused", "cues", "input", *names)
    }
    figures["score maps, same pictures"] = judge_pixels(some, detector.score_maps(some), options.size)
    return figures


def judge_pixels(images: ImageSet, maps: NDArray[np.float32], size: int) -> float:
    """Pixel AUROC over defective pictures."""
    meter = LocalisationMeter(bins=2**16)
    for place, values in enumerate(maps):
        mask = images.mask(place, size=size)
        assert mask is not None
        meter.add(mask, values)
    return float(meter.overall().auroc)


def part_file(options: argparse.Namespace, where: dict[str, Any]) -> Path:
    """Where a part is kept; the name depends on everything that decides it."""
    decided = where | {
        "parameters": ROWS[where["row"]],
        "normals": options.normals,
        "test": options.test,
        "size": options.size,
        "noise": options.noise,
        "gradients": options.gradients if wants_gradients(options, where["row"], where["level"]) else 0,
        "levels": max(options.levels_tried),
        "most_shots": max(options.shots_tried),
    }
    digest = hashlib.blake2b(json.dumps(decided, sort_keys=True).encode(), digest_size=8).hexdigest()
    return Path(options.parts) / f"{digest}.json"


def compute(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Compute the parts that are missing and return all of them."""
    Path(options.parts).mkdir(parents=True, exist_ok=True)
    found, until = [], time.monotonic() + options.seconds
    for seed in options.seeds:
        for folder in options.folders:
            for level in options.levels:
                for shots in options.shots:
                    for row in options.rows:
                        where = {"category": folder.name, "row": row, "level": level}
                        where |= {"shots": shots, "seed": seed}
                        file = part_file(options, where)
                        if not file.is_file():
                            if options.only_read or time.monotonic() > until:
                                continue
                            part = run(folder, options, row, level, shots, seed)
                            partial = file.with_suffix(".partial")
                            partial.write_text(json.dumps(part, indent=1), encoding="utf-8")
                            partial.replace(file)
                            print(json.dumps(part), flush=True)
                        found.append(json.loads(file.read_text(encoding="utf-8")))
    return found


def mean_of(parts: list[dict[str, Any]], key: str, **where: Any) -> str:
    """Mean and spread over seeds of a figure."""
    values = [p[key] for p in parts if key in p and all(p[name] == value for name, value in where.items())]
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def level_table(parts: list[dict[str, Any]], options: argparse.Namespace, key: str) -> str:
    """Rows by contamination."""
    header = ["detector", "category", *(f"{level:.0%}" for level in options.levels), "drop"]
    rows = []
    for folder in options.folders:
        for row in options.rows:
            where = {"category": folder.name, "row": row}
            cells = [mean_of(parts, key, level=level, **where) for level in options.levels]
            if any(cells):
                ends = [float(cell.split(" ")[0]) for cell in (cells[0], cells[-1]) if cell]
                drop = f"{ends[0] - ends[-1]:+.3f}" if len(ends) == 2 else ""
                rows.append([row, folder.name, *cells, drop])
    return markdown(header, rows)


def key_table(parts: list[dict[str, Any]], options: argparse.Namespace, keys: list[str]) -> str:
    """Figures of each row as columns, one line a category, row, level and number of shots."""
    header = ["detector", "category", "contamination", "labelled", *keys]
    rows = []
    for folder in options.folders:
        for row in options.rows:
            for level in options.levels:
                for shots in options.shots:
                    where = {"category": folder.name, "row": row, "level": level, "shots": shots}
                    cells = [mean_of(parts, key, **where) for key in keys]
                    if any(cells):
                        rows.append([row, folder.name, f"{level:.0%}", str(shots), *cells])
    return markdown(header, rows)


def cue_keys(parts: list[dict[str, Any]], beginning: str) -> list[str]:
    """Names of figures, in order."""
    return list(dict.fromkeys(key for part in parts for key in part if key.startswith(beginning)))


TABLES = {
    "levels": lambda parts, options: "\n\n".join(
        f"{title}\n\n{level_table(parts, options, key)}"
        for title, key in (
            ("Image AUROC", "image_auroc"),
            ("Image AUPRC", "image_ap"),
            ("Pixel AUROC", "pixel_auroc"),
        )
    ),
    "forms": lambda parts, options: key_table(parts, options, ["image_auroc", "image_ap", "pixel_auroc"]),
    "shots": lambda parts, options: key_table(parts, options, ["image_auroc", "image_ap", "pixel_auroc"]),
    "cues": lambda parts, options: key_table(parts, options, ["image_auroc", *cue_keys(parts, "cue ")]),
    "weights": lambda parts, options: key_table(parts, options, cue_keys(parts, "weight ")),
    "list": lambda parts, options: key_table(
        parts,
        options,
        [
            "contaminants",
            "list_precision",
            "believed",
            "count_error",
            "believed_precision",
            "believed_recall",
        ],
    ),
    "gradients": lambda parts, options: key_table(
        parts, options, [*cue_keys(parts, "gradients "), "score maps, same pictures"]
    ),
}
"""Block of the page → its text."""


def main() -> None:
    """Compute, print and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rows", nargs="+", default=RIVALS, choices=list(ROWS))
    parser.add_argument("--levels", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.15, 0.2])
    parser.add_argument("--shots", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--normals", type=int, default=300, help="training pictures taken for normal, at most"
    )
    parser.add_argument("--test", type=int, default=1000, help="test pictures of each sort, at most")
    parser.add_argument("--noise", type=float, default=0.1, help="share of the full range")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--gradients", type=int, default=0, help="defective pictures with gradient maps")
    parser.add_argument("--gradients-at", type=float, default=0.1, help="at this level only")
    parser.add_argument("--levels-tried", type=float, nargs="+", default=[0.2], help="leave the test set")
    parser.add_argument("--shots-tried", type=int, nargs="+", default=[20], help="leave the test set")
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--parts", default="contamination_parts", help="folder of the results")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--only-read", action="store_true", help="compute nothing")
    parser.add_argument("--table", default="levels", choices=list(TABLES))
    parser.add_argument("--block", help="block of the page; the name of the table if not given")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE}")
    options = parser.parse_args()
    parts = compute(options)
    text = TABLES[options.table](parts, options)
    print(text)
    if options.write:
        write_block(PAGE, f"contamination-{options.block or options.table}", text)


if __name__ == "__main__":
    main()
