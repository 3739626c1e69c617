"""How boldly labels of one name may speak, on rows of the ADBench splits that no fit has seen.

Labels of these sets say only *anomaly*. Each split keeps some labelled rows and normals back, for thresholds;
here they are scored by the detector as it is fitted, and again with each rule that it chose among
(:mod:`unseen.detectors.fused.likeness`) in place of the chosen one. No test row is read.

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
RULES = {"novelty alone": "off", "lift .025": "0.025", "lift .05": "0.05", "bold": "bold"}
"""Names of rules in the table, and in the fit."""


class Watched:
    """Watches a fit choose a rule, and keeps those that it chose among, and what it chose."""

    def __init__(self) -> None:
        self.rules: Mapping[str, likeness.Rule] = {}
        self.chosen = ""
        self._areas, self._choose = likeness._areas, likeness.choose_likeness

    def areas(self, judged: list, weights: np.ndarray, rules: Mapping[str, likeness.Rule]) -> tuple:
        """Keep the rules."""
        self.rules = rules
        return self._areas(judged, weights, rules)

    def choose(self, *arguments: object, **options: object) -> likeness.LikenessRule:
        """Keep the choice."""
        found = self._choose(*arguments, **options)  # type: ignore[arg-type]
        self.chosen = next((name for name, rule in self.rules.items() if rule is found.rule), "off")
        return found

    def fit(self, detector: UnseenDetector, X: np.ndarray, y: np.ndarray, **told: object) -> UnseenDetector:
        """Fit a detector."""
        assert training.choose_likeness is likeness.choose_likeness
        with (
            patch.object(likeness, "_areas", self.areas),
            patch.object(training, "choose_likeness", self.choose),
        ):
            return detector.fit(X, y, **told)  # type: ignore[arg-type]


def scored_by(detector: UnseenDetector, rule: likeness.Rule, V: np.ndarray) -> np.ndarray:
    """Return the scores of rows by a rule in place of the chosen one."""
    return score_parts(replace(detector.modes_[0], likeness=rule), V, None).score


def judged(data: DataSet, split: Split) -> tuple[str, dict[str, float]]:
    """Return the rule that a fit chose, and the AUROC of each on rows held back."""
    labels = data.table.labels
    train = data.table.take(split.train)
    preprocessor = TablePreprocessor().fit(train, np.zeros(len(split.train), dtype=np.int8))
    held = np.unique(np.concatenate([split.calibration, split.validation]))
    X, V = (preprocessor.transform(data.table.take(rows)) for rows in (split.fit_rows, held))
    watched = Watched()
    detector = UnseenDetector(calibration_fraction=0, seed=split.seed, n_jobs=1)
    watched.fit(detector, X, split.fit_labels(labels).y)
    areas = {
        name: float(auroc(labels.y[held], scored_by(detector, watched.rules[key], V)))
        for name, key in RULES.items()
    }
    chosen = float(auroc(labels.y[held], detector.decision_function(V)))
    return watched.chosen, {**areas, "chosen": chosen}


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
                for rule, value in areas.items():
                    found[rule].append(value)
            means = [float(np.mean(found[rule])) for rule in (*RULES, "chosen")]
            bold = names.count("bold")
            every.append([*means, bold])
            lines.append([data.name, *(f"{value:.3f}" for value in means), f"{bold}/{len(names)}"])
            print(f"{data.name}, {shots}: done", file=sys.stderr, flush=True)
        *means, bold = np.mean(every, axis=0)
        lines.append(["mean", *(f"{value:.3f}" for value in means), f"{bold / options.seeds:.0%}"])
        header = ["rows held back", *RULES, "chosen", "bold is chosen"]
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
