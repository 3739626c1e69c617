"""Zero-shot and adapted detection of defects in a category that was left out of training."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from document import markdown, spread
from features import CATEGORIES, TEXTURES, Category, load_category
from sklearn.cluster import KMeans

from unseen.detectors.images import ConfidentMetaPatches, NearestNeighbourPatches, ValueOrder
from unseen.detectors.images.base import BaseImageDetector, Memory
from unseen.metrics import auroc
from unseen.nn.confident_network import vector_of
from unseen.nn.patches.maps import score_images
from unseen.nn.patches.prototypes import prototype_distance
from unseen.references import empty_store
from unseen.types import Labels

CONTAMINATION = 0.1
TILE_GROUPS = 3
MAP_SIZE = 128
REFERENCES = 20

MAIN: dict[str, dict[str, Any]] = {
    "confident-meta-patches": {},
    "same network, pooled training": {"meta": "none"},
    "hard rejection": {"weighting": "hard"},
}
ABLATION: dict[str, dict[str, Any]] = {
    "as is": {},
    "without confident weights": {"weighting": "none"},
    "without covariance penalty": {"regularisation": 0.0},
    "penalty of the reconstruction, 0.005": {"regularisation": 0.005},
    "without meta-learning": {"meta": "none"},
    "second order": {"meta": "second"},
    "without contrastive term": {"contrastive_weight": 0.0},
    "without feature noise": {"noise": 0.0},
    "without synthetic defects": {"synthetic": False},
    "features themselves, as the summary reads": {"context": "absolute"},
}
KAPPAS = {f"κ = {kappa:g}": {"kappa": kappa} for kappa in (0.0, 0.5, 1.5, 3.0, 10.0)}
WITHOUT_MVTEC: dict[str, dict[str, Any]] = {"with MVTec": {}, "without MVTec": {}}
SCORES = ("discriminator", "prototypes", "both")
STEPS = {"zero-shot": ", zero-shot", "1": ", 1 step", "5": ", 5 steps", "references": ""}
RIVALS = ("own mean, no training", "nearest neighbour, 20 references", "ValueOrder, 20 references")


@dataclass(frozen=True)
class World:
    """What is trained on, and a target."""

    V: np.ndarray
    labels: Labels
    references: np.ndarray
    test: np.ndarray
    y: np.ndarray
    masks: np.ndarray


def world(options: argparse.Namespace, target: str, seed: int, *, mvtec: bool = True) -> World:
    """Gather the source categories of a target; one in ten of their normals is an anomaly."""
    draw = np.random.default_rng(seed)
    blocks, domains = [], []
    for name in CATEGORIES:
        if name == target or (name == "screw" and not mvtec):
            continue
        found = load_category(name, options.data, options.features)
        groups = _tile_groups(found) if name == "magnetic tile" else np.full(len(found.normals), name)
        for group in np.unique(groups):
            rows = draw.permutation(np.flatnonzero(groups == group))[: options.pictures]
            blocks.append(_contaminated(found, np.sort(rows), draw))
            domains += [str(group)] * len(rows)
    textures = load_category(TEXTURES, options.data, options.features)
    for name in np.unique(textures.names):
        rows = draw.permutation(np.flatnonzero(textures.names == name))[: options.pictures // 2]
        blocks.append(_contaminated(textures, np.sort(rows), draw))
        domains += [str(name)] * len(rows)
    n = len(domains)
    labels = Labels(np.zeros(n, np.int8), np.full(n, "normal"), np.array(domains))
    own = load_category(target, options.data, options.features)
    shown = np.sort(draw.permutation(len(own.normals))[:REFERENCES])
    references = _looks(own.normals[shown], own.copies[shown], own.shares[shown])
    masks = np.unpackbits(own.masks, axis=-1)
    step = masks.shape[1] // MAP_SIZE
    small = masks.reshape(len(masks), MAP_SIZE, step, MAP_SIZE, step).any(axis=(2, 4))
    return World(np.concatenate(blocks), labels, references, _looks(own.test), own.y, small)


def _tile_groups(found: Category) -> np.ndarray:
    means = found.normals.astype(np.float32).mean(axis=(2, 3))
    codes = KMeans(TILE_GROUPS, n_init=3, random_state=0).fit_predict(means)
    return np.array([f"tile {code}" for code in codes])


def _contaminated(found: Category, rows: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Looks of some normals, a tenth replaced by test anomalies; textures have none."""
    normals = found.normals[rows].copy()
    if len(found.test):
        replaced = draw.permutation(len(rows))[: max(1, round(CONTAMINATION * len(rows)))]
        anomalies = np.flatnonzero(found.y == 1)
        normals[replaced] = found.test[draw.permutation(anomalies)[: len(replaced)]]
    return _looks(normals, found.copies[rows], found.shares[rows])


