"""MIT-BIH between patients: DS1 trains, DS2 tests, every record is a domain; V, S and F left out in turn.

The window of a beat (187 samples) has mean 0 and variance 1 by itself, so its samples share one unit and stay
as they are. Its timing is three numbers: the logarithms of both RR intervals and of their ratio, which tells
an early beat without knowing the patient's heart rate; each is divided by its standard deviation over the
training normals and counts twice, a weight chosen on the patients of DS1. ``--timing intervals`` has the
plain intervals without weight.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from document import markdown, spread
from tables import METRICS, OURS, ROLES, means

from unseen.data import ColumnRoles, Table, read_table
from unseen.detectors import DETECTORS
from unseen.detectors.base import BaseDetector
from unseen.evaluation import ResultRow, Settings
from unseen.evaluation.parts import PARTS, finished_rows
from unseen.evaluation.prepared import Prepared
from unseen.evaluation.running import run_job
from unseen.evaluation.trials import Job, Trial, plan_trials
from unseen.protocols import leave_one_kind_out

KINDS = ("F", "S", "V")
DROPPED = ("record_split", "r_sample", "symbol", "channel", "window_mean_mv", "window_std_mv")
INTERVALS = ("rr_prev_s", "rr_next_s")
RECIPE = "MIT-BIH, waveform as it is, {timing}"
OWN_RESIDUAL = ("res-ad",)
TIMING_WEIGHT = 2.0
SETTINGS = Settings(latent_rows=0)


def read_beats(root: Path) -> tuple[Table, np.ndarray]:
    """Return all beats, and which of them are of DS2."""
    file = root / "beats.parquet"
    table = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record", ignore=DROPPED))
    halves = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record_split"))
    assert halves.domains is not None
    return table, halves.domains == "DS2"


def features(table: Table, train: np.ndarray, timing: str) -> np.ndarray:
    """Return waveform and timing of every beat; statistics from ``train`` alone.

    Parameters
    ----------
    table : Table
        All beats.
    train : int array
        Rows of the training normals.
    timing : {"doubled", "intervals"}
        Logarithms and log ratio with weight 2, or the plain intervals.
    """
    names = [name for name in table.features.columns if name not in INTERVALS]
    waveform = table.features.select(names).to_numpy().astype(np.float32)
    rr = table.features.select(INTERVALS).to_numpy().astype(np.float64)
    rr = np.where(np.isfinite(rr), rr, np.nanmedian(rr[train], axis=0))
    weight = 1.0
    if timing != "intervals":
        logs = np.log(rr)
        rr = np.column_stack([logs, logs[:, 1] - logs[:, 0]])
        weight = TIMING_WEIGHT
    return np.column_stack([waveform, weight * rr / rr[train].std(axis=0)]).astype(np.float32)


def mit_bih(options: argparse.Namespace) -> str:
    """Evaluate for each number of references; return one table a number, then precision and recall."""
    table, in_ds2 = read_beats(options.data)
    trials: list[Trial] = []
    for count in options.references:
        splits = leave_one_kind_out(
            table.labels,
            shots=options.shots,
            seeds=range(options.seeds),
            test_rows=in_ds2,
            references=count,
            held_out_kinds=KINDS,
        )
        trials += plan_trials(
            _detectors(options, count),
            splits,
            SETTINGS,
            fingerprint=RECIPE.format(timing=options.timing),
            version="paper",
        )
    parts = options.out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    _run(table, trials, parts, options.timing)
    blocks, operating = [], []
    for count in options.references:
        rows = [
            row
            for trial in trials
            if trial.split.n_references == count
            for row in finished_rows(parts, trial.key) or []
        ]
        blocks.append(f"K = {count} references a patient:\n\n{means(rows, KINDS)}")
        operating += _operating_lines(rows, count)
    header = [f"{OURS}, kind", *(f"{label}, {role}" for role in ROLES for label in METRICS.values())]
    return "\n\n".join([*blocks, markdown(header, operating)])


def _detectors(options: argparse.Namespace, count: int) -> dict[str, BaseDetector]:
    """Rows are seen from the nearest reference, if there are any; ResAD does that by itself."""
    view = "residual-nearest" if count else "raw"
    detectors = {
        name: DETECTORS[name](view="raw" if name in OWN_RESIDUAL else view) for name in options.detectors
    }
    if OURS in detectors:
        detectors[OURS].set_params(encoder=options.encoder, n_trees=options.trees)
    if OURS in detectors and count:
        detectors[OURS].set_params(novelty_cues=("reference",))  # which "auto" would choose for this view
    return detectors


def _run(table: Table, trials: list[Trial], parts: Path, timing: str) -> None:
    """Run what an earlier run has not finished; one fit serves all numbers of references above 0."""
    groups: dict[tuple[object, ...], list[Trial]] = {}
    for trial in trials:
        if finished_rows(parts, trial.key) is None:
            split = trial.split
            taught = split.fit_rows if trial.detector.uses_labels else split.train
            parameters = repr(sorted(trial.detector.get_params().items()))
            groups.setdefault((trial.detector_name, parameters, split.seed, taught.tobytes()), []).append(
                trial
            )
    with tempfile.TemporaryDirectory() as folder:
        made: dict[bytes, Prepared] = {}
        for group in groups.values():
            train = group[0].split.train
            if train.tobytes() not in made:
                X = features(table, train, timing)
                file = Path(folder) / f"{len(made)}.npy"
                np.save(file, X, allow_pickle=False)
                made[train.tobytes()] = Prepared(file, np.arange(len(X)), X.shape[1])
            for outcome in run_job(Job(tuple(group)), made[train.tobytes()], table.labels, SETTINGS, parts):
                print(f"{outcome.name}: {outcome.seconds:.0f} s", file=sys.stderr, flush=True)
                if outcome.error:
                    raise SystemExit(f"{outcome.name}: {outcome.error}\n{outcome.details}")


def _operating_lines(rows: list[ResultRow], count: int) -> list[list[str]]:
    lines = []
    for kind in KINDS:
        cells = []
        for role in ROLES:
            found = [
                row for row in rows if row["detector"] == OURS and row["kind"] == kind and row["role"] == role
            ]
            cells += [
                spread([row[metric] for row in found], 2) if found else ""  # type: ignore[literal-required]
                for metric in METRICS
            ]
        lines.append([f"{kind}, K = {count}", *cells])
    return lines
