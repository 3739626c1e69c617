"""False alarms on fresh normals of the patients that a fit knows, and on those of new patients (MIT-BIH).

A quarter of the normals of each patient of DS1 is held back from everything: beats at random, or the last
ones of each record. The rest, and 50 labels of each kind, are fitted on as ``unseen fit`` does, which holds a
fifth of the patients back whole. A row of the table is how the fresh normals are scored: with their patient
named (and of these, those patients alone that the fit has met) or not, with new references of each patient or
with those of the fit, or by a fit that was told no patients. Patients of DS2 are scored by the same fits. The
rate asked for is 1 %. Columns are the share of normals flagged, over all and over patients (mean over the
seeds that have the patient), and the distance of the p-values from uniform ones.

    python benchmarks/same_source_alarms.py ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block
from heartbeats import KINDS, read_beats

from unseen.data import Table
from unseen.detectors import UnseenDetector
from unseen.pipeline import TableModel
from unseen.pipeline.table_model import ScoredBatch
from unseen.references import reference_rows
from unseen.scoring import measure_drift

PAGE = "methods/unseen_detector.md"
HELD_BACK, SHOTS, N_REFERENCES, RATE = 0.25, 50, 8, 0.01
ORDERS = {"random": "beats at random", "time": "the last beats"}
KNOWN = {
    "named": "patient named",
    "known": "patient named and met by the fit",
    "adapted": f"patient named, {N_REFERENCES} fresh references each",
    "nameless": "patient not named",
    "told none": "fit without names of patients",
}
NEW = {"new": "**new patients**", "new adapted": f"**new patients**, {N_REFERENCES} references each"}


@dataclass(frozen=True)
class Alarms:
    """What one fit says of normals: shares flagged, of all and by patient, and the p-values' distance."""

    overall: float
    patients: dict[str, float]
    distance: float

    @classmethod
    def of(cls, batch: ScoredBatch, patients: np.ndarray, model: TableModel) -> Alarms:
        shares = {str(name): float(batch.flagged[patients == name].mean()) for name in np.unique(patients)}
        n_calibration = len(model.calibration.normal_scores)  # for the critical distance alone
        drift = measure_drift(batch.p_value, n_calibration=n_calibration, rate=RATE)
        return cls(float(batch.flagged.mean()), shares, drift.distance)


class Beats:
    """All beats, and the time of each within its record."""

    def __init__(self, root: Path) -> None:
        self.table, self.in_ds2 = read_beats(root)
        self.labels = self.table.labels
        self.time = pl.read_parquet(root / "beats.parquet", columns=["r_sample"])["r_sample"].to_numpy()

    def fresh(self, order: str, draw: np.random.Generator) -> np.ndarray:
        """Mark a quarter of the normals of each patient of DS1."""
        marked = np.zeros(len(self.labels), dtype=bool)
        normal = self.labels.normal & ~self.in_ds2
        for patient in np.unique(self.labels.domains[normal]):
            rows = np.flatnonzero(normal & (self.labels.domains == patient))
            rows = draw.permutation(rows) if order == "random" else rows[np.argsort(self.time[rows])]
            marked[rows[len(rows) - round(HELD_BACK * len(rows)) :]] = True
        return marked

    def training(self, fresh: np.ndarray, most: int, draw: np.random.Generator) -> Table:
        """Return normals that are not held back, and some labelled beats of each kind."""
        normals = np.flatnonzero(self.labels.normal & ~self.in_ds2 & ~fresh)
        rows = [draw.permutation(normals)[:most]]
        for kind in KINDS:
            rows.append(draw.permutation(np.flatnonzero(~self.in_ds2 & (self.labels.kinds == kind)))[:SHOTS])
        return self.table.take(np.sort(np.concatenate(rows)))


def nameless(table: Table) -> Table:
    """Return the same rows without the names of their patients."""
    return replace(table, domains=None)


def judged(beats: Beats, order: str, seed: int, most: int) -> Iterator[tuple[str, Alarms]]:
    """Fit with and without names of patients; yield what each way of scoring flags."""
    draw = np.random.default_rng(seed)
    fresh = beats.fresh(order, draw)
    training = beats.training(fresh, most, draw)
    model = TableModel.fit(training, UnseenDetector(seed=seed))
    marked = reference_rows(beats.labels.domains, fresh, N_REFERENCES)
    references, known = beats.table.take(marked), beats.table.take(fresh & ~marked)
    patients = known.labels.domains
    adapted = model.adapt(references)
    yield "named", Alarms.of(model.score_table(known), patients, model)
    own = known.take(model.detector.calibrations_.is_known(patients))
    yield "known", Alarms.of(model.score_table(own), own.labels.domains, model)
    yield "adapted", Alarms.of(adapted.score_table(known), patients, adapted)
    yield "nameless", Alarms.of(model.score_table(nameless(known)), patients, model)
    yield from new_patients(beats, model)
    untold = TableModel.fit(nameless(training), UnseenDetector(seed=seed))
    yield "told none", Alarms.of(untold.score_table(nameless(known)), patients, untold)


def new_patients(beats: Beats, model: TableModel) -> Iterator[tuple[str, Alarms]]:
    """Yield what is flagged of the normals of DS2, without references and with them."""
    normal = beats.labels.normal & beats.in_ds2
    marked = reference_rows(beats.labels.domains, normal, N_REFERENCES)
    table, adapted = beats.table.take(normal & ~marked), model.adapt(beats.table.take(marked))
    yield "new", Alarms.of(model.score_table(table), table.labels.domains, model)
    yield "new adapted", Alarms.of(adapted.score_table(table), table.labels.domains, adapted)


def line(label: str, found: Sequence[Alarms]) -> list[str]:
    """Return a row of the table; figures of patients are of their means over the seeds."""
    names = sorted({name for item in found for name in item.patients})
    by_patient = [[item.patients[name] for item in found if name in item.patients] for name in names]
    shares = np.array([np.mean(own) for own in by_patient])
    within = np.mean((shares >= RATE / 2) & (shares <= 2 * RATE))
    overall = [item.overall for item in found]
    figures = (np.mean(overall), shares.mean(), np.median(shares), shares.max())
    distance = np.mean([item.distance for item in found])
    return [
        label,
        f"{figures[0]:.2%} ({min(overall):.2%}-{max(overall):.2%})",
        *(f"{figure:.2%}" for figure in figures[1:]),
        f"{within:.0%}",
        f"{distance:.3f}",
    ]


def measure(options: argparse.Namespace) -> str:
    """Return the table."""
    beats = Beats(options.data)
    lines = []
    for order, name in ORDERS.items():
        found: dict[str, list[Alarms]] = defaultdict(list)
        for seed in range(options.seeds):
            for way, alarms in judged(beats, order, seed, options.max_normals):
                found[way].append(alarms)
            print(f"{name}, seed {seed}: done", file=sys.stderr, flush=True)
        lines += [line(f"{name}: {label}", found[way]) for way, label in KNOWN.items()]
        if order == "random":
            of_new = [line(label, found[way]) for way, label in NEW.items()]
    header = ["flagged at 1 %", "of all (seeds)", "mean patient", "median patient", "worst patient"]
    return markdown([*header, "patients within .5-2 %", "distance of p-values"], [*lines, *of_new])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-normals", type=int, default=10_000, help="normals to fit on")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = measure(options)
    print(text)
    if options.write:
        write_block(PAGE, "same-source-alarms", text)


if __name__ == "__main__":
    main()
