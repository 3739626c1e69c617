"""What K reference normals of a new domain buy, with no label: nearest neighbours, Mahalanobis, their sum.

``nsl-kdd``: the official test file is one new domain; 10 000 training normals. ``mit-bih``: trained on the
records of DS1, tested on those of DS2, each record a domain; waveform and both RR intervals, views ``raw``
and ``scaled-centre``. References are K normals of each new domain and are not tested on. The sum adds the
two scores, each as a robust z of its logarithm over the calibration normals.

    python benchmarks/references.py nsl-kdd ../shared/data/nsl_kdd
    python benchmarks/references.py mit-bih ../shared/data/mitbih
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
from document import markdown, spread, write_block

from unseen.data import ColumnRoles, Table, TablePreprocessor, concat, read_table
from unseen.detectors import KNearestNeighbours, Mahalanobis
from unseen.metrics.ranking import auroc
from unseen.protocols import Split, leave_one_kind_out
from unseen.scoring.fusion import log_scaled_robust_z, sum_fusion

KINDS = {"nsl-kdd": ["dos", "probe", "r2l", "u2r"], "mit-bih": ["F", "S", "V"]}
COUNTS = {"nsl-kdd": [0, 32, 128, 1000], "mit-bih": [0, 4, 8, 32, 128]}


@dataclass(frozen=True)
class Data:
    """A table and how to split it."""

    table: Table
    new: dict[str, object]


def load(name: str, root: Path) -> Data:
    """Read one of the two data sets."""
    if name == "nsl-kdd":
        roles = ColumnRoles(
            kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train")
        )
        train = read_table(root / "train_20percent.parquet", roles)
        test = read_table(root / "test.parquet", roles, schema=train.schema)
        official = np.r_[np.zeros(len(train), dtype=bool), np.ones(len(test), dtype=bool)]
        return Data(concat([train, test]), {"test_rows": official, "max_normals": 10_000})
    dropped = ("record_split", "r_sample", "symbol", "channel", "window_mean_mv", "window_std_mv")
    roles = ColumnRoles(kind="family", normal=("N",), domain="record", ignore=dropped)
    table = read_table(root / "beats.parquet", roles)
    halves = read_table(
        root / "beats.parquet", ColumnRoles(kind="family", normal=("N",), domain="record_split")
    )
    assert halves.domains is not None
    return Data(table, {"test_rows": halves.domains == "DS2"})


def splits(data: Data, name: str, count: int, seeds: int) -> Iterator[Split]:
    """Yield one split a seed. Labels are not used, so which kind is held out does not matter."""
    yield from leave_one_kind_out(
        data.table.labels,
        shots=0,
        seeds=range(seeds),
        references=count,
        held_out_kinds=KINDS[name][:1],
        **data.new,  # type: ignore[arg-type]
    )


def scored(
    detector: KNearestNeighbours | Mahalanobis, X: dict[str, np.ndarray], domains: dict[str, np.ndarray]
):
    """Fit, adapt and return the scores of the calibration normals and of the test rows."""
    detector.fit(X["train"], domains=domains["train"])
    for part in ("calibration_references", "references"):
        if len(X[part]):
            detector = detector.adapt(X[part], domains=domains[part])
    return tuple(detector.decision_function(X[p], domains=domains[p]) for p in ("calibration", "test"))


def run(data: Data, split: Split, view: str) -> dict[str, np.ndarray]:
    """Return the test scores of each method."""
    table, labels = data.table, data.table.labels
    preprocessor = TablePreprocessor().fit(table.take(split.train).features)
    parts = ("train", "calibration", "calibration_references", "references", "test")
    rows = {part: getattr(split, part) for part in parts}
    width = len(preprocessor.feature_names_out_)
    X = {
        part: preprocessor.transform(table.take(r).features) if len(r) else np.zeros((0, width))
        for part, r in rows.items()
    }
    domains = {part: labels.domains[r] for part, r in rows.items()}
    cues, scores = [], {}
    for label, detector in (
        ("nearest neighbours", KNearestNeighbours(view=view, calibration_fraction=0, seed=split.seed)),
        ("Mahalanobis", Mahalanobis(view=view, calibration_fraction=0, seed=split.seed)),
    ):
        calibration, scores[label] = scored(detector, X, domains)
        cues.append(log_scaled_robust_z(scores[label], calibration))
    scores["sum"] = sum_fusion(np.column_stack(cues))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=sorted(KINDS))
    parser.add_argument("root", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/references.md")
    options = parser.parse_args()
    data = load(options.dataset, options.root)
    views = ["raw"] if options.dataset == "nsl-kdd" else ["raw", "scaled-centre", "residual-nearest"]
    rows = []
    for view in views:
        for count in COUNTS[options.dataset]:
            found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
            for split in splits(data, options.dataset, count, options.seeds):
                kinds = np.asarray(split.kind_names)[split.test_kind_codes]
                for method, scores in run(data, split, view).items():
                    for kind in KINDS[options.dataset]:
                        judged = np.isin(split.test, split.test_of(kind))
                        found[method][kind].append(auroc(kinds[judged] == kind, scores[judged]))
            for method, values in found.items():
                mean = np.mean([values[kind] for kind in values], axis=0)
                rows.append(
                    [
                        f"{method}, {view}, K = {count}",
                        *(spread(v, 3) for v in values.values()),
                        spread(mean, 3),
                    ]
                )
                print(" | ".join(rows[-1]), flush=True)
    text = markdown(["AUROC", *KINDS[options.dataset], "mean"], rows)
    if options.write:
        write_block("references.md", options.dataset, text)


if __name__ == "__main__":
    main()
