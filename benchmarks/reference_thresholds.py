"""Thresholds of a new place, inside training rows: how references, each scored without itself, should count.

A region of the training normals (cells of k-means that hold a third of them) is left out of the fit, twice a
draw, and stands for a new place: n of its normals are references, the others are to be flagged at 1 %. The
detector is calibrated on normals of the other regions. No test row takes part.

    python benchmarks/reference_thresholds.py ../shared/data --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from unseen.detectors import UnseenDetector
from unseen.detectors.fused.drift import N_DRIFTED, regions
from unseen.protocols import leave_one_kind_out
from unseen.scoring import mixing
from unseen.scoring.calibration import Calibration
from unseen.scoring.thresholds import false_alarm_threshold
from unseen_detector import prepared, read

PAGE = "decisions/0006-labels-that-never-hurt.md"
DATA = {"nsl-kdd": "nsl_kdd", "cic-ids2017": "cic_ids2017"}
COUNTS, FITTED, MOST_JUDGED, RATE = (32, 128, 1000), 0.7, 1_500, 0.01
Rule = Callable[[Calibration, np.ndarray], float]


def references_alone(_before: Calibration, references: np.ndarray) -> float:
    """Return the quantile of the references."""
    return false_alarm_threshold(references, RATE)[0]


def mixed(weight: float) -> Rule:
    """Return the rule by which the calibration normals always weigh so many rows."""

    def rule(before: Calibration, references: np.ndarray) -> float:
        normals = mixing.mixture_of_normals(before.normal_scores, references, weight)
        return false_alarm_threshold(normals, RATE)[0]

    return rule


RULES: dict[str, Rule] = {
    "calibration normals alone": lambda before, _references: before.threshold,
    "references alone": references_alone,
    "calibration normals weigh 100": mixed(100),
    "calibration normals weigh 300": mixed(300),
    "**they weigh 300 and less, the more references**": lambda before, references: (
        mixing.mixed_calibration(before, references, 300).threshold
    ),
}


def places(name: str, options: argparse.Namespace) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the number of references and, for each rule, the share of the place's other normals flagged."""
    table, extra, kinds = read(name, options.data / DATA[name])
    split = leave_one_kind_out(
        table.labels, shots=10, seeds=[0], max_normals=10_000, held_out_kinds=kinds, **extra
    )[0]
    fit_rows = split.fit_rows[table.labels.y[split.fit_rows] == 0]
    X = prepared(argparse.Namespace(dataset=name), table, split.train)(fit_rows)
    for seed in range(options.seeds):
        part, draw = regions(X, seed), np.random.default_rng(seed)
        for region in range(N_DRIFTED):
            place = draw.permutation(np.flatnonzero(part == region))
            rest = X[draw.permutation(np.flatnonzero(part != region))]
            fitted, fresh = np.split(rest, [int(FITTED * len(rest))])
            detector = UnseenDetector(labels="ignore", calibration_fraction=0, n_jobs=1, seed=seed)
            detector.fit(fitted)
            for count in COUNTS:
                judged = X[place[count : count + MOST_JUDGED]]
                adapted = detector.adapt(X[place[:count]])
                scores = adapted.decision_function(np.concatenate([fresh, judged]))
                normals, theirs = scores[: -len(judged)], scores[-len(judged) :]
                before = Calibration.from_scores(
                    normals, np.zeros(len(normals), dtype=np.int8), false_alarm_rate=RATE
                )
                own = np.concatenate(list(adapted.reference_scores_.values()))
                yield count, {rule: float(np.mean(theirs > f(before, own))) for rule, f in RULES.items()}


def compare(options: argparse.Namespace) -> str:
    """Return the mean share of normals flagged, and how often it is between .5 and 2 %."""
    found: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for name in DATA:
        for count, rates in places(name, options):
            for rule, rate in rates.items():
                found[rule, name, count].append(rate)
        print(f"{name}: done", file=sys.stderr, flush=True)
    lines = []
    for rule in RULES:
        cells = []
        for name in DATA:
            for count in COUNTS:
                rates = np.array(found[rule, name, count])
                inside = int(np.sum((rates >= 0.005) & (rates <= 0.02)))
                cells.append(f"{rates.mean():.1%}, {inside}/{len(rates)}")
        lines.append([rule, *cells])
    return markdown(["flagged at 1 %", *(f"{name}, {count}" for name in DATA for count in COUNTS)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds nsl_kdd and cic_ids2017")
    parser.add_argument("--seeds", type=int, default=4, help="ways to part the normals")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = compare(options)
    print(text)
    if options.write:
        write_block(PAGE, "reference-thresholds", text)


if __name__ == "__main__":
    main()
