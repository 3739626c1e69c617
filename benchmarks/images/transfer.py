"""Value-order decomposition trained on some parts, judged on others, beside detectors without training.

::

    python benchmarks/images/transfer.py --source DIR... --target DIR... --references 2 4 8 --cache FOLDER \\
        --models FOLDER --out FILE

What pictures are ranked by and how the layer is trained are chosen on the sources alone: each source category
is left out in turn, the layer is trained on the others (a single source: on every second kind of its defects
and half of its normals, judged by the rest) and judged with several draws of 4 references of what was left
out; the pair with the highest mean of image and pixel AUROC is taken. Then one layer is trained for each row
on all source categories (their normals and, as queries, their anomalies with masks); targets give references
only. ``--textures`` adds pictures of textures as sources: each, cut into four, is a category with made-up
defects. ``--rows ResAD`` chooses a rate for ResAD and trains it in the same way. One line of JSON a row,
target, K and seed, and one a candidate, left-out part and draw; what is in the file is not run again.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from few_shot import ROWS, finished, judge, record, references
from PIL import Image
from tables import margin_table, selection_table, source_means, transfer_table, write_block

from unseen.data.images import ImageSet, concat_images, read_images
from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.detectors.images import BaseImageDetector, ResADPatches, ValueOrder
from unseen.persistence import load, save

TRAINED: dict[str, dict[str, Any]] = {
    "value order": {},
    "without sorting": {"sorting": False},
    "without S_n": {"use_normal": False},
    "without S_a": {"use_abnormal": False},
}
UNTRAINED: dict[str, dict[str, Any]] = {
    "without adaptation": {"adaptation": False},
    "without adaptation, sorting": {"adaptation": False, "sorting": False},
    "without adaptation, S_n": {"adaptation": False, "use_normal": False},
    "without adaptation, S_n, sorting": {"adaptation": False, "use_normal": False, "sorting": False},
}
"""Rows of value-order decomposition; the last two are its value projection alone, sorted and not."""

REAL = "real abnormal references"
RES_AD = "ResAD"
WITH_TEXTURES = ", with textures"
SELECTION, SELECTION_RES_AD = "selection", "selection of ResAD"
RIVALS = ("cosine", "residual norm", "PatchCore", "PaDiM", "SPADE", "PCA residual")
BY_NORMAL = {"picture_score": "normal"}
CANDIDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "without adaptation": ("without adaptation", {}),
    "value order": ("value order", {}),
    "value order, with textures": ("value order, with textures", {}),
    "without adaptation, pictures by S_n": ("without adaptation", BY_NORMAL),
    "pictures by S_n": ("value order", BY_NORMAL),
    "pictures by S_n, trained by it": ("without S_a", {**BY_NORMAL, "use_abnormal": True}),
    "pictures by S_n, with textures": ("value order, with textures", BY_NORMAL),
    "pictures by S_n, trained by it, with textures": (
        "without S_a, with textures",
        {**BY_NORMAL, "use_abnormal": True},
    ),
}
"""What the sources choose between: name of the row → its layer, and what changes in scoring."""

SEVERAL = (*CANDIDATES, "without S_a", RES_AD)
"""Rows at every number of references; all others at 4 only."""

_NO_TRAINING = 0.0


def some_of(images: ImageSet, most: int, seed: int) -> ImageSet:
    """At most so many normal and so many anomalous pictures."""
    draw = np.random.default_rng(seed)
    places = [np.flatnonzero(images.labels.y == label) for label in (0, 1)]
    return images.take(np.sort(np.concatenate([draw.permutation(rows)[:most] for rows in places])))


class Study:
    """What the runs share: the arguments, the results so far and the layers trained so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.began = time.perf_counter()
        self.rows = finished(options.out)
        self.shared: dict[str, Any] = {
            "image_size": options.size,
            "strides": tuple(options.strides),
            "cache_dir": options.cache,
            "device": "cpu",
            "calibration_folds": 0,
        }
        self.source = "+".join(folder.name for folder in options.source)
        self.whole = [read_images(folder) for folder in options.source]
        self.parts = [some_of(images, options.source_images, 0) for images in self.whole]

    def known(self, where: dict[str, Any]) -> dict[str, Any] | None:
        """The result of a run, if there is one."""
        return next((row for row in self.rows if all(row.get(k) == v for k, v in where.items())), None)

    def keep(self, row: dict[str, Any]) -> None:
        """Write a result down; stop if the time is over."""
        self.rows.append(row)
        record(row, self.options.out)
        if time.perf_counter() - self.began > self.options.seconds:
            raise SystemExit(0)

    def textures(self) -> list[ImageSet]:
        """Further sources: some pictures of each folder of textures, each a category."""
        folders = sorted(path for path in self.options.textures.iterdir() if path.is_dir())
        some = [sorted(folder.glob("*.jpg"))[: self.options.texture_images] for folder in folders]
        kept = self.options.models / "quarters"
        return [quarters(picture, kept / picture.stem) for pictures in some for picture in pictures]

    def trained(self, images: ImageSet, made: BaseImageDetector, name: str) -> BaseImageDetector:
        """A detector trained on pictures; from the disk, if it is there."""
        folder = self.options.models / name.replace(", ", " ").replace(" ", "_")
        if folder.exists():
            return load(folder)  # type: ignore[return-value]
        made.fit(images)
        folder.parent.mkdir(parents=True, exist_ok=True)
        save(made, folder)
        return made

    def value_order(self, name: str, lr: float) -> ValueOrder:
        """The layer of a row, not fitted; with a rate of 0 it is not trained."""
        options, switches = self.options, TRAINED.get(name.removesuffix(WITH_TEXTURES), {})
        return ValueOrder(
            epochs=options.epochs,
            episodes=options.episodes,
            episode_batch=options.episode_batch,
            n_references=options.training_references,
            training_patches=options.training_patches,
            lr=lr if lr > _NO_TRAINING else 1e-4,
            **{**self.shared, **switches, **({} if lr > _NO_TRAINING else {"adaptation": False})},
        )

    def res_ad(self, lr: float) -> ResADPatches:
        """ResAD, not fitted; with a rate of 0 it is not trained."""
        return ResADPatches(
            n_references=self.options.training_references,
            training_patches=self.options.training_patches,
            **self.shared,
            **({"lr": lr} if lr > _NO_TRAINING else {"epochs": 0}),
        )


