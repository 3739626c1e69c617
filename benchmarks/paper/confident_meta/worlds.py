"""What is trained on, and a target that was left out."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from features import CATEGORIES, TEXTURES, Category, load_category
from sklearn.cluster import KMeans

from unseen.types import Labels

CONTAMINATION = 0.1
TILE_GROUPS = 3
REFERENCES, TEXTURE_REFERENCES = 20, 5
CHOOSING_REFERENCES, CHOOSING_TEST = 10, 20
TEXTURE_TARGETS = ("chequered", "crosshatched")
CHOOSING_TEXTURES = ("banded", "braided")


@dataclass(frozen=True)
class World:
    """Looks and labels of the sources; references and test pictures of the target.

    Looks are features as a detector sees them, with two more channels (part, defect).
    """

    V: np.ndarray
    labels: Labels
    references: np.ndarray
    test: np.ndarray
    y: np.ndarray
    masks: np.ndarray


def world(
    options: argparse.Namespace, target: str, seed: int, *, mvtec: bool = True, choosing: bool = False
) -> World:
    """Gather the sources of a target; one in ten of the normals of a category is an anomaly.

    With ``choosing`` no test picture is touched: anomalies are training pictures with defects of another
    kind than those that detectors are trained on.
    """
    draw = np.random.default_rng(seed)
    blocks, domains = [], []
    for name in CATEGORIES:
        if name == target or (name == "screw" and not mvtec):
            continue
        found = category(name, options.data, options.features)
        groups = _tile_groups(found) if name == "magnetic tile" else np.full(len(found.normals), name)
        for group in np.unique(groups):
            rows = np.sort(draw.permutation(np.flatnonzero(groups == group))[: options.pictures])
            blocks.append(_contaminated(found, rows, draw, choosing=choosing))
            domains += [str(group)] * len(rows)
    textures = category(TEXTURES, options.data, options.features)
    for name in np.unique(textures.names):
        if name != target:
            rows = np.sort(draw.permutation(np.flatnonzero(textures.names == name))[: options.pictures // 2])
            blocks.append(_looks(textures.normals[rows], textures.copies[rows], textures.shares[rows]))
            domains += [str(name)] * len(rows)
    n = len(domains)
    labels = Labels(np.zeros(n, np.int8), np.full(n, "normal"), np.array(domains))
    return World(np.concatenate(blocks), labels, *_target(options, target, draw, choosing=choosing))


@lru_cache(maxsize=4)
def category(name: str, root: Path, folder: Path) -> Category:
    """A category, kept."""
    return load_category(name, root, folder)


def _target(
    options: argparse.Namespace, target: str, draw: np.random.Generator, *, choosing: bool
) -> tuple[np.ndarray, ...]:
    """References, test looks, labels and masks; anomalies of textures are made up."""
    if target in CATEGORIES:
        own = category(target, options.data, options.features)
        rows, n_references = draw.permutation(len(own.normals)), REFERENCES
    else:
        own = category(TEXTURES, options.data, options.features)
        rows, n_references = draw.permutation(np.flatnonzero(own.names == target)), TEXTURE_REFERENCES
    if choosing:
        n_references = min(n_references, CHOOSING_REFERENCES)
    shown, rest = np.sort(rows[:n_references]), rows[n_references:][:CHOOSING_TEST]
    references = _looks(own.normals[shown], own.copies[shown], own.shares[shown])
    if target in CATEGORIES and not choosing:
        return references, _looks(own.test), own.y, _masks(own.masks)
    masks = _masks(own.other_masks[rest])
    test = _looks(np.concatenate([own.normals[rest], own.others[rest]]))
    y = np.repeat([0, 1], len(rest)).astype(np.int8)
    return references, test, y, np.concatenate([np.zeros_like(masks), masks])


def _masks(packed: np.ndarray) -> np.ndarray:
    """Masks on a grid of 128 x 128: a cell is defective if any of its pixels is."""
    masks = np.unpackbits(packed, axis=-1)
    step = masks.shape[1] // 128
    return np.asarray(masks.reshape(len(masks), 128, step, 128, step).any(axis=(2, 4)))


def _tile_groups(found: Category) -> np.ndarray:
    means = found.normals.astype(np.float32).mean(axis=(2, 3))
    codes = KMeans(TILE_GROUPS, n_init=3, random_state=0).fit_predict(means)
    return np.array([f"tile {code}" for code in codes])


def _contaminated(
    found: Category, rows: np.ndarray, draw: np.random.Generator, *, choosing: bool
) -> np.ndarray:
    """Looks of some normals, a tenth replaced by anomalies."""
    normals = found.normals[rows].copy()
    replaced = draw.permutation(len(rows))[: max(1, round(CONTAMINATION * len(rows)))]
    if choosing:
        normals[replaced] = found.others[rows[replaced]]
    else:
        anomalies = np.flatnonzero(found.y == 1)
        normals[replaced] = found.test[draw.permutation(anomalies)[: len(replaced)]]
    return _looks(normals, found.copies[rows], found.shares[rows])


def _looks(
    normals: np.ndarray, copies: np.ndarray | None = None, shares: np.ndarray | None = None
) -> np.ndarray:
    n, channels, height, width = normals.shape
    V = np.zeros((n, 1 if copies is None else 2, channels + 2, height, width), dtype=np.float32)
    V[:, :, -2] = 1.0
    V[:, 0, :-2] = normals
    if copies is not None and shares is not None:
        V[:, 1, :-2], V[:, 1, -1] = copies, shares
    return V
