"""How near to look for novelty where no domains are named: inside training rows, without any test row.

``looks``: a third of the training normals is left out, drawn at random (*fresh*) or in regions (*drifted*:
cells of k-means, the normals that the fit left out among a few of the usual ones), and set against training
anomalies that no score has seen: all kinds of NSL-KDD's training file, the labelled rows of the splits of
CIC-IDS2017 and of ADBench with 50 labels.
``references``: a region (*moved*) or a random third of the normals (*same*) is a new place, some of whose
normals are references.

    python benchmarks/novelty_looks.py looks ../shared/data --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
sys.path.insert(0, str(Path(__file__).parent / "peers"))
from data_sets import adbench
from document import markdown, write_block

from unseen.data import TablePreprocessor
from unseen.detectors.fused.choice import PLAIN_WEIGHTS, WEIGHTS_BESIDE_REFERENCES
from unseen.detectors.fused.drift import N_DRIFTED, fresh_share, regions
from unseen.detectors.fused.novelty import (
    add_references,
    cue_names,
    cue_values,
    fit_normals,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.scales import fit_scales
from unseen.metrics.ranking import auroc
from unseen.protocols import leave_one_kind_out
from unseen_detector import RARE_CIC_KINDS, prepared, read

PAGE = "decisions/0006-labels-that-never-hurt.md"
MOST_NORMALS, MOST_OF_A_KIND, MOST_JUDGED, SHOTS, K = 6_000, 500, 1_000, 50, 5
COUNTS = (8, 128, 1000)
FLOWS = {"nsl-kdd": "nsl_kdd", "cic-ids2017": "cic_ids2017"}
Weights = Mapping[str, float]

BEFORE: Weights = {"neighbours": 1.0, "local": 0.25, "covariance": 0.5, "ranks": 0.5}
ALL, BESIDE = PLAIN_WEIGHTS["all"], WEIGHTS_BESIDE_REFERENCES["all"]
LOOKS: dict[str, Weights] = {
    "nearest": {"nearest": 1.0},
    "mean of 5 (`neighbours`)": {"neighbours": 1.0},
    "5th": {"5th": 1.0},
    "mean of 20": {"mean of 20": 1.0},
    "20th": {"20th": 1.0},
    "100th": {"100th": 1.0},
    "10th of a thirtieth (`sparse`)": {"sparse": 1.0},
    "local": {"local": 1.0},
    "covariance": {"covariance": 1.0},
    "ranks": {"ranks": 1.0},
    "before: neighbours, ¼ local, ½ covariance, ½ ranks": BEFORE,
    "the same, the 5th for the mean of 5": {**BEFORE, "neighbours": 0.0, "5th": 1.0},
    "the same, the mean of 20 for that of 5": {**BEFORE, "neighbours": 0.0, "mean of 20": 1.0},
    "the same, ½ local": {**BEFORE, "local": 0.5},
    "the same, and ¾ sparse": {**BEFORE, "sparse": 0.75},
    "½ nearest, ½ neighbours, ½ local, ½ covariance, ½ ranks": {**ALL, "sparse": 0.0},
    "**the same, and ¾ sparse**": ALL,
}


class Rows:
    """Training normals and anomalies of one data set and seed."""

    def __init__(self, name: str, normals: np.ndarray, anomalies: np.ndarray, kinds: np.ndarray, seed: int):
        draw = np.random.default_rng(seed)
        self.name, self.seed = name, seed
        self.normals = normals[draw.permutation(len(normals))[:MOST_NORMALS]]
        few = [draw.permutation(np.flatnonzero(kinds == kind))[:MOST_OF_A_KIND] for kind in np.unique(kinds)]
        rows = np.concatenate(few)
        self.anomalies, self.kinds = anomalies[rows], kinds[rows]


def flows(name: str, root: Path, seeds: int) -> Iterator[Rows]:
    """Rows of NSL-KDD's training file, or labelled rows of CIC-IDS2017 (two splits know all four kinds)."""
    table, extra, kinds = read(name, root / FLOWS[name])
    labels = table.labels
    for seed in range(seeds):
        splits = leave_one_kind_out(
            labels, shots=SHOTS, seeds=[seed], max_normals=10_000, held_out_kinds=kinds, **extra
        )[:2]
        if name == "nsl-kdd":
            rows = np.flatnonzero(labels.anomaly & ~np.asarray(extra["test_rows"]))
        else:
            taught = [part for split in splits for part in (split.labelled, split.validation)]
            rows = np.unique(np.concatenate(taught))
            rows = rows[labels.anomaly[rows] & ~np.isin(labels.kinds[rows], RARE_CIC_KINDS)]
        rows_of = prepared(argparse.Namespace(dataset=name), table, splits[0].train)
        normals = splits[0].fit_rows
        normals = normals[labels.normal[normals]]
        yield Rows(name, rows_of(normals), rows_of(rows), labels.kinds[rows], seed)


def binary(root: Path, seeds: int) -> Iterator[Rows]:
    """Labelled rows of the ADBench sets."""
    for data in adbench(root):
        labels = data.table.labels
        for split in data.splits(labels, shots=SHOTS, seeds=range(seeds)):
            rows = np.concatenate([split.labelled, split.validation])
            rows = rows[labels.anomaly[rows]]
            train = data.table.take(split.train)
            preprocessor = TablePreprocessor().fit(train, np.zeros(len(split.train), dtype=np.int8))
            normals, anomalies = (
                preprocessor.transform(data.table.take(part)) for part in (split.train, rows)
            )
            yield Rows("ADBench", normals, anomalies, np.full(len(rows), data.name), split.seed)


