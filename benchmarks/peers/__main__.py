"""This library beside the ones that people use, on the same frozen splits, in one run.

    python benchmarks/peers nsl-kdd DATA --shots 10,50
    python benchmarks/peers adbench DATA --shots 10,50 --detectors unseen,pyod-knn,deepod-deepsad
    python benchmarks/peers memory DATA

``--detectors pyod-knn,pyod-xgbod@10``: XGBOD with 10 labels only.

``DATA`` is the folder that holds ``nsl_kdd``, ``cic_ids2017``, ``mitbih`` and ``adbench``. Needs the
``peers`` extra; DeepOD pins an old torch, so it is installed beside the current one without its dependencies:

    pip install "unseen[peers]"
    pip install --no-deps deepod==0.4.1

Every detector gets the same preprocessed rows (statistics from the training normals), the same labels and the
same test rows. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "paper"))

from adapters import SUPERVISED, UNSUPERVISED, peer
from data_sets import GROUPS, DataSet
from document import write_block
from memory import memory_table
from tables import held_out_tables, known_tables

from unseen.detectors import DETECTORS, UnseenDetector
from unseen.detectors.base import BaseDetector
from unseen.evaluation import ResultRow, Settings, evaluate

TRUSTED = "unseen-trusted"
"""The default detector, told that every anomaly that matters is like a labelled one."""

OURS = ("unseen", "k-nearest-neighbours", "mahalanobis", "multi-directional-meta", "anomaly-aware-vae")
ALL = (*OURS, TRUSTED, *UNSUPERVISED, *SUPERVISED)
SETTINGS = Settings(latent_rows=0)


def detector(name: str, **settings: object) -> BaseDetector:
    """Return one of our detectors, or a peer, by name."""
    if name == TRUSTED:
        return UnseenDetector(labels="trusted")
    if name in DETECTORS:
        return DETECTORS[name](**settings)
    return peer(name)


def asked_at(names: list[str], shots: int) -> list[str]:
    """Return the detectors asked for at one number of labels: those without one, and those with this one."""
    parted = [name.partition("@") for name in names]
    return [name for name, _, only in parted if only in ("", str(shots))]


def run(data: DataSet, options: argparse.Namespace, shots: int) -> list[ResultRow]:
    """Evaluate all asked detectors on one data set at one number of labels."""
    results = evaluate(
        data.table,
        test=data.test,
        detectors={name: detector(name) for name in asked_at(options.detectors, shots)},
        splits=partial(data.splits, shots=shots, seeds=range(options.seeds)),
        out=options.out / data.name / f"{shots}",
        settings=SETTINGS,
        jobs=options.jobs,
    )
    return [row for row in results.rows if row["kind"] in data.kinds]


def main() -> None:
    """Run one group of data sets, print its tables and write them into the documentation if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=[*GROUPS, "memory"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--shots", default="10,50")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--detectors", default=",".join(ALL))
    parser.add_argument("--sets", default="", help="only these sets of the group")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/peers"))
    parser.add_argument("--write", action="store_true", help="renew the tables in docs/benchmarks.md")
    options = parser.parse_args()
    options.detectors = options.detectors.split(",")
    names = [name.partition("@")[0] for name in options.detectors]
    unknown = [name for name in names if name not in DETECTORS and name not in ALL]
    if unknown:
        parser.error(
            f"no detector {unknown[0]!r}; have {', '.join([*DETECTORS, *UNSUPERVISED, *SUPERVISED])}"
        )
    if options.what == "memory":
        text = memory_table(options.data, names)
    else:
        sets = [
            one
            for one in GROUPS[options.what](options.data)
            if one.name in (options.sets or one.name).split(",")
        ]
        found = {
            (one.name, shots): run(one, options, shots)
            for one in sets
            for shots in map(int, options.shots.split(","))
        }
        text = (held_out_tables if sets[0].held_out else known_tables)(found, names)
    print(text)
    if options.write:
        write_block("benchmarks.md", f"peers-{options.what}", text)


if __name__ == "__main__":
    main()
