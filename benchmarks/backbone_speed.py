"""Pictures per second of the embedded backbone, by engine and precision, and how far the features differ.

::

    python benchmarks/backbone_speed.py --size 256 --strides 8 16

Random pictures, batches of 16; the smallest time of several runs, as wall time and as processor time. The
difference is the norm of the difference to torch in float32 over the norm of the latter, the largest over
strides.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from unseen.nn.backbones import Backbone, FeatureMaps, extract, load_backbone

BATCH = 16
WAYS = (("torch", "float32"), ("torch", "bfloat16"), ("onnx", "float32"))


def measure(
    backbone: Backbone, pictures: np.ndarray, size: int, strides: tuple[int, ...], repeats: int
) -> tuple[FeatureMaps, float, float]:
    """Return the maps and the smallest wall and processor seconds."""
    maps = extract(backbone, pictures[:BATCH], size, strides, batch_size=BATCH)
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        maps = extract(backbone, pictures, size, strides, batch_size=BATCH)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return maps, min(walls), min(processors)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--strides", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (options.images, options.size, options.size, 3), dtype=np.uint8)
    strides = tuple(options.strides)
    report: dict[str, object] = {"threads": torch.get_num_threads(), "size": options.size, "strides": strides}
    exact: FeatureMaps = {}
    for engine, precision in WAYS:
        backbone = load_backbone(device="cpu", engine=engine, precision=precision)
        maps, wall, processor = measure(backbone, pictures, options.size, strides, options.repeats)
        exact = exact or maps
        difference = max(float((maps[s] - exact[s]).norm() / exact[s].norm()) for s in strides)
        report[f"{engine} {precision}"] = {
            "images_per_second": round(options.images / wall, 1),
            "images_per_processor_second": round(options.images / processor, 1),
            "relative_difference": difference,
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
