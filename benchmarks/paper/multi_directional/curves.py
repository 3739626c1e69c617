"""Why the AUROC on a kind that a head never met falls while that head is tuned: NSL-KDD, several variants.

For each kind held out, each other kind is left out in turn by its companion head; what is read is the
history of that AUROC over the episodes, on training rows and validation normals. Held-out kinds and test rows
are not touched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from document import markdown, spread
from flows import NSL_KINDS, NSL_NORMALS, read_nsl_kdd

from unseen.data import TablePreprocessor
from unseen.detectors import MultiDirectionalMeta
from unseen.evaluation import gather
from unseen.protocols import leave_one_kind_out

VARIANTS: dict[str, dict[str, Any]] = {
    "as is": {},
    "outer learning rate 1e-4": {"outer_lr": 1e-4},
    "5 outer steps an episode": {"outer_steps": 5},
    "all normals in every inner loop": {"domain_share": 1.0},
    "no curriculum": {"curriculum": False},
    "λ_rec = 10 (hardly any one-class term inside)": {"reconstruction_weight": 10.0},
}


def curves(options: argparse.Namespace) -> str:
    """Fit every variant for every kind and seed; return first, highest and last AUROC over the episodes."""
    material = gather(*read_nsl_kdd(options.data))
    splits = leave_one_kind_out(
        material.labels,
        shots=options.shots,
        seeds=range(options.seeds),
        test_rows=material.test_rows,
        max_normals=NSL_NORMALS,
        held_out_kinds=NSL_KINDS,
    )
    file = Path(options.out) / "curves.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, list[list[float]]] = json.loads(file.read_text()) if file.exists() else {}
    for split in splits:
        keys = {
            name: json.dumps([settings, options.inner_steps, split.held_out_kind, split.seed, split.shots])
            for name, settings in VARIANTS.items()
        }
        if all(key in done for key in keys.values()):
            continue
        features = TablePreprocessor().fit(material.table.take(split.train).features)
        X = features.transform(material.table.take(split.fit_rows).features)
        taught = split.fit_labels(material.labels)
        for name, settings in VARIANTS.items():
            model = MultiDirectionalMeta(
                calibration_fraction=0.0,
                seed=split.seed,
                n_trees=0,
                inner_steps=options.inner_steps,
                **settings,
            ).fit(X, taught.y, kinds=taught.kinds)
            done[keys[name]] = [model.history_[part].tolist() for part in ("left_out_auroc", "known_auroc")]
        file.write_text(json.dumps(done))
        print(split.held_out_kind, split.seed, flush=True)
    lines = []
    for name, settings in VARIANTS.items():
        by_seed = []
        for seed in range(options.seeds):
            found = [
                done[json.dumps([settings, options.inner_steps, kind, seed, options.shots])]
                for kind in NSL_KINDS
            ]
            left_out, known = (np.nanmean([curve[part] for curve in found], axis=0) for part in (0, 1))
            by_seed.append([left_out[2], left_out.max(), left_out[-1], known[2], known[-1]])
        lines.append([name, *(spread(values, 3) for values in zip(*by_seed, strict=True))])
    header = ["variant", "left out, episode 3", "left out, highest", "left out, last", "known, episode 3"]
    return markdown([*header, "known, last"], lines)
