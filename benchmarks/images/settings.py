"""Which settings help a part: asked of its training normals, and of its test pictures beside them.

::

    python benchmarks/images/settings.py DIR... --out FILE

For each setting a detector sees ``--references`` references. First it judges other training normals and
copies of further ones with a small made-up defect on the part (``unseen.nn.synthetic``, 1 % of the picture
before it is cut to the part, opacity .2 to .8): no test picture is seen. Then it judges test pictures, at
most ``--pictures`` normal and as many anomalous ones. One line of JSON a category and setting.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from few_shot import finished, judge, record, references
from numpy.typing import NDArray
from tables import markdown, write_block
from transfer import some_of

from unseen.data.images import ImageSet, read_images
from unseen.detectors.images import NearestNeighbourPatches
from unseen.metrics import LocalisationMeter, auroc
from unseen.nn.synthetic import SyntheticAnomalies
from unseen.pixels import resize_mask

NORM: dict[str, Any] = {"score": "residual-norm"}
SETTINGS: dict[str, dict[str, Any]] = {
    "residual norm": NORM,
    "cosine": {},
    "stride 8": NORM | {"strides": (8,)},
    "stride 16": NORM | {"strides": (16,)},
    "strides 8, 16, 32": NORM | {"strides": (8, 16, 32)},
    "pool 3": NORM | {"pool": 3},
    "smoothing 8": NORM | {"smoothing": 8.0},
    "spread references": NORM,
    "8 rotations": NORM | {"rotations": 8},
    "8 rotations, stride 8": NORM | {"rotations": 8, "strides": (8,)},
    "8 rotations, spread references": NORM | {"rotations": 8},
}
"""Changes to the residual norm at 256 pixels and strides 8 and 16. Spread: each reference the normal that is
farthest from those before it, by its colours at 32 x 32 pixels."""

SIDE = 512


def spread_references(normals: ImageSet, count: int) -> ImageSet:
    """Normals that are far from one another, greedily, by their colours at 32 x 32 pixels."""
    rows = [batch.images for batch in normals.iterate(16, size=32)]
    points = torch.from_numpy(np.concatenate(rows).reshape(len(normals), -1)).float()
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(torch.cdist(points, points[chosen]).amin(dim=1).argmax()))
    return normals.take(np.array(chosen))


def made_up(
    normals: ImageSet, most: int
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Pictures, masks and labels: normals, and other normals with a defect."""
    pictures = np.concatenate(
        [batch.images for batch in normals.take(np.arange(2 * most)).iterate(16, size=SIDE)]
    )
    make = SyntheticAnomalies(share=0.01, exponents=(2, 5), opacity=(0.2, 0.8), foreground="estimate")
    images, masks = [], []
    for place, image in enumerate(pictures):
        if place < len(pictures) // 2:
            images.append(image)
            masks.append(np.zeros((SIDE, SIDE), dtype=np.bool_))
        else:
            found = make(image, np.random.default_rng(place))
            images.append(found.image)
            masks.append(found.mask)
    return images, masks, (np.arange(len(pictures)) >= len(pictures) // 2).astype(np.int64)


def judged(masks: list[NDArray[np.bool_]], y: NDArray[np.int64], scores: Any, maps: Any) -> dict[str, float]:
    """Image and pixel figures of pictures in memory."""
    meter = LocalisationMeter(bins=2**20)
    for mask, values in zip(masks, maps, strict=True):
        meter.add(resize_mask(mask, values.shape), values, "made up" if mask.any() else "normal")
    found = meter.overall()
    return {"image_auroc": auroc(y, scores), "pixel_auroc": found.auroc, "pro": found.pro}


def run(folder: Path, options: argparse.Namespace) -> None:
    """Every setting of one category that is not in the file of results."""
    known = {(row["category"], row["setting"]) for row in finished(options.out)}
    images = read_images(folder)
    normals = images.split("train")
    first = references(normals, str(options.references), 0)
    assert first is not None, f"{folder} has too few normal pictures"
    spread = spread_references(normals, options.references)
    shown = {str(some.path(i)) for some in (first, spread) for i in range(len(some))}
    others = np.array([i for i in range(len(normals)) if str(normals.path(i)) not in shown])
    others = np.random.default_rng(0).permutation(others)
    asked = made_up(normals.take(others), min(options.normals, len(others) // 2))
    test = some_of(images.split("test"), options.pictures, 1)
    for name, parameters in SETTINGS.items():
        if (folder.name, name) in known:
            continue
        given = spread if "spread" in name else first
        detector = NearestNeighbourPatches(calibration_folds=0, device="cpu", **parameters).fit(given)
        pictures, masks, y = asked
        found = judged(masks, y, *detector.score_and_explain(pictures))
        row: dict[str, Any] = {"category": folder.name, "setting": name}
        row |= {f"made up {key}": value for key, value in found.items()}
        size = parameters.get("image_size", 256)
        row |= judge(test, *detector.score_and_explain(test), size)
        record(row, options.out)


def table(rows: list[dict[str, Any]]) -> str:
    """One line a setting; two columns a category: made-up defects on training normals, and the test."""
    categories = list(dict.fromkeys(row["category"] for row in rows))
    lines = []
    for name in SETTINGS:
        cells = []
        for category in categories:
            some = [row for row in rows if row["category"] == category and row["setting"] == name]
            for before in ("made up ", ""):
                keys = [f"{before}{key}" for key in ("image_auroc", "pixel_auroc", "pro")]
                found = (
                    [f"{some[0][key]:.3f}".removeprefix("0") for key in keys]
                    if some and keys[0] in some[0]
                    else []
                )
                cells.append(" / ".join(found))
        lines.append([name, *cells])
    header = [f"{c.replace('_', ' ')}, {what}" for c in categories for what in ("made up", "test")]
    return markdown(["setting", *header], lines)


def main() -> None:
    """Run what is missing, then write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--references", type=int, default=8)
    parser.add_argument("--normals", type=int, default=30, help="normals, and made-up defects, asked about")
    parser.add_argument("--pictures", type=int, default=60, help="test normals, and anomalies")
    parser.add_argument("--out", type=Path, default=None, help="results; what is there is not run again")
    parser.add_argument("--write", metavar="BLOCK", help="put the table into this block of the docs page")
    options = parser.parse_args()
    for folder in options.folders:
        run(folder, options)
    if options.write:
        write_block("methods/value_order.md", options.write, table(finished(options.out)))


if __name__ == "__main__":
    main()
