"""How near to look for novelty where no domains are named: inside training rows, without any test row.

``looks``: a third of the training normals is left out, drawn at random (*fresh*) or in regions (*drifted*:
cells of k-means, the normals that the fit left out among a few of the usual ones), and set against training
anomalies that no score has seen: all kinds of NSL-KDD's training file, the labelled rows of the splits of
CIC-IDS2017 and of ADBench with 50 labels.
``references``: a region (*moved*) or a random third of the normals (*same*) is a new place, some of whose
normals are references.
``tested``: what rules that won in these two do on the test rows.

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

from novelty_cues import InHalves, other_cues
from unseen.data import TablePreprocessor
from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.choice import WEIGHTS
from unseen.detectors.fused.drift import N_DRIFTED, fresh_share, regions
from unseen.detectors.fused.novelty import (
    DomainNormals,
    NormalModel,
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

USUAL: Weights = WEIGHTS["all"]
HALF_LOCAL: Weights = {**USUAL, "local": 0.5}
PAIRS = {"in halves": 1, "in three pairs of halves": 3}
TRIED = ("autoencoder", "masked autoencoder", "principal", "conditional", "log distance", "affine")
BOTH_ENDS: Weights = {
    "nearest": 0.5, "neighbours": 0.5, "local": 0.5, "sparse": 0.75, "covariance": 0.5, "ranks": 0.5,
}  # fmt: skip
BESIDE: Weights = {**BOTH_ENDS, "local": 1.0, "sparse": 0.0}
SPARSE_SHARE, SPARSE_NEIGHBOUR, FEWEST_SPARSE = 30, 10, 20
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
    "**neighbours, ¼ local, ½ covariance, ½ ranks** (*one look*)": USUAL,
    "the same, the 5th for the mean of 5": {**USUAL, "neighbours": 0.0, "5th": 1.0},
    "the same, the mean of 20 for that of 5": {**USUAL, "neighbours": 0.0, "mean of 20": 1.0},
    "the same, ½ local": {**USUAL, "local": 0.5},
    "the same, and ¾ sparse": {**USUAL, "sparse": 0.75},
    "½ nearest, ½ neighbours, ½ local, ½ covariance, ½ ranks": {**BOTH_ENDS, "sparse": 0.0},
    "these, and ¾ sparse (*both ends*)": BOTH_ENDS,
    **{name: {name: 1.0} for name in TRIED},
    **{f"one look, and ½ {name}": {**USUAL, name: 0.5} for name in TRIED},
    **{f"{cue} {way}": {f"{cue} {way}": 1.0} for way in PAIRS for cue in USUAL},
    **{
        f"{rule} {way}": {f"{cue} {way}": weight for cue, weight in weights.items()}
        for way in PAIRS
        for rule, weights in (("one look", USUAL), ("one look, ½ local", HALF_LOCAL))
    },
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


def sparse_rows(bank: np.ndarray) -> np.ndarray:
    """Return a thirtieth of the normals, evenly drawn; 20 at least, if there are as many."""
    count = min(len(bank), max(FEWEST_SPARSE, len(bank) // SPARSE_SHARE))
    return bank[np.linspace(0, len(bank) - 1, count).round().astype(np.int64)]


def named_cues(
    normals: NormalModel, V: np.ndarray, own: DomainNormals | None = None
) -> dict[str, np.ndarray]:
    """Return the usual cues of rows, the distance to the nearest normal, and that of a sparse look."""
    near = nearest_normals(normals, V, own)
    found = dict(zip(cue_names(0), cue_values(normals, V, near, own).T, strict=True))
    few = sparse_rows(normals.bank)
    sparse = nearest_rows(V, few, normals.centre, SPARSE_NEIGHBOUR)[0][:, -1]
    return {**found, "nearest": near[0][:, 0], "sparse": sparse}


def in_halves(bank: np.ndarray, V: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the means of cues over all columns and over halves of them."""
    found = {}
    for way, n_pairs in PAIRS.items():
        cues = InHalves.fit(bank, K, seed, n_pairs).cues(V)
        found |= {f"{cue} {way}": cues[cue] for cue in USUAL}
    return found


