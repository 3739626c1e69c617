"""What each part of the method does: NSL-KDD, every variant on the same splits, one fit each.

Every fit is read in two ways: the head alone, which is the paper's score (``1 − p_normal``), and the fused
score. F1 and the gap of mean p_normal ("margin") are the head's, at one threshold that maximises F1 over
validation normals and known kinds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from document import markdown, spread
from flows import NSL_NORMALS, read_nsl_kdd

from unseen.data import TablePreprocessor
from unseen.detectors import MultiDirectionalMeta
from unseen.evaluation import Material, gather
from unseen.evaluation.measure import best_f1_threshold
from unseen.metrics.operating import confusion_at
from unseen.metrics.ranking import auroc
from unseen.protocols import Split, leave_one_kind_out
from unseen.types import ANOMALY

TABLE_3: dict[str, dict[str, Any]] = {
    f"{tuned}, {shots} shots": {"shots": shots, "learn_temperature": learn}
    for shots in (5, 20, 50)
    for tuned, learn in (("φ", False), ("φ and T", True))
}
PARTS: dict[str, dict[str, Any]] = {
    "as is": {},
    "no outer steps (heads untrained)": {"outer_steps": 0},
    "no curriculum": {"curriculum": False},
    "no margin": {"margin_weight": 0.0},
    "margin m = 0.5": {"margin": 0.5},
    "one direction": {"multi_directional": False},
    "no reconstruction": {"reconstruction_weight": 0.0},
    "paper's λ_rec = 0.1": {"reconstruction_weight": 0.1},
    "implicit gradient": {"order": "implicit"},
}
MEASURES = ("head_auroc", "fused_auroc", "f1", "margin")


def ablation(options: argparse.Namespace) -> str:
    """Fit every variant; return Table 3 and the table of the parts."""
    material = gather(*read_nsl_kdd(options.data))
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"inner_steps": options.inner_steps}
    kinds = options.kinds
    table_3 = []
    for name, settings in TABLE_3.items():
        found = _variant(material, {**shared, **settings}, kinds, options)
        table_3.append([name, *(spread(found[(m, r)], 3) for r in ("held-out", "known") for m in MEASURES)])
        print(" | ".join(table_3[-1]), flush=True)
    parts = []
    for name, settings in PARTS.items():
        found = _variant(material, {"shots": options.shots, **shared, **settings}, kinds, options)
        cells = [spread(found[(m, r)], 3) for r in ("held-out", "known") for m in MEASURES[:2]]
        last = [
            spread(found[("latent_variance", "")], 3),
            spread(found[("head_weight", "")], 2),
            spread(found[("seconds", "")], 1),
        ]
        parts.append([name, *cells, *last])
        print(" | ".join(parts[-1]), flush=True)
    labels = {"head_auroc": "head AUROC", "fused_auroc": "fused AUROC", "f1": "F1", "margin": "margin"}
    header = ["outer loop tunes", *(f"{labels[m]}, {r}" for r in ("held out", "known") for m in MEASURES)]
    second = ["variant", *(f"{labels[m]}, {r}" for r in ("held out", "known") for m in MEASURES[:2])]
    second += ["latent variance", "w", "fit s"]
    return f"{markdown(header, table_3)}\n\n{markdown(second, parts)}"


def _variant(
    material: Material, settings: dict[str, Any], kinds: list[str], options: argparse.Namespace
) -> dict[tuple[str, str], list[float]]:
    """Return every figure per seed, as the mean over held-out kinds; takes over what is in the folder."""
    settings = dict(settings)
    shots = settings.pop("shots")
    key = json.dumps([settings, shots, kinds, options.seeds], sort_keys=True)
    file = Path(options.out) / "ablation.json"
    done = json.loads(file.read_text()) if file.exists() else {}
    if key not in done:
        splits = leave_one_kind_out(
            material.labels,
            shots=shots,
            seeds=range(options.seeds),
            test_rows=material.test_rows,
            max_normals=NSL_NORMALS,
            held_out_kinds=kinds,
        )
        by_seed: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for split in splits:
            for name, value in _fit_and_measure(material, split, settings).items():
                by_seed[name][split.seed].append(value)
        done[key] = {name: [float(np.mean(v)) for v in seeds.values()] for name, seeds in by_seed.items()}
        file.write_text(json.dumps(done))
    return {tuple(name.split("/")): values for name, values in done[key].items()}  # type: ignore[misc]


def _fit_and_measure(material: Material, split: Split, settings: dict[str, Any]) -> dict[str, float]:
    labels, table = material.labels, material.table
    preprocessor = TablePreprocessor().fit(table.take(split.train).features)
    transform = partial(_rows, table, preprocessor)
    taught = split.fit_labels(labels)
    model = MultiDirectionalMeta(calibration_fraction=0.0, seed=split.seed, **settings)
    X = transform(split.fit_rows)
    start = time.perf_counter()
    model.fit(X, taught.y, kinds=taught.kinds)
    figures = {
        "seconds/": time.perf_counter() - start,
        "head_weight/": model.head_weight_,
        "latent_variance/": float(model.history_["latent_variance"][-1]),
    }
    pool = np.concatenate([split.calibration, split.validation])
    X_pool, X_test = transform(pool), transform(split.test)
    fused = model.decision_function(X_test)
    model.score = "head"
    head, head_pool = model.decision_function(X_test), model.decision_function(X_pool)
    threshold = best_f1_threshold((labels.y[pool] == ANOMALY).astype(np.int8), head_pool, 0.5)
    roles: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind in split.test_kinds:
        role = "held-out" if kind == split.held_out_kind else "known"
        at = np.searchsorted(split.test, split.test_of(kind))
        y = labels.y[split.test[at]]
        gap = _p_normal(head[at][y == 0]).mean() - _p_normal(head[at][y == 1]).mean()
        values = (auroc(y, head[at]), auroc(y, fused[at]), confusion_at(y, head[at], threshold).f1, gap)
        for name, value in zip(MEASURES, values, strict=True):
            roles[role][name].append(float(value))
    for role, measured in roles.items():
        for name, values_of in measured.items():
            figures[f"{name}/{role}"] = float(np.mean(values_of))
    return figures


def _rows(table: Any, preprocessor: TablePreprocessor, rows: np.ndarray) -> np.ndarray:
    return preprocessor.transform(table.take(rows).features)


def _p_normal(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(logit))
