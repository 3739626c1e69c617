"""Rules to bring novelty and labels together, on kinds left out and on known ones; and each cue alone.

Every rule gets the same cues, the same trees and the same labelled rows, those of the ``unseen`` detector;
they differ in what the labels may do to the score.

    python benchmarks/fusion_rules.py nsl-kdd ../shared/data/nsl_kdd --write
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unseen.data import TablePreprocessor
from unseen.detectors import UnseenDetector
from unseen.detectors.fused.evidence import log_odds_location
from unseen.detectors.fused.mode import Parts, score_parts
from unseen.detectors.fused.novelty import CUES
from unseen.metrics.ranking import auroc
from unseen.protocols import Split
from unseen_detector import markdown, read, splits_of, write_block

PAGE = "decisions/0006-labels-that-never-hurt.md"
Rule = Callable[[Parts, Parts], np.ndarray]


def reach(calibration: Parts) -> float:
    """Return the distance from the normals' median novelty to their 99.5 % quantile."""
    return float(np.quantile(calibration.novelty, 0.995) - np.median(calibration.novelty))


def wide(calibration: Parts, rows: Parts) -> np.ndarray:
    """Softplus of the trees' log-odds, everywhere, at a quarter of the novelty's spread."""
    assert calibration.evidence is not None
    assert rows.evidence is not None
    spread = 1.4826 * np.median(np.abs(calibration.novelty - np.median(calibration.novelty)))
    centre, unit = log_odds_location(calibration.evidence.log_odds())
    return rows.novelty + 0.25 * spread * np.logaddexp(0, (rows.evidence.log_odds() - centre) / unit)


def by(value: str, strength: float, quantile: float | None = None) -> Rule:
    """Add a value of the evidence, or whether it is above a quantile of the calibration normals."""

    def rule(calibration: Parts, rows: Parts) -> np.ndarray:
        added = getattr(rows.evidence, value)
        if quantile is not None:
            added = added > max(np.quantile(getattr(calibration.evidence, value), quantile), 1e-9)
        return rows.novelty + strength * reach(calibration) * added

    return rule


RULES: dict[str, Rule] = {
    "normals only": lambda _calibration, rows: rows.novelty,
    "log-odds of the trees, everywhere": wide,
    "probability of the trees, half a reach": by("probability", 0.5),
    "trees above their 99 % quantile, one reach": by("probability", 1.0, 0.99),
    "nearness of a labelled anomaly, one reach": by("gate", 1.0),
    "nearness above its 99 % quantile, one reach": by("gate", 1.0, 0.99),
    "probability × nearness, two reaches": by("local", 2.0),
    "**lift by likeness**": lambda _calibration, rows: rows.score,
    "probability of the trees alone": lambda _calibration, rows: rows.evidence.probability,
}


def cue(position: int) -> Rule:
    """Score by one cue."""
    return lambda _calibration, rows: rows.placed[:, position]


def parts_of(
    split: Split, table: object, options: argparse.Namespace
) -> tuple[Parts, Parts, np.ndarray, np.ndarray]:
    """Fit on a split; return the parts of its calibration normals and test rows, and the test rows' kinds."""
    labels = table.labels
    preprocessor = TablePreprocessor().fit(table.take(split.train), np.zeros(len(split.train), dtype=np.int8))
    rows, taught = split.fit_rows, split.fit_labels(labels)
    detector = UnseenDetector(calibration_fraction=0, seed=split.seed, n_jobs=1)
    detector.fit(preprocessor.transform(table.take(rows)), taught.y, kinds=taught.kinds)
    mode = detector.modes_[0]
    judged = np.unique(np.concatenate([split.test_of(kind) for kind in options.kinds]))
    found = [
        score_parts(mode, preprocessor.transform(table.take(part)), None)
        for part in (split.calibration, judged)
    ]
    return found[0], found[1], judged, labels.kinds[judged]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=["nsl-kdd", "cic-ids2017"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    options.references, options.max_normals = 0, 10_000
    table, extra, options.kinds = read(options.dataset, options.data)
    rules = {**RULES, **{f"{name} alone": cue(i) for i, name in enumerate(CUES) if name != "length"}}
    held: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    known: dict[str, list[float]] = defaultdict(list)
    for split in splits_of(table, options, extra, options.kinds):
        calibration, parts, judged, kinds = parts_of(split, table, options)
        for name, rule in rules.items():
            scores = rule(calibration, parts)
            for kind in options.kinds:
                rows = np.isin(judged, split.test_of(kind))
                value = auroc(kinds[rows] == kind, scores[rows])
                if kind == split.held_out_kind:
                    held[name][kind].append(value)
                else:
                    known[name].append(value)
        print(f"{split.held_out_kind}, seed {split.seed}: done", flush=True)
    lines = []
    for name in rules:
        means = [float(np.mean(held[name][kind])) for kind in options.kinds]
        cells = [*means, float(np.mean(means)), float(np.mean(known[name]))]
        lines.append([name, *(f"{value:.3f}" for value in cells)])
    text = markdown(["AUROC", *options.kinds, "mean left out", "mean known"], lines)
    print(text)
    if options.write:
        write_block(PAGE, options.dataset, text)


if __name__ == "__main__":
    main()
