"""What many references should be to the cues: beside the normals of the fit, or alone.

``training``: as ``novelty_looks.py references``: a region of the training normals (*moved*) or a random third
of them (*same*) is a new place, some of whose normals are references; all labelled training rows are judged.
A cue of the references alone is placed by what it says of them, a tenth of them left out at a time.
*Chosen* are the cues that tell seven labelled rows of each of the other kinds from these left-out references
best (where that gains .01 and none loses .005), once for each kind that is judged.
``tested``: what rules do on the test rows of NSL-KDD with references, without labels.

    python benchmarks/reference_cues.py training ../shared/data --write
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
from document import markdown, write_block

from novelty_looks import FLOWS, MOST_JUDGED, PAGE, USUAL, K, Rows, Weights, areas, flows, place
from unseen.detectors.fused.drift import N_DRIFTED, regions
from unseen.detectors.fused.moments import fit_moments
from unseen.detectors.fused.novelty import (
    NormalModel,
    add_references,
    cue_names,
    cue_values,
    fit_normals,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.ranks import ranks
from unseen.detectors.fused.reference_scores import N_PARTS
from unseen.metrics.ranking import auroc
from unseen.protocols import leave_one_kind_out
from unseen_detector import prepared, read

COUNTS = (128, 1000)
PRIOR, SHOTS = 300.0, 7
GAIN, LOSS = 0.01, 0.005
Placed = Mapping[str, np.ndarray]

BOTH_OWN: Weights = {"neighbours": 1.0, "local": 0.25, "own covariance": 0.5, "own ranks": 0.5}
RULES: dict[str, Weights] = {
    "**neighbours, ¼ local, ½ covariance, ½ ranks, prior 300** (*usual*)": USUAL,
    "without covariance": {**USUAL, "covariance": 0.0},
    "covariance 1": {**USUAL, "covariance": 1.0},
    "covariance 2": {**USUAL, "covariance": 2.0},
    "covariance 1, ranks 1": {**USUAL, "covariance": 1.0, "ranks": 1.0},
    "without ranks": {**USUAL, "ranks": 0.0},
    "without local": {**USUAL, "local": 0.0},
    "and ½ covariance of the references alone": {**USUAL, "own covariance": 0.5},
    "and ½ ranks of the references alone": {**USUAL, "own ranks": 0.5},
    "and ½ neighbours among the references alone": {**USUAL, "own neighbours": 0.5},
    "covariance of the references alone": {**USUAL, "covariance": 0.0, "own covariance": 0.5},
    "ranks of the references alone": {**USUAL, "ranks": 0.0, "own ranks": 0.5},
    "covariance and ranks of the references alone": BOTH_OWN,
    "all cues of the references alone": {f"own {cue}": weight for cue, weight in USUAL.items()},
    "placed by references left out": {f"anew {cue}": weight for cue, weight in USUAL.items()},
}
CHOSEN = "chosen by labelled rows and references left out"
SETS: dict[str, Weights] = {
    **{name: weights for name, weights in RULES.items() if not any(" " in cue for cue in weights)},
    "near": {"neighbours": 1.0, "local": 0.25},
    "far": {"covariance": 1.0, "ranks": 1.0},
    "neighbours": {"neighbours": 1.0},
    "covariance": {"covariance": 1.0},
    "ranks": {"ranks": 1.0},
}
TESTED = (next(iter(RULES)), "covariance and ranks of the references alone")


def joined(normals: NormalModel, references: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the usual cues of rows, the references among the normals."""
    own = add_references(normals, references, PRIOR)
    return cue_values(normals, V, nearest_normals(normals, V, own), own)


