"""What labels may add in new domains, inside the training half of MIT-BIH: patients of DS1 left out in turn.

Labels are 50 beats of each kind, of the other patients, and all of Q, which has eight. *Known*: the kinds of
the rows that are judged are among the labels. *Left out*: each kind is judged by a fit whose labels are of
the other kinds. A row of the table is the local term of a strength (*near labelled rows*), or a wide one of
randomised or boosted trees (:mod:`unseen.detectors.fused.evidence`) or of a learner that was tried
(``domain_learners.py``); columns are what it changes in the AUROC of each kind against normals of the
patients left out. DS2 is not touched.

    python benchmarks/domain_evidence.py raw ../shared/data/mitbih --seeds 3 --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from domain_cues import Half
from domain_learners import NAMES, RARE, judged_rows, learners, trees_say
from unseen.detectors import UnseenDetector
from unseen.detectors.fused import training
from unseen.detectors.fused.blocks import column_blocks, small_blocks
from unseen.detectors.fused.choice import local_floor, reach_of, weights_of
from unseen.detectors.fused.cue_choice import candidate_weights
from unseen.detectors.fused.evidence import log_odds_location
from unseen.detectors.fused.novelty import cue_names, own_spread
from unseen.detectors.fused.rounds import Options, TrainingRows, rounds_of
from unseen.detectors.fused.scatter import usual_scatter
from unseen.detectors.fused.taught import normals_of_round
from unseen.metrics.ranking import auroc
from unseen.references import ReferenceStore, build_store

PAGE = "decisions/0006-labels-that-never-hurt.md"
KINDS = ("F", "S", "V")
SOURCES = ("randomised", "boosted")
STRENGTHS, NEAR_STRENGTHS, TRIED_STRENGTHS = (0.05, 0.1, 0.25, 1.0), (0.5, 1.0, 2.0), (0.1, 0.25, 0.5)
MEAN = "mean of both"
N_REFERENCES, SHOTS, MOST_NORMALS = 8, 50, 8_000


def training_rows(root: Path, seed: int, *, references: bool) -> TrainingRows:
    """Return normals and some labelled beats of DS1, as they are or as residuals to their references."""
    taught = (*KINDS, RARE)
    half = Half(root, seed, N_REFERENCES if references else 0, taught)
    draw = np.random.default_rng(seed)
    few = [draw.permutation(np.flatnonzero(half.kinds == kind))[:SHOTS] for kind in taught]
    normals = draw.permutation(np.flatnonzero(half.normal & ~half.references))[:MOST_NORMALS]
    normals, anomalies = np.sort(normals), np.sort(np.concatenate(few))
    return as_training_rows(half, viewed(half)[0] if references else half.X, normals, anomalies)


def viewed(half: Half) -> tuple[np.ndarray, ReferenceStore, UnseenDetector]:
    """Return all rows as residuals to their references, the references, and what scales residuals."""
    detector = UnseenDetector()
    store = build_store(half.X, half.domains, half.references, half.normal, keep_rows=True)
    others = half.normal & ~half.references
    detector.blocks_ = column_blocks(half.X[others], half.domains[others])
    detector.scatter_ = usual_scatter(store, detector.blocks_)
    return detector._residuals(store, half.X, half.domains), store, detector


def as_training_rows(half: Half, V: np.ndarray, normals: np.ndarray, anomalies: np.ndarray) -> TrainingRows:
    """Return some normals and anomalies of a half, seen as in V."""
    return TrainingRows(
        normals=V[normals],
        anomalies=V[anomalies],
        normal_domains=half.domains[normals],
        anomaly_domains=half.domains[anomalies],
        kinds=half.kinds[anomalies],
        groups=np.arange(len(normals)),
        unviewed_normals=half.X[normals],
        unviewed_anomalies=half.X[anomalies],
    )


def judged(rows: TrainingRows, seed: int, *, references: bool) -> Iterator[tuple[str, str, np.ndarray, dict]]:
    """Yield setting, kind, which rows are of it, and novelty and the log-odds of all learners."""
    options = Options(n_neighbours=5, n_trees=60, seed=seed, n_jobs=1, labels="guarded")
    blocks = training._blocks(rows, residual=references)
    assert blocks is not None
    names = cue_names(int(blocks.codes.max()) + 1)
    sets = candidate_weights(names, residual=references, small=small_blocks(blocks.codes))
    weights = weights_of(next(iter(sets.values())), names)
    for found in rounds_of(rows, own_spread(rows.normals, 5), blocks, options):
        here = np.isin(rows.anomaly_domains, rows.normal_domains[found.held])
        normals = normals_of_round(rows, found, options)
        for left_out in ("", *KINDS):
            taught = ~here & (rows.kinds != left_out)
            tried = learners(rows, found, taught, normals, options)
            for kind in (left_out,) if left_out else KINDS:
                mine = here & (rows.kinds == kind)
                if mine.sum() < 3:
                    continue
                y, placed, _said = training._asked(rows, found, mine, mine & False, options, normals)
                seen = judged_rows(rows, found, mine, placed, options)
                said = trees_say(rows, found, taught, normals, options, seen)
                parts = {"novelty": placed @ weights, "near": said.local}
                parts |= {"randomised": said.log_odds(), "boosted": said.boosted_odds()}
                parts |= {name: score(seen) for name, score in tried.items()}
                parts[MEAN] = (in_units(parts["boosted"], y) + in_units(parts["linear"], y)) / 2
                yield "left out" if left_out else "known", kind, y, parts


def in_units(log_odds: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return log-odds in robust units of the normals."""
    centre, spread = log_odds_location(log_odds[~y])
    return (log_odds - centre) / spread


