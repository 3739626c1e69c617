"""Zero-shot and adapted detection of defects in a category that was left out of training."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from document import markdown, spread
from worlds import TEXTURE_TARGETS, World, world

from unseen.detectors.images import ConfidentMetaPatches, NearestNeighbourPatches, ValueOrder
from unseen.detectors.images.base import BaseImageDetector
from unseen.metrics import auroc
from unseen.nn.confident_network import vector_of
from unseen.nn.patches.context import in_context
from unseen.nn.patches.maps import score_images, top_mean
from unseen.references import empty_store
from unseen.types import Labels

MAP_SIZE = 128

OURS = "confident-meta-patches"
EARLIER: dict[str, Any] = {
    "context": "centred",
    "base": False,
    "start_share": 0.0,
    "regularisation": 1e-4,
    "lr": 3e-3,
}
MAIN: dict[str, dict[str, Any]] = {
    OURS: {},
    "same network, pooled training": {"meta": "none"},
    "hard rejection": {"weighting": "hard"},
    "same network, untrained": {"epochs": 0},
}
ABLATION: dict[str, dict[str, Any]] = {
    "as is": {},
    "without confident weights": {"weighting": "none"},
    "without covariance penalty": {"regularisation": 0.0},
    "penalty half as strong again": {"regularisation": 0.0075},
    "without meta-learning (pooled)": {"meta": "none"},
    "without a share of the start": {"start_share": 0.0},
    "without contrastive term": {"contrastive_weight": 0.0},
    "without feature noise": {"noise": 0.0},
    "without synthetic defects": {"synthetic": False},
    "without the length as a start": {"base": False},
    "ten times the learning rate": {"lr": 3e-3},
    "without training": {"epochs": 0},
}
ALONE: dict[str, dict[str, Any]] = {
    "as is (κ = 1.5, first order)": {},
    "κ = 0": {"kappa": 0.0},
    "κ = 0.5": {"kappa": 0.5},
    "κ = 3": {"kappa": 3.0},
    "without confident weights": {"weighting": "none"},
    "without covariance penalty": {"regularisation": 0.0},
    "second order": {"meta": "second"},
    "without meta-learning (pooled)": {"meta": "none"},
    "without contrastive term": {"contrastive_weight": 0.0},
    "without feature noise": {"noise": 0.0},
    "without synthetic defects": {"synthetic": False},
    "without MVTec": {},
}
ALONE = {row: {"base": False, **parameters} for row, parameters in ALONE.items()}
CHOICES: dict[str, dict[str, Any]] = {
    "features themselves, as the summary reads": {**EARLIER, "context": "absolute"},
    "less the picture's mean": EARLIER,
    "contrast": {**EARLIER, "context": "contrast"},
    "contrast, length as a start": {**EARLIER, "context": "contrast", "base": True},
    "same, slower, a share of the start (the defaults)": {},
    "contrast, length alone (no training)": {"epochs": 0},
}
RIVALS = ("nearest neighbour, same references", "ValueOrder, same references")


class Seen(NamedTuple):
    """A world as one context shows it; the same for all rows that are trained on it."""

    tasks: Any
    known: Any
    task: Any
    alone: torch.Tensor
    with_references: torch.Tensor


def made(parameters: dict[str, Any], at: World, seed: int) -> ConfidentMetaPatches:
    """A detector that is given features instead of pictures."""
    detector = ConfidentMetaPatches(**parameters, seed=seed, device="cpu", calibration_folds=0)
    prepare(detector, at)
    return detector


def prepare(detector: BaseImageDetector, at: World) -> None:
    """Check parameters, and say how many features there are."""
    channels = at.V.shape[2] - 2
    detector._check_common_parameters()
    detector._check_parameters()
    detector.n_features_in_ = channels
    detector.references_ = empty_store(channels)


def see(at: World, context: str, seed: int) -> Seen:
    """Prepare what does not depend on training."""
    detector = made({"context": context}, at, seed)
    known = detector._known(at.references)
    looks = torch.from_numpy(at.test[:, 0, :-2])
    with torch.inference_mode():
        shown = [in_context(looks, context, some) for some in (None, known.patches)]
    return Seen(detector._tasks(at.V, at.labels), known, detector._task(at.references, known), *shown)


def run_row(parameters: dict[str, Any], at: World, seen: Seen, seed: int) -> Iterator[dict[str, Any]]:
    """Train once; score the target with 0, 1 and 5 steps on its references."""
    detector = made(parameters, at, seed)
    began = time.process_time()
    detector._learn(seen.tasks)
    extra = {"fit_s": time.process_time() - began, "uncertainty": _uncertainty(detector)}
    theta = vector_of(dict(detector.network_.named_parameters()))
    none = np.zeros((0, detector.latent), np.float32)
    yield {"steps": "zero-shot", **extra, **figures(detector, seen.alone, at, weights=theta, prototypes=none)}
    for steps in (1, 5):
        detector.adaptation_steps = steps
        memory = detector._adapted(seen.known, seen.task)
        yield {"steps": str(steps), **figures(detector, seen.with_references, at, **memory)}


def _uncertainty(detector: ConfidentMetaPatches) -> list[float]:
    """Least and largest d over the epochs; nothing without training."""
    values = detector.history_.get("uncertainty", np.zeros(0))
    return [float(values.min()), float(values.max())] if len(values) else []


def figures(
    detector: ConfidentMetaPatches, seen: torch.Tensor, at: World, **memory: np.ndarray
) -> dict[str, float]:
    """Image and pixel AUROC of the test pictures, seen in their context."""
    tensors = {name: torch.from_numpy(values) for name, values in memory.items()}
    with torch.inference_mode():
        patches = detector._scores_of(seen, tensors).reshape(len(seen), *at.test.shape[3:])
    return figures_of(top_mean(patches, detector.top_share).numpy(), patches.numpy(), at)


def figures_of(scores: np.ndarray, patches: np.ndarray, at: World) -> dict[str, float]:
    """Image and pixel AUROC."""
    maps = score_images(torch.from_numpy(patches), (MAP_SIZE, MAP_SIZE), 4.0 * MAP_SIZE / 448).numpy()
    pixel = auroc(at.masks.ravel().astype(np.int8), maps.ravel())
    return {"image": float(auroc(at.y, scores)), "pixel": float(pixel)}


def run_rival(row: str, at: World, seed: int) -> Iterator[dict[str, Any]]:
    """Score the target by a detector that has its references, and no training."""
    detector: BaseImageDetector = NearestNeighbourPatches(search="exact", device="cpu", seed=seed)
    if row == RIVALS[1]:
        detector = ValueOrder(adaptation=False, search="exact", device="cpu", seed=seed)
    prepare(detector, at)
    n = len(at.references)
    detector._fit(at.references, Labels(np.zeros(n, np.int8), *[np.full(n, "")] * 2))
    tensors = {name: torch.from_numpy(v) for name, v in detector._remember(at.references).items()}
    parts = [detector._scores_by(at.test[i : i + 16], tensors) for i in range(0, len(at.test), 16)]
    scores, patches = (np.concatenate(values) for values in zip(*parts, strict=True))
    yield {"steps": "references", **figures_of(scores, patches, at)}


def run(
    options: argparse.Namespace,
    rows: dict[str, dict[str, Any]],
    targets: Sequence[str],
    *,
    choosing: bool = False,
) -> list[dict[str, Any]]:
    """Run what an earlier run has not finished; return all results."""
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    finished = {(item["row"], item["target"], item["seed"]) for item in read_lines(options.out)}
    began = time.monotonic()
    for seed in range(options.first_seed, options.seeds):
        for target in targets:
            missing = [row for row in rows if (row, target, seed) not in finished]
            if time.monotonic() - began > options.seconds:
                print("stopped by --seconds; run again to go on")
                return read_lines(options.out)
            _run_target(options, {row: rows[row] for row in missing}, target, seed, choosing=choosing)
    return read_lines(options.out)


def _run_target(
    options: argparse.Namespace, rows: dict[str, dict[str, Any]], target: str, seed: int, *, choosing: bool
) -> None:
    worlds: dict[bool, World] = {}
    shown: dict[tuple[bool, str], Seen] = {}
    for row, parameters in rows.items():
        mvtec = row != "without MVTec"
        if mvtec not in worlds:
            worlds[mvtec] = world(options, target, seed, mvtec=mvtec, choosing=choosing)
        at = worlds[mvtec]
        if row in RIVALS:
            results = list(run_rival(row, at, seed))
        else:
            key = (mvtec, parameters.get("context", "contrast"))
            if key not in shown:
                shown[key] = see(at, key[1], seed)
            results = list(run_row(parameters, at, shown[key], seed))
        with options.out.open("a", encoding="utf-8") as file:
            for item in results:
                line = json.dumps({"row": row, "target": target, "seed": seed, **item})
                print(line, flush=True)
                file.write(line + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the results of an earlier run, if there are any."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


STEPS = {"zero-shot": ", zero-shot", "1": ", 1 step", "5": ", 5 steps", "references": ""}


def table(
    results: list[dict[str, Any]],
    rows: Sequence[str],
    columns: dict[str, tuple[str, ...]],
    steps: Sequence[str] = tuple(STEPS),
) -> str:
    """Image / pixel AUROC with the spread over seeds; a column is the mean over its targets."""
    lines = []
    for row in rows:
        for step in steps:
            some = [item for item in results if (item["row"], item["steps"]) == (row, step)]
            cells = [
                _cell([item for item in some if item["target"] in targets]) for targets in columns.values()
            ]
            if any(cells):
                lines.append([f"{row}{STEPS[step]}", *cells])
    seeds = len({item["seed"] for item in results})
    text = markdown(["image AUROC / pixel AUROC", *columns], lines)
    foot = f"Mean and standard deviation over {seeds} seeds." if seeds > 1 else "One seed."
    return f"{text}\n\n{foot}"


def _cell(items: list[dict[str, Any]]) -> str:
    by_seed: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for item in items:
        by_seed[item["seed"]].append((item["image"], item["pixel"]))
    if not by_seed:
        return ""
    means = np.array([np.mean(values, axis=0) for values in by_seed.values()])
    if len(means) == 1:
        return " / ".join(f"{value:.3f}" for value in means[0])
    return " / ".join(spread(means[:, place], 3) for place in (0, 1))


def columns_of(targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """A column for each category, and one for all texture classes."""
    columns = {name: (name,) for name in targets if name not in TEXTURE_TARGETS}
    textures = tuple(name for name in targets if name in TEXTURE_TARGETS)
    return {**columns, f"{len(textures)} texture classes": textures} if textures else columns