def alone(normals: NormalModel, references: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the usual cues of rows by references alone; ranks are still those among the normals."""
    few = fit_normals(references, own_spread(references, K), K)
    found = cue_values(few, V, nearest_normals(few, V, None))
    moments = fit_moments(ranks(references, normals.knots))
    found[:, cue_names(0).index("ranks")] = moments.distances(ranks(V, normals.knots))
    return found


def placed_cues(
    normals: NormalModel, usual: np.ndarray, references: np.ndarray, V: np.ndarray
) -> tuple[Placed, Placed]:
    """Place all cues of rows, and the usual ones of references that are left out a tenth at a time."""
    parts = [
        (np.delete(references, part, axis=0), references[part])
        for part in np.array_split(np.arange(len(references)), N_PARTS)
    ]
    left_out = {
        cues: np.concatenate([cues(normals, others, part) for others, part in parts])
        for cues in (joined, alone)
    }

    def named(values: np.ndarray, before: str = "") -> dict[str, np.ndarray]:
        return {f"{before}{name}": column for name, column in zip(cue_names(0), values.T, strict=True)}

    known = named(cue_values(normals, usual, nearest_normals(normals, usual, None)))
    found = place(known, named(joined(normals, references, V)))
    for cues, before in ((alone, "own "), (joined, "anew ")):
        found |= place(named(left_out[cues], before), named(cues(normals, references, V), before))
    return found, place(known, named(left_out[joined]))


def fused(placed: Placed, weights: Weights) -> np.ndarray:
    """Return the weighted sum of placed cues."""
    return np.asarray(sum(weight * placed[cue] for cue, weight in weights.items() if weight))


def chosen_areas(rows: Rows, placed: Placed, left_out: Placed) -> dict[str, float]:
    """AUROC of each kind with the cues that the other kinds choose."""
    draw = np.random.default_rng(rows.seed)
    kinds = np.unique(rows.kinds)
    n_normals = len(placed["neighbours"]) - len(rows.kinds)
    few = {kind: n_normals + draw.permutation(np.flatnonzero(rows.kinds == kind))[:SHOTS] for kind in kinds}
    usual = next(iter(SETS))
    values = {
        name: {
            kind: auroc(
                np.r_[np.zeros(len(left_out["neighbours"])), np.ones(len(own))].astype(bool),
                np.r_[fused(left_out, weights), fused(placed, weights)[own]],
            )
            for kind, own in few.items()
        }
        for name, weights in SETS.items()
    }
    found = {}
    for kind in kinds:
        gains = {
            name: np.array([value[other] - values[usual][other] for other in kinds if other != kind])
            for name, value in values.items()
        }
        allowed = [name for name, gain in gains.items() if gain.min() >= -LOSS]
        best = max(allowed, key=lambda name: float(gains[name].mean()))
        best = best if gains[best].mean() > GAIN else usual
        found[str(kind)] = areas(rows, placed, SETS[best])[str(kind)]
    return found


def beside_references(rows: Rows) -> Iterator[tuple[tuple[str, str], dict[str, dict[str, float]]]]:
    """Yield, for each new place and number of its references, the AUROC of each rule and kind."""
    draw = np.random.default_rng(rows.seed)
    part = regions(rows.normals, rows.seed)
    places = [("moved", part == i) for i in range(N_DRIFTED)]
    places += [("same", draw.integers(0, 3, len(rows.normals)) == 0)]
    for way, here in places:
        inside, outside = (draw.permutation(np.flatnonzero(mask)) for mask in (here, ~here))
        usual, bank = rows.normals[outside[:800]], rows.normals[outside[800:]]
        normals = fit_normals(bank, own_spread(bank, K), K)
        for n in COUNTS:
            judged = rows.normals[inside[n : n + MOST_JUDGED]]
            V = np.concatenate([judged, rows.anomalies])
            placed, left_out = placed_cues(normals, usual, rows.normals[inside[:n]], V)
            found = {rule: areas(rows, placed, weights) for rule, weights in RULES.items()}
            yield (rows.name, f"{way}, {n}"), found | {CHOSEN: chosen_areas(rows, placed, left_out)}


def training_table(root: Path, seeds: int) -> str:
    """Return a line a rule: the mean AUROC over kinds in each setting."""
    found: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
    for name in FLOWS:
        for rows in flows(name, root, seeds):
            for column, values in beside_references(rows):
                own = found.setdefault(column, defaultdict(lambda: defaultdict(list)))
                for rule, kinds in values.items():
                    for kind, value in kinds.items():
                        own[rule][kind].append(value)
    lines = [
        [rule, *(f"{np.mean([np.mean(v) for v in own[rule].values()]):.4f}" for own in found.values())]
        for rule in next(iter(found.values()))
    ]
    return markdown(["AUROC, mean over kinds", *(f"{name}, {way}" for name, way in found)], lines)


def test_table(root: Path, seeds: int) -> str:
    """Return a line a number of references and rule: AUROC of each kind of NSL-KDD's test file."""
    values: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    table, extra, kinds = read("nsl-kdd", root / FLOWS["nsl-kdd"])
    labels = table.labels
    for n in COUNTS:
        for seed in range(seeds):
            split = leave_one_kind_out(
                labels, shots=10, seeds=[seed], references=n, max_normals=10_000,
                held_out_kinds=kinds, **extra,
            )[0]  # fmt: skip
            rows_of = prepared(argparse.Namespace(dataset="nsl-kdd"), table, split.train)
            bank = rows_of(split.train)
            normals = fit_normals(bank, own_spread(bank, K), K)
            judged = np.unique(np.concatenate([split.test_of(kind) for kind in kinds]))
            placed, _ = placed_cues(
                normals, rows_of(split.calibration), rows_of(split.references), rows_of(judged)
            )
            for rule in TESTED:
                score = fused(placed, RULES[rule])
                for kind in kinds:
                    own = np.isin(judged, split.test_of(kind))
                    values[n, rule][kind].append(float(auroc(labels.y[judged[own]], score[own])))
    lines = []
    for (n, rule), found in values.items():
        each = [float(np.mean(found[kind])) for kind in kinds]
        lines.append([str(n), rule, *(f"{value:.4f}" for value in [*each, np.mean(each)])])
    return markdown(["references", "weights", *kinds, "mean"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["training", "tested"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = (test_table if options.mode == "tested" else training_table)(options.data, options.seeds)
    print(text)
    if options.write:
        write_block(PAGE, f"reference-cues-{options.mode}", text)


if __name__ == "__main__":
    main()
