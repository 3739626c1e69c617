"""What multi-cue detection costs: training one category, and scoring beside the backbone's own forward.

::

    python benchmarks/images/multi_cue_cost.py DIR --normals 200 --write

DIR is a category in MVTec layout. Nothing is kept from an earlier run: features and made-up defects count.
Processor seconds are those of all threads.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from unseen.data.images import concat_images, read_images
from unseen.detectors.images import MultiCue
from unseen.nn.backbones import iterate_features, load_backbone

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "paper"))
from document import markdown, write_block


def main() -> None:
    """Train, score, and print both costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--normals", type=int, default=200)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--scored", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--inputs", default=None, help="what the heads see; the default of the detector")
    parser.add_argument("--write", action="store_true", help="put the table into docs/methods/multi_cue.md")
    options = parser.parse_args()
    images = read_images(options.folder)
    test = images.split("test")
    shown = test.take(np.flatnonzero(test.labels.y == 1)[: options.shots])
    pictures = concat_images([images.split("train")[: options.normals], shown])
    parameters = {} if options.inputs is None else {"inputs": options.inputs}
    detector = MultiCue(image_size=options.size, calibration_folds=0, device="cpu", **parameters)
    began = time.perf_counter(), time.process_time()
    detector.fit(pictures)
    fitted = time.perf_counter() - began[0], time.process_time() - began[1]

    scored = test[: options.scored]
    backbone = load_backbone(detector.backbone, device="cpu")
    began = time.perf_counter(), time.process_time()
    for _ in iterate_features(backbone, scored, options.size, detector.strides):
        pass
    forward = time.process_time() - began[1]
    began = time.perf_counter(), time.process_time()
    detector.score_and_explain(scored)
    scoring = time.process_time() - began[1]
    began = time.perf_counter(), time.process_time()
    detector.localise(scored[:8])
    gradients = time.process_time() - began[1]

    each = 1000 / len(scored)
    rows = [
        ["normals and labelled anomalies", f"{len(pictures) - len(shown)} + {len(shown)}"],
        ["threads", str(torch.get_num_threads())],
        ["training, seconds", f"{fitted[0]:.0f}"],
        ["training, processor seconds", f"{fitted[1]:.0f}"],
        ["reading and backbone, processor ms a picture", f"{forward * each:.1f}"],
        ["scores and maps, processor ms a picture", f"{scoring * each:.1f}"],
        ["gradient maps, processor ms a picture", f"{gradients * 1000 / 8:.0f}"],
    ]
    text = markdown(["", f"{options.folder.name}, {options.size} pixels"], rows)
    print(text)
    if options.write:
        write_block("methods/multi_cue.md", "multi-cue-cost", text)


if __name__ == "__main__":
    main()
