"""Fig. 2 (AUROC over the episodes) and Fig. 3 (latent map of known and held-out kinds) on NSL-KDD."""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from document import DOCS
from flows import NSL_KINDS, NSL_NORMALS, read_nsl_kdd
from sklearn.decomposition import PCA

from unseen.data import TablePreprocessor
from unseen.detectors import MultiDirectionalMeta
from unseen.evaluation import gather
from unseen.metrics.ranking import auroc
from unseen.protocols import Split, leave_one_kind_out

PAGE = DOCS / "methods"
COLOURS = {"normal": "#9aa5b1", "dos": "#c0392b", "probe": "#2c7fb8", "r2l": "#7b3294", "u2r": "#e08214"}


def _prepared(options: argparse.Namespace, kind: str, seed: int) -> tuple[Split, np.ndarray, np.ndarray]:
    """Return the split of one held-out kind, all features, all kinds."""
    material = gather(*read_nsl_kdd(options.data))
    (split,) = leave_one_kind_out(
        material.labels,
        shots=options.shots,
        seeds=[seed],
        test_rows=material.test_rows,
        max_normals=NSL_NORMALS,
        held_out_kinds=[kind],
    )
    preprocessor = TablePreprocessor().fit(material.table.take(split.train).features)
    return split, preprocessor.transform(material.table.features), material.labels.kinds


def _fitted(split: Split, X: np.ndarray, kinds: np.ndarray) -> MultiDirectionalMeta:
    rows = split.fit_rows
    y = (kinds[rows] != "normal").astype(int)
    return MultiDirectionalMeta(calibration_fraction=0.0, seed=split.seed).fit(X[rows], y, kinds=kinds[rows])


def episodes(options: argparse.Namespace) -> str:
    """Draw the history of a fit a held-out kind; return what is in the figure."""
    figure, axes = plt.subplots(1, len(NSL_KINDS), figsize=(12, 3), sharey=True, constrained_layout=True)
    for axis, kind in zip(axes, NSL_KINDS, strict=True):
        split, X, kinds = _prepared(options, kind, 0)
        history = _fitted(split, X, kinds).history_
        number = np.arange(1, len(history["known_auroc"]) + 1)
        axis.plot(number, history["known_auroc"], label="known kinds", color="#2c7fb8")
        axis.plot(number, history["left_out_auroc"], label="inner left-out kind", color="#c0392b")
        growth = axis.twinx()
        growth.step(number, history["n_kinds"], "-", where="mid", color="#9aa5b1", linewidth=0.8)
        growth.step(number, history["shots"], ":", where="mid", color="#9aa5b1", linewidth=0.8)
        growth.set_yticks([0, 5, 10])
        axis.set_title(f"{kind} held out", fontsize=10)
        axis.set_xlabel("episode")
    axes[0].set_ylabel("AUROC of the head")
    axes[0].legend(fontsize=7, loc="lower right")
    figure.savefig(PAGE / "multi_directional_episodes.png", dpi=110)
    return "![AUROC over the episodes](multi_directional_episodes.png)"


def latent(options: argparse.Namespace) -> str:
    """Draw latent test rows for each held-out kind: UMAP if it is installed, else two components."""
    figure, axes = plt.subplots(1, len(NSL_KINDS), figsize=(12, 3.2), constrained_layout=True)
    for axis, kind in zip(axes, NSL_KINDS, strict=True):
        split, X, kinds = _prepared(options, kind, 0)
        model = _fitted(split, X, kinds)
        draw = np.random.default_rng(0)
        names = ["normal", *NSL_KINDS]
        rows = np.concatenate(
            [
                draw.permutation(split.test[kinds[split.test] == name])[: 1000 if name == "normal" else 250]
                for name in names
            ]
        )
        with torch.no_grad():
            standardised = (X[rows] - model.input_centre_) / np.float32(model.input_scale_)
            z = model.encoder_(torch.from_numpy(standardised)).cpu().numpy()
        scores = model.decision_function(X[rows])
        map_, method = _plane(z)
        for name in names:
            mine = kinds[rows] == name
            held = name == kind
            both = mine | (kinds[rows] == "normal")
            label = name
            if name != "normal":
                label += f" {auroc(mine[both], scores[both]):.2f}" + (" (held out)" if held else "")
            axis.scatter(
                *map_[mine].T,
                s=9 if held else 4,
                marker="x" if held else "o",
                color=COLOURS[name],
                alpha=0.6,
                linewidths=0.7,
                label=label,
            )
        axis.set_xticks([])
        axis.set_yticks([])
        axis.legend(fontsize=6, markerscale=1.6)
        axis.set_title(f"{kind} held out ({method})", fontsize=9)
    figure.savefig(PAGE / "multi_directional_latent.png", dpi=110)
    return "![Latent test rows](multi_directional_latent.png)"


def _plane(z: np.ndarray) -> tuple[np.ndarray, str]:
    try:
        from umap import UMAP
    except ImportError:
        return PCA(2, random_state=0).fit_transform(z), "PCA"
    return UMAP(random_state=0).fit_transform(z), "UMAP"