def left_out(study: Study) -> Iterator[tuple[str, ImageSet, ImageSet]]:
    """Name, pictures to train on and pictures to judge with each part left out."""
    parts, most = study.parts, study.options.judged_images
    if len(parts) > 1:
        for place, part in enumerate(parts):
            others = concat_images([other for i, other in enumerate(parts) if i != place])
            yield str(part.labels.domains[0]), others, some_of(study.whole[place], most, 2)
        return
    (part,), (whole,) = parts, study.whole
    kinds = sorted(set(part.labels.kinds[part.labels.anomaly]))
    for first in (0, 1):
        normal = np.flatnonzero(part.labels.normal)
        half = np.isin(np.arange(len(part)), normal[first::2])
        other = part.labels.anomaly & ~np.isin(part.labels.kinds, kinds[first::2])
        shown = part.take(other | half)
        seen = [str(shown.path(i)) for i in range(len(shown))]
        fresh = ~np.isin([str(whole.path(i)) for i in range(len(whole))], seen)
        judged = fresh & (whole.labels.normal | np.isin(whole.labels.kinds, kinds[first::2]))
        yield "+".join(kinds[first::2]), shown, some_of(whole.take(judged), most, 2)


def best_rates(
    study: Study,
    make: Callable[[str, float], BaseImageDetector],
    candidates: Mapping[str, tuple[str, dict[str, Any]]],
    rates: Mapping[str, Sequence[float]],
    stage: str,
) -> dict[str, float]:
    """The learning rate of each layer that is best on the sources, each part left out in turn."""
    for part, shown, judged in left_out(study):
        for row, (layer, switches) in candidates.items():
            for lr in rates.get(layer, ()):
                name = f"{study.source} less {part} {layer} {lr:g}"
                where = {"stage": stage, "source": study.source, "category": part, "detector": row, "lr": lr}
                seen = [shown, *(study.textures() if layer.endswith(WITH_TEXTURES) else [])]
                judge_source(study, where, judged, seen, make(layer, lr), name, switches)
    means = source_means(study.rows, stage)
    print("# on the sources:", {key: round(mean, 4) for key, mean in means.items()})
    rows = {layer: [row for row, (of, _) in candidates.items() if of == layer] for layer in rates}
    return {
        layer: max(lrs, key=lambda lr: max(means[row, lr] for row in rows[layer]))
        for layer, lrs in rates.items()
    }


