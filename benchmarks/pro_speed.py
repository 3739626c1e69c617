"""Time of the per-region overlap beside plain references, and how far the figures differ.

::

    python benchmarks/pro_speed.py                       # 100 maps of 448 x 448, one thread

References, both written as the definition reads:

- ``sorted``: all pixels of all pictures are sorted by score with their labels, false-positive rate and
  overlap are cumulated pixel by pixel, ties are merged, and the curve is integrated by the trapezoidal rule.
  Exact.
- ``thresholds``: a loop over 200 thresholds that compares every region of every picture. Approximate (it is
  the form that most code has); only its time is of interest.

Ours gives pixel AUROC and pixel F1-max in the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseen.metrics.localisation import localisation

LIMIT = 0.3

Masks: TypeAlias = list[NDArray[np.bool_]]
Maps: TypeAlias = list[NDArray[np.float32]]


def made_up(
    n_images: int, size: int, seed: int = 0
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.float32]]]:
    """Return masks with 0 to 3 round defects and smooth noisy maps that find them moderately well."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    masks, maps = [], []
    for _ in range(n_images):
        mask = np.zeros((size, size), dtype=np.bool_)
        for _ in range(rng.integers(0, 4)):
            y, x = rng.integers(0, size, 2)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < rng.integers(3, size // 8) ** 2
        noise = rng.standard_normal((size, size)) + 1.5 * mask * rng.random()
        masks.append(mask)
        maps.append(ndimage.gaussian_filter(noise, 2).astype(np.float32))
    return masks, maps


def plain_pro(masks: Masks, maps: Maps, limit: float = LIMIT) -> float:
    """Return the normalised area under the exact curve of overlap against false-positive rate."""
    labelled = [ndimage.label(mask, structure=np.ones((3, 3)))[0] for mask in masks]
    n_regions = sum(int(labels.max()) for labels in labelled)
    n_normal = sum(int((~mask).sum()) for mask in masks)
    overlap_step, false_step = [], []
    for labels in labelled:
        step = np.zeros(labels.shape)
        for region in range(1, labels.max() + 1):
            inside = labels == region
            step[inside] = 1.0 / (inside.sum() * n_regions)
        overlap_step.append(step.ravel())
        false_step.append((labels == 0).ravel() / n_normal)
    scores = np.concatenate([values.ravel() for values in maps])
    order = np.argsort(scores)[::-1]
    overlap = np.cumsum(np.concatenate(overlap_step)[order])
    false_rate = np.cumsum(np.concatenate(false_step)[order])
    ordered = scores[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    overlap = np.concatenate([[0.0], overlap[last_of_tie]])
    false_rate = np.concatenate([[0.0], false_rate[last_of_tie]])
    at_limit = np.interp(limit, false_rate, overlap)
    kept = false_rate <= limit
    return float(np.trapezoid(np.append(overlap[kept], at_limit), np.append(false_rate[kept], limit)) / limit)


def threshold_loop(
    masks: list[NDArray[np.bool_]], maps: list[NDArray[np.float32]], steps: int = 200
) -> float:
    """Return the area from a loop over equally spaced thresholds."""
    labelled = [ndimage.label(mask, structure=np.ones((3, 3)))[0] for mask in masks]
    low, high = min(v.min() for v in maps), max(v.max() for v in maps)
    rates, overlaps = [], []
    for threshold in np.linspace(high, low, steps):
        covered, false_alarms, normals = [], 0, 0
        for labels, values in zip(labelled, maps, strict=True):
            flagged = values >= threshold
            covered.extend(flagged[labels == region].mean() for region in range(1, labels.max() + 1))
            false_alarms += int(flagged[labels == 0].sum())
            normals += int((labels == 0).sum())
        rates.append(false_alarms / normals)
        overlaps.append(np.mean(covered))
    kept = np.array(rates) <= LIMIT
    return float(np.trapezoid(np.array(overlaps)[kept], np.array(rates)[kept]) / LIMIT)


def timed(call: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Return the result and the smallest processor time of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return result, min(times)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-loop", action="store_true", help="leave the slow threshold loop out")
    options = parser.parse_args()
    masks, maps = made_up(options.images, options.size)
    ours, our_seconds = timed(lambda: localisation(masks, maps).pro, options.repeats)
    plain, plain_seconds = timed(lambda: plain_pro(masks, maps), options.repeats)
    counted, counted_seconds = timed(lambda: localisation(masks, maps, bins=2**20).pro, options.repeats)
    report = {
        "images": options.images,
        "size": options.size,
        "pro": ours,
        "difference_to_sorted": abs(ours - plain),
        "difference_with_bins": abs(counted - ours),
        "seconds": our_seconds,
        "seconds_with_bins": counted_seconds,
        "seconds_sorted": plain_seconds,
        "times_faster_than_sorted": plain_seconds / our_seconds,
    }
    if not options.skip_loop:
        loop, loop_seconds = timed(lambda: threshold_loop(masks, maps), 1)
        report |= {
            "pro_of_loop": loop,
            "seconds_loop": loop_seconds,
            "times_faster_than_loop": loop_seconds / our_seconds,
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
