"""What a share of the false alarms brings to kinds with labels and costs those without, on flows.

Training rows alone: NSL-KDD's training file and the stratified sample of CIC-IDS2017. 4 000 normals are
fitted on, 2 000 are judged against; of each known kind 7 or 35 rows are labelled, all others are judged, as
is the kind left out. *Drifted*: a third of the 4 000 normals, whole regions of them, is left out of the fit
and judged against instead. Each fit is scored with every rule that it chose among, and with larger shares.

    python benchmarks/label_shares.py nsl-kdd ../shared/data --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from bold_labels import Watched, scored_by

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "peers"))
from data_sets import GROUPS, DataSet
from document import markdown, write_block

from unseen.data import TablePreprocessor
from unseen.detectors import UnseenDetector
from unseen.detectors.fused.drift import regions
from unseen.detectors.fused.lift import Lift
from unseen.detectors.fused.likeness import SHARES
from unseen.metrics.ranking import auroc

PAGE = "decisions/0006-labels-that-never-hurt.md"
N_NORMALS, N_JUDGED, MOST_ROWS = 4_000, 2_000, 1_500
LARGER = (0.1, 0.3)
"""Shares that the detector does not ask for."""
NAMES = {"off": "novelty alone"}
SETTINGS = {
    "several names": {"one_name": False, "drifted": False},
    "several names, drifted": {"one_name": False, "drifted": True},
    "one name": {"one_name": True, "drifted": False},
    "one name, drifted": {"one_name": True, "drifted": True},
}
Scores = dict[str, dict[str, np.ndarray]]


def draws(data: DataSet, options: argparse.Namespace) -> Iterator[tuple[str, Scores]]:
    """Yield, for each kind left out, its name and the scores of rows, by rule and kind (or "normals")."""
    labels = data.table.labels
    kinds = [str(kind) for kind in np.unique(labels.kinds[labels.y == 1])]
    for seed in range(options.seeds):
        draw = np.random.default_rng(100 + seed)
        normals = draw.permutation(np.flatnonzero(labels.y == 0))
        fitted, fresh = normals[:N_NORMALS], normals[N_NORMALS : N_NORMALS + N_JUDGED]
        rows = {kind: draw.permutation(np.flatnonzero(labels.kinds == kind)) for kind in kinds}
        preprocessor = TablePreprocessor().fit(data.table.take(fitted), np.zeros(len(fitted), dtype=np.int8))
        if options.drifted:
            part = regions(preprocessor.transform(data.table.take(fitted)), 7)
            fitted, fresh = fitted[part != seed], fitted[part == seed]
        for left in data.kinds:
            taught = {
                kind: own[: min(options.shots, len(own) - 2)] for kind, own in rows.items() if kind != left
            }
            judged = {kind: rows[kind][len(taught.get(kind, ())) :][:MOST_ROWS] for kind in data.kinds}
            labelled = np.concatenate(list(taught.values()))
            names = labels.kinds[labelled] if not options.one_name else np.full(len(labelled), "anomaly")
            X = preprocessor.transform(data.table.take(np.concatenate([fitted, labelled])))
            told = np.concatenate([np.full(len(fitted), "normal"), names])
            watched = Watched()
            detector = UnseenDetector(calibration_fraction=0, seed=seed, n_jobs=1)
            watched.fit(detector, X, (told != "normal").astype(np.int8), kinds=told)
            lift = watched.rules[str(SHARES[0])]
            assert isinstance(lift, Lift)
            rules = {**watched.rules, **{str(share): replace(lift, share=share) for share in LARGER}}
            every = {"normals": fresh, **judged}
            V = {name: preprocessor.transform(data.table.take(some)) for name, some in every.items()}
            scores = {
                name: {kind: scored_by(detector, rule, some) for kind, some in V.items()}
                for name, rule in rules.items()
            }
            scores["chosen"] = {kind: detector.decision_function(some) for kind, some in V.items()}
            yield left, scores
            print(f"{left}, seed {seed}, {watched.chosen}", file=sys.stderr, flush=True)


def column(data: DataSet, options: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Return, for each rule, the mean of kinds left out, what one loses at most, and that of known ones."""
    left: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    known: dict[str, list[float]] = defaultdict(list)
    for held, scores in draws(data, options):
        for rule, by_kind in scores.items():
            normals = by_kind["normals"]
            for kind in data.kinds:
                y = np.repeat([False, True], [len(normals), len(by_kind[kind])])
                area = float(auroc(y, np.concatenate([normals, by_kind[kind]])))
                (left[rule][kind] if kind == held else known[rule]).append(area)
    means = {rule: {kind: float(np.mean(own)) for kind, own in found.items()} for rule, found in left.items()}
    return {
        rule: (
            float(np.mean(list(found.values()))),
            min(found[kind] - means["off"][kind] for kind in found),
            float(np.mean(known[rule])),
        )
        for rule, found in means.items()
    }


def compare(options: argparse.Namespace) -> str:
    """Return one table a setting: rules by numbers of labels."""
    (data,) = GROUPS[options.dataset](options.data)
    texts = []
    for name, setting in SETTINGS.items():
        found = {}
        for options.shots in (7, 35):
            options.one_name, options.drifted = setting["one_name"], setting["drifted"]
            found[options.shots] = column(data, options)
        lines = []
        for rule in sorted(found[7], key=order):
            lift = rule not in (*NAMES, "bold", "chosen")
            cells = [f"{own[rule][i]:{'+' if i == 1 else ''}.3f}" for own in found.values() for i in range(3)]
            lines.append([f"lift {rule}".replace("0.", ".") if lift else NAMES.get(rule, rule), *cells])
        parts = ("left out", "most lost by one", "known")
        header = [name, *(f"{part}, {shots} labels" for shots in found for part in parts)]
        texts.append(markdown(header, lines))
    return "\n\n".join(texts)


def order(rule: str) -> tuple[bool, bool, str]:
    """Novelty first, then lifts by their share, then bold and what was chosen."""
    return rule == "chosen", rule == "bold", "" if rule == "off" else rule


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", choices=["nsl-kdd", "cic-ids2017"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = compare(options)
    print(text)
    if options.write:
        write_block(PAGE, f"label-shares-{options.dataset}", text)


if __name__ == "__main__":
    main()
