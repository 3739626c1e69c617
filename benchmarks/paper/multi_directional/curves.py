"""Why the AUROC on a kind that a head never met falls while that head is tuned: NSL-KDD, several variants.

For each kind held out, each other kind is left out in turn by its companion head; what is read is the
history of that AUROC over the episodes, on training rows and validation normals. Held-out kinds and test rows
are not touched.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from document import markdown, spread
from flows import read_nsl_kdd

from unseen.data import TablePreprocessor
from unseen.detectors import MultiDirectionalMeta
from unseen.evaluation import Material, gather
from unseen.protocols import Split, leave_one_kind_out

Curve = list[list[float]]

NORMALS = 3000
VARIANTS: dict[str, dict[str, Any]] = {
    "as is": {},
    "outer learning rate 1e-3": {"outer_lr": 1e-3},
    "all normals in every inner loop": {"domain_share": 1.0},
    "λ_rec = 10": {"reconstruction_weight": 10.0},
}
THIRD = 2
"""The first episode by which every companion has met a kind, counted from 0."""


def curves(options: argparse.Namespace) -> str:
    """Fit every variant for every kind and seed; return AUROC after the third episode, highest and last."""
    material = gather(*read_nsl_kdd(options.data))
    options.out.mkdir(parents=True, exist_ok=True)
    splits = leave_one_kind_out(
        material.labels,
        shots=options.shots,
        seeds=range(options.seeds),
        test_rows=material.test_rows,
        max_normals=NORMALS,
        held_out_kinds=options.kinds,
    )
    found: dict[str, dict[int, list[Curve]]] = {name: {} for name in VARIANTS}
    for split in splits:
        for name, curve in _of_split(material, split, options).items():
            found[name].setdefault(split.seed, []).append(curve)
    lines = []
    for name, seeds in found.items():
        by_seed = []
        for of_kinds in seeds.values():
            left_out, known = (np.mean([curve[part] for curve in of_kinds], axis=0) for part in (0, 1))
            by_seed.append([left_out[THIRD], left_out[THIRD:].max(), left_out[-1], known[THIRD], known[-1]])
        lines.append([name, *(spread(values, 3) for values in zip(*by_seed, strict=True))])
    header = ["AUROC of heads", "left out, episode 3", "left out, highest", "left out, last"]
    return markdown([*header, "known, episode 3", "known, last"], lines)


def _of_split(material: Material, split: Split, options: argparse.Namespace) -> dict[str, Curve]:
    """Return both curves of every variant; takes over what is in the folder."""
    key = [split.held_out_kind, split.seed, split.shots, options.inner_steps, NORMALS]
    file = options.out / ("-".join(map(str, key)) + ".json")
    done: dict[str, Curve] = json.loads(file.read_text()) if file.exists() else {}
    if set(done) != set(VARIANTS):
        features = TablePreprocessor().fit(material.table.take(split.train).features)
        X = features.transform(material.table.take(split.fit_rows).features)
        taught = split.fit_labels(material.labels)
        for name, settings in VARIANTS.items():
            model = MultiDirectionalMeta(
                calibration_fraction=0.0, seed=split.seed, inner_steps=options.inner_steps, **settings
            ).fit(X, taught.y, kinds=taught.kinds)
            done[name] = [model.history_[part].tolist() for part in ("left_out_auroc", "known_auroc")]
        file.write_text(json.dumps(done))
    return done