def judge_source(
    study: Study,
    where: dict[str, Any],
    judged: ImageSet,
    seen: list[ImageSet],
    made: BaseImageDetector,
    name: str,
    switches: dict[str, Any],
) -> None:
    """Train on some sources and judge on what was left out, with several draws of 4 references of it."""
    normals = np.flatnonzero(judged.labels.normal)
    for draw in range(study.options.draws):
        if study.known(where | {"draw": draw}) is not None:
            continue
        detector = study.trained(concat_images(seen), made, name).set_params(**switches)
        chosen = np.sort(np.random.default_rng(draw).permutation(normals)[:4])
        test = judged.take(np.setdiff1d(np.arange(len(judged)), chosen))
        scores, maps = detector.adapt(judged.take(chosen)).score_and_explain(test)
        study.keep(where | {"draw": draw} | judge(test, scores, np.asarray(maps), study.options.size))


def quarters(picture: Path, folder: Path) -> ImageSet:
    """A picture of a texture, cut into four, as a category of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.open(picture).convert("RGB")
    width, height = image.width // 2, image.height // 2
    for i, (x, y) in enumerate([(0, 0), (width, 0), (0, height), (width, height)]):
        image.crop((x, y, x + width, y + height)).save(folder / f"{i}.png")
    images = read_images(folder, loose="normal")
    return ImageSet([replace(item, domain=picture.stem) for item in images.items], layout=images.layout)


def detectors(study: Study) -> dict[str, BaseImageDetector]:
    """ResAD, trained and untrained rows of value-order decomposition, before they see a target."""
    options, joined = study.options, concat_images(study.parts)
    made: dict[str, BaseImageDetector] = {}
    if RES_AD in options.rows:
        found = {"no training": ("no training", {}), RES_AD: (RES_AD, {})}
        rates = {"no training": [_NO_TRAINING], RES_AD: options.lrs}
        lr = best_rates(study, lambda _, lr: study.res_ad(lr), found, rates, SELECTION_RES_AD)[RES_AD]
        made[RES_AD] = study.trained(joined, study.res_ad(lr), f"{study.source} {RES_AD} {lr:g}")
    if not set(TRAINED) & set(options.rows):
        return made
    rates = {"without adaptation": [_NO_TRAINING], "value order": options.lrs, "without S_a": options.lrs[:1]}
    if options.textures:
        rates |= {layer: options.texture_lrs for layer, _ in CANDIDATES.values() if layer not in rates}
    rates = best_rates(study, study.value_order, CANDIDATES, rates, SELECTION)
    further = study.textures() if options.textures else []
    asked = [name for name in options.rows if name in TRAINED]
    for name in [*asked, *(layer for layer in rates if layer.endswith(WITH_TEXTURES))]:
        lr = rates.get(name, rates["value order"])
        seen = concat_images([joined, *further]) if name.endswith(WITH_TEXTURES) else joined
        made[name] = study.trained(seen, study.value_order(name, lr), f"{study.source} {name} {lr:g}")
    few = joined.take(np.flatnonzero(joined.labels.normal)[:2])
    made |= {name: ValueOrder(**study.shared, **found).fit(few) for name, found in UNTRAINED.items()}
    for row, (layer, switches) in CANDIDATES.items():
        if layer in made and row not in made:
            made[row] = copy.copy(made[layer]).set_params(**switches)
    return made


def judge_target(study: Study, made: dict[str, BaseImageDetector], folder: Path) -> None:
    """Every row on a target; rows of the ablation at 4 references only."""
    images = read_images(folder)
    test = some_of(images.split("test"), study.options.target_images, 1)
    for count in study.options.references:
        names = [name for name in made if count == "4" or name in SEVERAL]
        names += [*([REAL] if count == "4" and "value order" in made else []), *RIVALS]
        for seed in range(study.options.seeds):
            shown = references(images.split("train"), count, seed)
            for name in names:
                where = {"stage": "target", "source": study.source, "category": folder.name}
                where |= {"detector": name, "references": count, "seed": seed}
                if shown is None or study.known(where) is not None:
                    continue
                if name in RIVALS:
                    maker, parameters = ROWS[name]
                    detector = IMAGE_DETECTORS[maker](**study.shared, **parameters).fit(shown)
                    asked = test
                else:
                    detector = made["value order" if name == REAL else name].adapt(shown)
                    asked = test
                if name == REAL:
                    detector, asked = with_real(detector, test, int(count), seed)
                scores, maps = detector.score_and_explain(asked)
                study.keep(where | judge(asked, scores, np.asarray(maps), study.options.size))


def with_real(
    detector: BaseImageDetector, test: ImageSet, count: int, seed: int
) -> tuple[BaseImageDetector, ImageSet]:
    """A detector with real abnormal references, drawn from the test pictures, and the other test pictures."""
    assert isinstance(detector, ValueOrder)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(test.labels.anomaly))[:count]
    masks = [mask for place in drawn.tolist() if (mask := test.mask(place)) is not None]
    domain = str(test.labels.domains[0])
    rest = test.take(np.setdiff1d(np.arange(len(test)), drawn))
    return detector.with_abnormal(test.take(drawn), masks, domain=domain), rest


def main() -> None:
    """Choose, train once a row, then judge on every target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, nargs="+", required=True)
    parser.add_argument("--target", type=Path, nargs="+", required=True)
    parser.add_argument("--textures", type=Path, default=None, help="folder of folders of textures")
    parser.add_argument("--references", nargs="+", default=["4"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=list(TRAINED), choices=[*TRAINED, RES_AD])
    parser.add_argument("--lrs", type=float, nargs="+", default=[1e-4, 5e-4])
    parser.add_argument("--source-images", type=int, default=80, help="normals, and anomalies, of a category")
    parser.add_argument(
        "--target-images", type=int, default=1000, help="test normals, and anomalies, of a target"
    )
    parser.add_argument(
        "--judged-images", type=int, default=80, help="normals, and anomalies, of what is left out of sources"
    )
    parser.add_argument("--draws", type=int, default=3, help="draws of references of what is left out")
    parser.add_argument("--texture-images", type=int, default=4, help="pictures of a folder of textures")
    parser.add_argument("--texture-lrs", type=float, nargs="+", default=[5e-4], help="rates with textures")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--episode-batch", type=int, default=8)
    parser.add_argument("--training-references", type=int, default=8)
    parser.add_argument("--training-patches", type=int, default=256)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--strides", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--cache", default=None, help="folder where features are kept")
    parser.add_argument("--models", type=Path, required=True, help="folder where trained layers are kept")
    parser.add_argument("--out", type=Path, default=None, help="results; what is there is not run again")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--write", metavar="BLOCK", help="put the tables into this block of the docs page")
    study = Study(parser.parse_args())
    if study.options.seconds > 0:
        made = detectors(study)
        for folder in study.options.target:
            judge_target(study, made, folder)
    if study.options.write:
        stages = {row["stage"] for row in study.rows}
        tables = [selection_table(study.rows, s) for s in (SELECTION, SELECTION_RES_AD) if s in stages]
        if "target" in stages:
            if SELECTION in stages:
                tables.append(margin_table(study.rows, list(CANDIDATES), RIVALS))
            tables.append(transfer_table(study.rows))
        text = "\n\n".join(tables)
        write_block("methods/value_order.md", study.options.write, text)


if __name__ == "__main__":
    main()