def place(usual: Mapping[str, np.ndarray], cues: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put cues on the scale of usual normals."""
    scales = fit_scales(np.column_stack([usual[name] for name in cues]))
    return dict(zip(cues, scales.place(np.column_stack(list(cues.values()))).T, strict=True))


def looks_of(rows: Rows, held: np.ndarray, usual: np.ndarray) -> dict[str, np.ndarray]:
    """Place every cue of the normals left out and of the anomalies by a fit on the other normals."""
    V = np.concatenate([rows.normals[held], rows.anomalies])
    bank = rows.normals[~held]
    normals = fit_normals(bank, own_spread(bank, K), K)
    distances = normals.nearest(V, 100)[0]
    found = {
        **named_cues(normals, V),
        **in_halves(bank, V, rows.seed),
        **other_cues(normals, V, rows.seed),
        "5th": distances[:, 4],
        "mean of 20": distances[:, :20].mean(axis=1),
        "20th": distances[:, 19],
        "100th": distances[:, -1],
    }
    return place({name: values[: held.sum()][usual[held]] for name, values in found.items()}, found)


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
        halved = InHalves.fit(bank, K, seed, 1)
        known, known_in_halves = named_cues(normals, usual), halved.cues(usual)
        for n in COUNTS:
            judged = rows.normals[inside[n : n + MOST_JUDGED]]
            V = np.concatenate([judged, rows.anomalies])
            named = {"": place(known, named_cues(normals, V))}
            for prior in (300.0, 100.0, 30.0):
                own = add_references(normals, rows.normals[inside[:n]], prior)
                named[f"{prior:g}"] = place(known, named_cues(normals, V, own))
            adapted = halved.adapt(rows.normals[inside[:n]], 300.0)
            named["halves"] = place(known_in_halves, adapted.cues(V))
            rules = {
                "no references": ("", USUAL),
                "**neighbours, ¼ local, ½ covariance, ½ ranks, prior 300** (*one look*)": ("300", USUAL),
                "the same, prior 30": ("30", USUAL),
                "the same, prior 300, local 1": ("300", {**USUAL, "local": 1.0}),
                "both ends, prior 300": ("300", BOTH_ENDS),
                "½ nearest, ½ neighbours, local 1, ½ covariance, ½ ranks, prior 300": ("300", BESIDE),
                "these, prior 100": ("100", BESIDE),
                "these, prior 30": ("30", BESIDE),
                "one look in halves, prior 300": ("halves", USUAL),
                "one look, ½ local in halves, prior 300": ("halves", HALF_LOCAL),
            }
            yield (
                (rows.name, f"{way}, {n}"),
                {rule: areas(rows, named[key], weights) for rule, (key, weights) in rules.items()},
            )


def tested(root: Path, seeds: int) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Yield the AUROC of the usual and of the winning weights on the test rows of flows, without labels."""
    for name, n_references in (("nsl-kdd", 0), ("nsl-kdd", 1000), ("cic-ids2017", 0)):
        table, extra, kinds = read(name, root / FLOWS[name])
        labels = table.labels
        for seed in range(seeds):
            split = leave_one_kind_out(
                labels, shots=10, seeds=[seed], references=n_references, max_normals=10_000,
                held_out_kinds=kinds, **extra,
            )[0]  # fmt: skip
            rows_of = prepared(argparse.Namespace(dataset=name), table, split.train)
            bank = rows_of(split.train)
            normals = fit_normals(bank, own_spread(bank, K), K)
            usual = named_cues(normals, rows_of(split.calibration))
            references = rows_of(split.references) if n_references else None
            own = None if references is None else add_references(normals, references, 300.0)
            judged = np.unique(np.concatenate([split.test_of(kind) for kind in kinds]))
            placed = place(usual, named_cues(normals, rows_of(judged), own))
            rules: list[tuple[str, Weights, dict[str, np.ndarray]]] = [
                ("usual", USUAL, placed),
                ("won on training rows", BOTH_ENDS if own is None else BESIDE, placed),
            ]
            for way, n_pairs in PAIRS.items():
                halved = InHalves.fit(bank, K, seed, n_pairs)
                before = halved.cues(rows_of(split.calibration))
                halved = halved if references is None else halved.adapt(references, 300.0)
                seen = place(before, halved.cues(rows_of(judged)))
                rules += [(f"½ local {way}, won, too", HALF_LOCAL, seen), (f"usual {way}", USUAL, seen)]
            found = {}
            for rule, weights, cues in rules:
                score = np.asarray(sum(weight * cues[cue] for cue, weight in weights.items()))
                at = {kind: np.isin(judged, split.test_of(kind)) for kind in kinds}
                found[rule] = {
                    kind: float(auroc(labels.y[judged[own_rows]], score[own_rows]))
                    for kind, own_rows in at.items()
                }
            beside = f", {n_references} references" if n_references else ""
            yield f"{name}{beside}", found


def test_table(root: Path, seeds: int) -> str:
    """Return a line a data set and rule: AUROC of the kinds, and their mean."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, found in tested(root, seeds):
        for rule, kinds in found.items():
            for kind, value in kinds.items():
                values[name, rule][kind].append(value)
    lines = []
    for (name, rule), kinds in values.items():
        each = {kind: float(np.mean(found)) for kind, found in kinds.items()}
        listed = ", ".join(f"{kind} {value:.3f}" for kind, value in each.items())
        lines.append([name, rule, listed, f"{np.mean(list(each.values())):.3f}"])
    return markdown(["test rows", "weights", "AUROC", "mean"], lines)


def training_table(options: argparse.Namespace) -> str:
    """Return a line a rule: the mean AUROC over kinds in each setting."""
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
    lines = [
        [rule, *(f"{np.mean([np.mean(v) for v in own[rule].values()]):.3f}" for own in found.values())]
        for rule in next(iter(found.values()))
    ]
    return markdown(["AUROC, mean over kinds", *(f"{name}, {way}" for name, way in found)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["looks", "references", "tested"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = test_table(options.data, 3) if options.mode == "tested" else training_table(options)
    print(text)
    if options.write:
        write_block(PAGE, f"novelty-{options.mode}", text)


if __name__ == "__main__":
    main()
