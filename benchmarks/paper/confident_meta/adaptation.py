"""How long adaptation to twenty pictures takes, and scoring, with their features there."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from document import markdown
from pictures import made
from worlds import REFERENCES, World, world

from unseen.detectors.images import ConfidentMetaPatches
from unseen.detectors.images.base import Memory
from unseen.nn.confident_network import vector_of

REPEATS = 5
SCORED = 16


def adaptation(options: argparse.Namespace) -> str:
    """Seconds of five steps on twenty pictures, and of scoring, two threads."""
    at = world(options, "screw", 0)
    detector = made({"epochs": 1}, at, 0)
    detector._fit(at.V, at.labels)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    rows = []
    for steps in (0, 1, 5):
        detector.adaptation_steps = steps
        rows.append([f"{steps} steps", *_times(lambda: detector._remember(at.references))])
    rows += _scoring(detector, at)
    torch.set_num_threads(threads)
    header = ["", "best wall time, s", "median wall time, s", "processor time, s"]
    foot = (
        f"Steps: {REFERENCES} pictures. Scoring: {SCORED} pictures. Two threads, {REPEATS} repeats, other "
        "programs were running."
    )
    return f"{markdown(header, rows)}\n\n{foot}"


def _scoring(detector: ConfidentMetaPatches, at: World) -> list[list[str]]:
    zero: Memory = {
        "weights": vector_of(dict(detector.network_.named_parameters())),
        "prototypes": np.zeros((0, detector.latent), np.float32),
        "references": np.zeros((0, at.V.shape[2] - 2), np.float32),
    }
    rows = []
    for name, memory in (("zero-shot", zero), ("with references", detector._remember(at.references))):
        tensors = {key: torch.from_numpy(values) for key, values in memory.items()}
        times = _times(lambda tensors=tensors: detector._scores_by(at.test[:SCORED], tensors))
        rows.append([f"scoring, {name}", *times])
    return rows


def _times(function: Callable[[], object]) -> list[str]:
    wall, processor = [], []
    for _ in range(REPEATS):
        began, busy = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
    return [f"{min(wall):.2f}", f"{np.median(wall):.2f}", f"{min(processor):.2f}"]
