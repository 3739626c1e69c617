"""MIT-BIH with patients as tasks: trained on DS1, scored on the patients of DS2, no labels."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from document import markdown, spread
from pictures import read_lines

from unseen.detectors import BaseDetector, ConfidentMeta, KNearestNeighbours, Mahalanobis
from unseen.metrics import auroc

KINDS = ("F", "S", "V")
COUNTS = (8, 32)
OURS: dict[str, dict[str, Any]] = {
    "confident-meta": {},
    "same network, pooled training": {"meta": "none"},
    "hard rejection": {"weighting": "hard"},
    "without confident weights": {"weighting": "none"},
    "without covariance penalty": {"regularisation": 0.0},
    "without contrastive term": {"contrastive_weight": 0.0},
    "without feature noise": {"noise": 0.0},
    "without synthetic rows": {"synthetic": False},
}
ABLATED = list(OURS)[2:]
RIVALS = {"nearest neighbours": KNearestNeighbours, "Mahalanobis": Mahalanobis}


@dataclass(frozen=True)
class Beats:
    """Rows of the table in the order of time."""

    X: np.ndarray
    kinds: np.ndarray
    records: np.ndarray
    in_ds2: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """Normals of DS1."""
        return ~self.in_ds2 & (self.kinds == "N")


def read_beats(options: argparse.Namespace) -> Beats:
    """Waveform, logarithms of both RR intervals and of their ratio; scaled on normals of DS1."""
    table = pl.read_parquet(options.data / "beats.parquet").sort("record", "r_sample")
    samples = [name for name in table.columns if name[0] == "t" and name[1:].isdigit()]
    waveform = table.select(samples).to_numpy().astype(np.float64)
    rr = table.select("rr_prev_s", "rr_next_s").to_numpy().astype(np.float64)
    kinds, records = (table[name].cast(pl.String).to_numpy().astype(str) for name in ("family", "record"))
    in_ds2 = table["record_split"].to_numpy() == "DS2"
    train = ~in_ds2 & (kinds == "N")
    rr = np.log(np.where(np.isfinite(rr), rr, np.nanmedian(rr[train], axis=0)))
    timing = np.column_stack([rr, rr[:, 1] - rr[:, 0]])
    X = np.column_stack([waveform, 2 * timing / timing[train].std(axis=0)])
    return Beats(X.astype(np.float32), kinds, records, in_ds2)


def references(beats: Beats, count: int) -> np.ndarray:
    """The first normals in time of each patient of DS2."""
    chosen = np.zeros(len(beats.X), dtype=bool)
    for record in np.unique(beats.records[beats.in_ds2]):
        rows = np.flatnonzero((beats.records == record) & (beats.kinds == "N"))
        chosen[rows[:count]] = True
    return chosen


def judged(detector: BaseDetector, beats: Beats, shown: np.ndarray) -> dict[str, float]:
    """AUROC of each kind against the normals of DS2 that are no references."""
    test = beats.in_ds2 & ~shown & (beats.kinds != "Q")
    scores = detector.decision_function(beats.X[test], domains=beats.records[test])
    kinds = beats.kinds[test]
    return {
        kind: float(auroc(kinds[some] == kind, scores[some]))
        for kind in KINDS
        for some in [np.isin(kinds, [kind, "N"])]
    }


def adapted(detector: BaseDetector, beats: Beats, shown: np.ndarray) -> BaseDetector:
    """The detector with the references of every patient."""
    return detector.adapt(beats.X[shown], domains=beats.records[shown])


def run_row(name: str, view: str, beats: Beats, seed: int) -> Iterator[dict[str, Any]]:
    """Fit once; score without references, and with each number of them."""
    if name in OURS:
        made: BaseDetector = ConfidentMeta(**OURS[name], view=view, calibration_fraction=0, seed=seed)
    else:
        made = RIVALS[name](view=view, calibration_fraction=0, seed=seed)
    train = beats.train
    made.fit(beats.X[train], domains=beats.records[train])
    none = np.zeros(len(beats.X), dtype=bool)
    if view == "raw":
        yield {"K": 0, "steps": 0, **judged(made, beats, none)}
    for count in COUNTS if name not in ABLATED else COUNTS[:1]:
        shown = references(beats, count)
        for steps in (0, 1, 5) if name in OURS else (0,):
            if steps == 0 and view == "raw" and name in OURS:
                continue
            if name in OURS:
                made.set_params(adaptation_steps=steps)
            yield {"K": count, "steps": steps, **judged(adapted(made, beats, shown), beats, shown)}


def heartbeats(options: argparse.Namespace) -> str:
    """Unseen patients: zero-shot and with references, raw and on residuals."""
    beats = read_beats(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(item["row"], item["view"], item["seed"]) for item in read_lines(options.out)}
    for seed in range(options.first_seed, options.seeds):
        for name in [*OURS, *RIVALS]:
            for view in ("raw", "residual-centre"):
                unasked = options.rows is not None and name not in options.rows
                if unasked or (name, view, seed) in done or (name in RIVALS and seed > 0):
                    continue
                lines = [
                    {"row": name, "view": view, "seed": seed, **item}
                    for item in run_row(name, view, beats, seed)
                ]
                with options.out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(line) + "\n" for line in lines)
                for line in lines:
                    print(json.dumps(line), flush=True)
    return _table(read_lines(options.out))


def _table(results: list[dict[str, Any]]) -> str:
    found: dict[tuple[Any, ...], list[dict[str, float]]] = defaultdict(list)
    for item in results:
        found[item["row"], item["view"], item["K"], item["steps"]].append(item)
    order = [*OURS, *RIVALS]
    lines = []
    for key, items in sorted(found.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1:])):
        row, view, count, steps = key
        cells = [spread([item[kind] for item in items], 3) for kind in KINDS]
        mean = spread([float(np.mean([item[kind] for kind in KINDS])) for item in items], 3)
        shown = ("1 step" if steps == 1 else f"{steps} steps") if row in OURS else ""
        lines.append([row, view, str(count), shown, *cells, mean, str(len(items))])
    header = ["AUROC", "view", "K", "adaptation", *KINDS, "mean", "seeds"]
    return markdown(header, lines)