def looks_of(rows: Rows, held: np.ndarray, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Place every cue of the normals left out and of the anomalies by a fit on the other normals."""
    V = np.concatenate([rows.normals[held], rows.anomalies])
    bank = rows.normals[~held]
    normals = fit_normals(bank, own_spread(bank, K), K)
    values = cue_values(normals, V, nearest_normals(normals, V, None))
    distances = normals.nearest(V, 100)[0]
    farther = {
        "5th": distances[:, 4],
        "mean of 20": distances[:, :20].mean(axis=1),
        "20th": distances[:, 19],
        "100th": distances[:, -1],
    }
    found = np.column_stack([values, *farther.values()])
    placed = fit_scales(found[: held.sum()][usual[held]]).place(found)
    return dict(zip((*cue_names(0), *farther), placed.T, strict=True))


def areas(rows: Rows, placed: Mapping[str, np.ndarray], weights: Weights) -> dict[str, float]:
    """AUROC of each kind; the normals are the first of the placed rows."""
    score = np.asarray(sum(weight * placed[cue] for cue, weight in weights.items() if weight))
    n_normals = len(score) - len(rows.kinds)
    normals, anomalies = score[:n_normals], score[n_normals:]
    found = {}
    for kind in np.unique(rows.kinds):
        own = anomalies[rows.kinds == kind]
        y = np.arange(n_normals + len(own)) >= n_normals
        found[str(kind)] = float(auroc(y, np.concatenate([normals, own])))
    return found


def compare_looks(rows: Rows) -> Iterator[tuple[tuple[str, str], dict[str, dict[str, float]]]]:
    """Yield, for each way to leave normals out, the AUROC of each rule and kind."""
    count, seed = len(rows.normals), rows.seed
    third = np.random.default_rng(seed).integers(0, 3, count) == 0
    part, fresh = regions(rows.normals, seed), fresh_share(count, seed)
    ways = [("fresh", third, third)]
    ways += [("drifted", (part == i) | fresh, fresh & (part != i)) for i in range(N_DRIFTED)]
    for way, held, usual in ways:
        placed = looks_of(rows, held, usual)
        yield (rows.name, way), {rule: areas(rows, placed, weights) for rule, weights in LOOKS.items()}


def beside_references(rows: Rows) -> Iterator[tuple[tuple[str, str], dict[str, dict[str, float]]]]:
    """Yield, for each new place and number of its references, the AUROC of each rule and kind."""
    count, seed = len(rows.normals), rows.seed
    draw = np.random.default_rng(seed)
    part = regions(rows.normals, seed)
    places = [("moved", part == i) for i in range(N_DRIFTED)] + [("same", draw.integers(0, 3, count) == 0)]
    for way, here in places:
        inside, outside = (draw.permutation(np.flatnonzero(mask)) for mask in (here, ~here))
        usual, bank = rows.normals[outside[:800]], rows.normals[outside[800:]]
        normals = fit_normals(bank, own_spread(bank, K), K)
        scales = fit_scales(cue_values(normals, usual, nearest_normals(normals, usual, None)))
        for n in COUNTS:
            judged = rows.normals[inside[n : n + MOST_JUDGED]]
            V = np.concatenate([judged, rows.anomalies])
            placed = {"": scales.place(cue_values(normals, V, nearest_normals(normals, V, None)))}
            for prior in (300.0, 100.0, 30.0):
                own = add_references(normals, rows.normals[inside[:n]], prior)
                near = nearest_normals(normals, V, own)
                placed[f"{prior:g}"] = scales.place(cue_values(normals, V, near, own))
            named = {key: dict(zip(cue_names(0), value.T, strict=True)) for key, value in placed.items()}
            rules = {
                "no references": ("", ALL),
                "before: neighbours, ¼ local, ½ covariance, ½ ranks, prior 300": ("300", BEFORE),
                "the same, prior 30": ("30", BEFORE),
                "the same, prior 300, local 1": ("300", {**BEFORE, "local": 1.0}),
                "weights of rows without references, prior 300": ("300", ALL),
                "**½ nearest, ½ neighbours, local 1, ½ covariance, ½ ranks, prior 300**": ("300", BESIDE),
                "the same as this, prior 100": ("100", BESIDE),
                "the same as this, prior 30": ("30", BESIDE),
            }
            yield (
                (rows.name, f"{way}, {n}"),
                {rule: areas(rows, named[key], weights) for rule, (key, weights) in rules.items()},
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["looks", "references"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    looks = options.mode == "looks"
    sources = [flows(name, options.data, options.seeds) for name in FLOWS]
    sources += [binary(options.data, options.seeds)] if looks else []
    found: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
    for source in sources:
        for rows in source:
            for column, values in (compare_looks if looks else beside_references)(rows):
                own = found.setdefault(column, defaultdict(lambda: defaultdict(list)))
                for rule, kinds in values.items():
                    for kind, value in kinds.items():
                        own[rule][kind].append(value)
            print(f"{rows.name}, seed {rows.seed}: done", file=sys.stderr, flush=True)
    lines = [
        [rule, *(f"{np.mean([np.mean(v) for v in own[rule].values()]):.3f}" for own in found.values())]
        for rule in next(iter(found.values()))
    ]
    text = markdown(["AUROC, mean over kinds", *(f"{name}, {way}" for name, way in found)], lines)
    print(text)
    if options.write:
        write_block(PAGE, f"novelty-{options.mode}", text)


if __name__ == "__main__":
    main()