def _looks(normals: np.ndarray, copies: np.ndarray | None = None, shares: np.ndarray | None = None):
    """Features as a detector sees them: looks, and two more channels (part, defect)."""
    n, channels, height, width = normals.shape
    V = np.zeros((n, 1 if copies is None else 2, channels + 2, height, width), dtype=np.float32)
    V[:, :, -2] = 1.0
    V[:, 0, :-2] = normals
    if copies is not None and shares is not None:
        V[:, 1, :-2], V[:, 1, -1] = copies, shares
    return V


def prepared(detector: BaseImageDetector, channels: int) -> BaseImageDetector:
    """A detector that is given features instead of pictures."""
    detector._check_common_parameters()
    detector._check_parameters()
    detector.n_features_in_ = channels
    detector.references_ = empty_store(channels)
    return detector


def figures(detector: BaseImageDetector, memory: Memory, at: World) -> dict[str, float]:
    """Image and pixel AUROC of the test pictures."""
    tensors = {name: torch.from_numpy(values) for name, values in memory.items()}
    began = time.perf_counter()
    parts = [detector._scores_by(at.test[i : i + 16], tensors) for i in range(0, len(at.test), 16)]
    seconds = time.perf_counter() - began
    scores, patches = (np.concatenate(values) for values in zip(*parts, strict=True))
    found = _figures_of(scores, patches, at)
    return {**found, "score_ms": 1000 * seconds / len(at.test)}


def _figures_of(scores: np.ndarray, patches: np.ndarray, at: World) -> dict[str, float]:
    maps = score_images(torch.from_numpy(patches), (MAP_SIZE, MAP_SIZE), 4.0 * MAP_SIZE / 448).numpy()
    pixel = auroc(at.masks.ravel().astype(np.int8), maps.ravel())
    return {"image": float(auroc(at.y, scores)), "pixel": float(pixel)}


def run_row(row: str, parameters: dict[str, Any], at: World, seed: int) -> Iterator[dict[str, Any]]:
    """Train one row; score the target with 0, 1 and 5 steps on its references, by each part of the score."""
    channels = at.V.shape[2] - 2
    torch.set_num_threads(1)
    made = ConfidentMetaPatches(**parameters, seed=seed, device="cpu", calibration_folds=0)
    detector = prepared(made, channels)
    assert isinstance(detector, ConfidentMetaPatches)
    began = time.process_time()
    detector._fit(at.V, at.labels)
    seconds = time.process_time() - began
    theta = vector_of(dict(detector.network_.named_parameters()))
    memories: dict[str, Memory] = {
        "zero-shot": {"weights": theta, "prototypes": np.zeros((0, detector.latent), np.float32)}
    }
    extra: dict[str, dict[str, float]] = {"zero-shot": {"fit_s": seconds}}
    for steps in (1, 5):
        detector.adaptation_steps = steps
        began = time.perf_counter()
        memories[str(steps)] = detector._remember(at.references)
        extra[str(steps)] = {"adapt_s": time.perf_counter() - began}
    for steps, memory in memories.items():
        for score in SCORES:
            detector.score = score
            yield {"steps": steps, "score": score, **extra[steps], **figures(detector, memory, at)}


