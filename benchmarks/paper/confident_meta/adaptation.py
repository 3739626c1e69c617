"""How long five steps of adaptation take on twenty pictures whose features are there."""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from document import markdown
from pictures import REFERENCES, prepared, world

from unseen.detectors.images import ConfidentMetaPatches


def adaptation(options: argparse.Namespace) -> str:
    """Seconds of five steps on twenty pictures, two threads."""
    at = world(options, "screw", 0)
    detector = prepared(ConfidentMetaPatches(device="cpu", epochs=1), at.V.shape[2] - 2)
    assert isinstance(detector, ConfidentMetaPatches)
    detector._fit(at.V, at.labels)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    rows = []
    for steps in (0, 1, 5):
        detector.adaptation_steps = steps
        wall, processor = [], []
        for _ in range(5):
            began, busy = time.perf_counter(), time.process_time()
            detector._remember(at.references)
            wall.append(time.perf_counter() - began)
            processor.append(time.process_time() - busy)
        rows.append([str(steps), f"{min(wall):.2f}", f"{np.median(wall):.2f}", f"{min(processor):.2f}"])
    torch.set_num_threads(threads)
    header = ["steps", "best wall time, s", "median wall time, s", "processor time, s"]
    foot = f"{REFERENCES} pictures, two threads, five repeats; other programs were running."
    return f"{markdown(header, rows)}\n\n{foot}"
