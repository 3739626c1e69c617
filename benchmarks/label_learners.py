"""What labels of one name teach, on rows held back: trees that see more novelty scores, or grow otherwise.

PyOD's XGBOD is XGBoost on the columns and some forty novelty scores. Here the trees of the default detector,
and XGBoost with XGBOD's settings, see the row and the five cues, or 18 novelty scores beside them: distances
to the 1st to 40th nearest normal, local ratios at several k, tails and histograms of the columns, and an
isolation forest. Every score of a normal comes from a fit that did not see its fold.

Of the 50 labelled rows of an ADBench split some are learnt from (7, as with 10 labels, or 35) and all others
judged, against normals that the split keeps back. No test row of these splits is read.

    python benchmarks/label_learners.py ../shared/data --write

Needs xgboost (the ``peers`` extra).
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "peers"))
from data_sets import DataSet, adbench
from document import markdown, write_block
from sklearn.ensemble import IsolationForest
from xgboost import XGBClassifier

from unseen.data import TablePreprocessor
from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.choice import PLAIN_WEIGHTS, weights_of
from unseen.detectors.fused.evidence import Evidence, evidence_of, learn_labels, tree_features
from unseen.detectors.fused.lift import Raise
from unseen.detectors.fused.novelty import cue_values, fit_normals, own_spread
from unseen.detectors.fused.scales import fit_scales
from unseen.metrics.ranking import auroc, average_precision
from unseen.protocols import Split

PAGE = "decisions/0006-labels-that-never-hurt.md"
N_CUES = 5
N_SCORES = 23
MOST_NORMALS = 3_000
FOLDS = 3
FARTHEST = 40
LOOKS = (1, 2, 3, 10, 20, 40)
SPANS = (5, 10, 20)
RANKS = (1, 10, 20)
BINS = (10, 30)
SHAPES: dict[str, tuple[float, float | None, float]] = {
    "80 % quantile, 2, 2 reaches": (0.8, 2.0, 2.0),
    "80 % quantile, 2, 16 reaches": (0.8, 2.0, 16.0),
    "median, 2, 16 reaches": (0.5, 2.0, 16.0),
    "median, 4, 16 reaches": (0.5, 4.0, 16.0),
    "median, held back, 16 reaches": (0.5, None, 16.0),
}
"""What bold labels may add: level, strength b, and end m in reaches.

