"""False alarms on new patients, inside the training half of MIT-BIH: patients of DS1 left out in turn.

The threshold is read off the scores of the training patients, for 1 % of false alarms. Rows are what is taken
of these scores: *each by a fit of two thirds of the others*, as the detector does; *each by a fit of all
others*; *without the most restless one*, whose normals exceed the threshold of all oftenest. Columns are the
share of normals flagged, over all normals and over patients, of patients that nothing was fitted on. No label
is used. DS2 is not touched.

    python benchmarks/domain_alarms.py ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from domain_cues import Half
from unseen.detectors import UnseenDetector
from unseen.detectors.fused import rounds
from unseen.detectors.fused.left_out import LeftOutScores
from unseen.scoring.calibration import Calibration

PAGE = "decisions/0006-labels-that-never-hurt.md"
N_GROUPS, N_REFERENCES, MOST_NORMALS, RATE = 8, 8, 3_000, 0.01
THIRDS = "each by a fit of two thirds of the others"
OTHERS = "each by a fit of all others"
CALM = "the first, without the most restless one"


def threshold(found: LeftOutScores, kept: np.ndarray) -> float:
    """Return the threshold of some of the scores, every patient with the same say."""
    return Calibration.from_scores(
        found.scores[kept],
        np.zeros(int(kept.sum()), dtype=np.int8),
        false_alarm_rate=RATE,
        domains=found.domains[kept],
    ).threshold


def without_the_most_restless(found: LeftOutScores) -> np.ndarray:
    """Mark the rows of all patients but the one that exceeds the common threshold oftenest."""
    level = threshold(found, np.ones(len(found.scores), dtype=bool))
    names = np.unique(found.domains)
    shares = [np.mean(found.scores[found.domains == name] > level) for name in names]
    return np.asarray(found.domains != names[int(np.argmax(shares))])


def fitted(half: Half, rows: np.ndarray, n_folds: int) -> UnseenDetector:
    """Fit on normals of some patients, whose left-out scores come from so many folds."""
    rounds.N_FOLDS = n_folds
    detector = UnseenDetector(labels="ignore", calibration_fraction=0, n_references=N_REFERENCES, n_jobs=1)
    return detector.fit(half.X[rows], domains=half.domains[rows])


def judge_group(half: Half, group: np.ndarray, found: dict[tuple[int, str], list[tuple[float, int]]]) -> None:
    """Leave patients out, set thresholds on the others, and add what share of their normals is flagged."""
    inside = ~np.isin(half.domains, group) & half.normal
    rest = np.random.default_rng(0).permutation(np.flatnonzero(inside & ~half.references))[:MOST_NORMALS]
    rows = np.sort(np.concatenate([rest, np.flatnonzero(inside & half.references)]))
    own = np.isin(half.domains, group) & half.normal
    judged, references = np.flatnonzero(own & ~half.references), np.flatnonzero(own & half.references)
    for name, n_folds in ((THIRDS, 3), (OTHERS, len(np.unique(half.domains[rows])))):
        plain = fitted(half, rows, n_folds)
        adapted = plain.adapt(half.X[references], domains=half.domains[references])
        for mode, detector in enumerate((plain, adapted)):
            scores = detector.left_out_[mode]
            levels = {name: threshold(scores, np.ones(len(scores.scores), dtype=bool))}
            if name == THIRDS:
                levels[CALM] = threshold(scores, without_the_most_restless(scores))
            values = detector.decision_function(half.X[judged], domains=half.domains[judged])
            for label, level in levels.items():
                for patient in group:
                    mine = half.domains[judged] == patient
                    found[mode, label].append((float(np.mean(values[mine] > level)), int(mine.sum())))


def measure(options: argparse.Namespace) -> str:
    """Return one table: with references and without."""
    half, lines = Half(options.data, 0, N_REFERENCES), []
    found: dict[tuple[int, str], list[tuple[float, int]]] = defaultdict(list)
    for group in np.array_split(
        np.random.default_rng(options.seed).permutation(np.unique(half.domains)), N_GROUPS
    ):
        judge_group(half, group, found)
        print(f"{', '.join(group)}: done", file=sys.stderr, flush=True)
    for mode, sort in ((1, f"{N_REFERENCES} references"), (0, "no references")):
        for label in (THIRDS, OTHERS, CALM):
            shares, counts = np.array(found[mode, label]).T
            within = np.mean((shares >= 0.005) & (shares <= 0.02))
            worst, second = np.sort(shares)[:-3:-1]
            figures = (np.average(shares, weights=counts), shares.mean(), np.median(shares), worst, second)
            lines.append([f"{sort}, {label}", *(f"{figure:.1%}" for figure in figures), f"{within:.0%}"])
    header = ["flagged at 1 %", "of all normals", "mean patient", "median patient", "worst", "second worst"]
    return markdown([*header, "patients within .5-2 %"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="parts the patients")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = measure(options)
    print(text)
    if options.write:
        write_block(PAGE, "domain-alarms", text)


if __name__ == "__main__":
    main()
