"""How much sorted residuals could tell at most: a linear judge of patches that learns from the target itself.

::

    python benchmarks/images/value_limits.py DIR... --cache FOLDER --out FILE

Residuals of the test pictures to the nearest reference patches, 4 references; the test pictures of each kind
are dealt into two halves, and a logistic regression on log residuals of the patches of one half, sorted or by
channel, judges the other half. No detector may do that: it bounds what a judge of single patches that was
trained elsewhere can reach. The column "own defects" names what it sees.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from few_shot import finished, judge, record, references
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tables import few_shot_table, write_block
from transfer import some_of

from unseen.data.images import ImageSet, read_images
from unseen.detectors.images.looking import Seeing
from unseen.nn.patches import nearest_by_cosine, score_images, top_mean
from unseen.nn.patches.value_order import value_component

SIZE = 256
_PATCHES = 12_000
N_WAYS = 4


def seen(images: ImageSet, cache: str | None) -> NDArray[np.float32]:
    """Patch features (n_pictures, channels, height, width)."""
    seeing = Seeing("efficientnet-lite0", SIZE, (8, 16), 1, 16, cache, "cpu", "all")
    return np.concatenate([V[:, 0, :-2] for _, V in seeing.looks(images)])


def compared(images: ImageSet, shown: ImageSet, cache: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """1 - cosine (n_pictures, height, width) and residuals (n_pictures, height, width, channels)."""
    patches = torch.from_numpy(np.moveaxis(seen(shown, cache), 1, -1).copy()).flatten(0, 2)
    features = torch.from_numpy(np.moveaxis(seen(images, cache), 1, -1).copy())
    found = nearest_by_cosine(features.flatten(0, 2), torch.nn.functional.normalize(patches, dim=1))
    residuals = (features.flatten(0, 2) - patches[found.places]).abs()
    return (1 - found.values).reshape(features.shape[:3]), residuals.reshape(features.shape)


def halves(images: ImageSet) -> NDArray[np.int64]:
    """0 or 1 for each picture, each kind dealt evenly."""
    half = np.zeros(len(images), dtype=np.int64)
    for kind in sorted(set(images.labels.kinds)):
        rows = np.flatnonzero(images.labels.kinds == kind)
        half[rows] = np.arange(len(rows)) % 2
    return half


def own_judge(images: ImageSet, inputs: torch.Tensor) -> torch.Tensor:
    """Log odds of each patch by a linear judge of the other half, shifted so that the least is 0."""
    shares = np.stack([shrunk(images.mask(i, size=SIZE), inputs.shape[1:3]) for i in range(len(images))])
    half, scores = halves(images), torch.empty(inputs.shape[:3])
    for number in (0, 1):
        rows, target = inputs[half != number].flatten(0, 2).numpy(), shares[half != number].ravel()
        draw = np.random.default_rng(number)
        abnormal, normal = np.flatnonzero(target > 0.5), np.flatnonzero(target == 0)
        chosen = np.concatenate([draw.permutation(some)[: _PATCHES // 2] for some in (abnormal, normal)])
        scale = StandardScaler().fit(rows[chosen])
        model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=100)
        model.fit(scale.transform(rows[chosen]), target[chosen] > 0.5)
        weights = torch.from_numpy((model.coef_[0] / scale.scale_).astype(np.float32))
        scores[torch.from_numpy(half == number)] = inputs[half == number] @ weights
    return scores - scores.min()


def shrunk(mask: NDArray[np.bool_] | None, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each patch under a mask."""
    if mask is None:
        return np.zeros(grid, dtype=np.float32)
    values = torch.from_numpy(mask.astype(np.float32))[None]
    return np.asarray(torch.nn.functional.adaptive_avg_pool2d(values, grid)[0].numpy())


def run(folder: Path, count: str, seed: int, options: argparse.Namespace) -> None:
    """Judge one category from one choice of references, one line a way of judging."""
    images = read_images(folder)
    test = some_of(images.split("test"), options.target_images, 1)
    shown = references(images.split("train"), count, seed)
    assert shown is not None
    cosines, residuals = compared(test, shown, options.cache)
    values = value_component(residuals.flatten(0, 2)).reshape(residuals.shape)
    ways = {
        "cosine": cosines,
        "residual norm": residuals.norm(dim=3),
        "own defects, sorted residuals": own_judge(test, (values + 0.1).log()),
        "own defects, residuals by channel": own_judge(test, (residuals + 0.1).log()),
    }
    for name, patches in ways.items():
        maps = score_images(patches, (SIZE, SIZE), 4.0 * SIZE / 448).numpy()
        figures = judge(test, top_mean(patches, 0.01).double().numpy(), maps, SIZE)
        where = {"category": folder.name, "detector": name, "references": count, "seed": seed}
        record(where | figures, options.out)


def main() -> None:
    """Judge what is not in the file of results, then write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", nargs="+", default=["4"])
    parser.add_argument("--seeds", type=int, default=3, help="choices of references")
    parser.add_argument("--target-images", type=int, default=60, help="test normals, and anomalies")
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--out", type=Path, default=None, help="results; what is there is not run again")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no run after this time")
    parser.add_argument("--write", metavar="BLOCK", help="put the table into this block of the docs page")
    options = parser.parse_args()
    began = time.perf_counter()
    for count in options.references:
        for folder in options.folders:
            for seed in range(options.seeds):
                known = [(row["category"], row["references"], row["seed"]) for row in finished(options.out)]
                if known.count((folder.name, count, seed)) < N_WAYS:
                    if time.perf_counter() - began > options.seconds:
                        return
                    run(folder, count, seed, options)
    if options.write:
        rows = finished(options.out)
        names = list(dict.fromkeys(row["detector"] for row in rows))
        write_block("methods/value_order.md", options.write, few_shot_table(rows, names, options.references))


if __name__ == "__main__":
    main()
