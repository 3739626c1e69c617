"""How boldly labels of one name may speak, on rows of the ADBench splits that no fit has seen.

Labels of these sets say only *anomaly*. Each split keeps some labelled rows and normals back, for thresholds;
here they are scored by the detector as it is fitted, and again with the careful and with the bold level of
likeness (:mod:`unseen.detectors.fused.likeness`) in place of the chosen one. No test row is read.

    python benchmarks/bold_labels.py ../shared/data --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "peers"))
from data_sets import DataSet, adbench
from document import markdown, write_block

from unseen.data import TablePreprocessor
from unseen.detectors import UnseenDetector
from unseen.detectors.fused import likeness, training
from unseen.detectors.fused.mode import score_parts
from unseen.metrics.ranking import auroc
from unseen.protocols import Split

PAGE = "decisions/0006-labels-that-never-hurt.md"
RULES = ("off", "careful", "bold")


class Watched:
    """Watches a fit choose its level, and keeps the levels that it chose among."""

    def __init__(self) -> None:
        self.rules: Mapping[str, likeness.Level] = {}
        self.name = ""
        self._areas, self._chosen = likeness._areas, likeness._chosen

    def areas(self, judged: list, weights: np.ndarray, rules: Mapping[str, likeness.Level]) -> tuple:
        """Keep the levels."""
        self.rules = rules
        return self._areas(judged, weights, rules)

    def chosen(self, asked: list, found: dict, pushed: bool) -> str:
        """Keep the choice; a fit that would ignore labels is told to keep what it learnt of them."""
        self.name = self._chosen(asked, found, pushed)
        return "careful" if self.name == "off" else self.name

    def fit(self, detector: UnseenDetector, X: np.ndarray, y: np.ndarray) -> UnseenDetector:
        """Fit a detector on labels that say only *anomaly*."""
        assert training.choose_likeness is likeness.choose_likeness
        with patch.object(likeness, "_areas", self.areas), patch.object(likeness, "_chosen", self.chosen):
            return detector.fit(X, y)


def judged(data: DataSet, split: Split) -> tuple[str, dict[str, float]]:
    """Return the level that a fit chose, and the AUROC of each on rows held back."""
    labels = data.table.labels
    train = data.table.take(split.train)
    preprocessor = TablePreprocessor().fit(train, np.zeros(len(split.train), dtype=np.int8))
    held = np.unique(np.concatenate([split.calibration, split.validation]))
    X, V = (preprocessor.transform(data.table.take(rows)) for rows in (split.fit_rows, held))
    watched = Watched()
    detector = UnseenDetector(calibration_fraction=0, seed=split.seed, n_jobs=1)
    watched.fit(detector, X, split.fit_labels(labels).y)
    mode = detector.modes_[0]
    assert mode.labelled is not None
    areas = {}
    for name in RULES:
        rule = watched.rules[name]
        levels = rule.of(mode.labelled.kinds)
        told = {"likeness_strength": rule.strength, "likeness_most": rule.most}
        own = replace(mode, likeness_levels=levels, **told)
        areas[name] = float(auroc(labels.y[held], score_parts(own, V, None).score))
    return watched.name, areas


def compare(options: argparse.Namespace) -> str:
    """Return one table a number of labels: AUROC a set, and how often which level was chosen."""
    texts = []
    for shots in (10, 50):
        lines, every = [], []
        for data in adbench(options.data):
            found: dict[str, list[float]] = defaultdict(list)
            names = []
            for split in data.splits(data.table.labels, shots=shots, seeds=range(options.seeds)):
                name, areas = judged(data, split)
                names.append(name)
                for rule, value in {**areas, "chosen": areas[name]}.items():
                    found[rule].append(value)
            means = [float(np.mean(found[rule])) for rule in (*RULES, "chosen")]
            bold = names.count("bold")
            every.append([*means, bold])
            lines.append([data.name, *(f"{value:.3f}" for value in means), f"{bold}/{len(names)}"])
            print(f"{data.name}, {shots}: done", file=sys.stderr, flush=True)
        *means, bold = np.mean(every, axis=0)
        lines.append(["mean", *(f"{value:.3f}" for value in means), f"{bold / options.seeds:.0%}"])
        header = ["rows held back", "novelty alone", "careful", "bold", "chosen", "bold is chosen"]
        texts.append(f"{shots} labelled anomalies:\n\n{markdown(header, lines)}")
    return "\n\n".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = compare(options)
    print(text)
    if options.write:
        write_block(PAGE, "bold-labels", text)


if __name__ == "__main__":
    main()
