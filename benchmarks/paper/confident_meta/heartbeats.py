"""MIT-BIH with patients as tasks: trained on DS1, scored on the patients of DS2, no labels."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import torch
from document import markdown, spread
from pictures import read_lines

from unseen.detectors import BaseDetector, ConfidentMeta, KNearestNeighbours, Mahalanobis
from unseen.detectors.confident_meta import SCORES
from unseen.metrics import auroc

KINDS = ("F", "S", "V")
COUNTS = (8, 32)
STEPS = (1, 5)
OURS: dict[str, dict[str, Any]] = {
    "confident-meta": {},
    "same network, pooled training": {"meta": "none"},
    "same network, untrained": {"epochs": 0},
    "second order": {"meta": "second"},
    "without confident weights": {"weighting": "none"},
    "without covariance penalty": {"regularisation": 0.0},
    "with a share of the start": {"start_share": 0.5},
    "without contrastive term": {"contrastive_weight": 0.0},
    "without feature noise": {"noise": 0.0},
    "without synthetic rows": {"synthetic": False},
}
COMPARED = list(OURS)[:3]
RIVALS = {"nearest neighbours": KNearestNeighbours, "Mahalanobis": Mahalanobis}
CHOICES: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "with a share of the start": {"start_share": 0.5},
    "same, and ten times the contrastive term": {"start_share": 0.5, "contrastive_weight": 1.0},
    "pooled training": {"meta": "none"},
    "untrained": {"epochs": 0},
}
FOLDS = 3
LEAST = 20


@dataclass(frozen=True)
class Beats:
    """Rows of the table in the order of time."""

    X: np.ndarray
    kinds: np.ndarray
    records: np.ndarray
    in_ds2: np.ndarray


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


def references(beats: Beats, tested: np.ndarray, count: int) -> np.ndarray:
    """The first normals in time of each patient that is tested."""
    chosen = np.zeros(len(beats.X), dtype=bool)
    for record in np.unique(beats.records[tested]):
        rows = np.flatnonzero((beats.records == record) & (beats.kinds == "N"))
        chosen[rows[:count]] = True
    return chosen


def judged(detector: BaseDetector, beats: Beats, tested: np.ndarray) -> dict[str, float]:
    """AUROC of each kind against the normals; kinds with too few rows are left out."""
    scores = detector.decision_function(beats.X[tested], domains=beats.records[tested])
    kinds = beats.kinds[tested]
    return {
        kind: float(auroc(kinds[some] == kind, scores[some]))
        for kind in KINDS
        for some in [np.isin(kinds, [kind, "N"])]
        if (kinds == kind).sum() >= LEAST
    }


def run_row(
    parameters: dict[str, Any], view: str, beats: Beats, masks: tuple[np.ndarray, np.ndarray], seed: int
) -> Iterator[dict[str, Any]]:
    """Fit once on the first rows; score the others without references, and with each number of them."""
    train, tested = masks
    detector = ConfidentMeta(**parameters, view=view, calibration_fraction=0, seed=seed, device="cpu")
    began = time.process_time()
    detector.fit(beats.X[train], domains=beats.records[train])
    seconds = {"fit_s": time.process_time() - began}
    cases = [(0, 0)] if view == "raw" else []
    for count, steps in cases + [(count, steps) for count in COUNTS for steps in STEPS]:
        shown = references(beats, tested, count)
        adapted: ConfidentMeta = detector
        if count:
            detector.set_params(adaptation_steps=steps)
            adapted = detector.adapt(beats.X[shown], domains=beats.records[shown])
        for score in SCORES[:2]:
            adapted.set_params(score=score)
            yield {
                "K": count,
                "steps": steps,
                "score": score,
                **seconds,
                **judged(adapted, beats, tested & ~shown),
            }


def run_rival(
    name: str, view: str, beats: Beats, masks: tuple[np.ndarray, np.ndarray]
) -> Iterator[dict[str, Any]]:
    """The same for a detector that is not ours."""
    train, tested = masks
    detector = RIVALS[name](view=view, calibration_fraction=0).fit(
        beats.X[train], domains=beats.records[train]
    )
    if view == "raw":
        yield {"K": 0, "steps": 0, "score": "", **judged(detector, beats, tested)}
    for count in COUNTS:
        shown = references(beats, tested, count)
        adapted = detector.adapt(beats.X[shown], domains=beats.records[shown])
        yield {"K": count, "steps": 0, "score": "", **judged(adapted, beats, tested & ~shown)}


def heartbeats(options: argparse.Namespace) -> str:
    """Unseen patients: zero-shot and with references, raw and on residuals."""
    beats = read_beats(options)
    masks = (~beats.in_ds2 & (beats.kinds == "N"), beats.in_ds2 & (beats.kinds != "Q"))
    jobs = [
        (row, view, seed)
        for seed in range(options.first_seed, options.seeds)
        for row in [*OURS, *RIVALS]
        for view in ("raw", "residual-centre")
        if not (row in RIVALS and seed > 0) and not (row in OURS and row not in COMPARED and view != "raw")
    ]

    def results(row: str, view: str, seed: int) -> Iterator[dict[str, Any]]:
        if row in RIVALS:
            return run_rival(row, view, beats, masks)
        return run_row(OURS[row], view, beats, masks, seed)

    found = _run(options, jobs, results)
    main = _table(found, [*COMPARED, *RIVALS])
    rest = _table(
        [item for item in found if item["view"] == "raw"], ["confident-meta", *list(OURS)[2:]], brief=True
    )
    return f"{main}\n\nParts left out, raw, with the default score:\n\n{rest}\n\n{_times(found)}"


def patients(options: argparse.Namespace) -> str:
    """What settings were chosen by: a third of the training patients left out in turn."""
    beats = read_beats(options)
    everyone = np.random.default_rng(0).permutation(np.unique(beats.records[~beats.in_ds2]))
    jobs = [
        (row, f"fold {fold}", seed)
        for seed in range(options.first_seed, options.seeds)
        for row in CHOICES
        for fold in range(FOLDS)
    ]

    def results(row: str, fold: str, seed: int) -> Iterator[dict[str, Any]]:
        out = np.isin(beats.records, everyone[int(fold[-1]) :: FOLDS])
        train = ~beats.in_ds2 & ~out & (beats.kinds == "N")
        return run_row(CHOICES[row], "raw", beats, (train, out & (beats.kinds != "Q")), seed)

    return _table(_run(options, jobs, results), list(CHOICES), brief=True, scores=SCORES[:2])


Job: TypeAlias = tuple[str, str, int]


def _run(
    options: argparse.Namespace, jobs: list[Job], results: Callable[[str, str, int], Iterator[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Run what an earlier run has not finished; return all results."""
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(item["row"], item["view"], item["seed"]) for item in read_lines(options.out)}
    began = time.monotonic()
    for row, view, seed in jobs:
        if (row, view, seed) in done:
            continue
        if time.monotonic() - began > options.seconds:
            print("stopped by --seconds; run again to go on")
            break
        lines = [{"row": row, "view": view, "seed": seed, **item} for item in results(row, view, seed)]
        with options.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        print(row, view, seed, flush=True)
    return read_lines(options.out)


