"""Seconds of a fit on 10 000 normals of NSL-KDD with 30 labelled rows, and of scoring a row."""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from document import markdown
from flows import NSL_NORMALS, read_nsl_kdd

from unseen.data import TablePreprocessor
from unseen.detectors import DETECTORS
from unseen.evaluation import gather
from unseen.protocols import leave_one_kind_out

BATCH = 4096
WITHOUT_NETWORK = ("k-nearest-neighbours", "mahalanobis", "isolation-forest", "boosted-trees")


def speed(options: argparse.Namespace) -> str:
    """Time every detector with a network; scoring is the best of several batches."""
    torch.set_num_threads(options.threads)
    material = gather(*read_nsl_kdd(options.data))
    (split,) = leave_one_kind_out(
        material.labels,
        shots=options.shots,
        seeds=[0],
        test_rows=material.test_rows,
        max_normals=NSL_NORMALS,
        calibration_fraction=0.0,
        held_out_kinds=["u2r"],
    )
    taught = split.fit_labels(material.labels)
    preprocessor = TablePreprocessor().fit(material.table.take(split.train).features)
    X = preprocessor.transform(material.table.take(split.fit_rows).features)
    batch = preprocessor.transform(material.table.take(split.test[:BATCH]).features)
    lines = []
    for name in options.detectors:
        if name in WITHOUT_NETWORK:
            continue
        start = time.perf_counter()
        model = DETECTORS[name](seed=0).fit(X, taught.y, kinds=taught.kinds)
        fit = time.perf_counter() - start
        per_row = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            model.decision_function(batch)
            per_row.append((time.perf_counter() - start) / len(batch) * 1e6)
        lines.append([name, f"{fit:.1f}", f"{np.min(per_row):.1f}"])
        print(" | ".join(lines[-1]), flush=True)
    note = (
        f"{len(X)} rows of {X.shape[1]} features, {options.threads} thread(s), {os.cpu_count()} cores, "
        f"scoring: best of {options.repeats} batches of {BATCH} rows; other programs were running."
    )
    return f"{markdown(['detector', 'fit, s', 'score, µs a row'], lines)}\n\n{note}"