Held back: the largest up to 4 by which 99.5 % of the normals are raised by 2 reaches at most.
"""

GROWN = ("leaves of 1, nearest", "leaves of 5, nearest", "leaves of 5, mean of nearest")
"""Least rows in a leaf of randomised trees; labelled rows are as far as the nearest, or as up to three."""

CHOSEN = list(SHAPES.items())[-1]
WEIGHTS = weights_of(PLAIN_WEIGHTS["all"])

Array = np.ndarray


class Histograms:
    """Minus the log share of normals in the bin of each column, summed over the columns."""

    def __init__(self, normals: Array, n_bins: int) -> None:
        self.lowest, highest = normals.min(axis=0), normals.max(axis=0)
        self.width = np.where(highest > self.lowest, (highest - self.lowest) / n_bins, 1.0)
        self.n_bins = n_bins
        counts = np.zeros((normals.shape[1], n_bins + 2))
        for own, codes in zip(counts, self._codes(normals).T, strict=True):
            own += np.bincount(codes, minlength=n_bins + 2)
        self.costs = -np.log((counts + 0.5) / (len(normals) + 0.5 * n_bins))

    def _codes(self, rows: Array) -> Array:
        """Bin of each value: 0 below the normals, n_bins + 1 above them."""
        codes = np.clip(np.floor((rows - self.lowest) / self.width), -1, self.n_bins).astype(int) + 1
        return np.where(rows == self.lowest + self.width * self.n_bins, self.n_bins, codes)

    def score(self, rows: Array) -> Array:
        """Return the sum for each row."""
        return np.take_along_axis(self.costs.T, self._codes(rows), axis=0).sum(axis=1)


class Scores:
    """The five cues, and 18 further novelty scores, learnt from normals."""

    def __init__(self, normals: Array, seed: int) -> None:
        self.model = fit_normals(normals, own_spread(normals, 5), 5)
        near = nearest_rows(normals, normals, self.model.centre, FARTHEST + 1)[0][:, 1:]
        self.means = {k: near[:, :k].mean(axis=1) for k in SPANS}
        self.kth = {k: near[:, k - 1] for k in RANKS}
        self.sorted = np.sort(normals, axis=0)
        self.histograms = [Histograms(normals, n_bins) for n_bins in BINS]
        self.forest = IsolationForest(n_estimators=50, random_state=seed).fit(normals)

    def of(self, rows: Array) -> tuple[Array, Array]:
        """Return all scores, the cues first, and the distance to the nearest normal."""
        distances, places = nearest_rows(rows, self.model.bank, self.model.centre, FARTHEST)
        cues = cue_values(self.model, rows, (distances[:, :5], places[:, :5]))
        floors = {k: 1e-3 * float(np.median(values)) for k, values in self.means.items()}
        locals_ = [
            distances[:, :k].mean(axis=1) / (self.means[k][places[:, :k]].mean(axis=1) + floors[k] + 1e-12)
            for k in SPANS
        ]
        locals_ += [
            distances[:, k - 1] / (self.kth[k][places[:, :k]].mean(axis=1) + floors[20] + 1e-12)
            for k in RANKS
        ]
        far = [distances[:, k - 1] for k in LOOKS] + [distances[:, :20].mean(axis=1)]
        tails = self._tails(rows)
        others = [tails.sum(axis=1), tails.max(axis=1), *(one.score(rows) for one in self.histograms)]
        found = np.column_stack([cues, *far, *locals_, *others, -self.forest.score_samples(rows)])
        return found, distances[:, 0]

    def _tails(self, rows: Array) -> Array:
        """Minus the log of the smaller share of normals on either side, for each column."""
        pairs = list(zip(self.sorted.T, rows.T, strict=True))
        below = np.column_stack([np.searchsorted(own, values, side="right") for own, values in pairs])
        above = len(self.sorted) - np.column_stack([np.searchsorted(own, values) for own, values in pairs])
        return -np.log((np.minimum(below, above) + 0.5) / (len(self.sorted) + 1))


@dataclass(frozen=True)
class Rows:
    """Rows, their placed scores, and their distances to the nearest normal."""

    rows: Array
    placed: Array
    nearest: Array

    def take(self, which: Array) -> Rows:
        """Some of them."""
        return Rows(self.rows[which], self.placed[which], self.nearest[which])


@dataclass(frozen=True)
class Material:
    """One split: normals with scores as if they were new, the labelled rows, and normals held back."""

    normals: Rows
    pool: Rows
    held: Rows
    usual: float
    seed: int


def gather(data: DataSet, split: Split) -> Material:
    """Score the rows of a split; no test row is read."""
    y = data.table.labels.y
    preprocessor = TablePreprocessor().fit(
        data.table.take(split.train), np.zeros(len(split.train), dtype=np.int8)
    )
    kept = np.unique(np.concatenate([split.calibration, split.validation]))
    numbers = split.train, np.concatenate([split.labelled, kept[y[kept] == 1]]), kept[y[kept] == 0]
    normals, pool, held = (preprocessor.transform(data.table.take(part)) for part in numbers)
    fold = np.random.default_rng(split.seed).permutation(len(normals)) % FOLDS
    values, placed, nearest = [np.empty((len(normals), N_SCORES)) for _ in range(2)] + [
        np.empty(len(normals))
    ]
    for number in range(FOLDS):
        mine = fold == number
        values[mine], nearest[mine] = Scores(normals[~mine], split.seed).of(normals[mine])
        placed[mine] = fit_scales(values[mine]).place(values[mine])
    scales, scores = fit_scales(values), Scores(normals, split.seed)
    pool_values, held_values = scores.of(pool), scores.of(held)
    few = np.sort(np.random.default_rng(split.seed).permutation(len(normals))[:MOST_NORMALS])
    return Material(
        Rows(normals, placed, nearest).take(few),
        Rows(pool, scales.place(pool_values[0]), pool_values[1]),
        Rows(held, scales.place(held_values[0]), held_values[1]),
        scores.model.usual,
        split.seed,
    )


def draws(material: Material, taught: int, n_draws: int) -> Iterator[tuple[Rows, Rows, Array]]:
    """Yield labelled rows to learn from, and those to judge with the normals held back before them."""
    pool, held = material.pool, material.held
    for number in range(n_draws):
        order = np.random.default_rng([material.seed, number]).permutation(len(pool.rows))
        left = pool.take(order[taught:])
        judged = Rows(*(np.concatenate([getattr(one, name) for one in (held, left)]) for name in FIELDS))
        yield pool.take(order[:taught]), judged, np.arange(len(judged.rows)) >= len(held.rows)


FIELDS = ("rows", "placed", "nearest")


def evidence(material: Material, taught: Rows, judged: Rows, n_scores: int, grown: str) -> Evidence:
    """What trees and nearness say after learning from the labelled rows."""
    normals = material.normals
    labelled = learn_labels(
        (normals.rows, normals.placed[:, :n_scores]),
        (taught.rows, taught.placed[:, :n_scores]),
        np.full(len(taught.rows), "anomaly"),
        n_trees=60,
        seed=material.seed,
        n_jobs=1,
        boosted=True,
        one_name=grown != GROWN[0],
    )
    if grown == GROWN[1]:
        labelled = replace(labelled, n_near=1)
    return evidence_of(labelled, judged.rows, judged.placed[:, :n_scores], judged.nearest, material.usual)


def xgboost_score(material: Material, taught: Rows, judged: Rows, n_scores: int) -> Array:
    """Log-odds of XGBoost with the settings of XGBOD."""
    sides = [tree_features(one.rows, one.placed[:, :n_scores]) for one in (material.normals, taught, judged)]
    y = np.repeat([0, 1], [len(sides[0]), len(sides[1])])
    booster = XGBClassifier(max_depth=3, n_estimators=100, learning_rate=0.1, n_jobs=1, random_state=0)
    booster.fit(np.concatenate(sides[:2]), y)
    return booster.predict(sides[2], output_margin=True)


def scores_of(material: Material, taught: Rows, judged: Rows, y: Array) -> dict[str, Array]:
    """Return every score of the judged rows."""
    novelty = judged.placed[:, :N_CUES] @ WEIGHTS
    usual = material.normals.placed[:, :N_CUES] @ WEIGHTS
    reach = float(np.quantile(usual, 0.995) - np.median(usual))

    def bold(found: Evidence, quantile: float, strength: float | None, most: float) -> Array:
        level, top = np.quantile(found.likeness[~y], [quantile, 0.995])
        if strength is None:
            strength = min(4.0, 2 * reach / float(np.logaddexp(0, top - level)))
        return novelty + Raise(float(level), strength, most * reach).raised(novelty, found.likeness)

    out = {"novelty alone": novelty}
    for n_scores, seen in ((N_CUES, "5 cues"), (N_SCORES, "23 scores")):
        out[f"XGBoost as in XGBOD, {seen}"] = xgboost_score(material, taught, judged, n_scores)
        for grown in GROWN:
            found = evidence(material, taught, judged, n_scores, grown)
            if grown == GROWN[0]:
                out[f"boosted trees, {seen}"] = found.boosted_odds()
            if grown != GROWN[2]:
                out[f"randomised trees, {seen}, {grown}"] = found.log_odds()
            out[f"likeness, {seen}, {grown}"] = found.likeness
            ours = n_scores == N_CUES and grown == GROWN[2]
            for name, shape in SHAPES.items() if ours else [CHOSEN]:
                text = f"bold ({name}), {seen}, {grown}"
                chosen = ours and name == CHOSEN[0]
                out[f"**{text}**" if chosen else text] = bold(found, *shape)
    return out


def recall(y: Array, score: Array) -> float:
    """Share of anomalies above what 99 % of the normals do not exceed."""
    return float((score[y] > np.quantile(score[~y], 0.99)).mean())


MEASURES: dict[str, Callable[[Array, Array], float]] = {
    "AUROC": lambda y, score: float(auroc(y, score)),
    "AP": lambda y, score: float(average_precision(y, score)),
    "recall at 1 %": recall,
}


def compare(options: argparse.Namespace) -> str:
    """Return the table: means over the sets, for 7 and for 35 labelled rows."""
    found: dict[str, dict[tuple[int, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for data in adbench(options.data):
        for split in data.splits(data.table.labels, shots=50, seeds=range(options.seeds)):
            material = gather(data, split)
            for taught, n_draws in ((7, 1), (35, 2)):
                for learnt, judged, y in draws(material, taught, n_draws):
                    for name, score in scores_of(material, learnt, judged, y).items():
                        for measure, of in MEASURES.items():
                            found[name][taught, measure].append(of(y, score))
        print(f"{data.name}: done", file=sys.stderr, flush=True)
    columns = [(taught, measure) for taught in (7, 35) for measure in MEASURES]
    lines = [[name, *(f"{np.mean(own[column]):.3f}" for column in columns)] for name, own in found.items()]
    return markdown(["mean over the sets", *(f"{measure}, {n} rows" for n, measure in columns)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = compare(options)
    print(text)
    if options.write:
        write_block(PAGE, "label-learners", text)


if __name__ == "__main__":
    main()