def _table(
    results: list[dict[str, Any]],
    rows: list[str],
    *,
    brief: bool = False,
    scores: Sequence[str] = ("prototypes",),
) -> str:
    """Mean and spread over seeds (and folds) of each kind; brief: of the mean of the kinds alone."""
    found: dict[tuple[Any, ...], list[dict[str, float]]] = defaultdict(list)
    for item in results:
        if item["row"] in rows and _is_shown(item, rows[0], scores, brief=brief):
            key = (item["row"], item["score"], "" if brief else item["view"], item["K"], item["steps"])
            found[key].append(item)
    order = sorted(found, key=lambda key: (rows.index(key[0]), key[2], key[1] == "discriminator", *key[3:]))
    if brief:
        return _brief(found, order)
    lines = []
    for key in order:
        row, score, view, count, steps = key
        cells = [_spread([item[kind] for item in found[key]]) for kind in KINDS]
        shown = ("1 step" if steps == 1 else f"{steps} steps") if row in OURS and count else ""
        lines.append([row, score, view, str(count), shown, *cells, _spread(_means(found[key]))])
    return markdown(["AUROC", "score", "view", "K", "adaptation", *KINDS, "mean"], lines)


def _is_shown(item: dict[str, Any], first: str, scores: Sequence[str], *, brief: bool) -> bool:
    """Five steps and the default score; of the first row also one step, and the discriminator on raw rows."""
    if item["row"] in RIVALS or brief:
        return item["steps"] != 1 and item["score"] in (*scores, "")
    of_first = item["row"] == first
    if item["score"] == "discriminator":
        return of_first and item["view"] == "raw" and item["steps"] != 1
    return item["score"] in scores and (of_first or item["steps"] != 1)


def _brief(found: dict[tuple[Any, ...], list[dict[str, float]]], order: list[tuple[Any, ...]]) -> str:
    counts = sorted({key[3] for key in order})
    lines = []
    for row, score in dict.fromkeys(key[:2] for key in order):
        cells = [
            _spread(
                _means(
                    [
                        item
                        for key in order
                        if (*key[:2], key[3]) == (row, score, count)
                        for item in found[key]
                    ]
                )
            )
            for count in counts
        ]
        lines.append([row, score, *cells])
    return markdown(["mean AUROC of the kinds", "score", *(f"K = {count}" for count in counts)], lines)


def _means(items: list[dict[str, float]]) -> list[float]:
    return [float(np.mean([item[kind] for kind in KINDS if kind in item])) for item in items]


def _spread(values: list[float]) -> str:
    """Mean ± standard deviation; the mean alone of a single value."""
    return spread(values, 3) if len(values) > 1 else f"{values[0]:.3f}"


def _times(results: list[dict[str, Any]]) -> str:
    parts = []
    for row in ("confident-meta", "second order", "same network, pooled training"):
        times = [item["fit_s"] for item in results if item["row"] == row]
        parts.append(f"{row} {np.median(times):.1f} s")
    seeds = len({item["seed"] for item in results})
    return (
        f"Mean and standard deviation over {seeds} seeds. Median processor time of a fit: {', '.join(parts)}."
    )