def run_rival(row: str, at: World, seed: int) -> Iterator[dict[str, Any]]:
    """Score the target by a detector without training."""
    channels = at.V.shape[2] - 2
    if row == RIVALS[0]:
        features = torch.from_numpy(at.test[:, 0, :-2]).flatten(2).transpose(1, 2)
        patches = prototype_distance(features, torch.zeros(0, channels)).reshape(-1, *at.test.shape[3:])
        top = patches.flatten(1).topk(10, dim=1).values.mean(dim=1)
        yield {"steps": "zero-shot", **_figures_of(top.numpy(), patches.numpy(), at)}
        return
    made: BaseImageDetector = NearestNeighbourPatches(score="residual-norm", device="cpu", seed=seed)
    if row == RIVALS[2]:
        made = ValueOrder(adaptation=False, device="cpu", seed=seed)
    detector = prepared(made, channels)
    detector._fit(at.references, Labels(np.zeros(REFERENCES, np.int8), *[np.full(REFERENCES, "")] * 2))
    yield {"steps": "references", **figures(detector, detector._remember(at.references), at)}


def run(options: argparse.Namespace, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Run what an earlier run has not finished; return all results."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = read_lines(options.out)
    finished = {(item["row"], item["target"], item["seed"]) for item in done}
    for target in options.targets:
        for seed in range(options.first_seed, options.seeds):
            asked = [row for row in rows if options.rows is None or row in options.rows]
            missing = [row for row in asked if (row, target, seed) not in finished]
            for row in missing:
                at = world(options, target, seed, mvtec=row != "without MVTec")
                results = run_rival(row, at, seed) if row in RIVALS else run_row(row, rows[row], at, seed)
                with options.out.open("a", encoding="utf-8") as file:
                    for item in results:
                        line = {"row": row, "target": target, "seed": seed, **item}
                        print(json.dumps(line), flush=True)
                        file.write(json.dumps(line) + "\n")
    return read_lines(options.out)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the results of an earlier run, if there are any."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def table(results: list[dict[str, Any]], rows: list[str]) -> str:
    """Image / pixel AUROC, one line a row and number of steps."""
    found: dict[tuple[str, ...], dict[str, list[tuple[float, float]]]] = {}
    for item in results:
        key = (item["row"], item["steps"], item.get("score", ""))
        cells = found.setdefault(key, defaultdict(list))
        cells[item["target"]].append((item["image"], item["pixel"]))
    targets = [target for target in CATEGORIES if any(target in cells for cells in found.values())]
    lines = [
        [f"{row}{STEPS[steps]}", score, *(_cell(cells.get(target, [])) for target in targets)]
        for (row, steps, score), cells in sorted(found.items(), key=lambda entry: rows.index(entry[0][0]))
    ]
    return markdown(["image AUROC / pixel AUROC", "score", *targets], lines)


def _cell(values: list[tuple[float, float]]) -> str:
    if not values:
        return ""
    image, pixel = zip(*values, strict=True)
    if len(values) == 1:
        return f"{image[0]:.3f} / {pixel[0]:.3f} (1 seed)"
    return f"{spread(image, 3)} / {spread(pixel, 3)} ({len(values)} seeds)"


def costs(results: list[dict[str, Any]]) -> str:
    """One line on processor time."""

    def median(key: str, steps: str) -> float:
        return float(np.median([item[key] for item in results if item["steps"] == steps and key in item]))

    fit, zero, adapted = (
        median("fit_s", "zero-shot"),
        median("score_ms", "zero-shot"),
        median("score_ms", "5"),
    )
    return (
        f"Training took {fit:.0f} s of processor time, scoring {zero:.1f} ms a picture zero-shot and "
        f"{adapted:.1f} ms after adaptation (medians of wall time on busy cores, features given)."
    )