def compare(options: argparse.Namespace) -> list[list[str]]:
    """Return one line for no labels, and one for each learner and strength."""
    values: dict[tuple[str, float], dict[tuple[str, str], list[tuple[float, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    cells = [("none", 0.0), *(("near", strength) for strength in NEAR_STRENGTHS)]
    cells += [(source, strength) for source in SOURCES for strength in STRENGTHS]
    cells += [(source, strength) for source in (*NAMES, MEAN) for strength in TRIED_STRENGTHS]
    references = options.mode == "references"
    for seed in range(options.seeds):
        rows = training_rows(options.data, seed, references=references)
        for setting, kind, y, said in judged(rows, seed, references=references):
            for source, strength in cells:
                score = said["novelty"]
                if source == "near":
                    above = np.maximum(said["near"] - local_floor(said["near"][~y]), 0)
                    score = score + strength * reach_of(score[~y]) * above
                elif strength:
                    score = score + strength * np.logaddexp(0, in_units(said[source], y))
                values[source, strength][setting, kind].append((auroc(y, score), int(y.sum())))
        print(f"seed {seed}: done", file=sys.stderr, flush=True)
    return [line(name, values[name], values["none", 0.0]) for name in cells]


def line(name: tuple[str, float], own: dict, base: dict) -> list[str]:
    """Say what a wide term changes; of no labels the AUROC itself."""
    cells = []
    for setting in ("known", "left out"):
        means = [
            [np.average([a for a, _ in found[setting, kind]], weights=[n for _, n in found[setting, kind]])
             for kind in KINDS]
            for found in (own, base)
        ]  # fmt: skip
        shown = np.array(means[0]) - (np.array(means[1]) if name[1] else 0.0)
        form = "{:+.3f}" if name[1] else "{:.3f}"
        cells += [form.format(value) for value in (*shown, shown.mean())]
    sorts = {"near": "near labelled rows", MEAN: "mean of boosted trees and linear, timing and cues", **NAMES}
    sort = sorts.get(name[0], f"{name[0]} trees")
    return [f"{sort}, {name[1]:g}" if name[1] else "no labels", *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["references", "raw"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="draws of the labelled beats")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    settings = [f"{setting} {kind}" for setting in ("known", "left out") for kind in (*KINDS, "mean")]
    text = markdown(["DS1, patients left out", *settings], compare(options))
    print(text)
    if options.write:
        write_block(PAGE, f"domain-evidence-{options.mode}", text)


if __name__ == "__main__":
    main()
