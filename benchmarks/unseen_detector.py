"""The fused detector on kinds left out: against its own novelty alone, and against what it expected.

``nsl-kdd``: 10 000 normals, the official test file; ``--references`` of its normals may be references.
With ``--one-name`` all labels say only "anomaly", whatever kinds they are of.
``cic-ids2017``: the stratified sample. ``mit-bih``: trained on the patients of DS1, tested on those of DS2.
``estimate``: for every kind left out of everything, the AUROC that the training rows promise for kinds that
nobody labelled (``unseen fit``) beside the AUROC that is reached.

    python benchmarks/unseen_detector.py nsl-kdd ../shared/data/nsl_kdd --out out/unseen --write
    python benchmarks/unseen_detector.py estimate-nsl-kdd ../shared/data/nsl_kdd
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, spread, write_block
from flows import CIC_KINDS, NSL_KINDS, read_nsl_kdd
from heartbeats import DROPPED, features

from unseen.data import ColumnRoles, Table, TablePreprocessor, concat, read_table
from unseen.detectors import UnseenDetector
from unseen.detectors.fused.mode import score_parts
from unseen.metrics.ranking import auroc
from unseen.pipeline import TableModel
from unseen.pipeline.estimate import estimate_unlabelled_kinds
from unseen.protocols import Split, leave_one_kind_out
from unseen.scoring import measure_drift

PAGE = "methods/unseen_detector.md"
Rows = Callable[[np.ndarray], np.ndarray]
MIT_KINDS = ("F", "S", "V")
RARE_CIC_KINDS = ("WebAttack", "Bot")
"""Of twelve and eight rows; left out for the estimate alone."""
NAMES = {"fused": "**unseen**", "novelty": "its novelty alone", "neighbours": "its nearest neighbours alone"}


def read(name: str, root: Path) -> tuple[Table, dict[str, object], tuple[str, ...]]:
    """Return a table, how to split it, and the kinds to hold out."""
    if "nsl" in name:
        train, test = read_nsl_kdd(root)
        official = np.r_[np.zeros(len(train), dtype=bool), np.ones(len(test), dtype=bool)]
        return concat([train, test]), {"test_rows": official}, NSL_KINDS
    if "cic" in name:
        file = root if root.is_file() else root / "flows_stratified.parquet"
        roles = ColumnRoles(kind="family", normal=("BENIGN",), ignore=("Attack Type",))
        return read_table(file, roles), {}, CIC_KINDS
    file = root / "beats.parquet"
    table = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record", ignore=DROPPED))
    halves = read_table(file, ColumnRoles(kind="family", normal=("N",), domain="record_split"))
    assert halves.domains is not None
    return table, {"test_rows": halves.domains == "DS2"}, MIT_KINDS


def splits_of(
    table: Table, options: argparse.Namespace, extra: dict[str, object], kinds: tuple[str, ...]
) -> list[Split]:
    """Return one split a seed and kind."""
    return leave_one_kind_out(
        table.labels,
        shots=options.shots,
        seeds=range(options.seeds),
        references=options.references,
        max_normals=options.max_normals,
        held_out_kinds=kinds,
        **extra,  # type: ignore[arg-type]
    )


def prepared(options: argparse.Namespace, table: Table, train: np.ndarray) -> Rows:
    """Return what turns table rows into features; statistics from the training normals alone."""
    if "mit" in options.dataset and not options.plain:
        X = features(table, train, "doubled")
        return lambda rows: X[rows]
    preprocessor = TablePreprocessor().fit(table.take(train), np.zeros(len(train), dtype=np.int8))
    return lambda rows: preprocessor.transform(table.take(rows))


def scored(detector: UnseenDetector, X: np.ndarray, domains: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of rows, and the parts of them that need no label."""
    found = {name: np.empty(len(X)) for name in NAMES}
    for batch in detector._batches(X, domains):
        parts = score_parts(batch.mode, batch.V, batch.own, batch.unviewed)
        found["fused"][batch.rows] = parts.score
        found["novelty"][batch.rows] = parts.novelty
        found["neighbours"][batch.rows] = parts.neighbours[0].mean(axis=1)
    return found


def run(table: Table, split: Split, options: argparse.Namespace, kinds: Sequence[str]) -> list[dict]:
    """Fit, adapt, calibrate and score on one split; return one record a kind and score."""
    labels, rows_of = table.labels, prepared(options, table, split.train)
    rows, taught = split.fit_rows, split.fit_labels(labels)
    if options.one_name:
        taught = replace(taught, kinds=np.where(taught.y == 1, "anomaly", taught.kinds))
    start = time.process_time()
    detector = UnseenDetector(calibration_fraction=0, seed=split.seed, n_jobs=1)
    detector.fit(rows_of(rows), taught.y, kinds=taught.kinds, domains=taught.domains)
    fit_seconds = time.process_time() - start
    references = np.concatenate([split.references, split.calibration_references])
    if len(references):
        detector = detector.adapt(rows_of(references), domains=labels.domains[references])
    held = np.concatenate([split.calibration, split.validation])
    normal = held[labels.y[held] == 0]
    detector.calibrate(rows_of(normal), labels.y[normal], domains=labels.domains[normal])
    judged = np.unique(np.concatenate([split.test_of(kind) for kind in kinds]))
    start = time.process_time()
    scores = scored(detector, rows_of(judged), labels.domains[judged])
    microseconds = (time.process_time() - start) / len(judged) * 1e6
    fused = scores["fused"][labels.y[judged] == 0]
    assert detector.calibration_ is not None
    p_values = detector.calibration_.p_values(fused)
    drift = measure_drift(p_values, n_calibration=len(normal))
    facts = {"alarms": drift.flagged, "drift": drift.distance, "fit": fit_seconds, "score": microseconds}
    records = []
    for kind in kinds:
        at = np.isin(judged, split.test_of(kind))
        flagged = scores["fused"][at & (labels.kinds[judged] == kind)] > detector.threshold_
        for name, values in scores.items():
            area = auroc(labels.y[judged[at]], values[at])
            records.append(
                {"score_name": name, "kind": kind, "held_out": split.held_out_kind, "seed": split.seed}
                | {"auroc": area, "recall": float(flagged.mean()), **facts}
            )
    return records


def table_of(records: Sequence[dict], kinds: Sequence[str]) -> str:
    """Return AUROC per kind left out, their mean, the mean over known kinds, and what the threshold does."""
    lines = []
    for name, label in NAMES.items():
        own = [record for record in records if record["score_name"] == name]
        seeds = sorted({record["seed"] for record in own})
        held = {kind: [r["auroc"] for r in own if r["kind"] == kind == r["held_out"]] for kind in kinds}
        known = [
            float(np.mean([r["auroc"] for r in own if r["seed"] == seed and r["kind"] != r["held_out"]]))
            for seed in seeds
        ]
        means = np.mean([held[kind] for kind in kinds], axis=0)
        cells = [*(spread(held[kind], 3) for kind in kinds), spread(means, 3), spread(known, 3)]
        lines.append([label, *cells])
    table = markdown(["AUROC", *kinds, "mean left out", "mean known"], lines)
    mine = [record for record in records if record["score_name"] == "fused"]
    recall = np.mean([record["recall"] for record in mine if record["kind"] == record["held_out"]])
    figures = {
        key: float(np.mean([record[key] for record in mine])) for key in ("alarms", "drift", "fit", "score")
    }
    return (
        f"{table}\n\nAt the threshold for 1 %: {figures['alarms']:.1%} of the test normals flagged, "
        f"{recall:.0%} of a kind left out. Distance of the test normals' p-values from uniform ones: "
        f"{figures['drift']:.3f}. Processor time on one core: {figures['fit']:.0f} s a fit, "
        f"{figures['score']:.0f} µs a row."
    )


def measure(options: argparse.Namespace) -> str:
    """Evaluate on one data set, going on where an earlier run with the same arguments stopped."""
    table, extra, kinds = read(options.dataset, options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    records = []
    for split in splits_of(table, options, extra, kinds):
        data = options.dataset + "-one-name" * options.one_name + "-plain" * options.plain
        name = (data, options.shots, options.references, options.max_normals, split.seed)
        file = options.out / f"{'-'.join(map(str, name))}-{split.held_out_kind}.json"
        if not file.exists():
            file.write_text(json.dumps(run(table, split, options, kinds)))
            print(f"{file.name}: done", file=sys.stderr, flush=True)
        records += json.loads(file.read_text())
    return table_of(records, kinds)


def promise_and_truth(table: Table, split: Split, options: argparse.Namespace) -> dict:
    """Return what the training rows of a split promise for unlabelled kinds, and what the kind reaches."""
    labels = table.labels
    detector = UnseenDetector(n_jobs=1, seed=split.seed)
    normal = split.validation[labels.y[split.validation] == 0]
    training = table.take(np.sort(np.concatenate([split.fit_rows, split.calibration, normal])))
    promised = estimate_unlabelled_kinds(training, detector, optional_references=options.references)
    model = TableModel.fit(training, detector)
    assert split.held_out_kind is not None
    assert promised is not None
    judged = split.test_of(split.held_out_kind)
    rows, y = table.take(judged), labels.y[judged]
    found = {
        "kind": split.held_out_kind,
        "promised": promised.to_json(),
        "reached": auroc(y, model.score_table(rows).score),
    }
    if promised.with_references is not None:
        adapted = model.adapt(table.take(split.references))
        found["reached_with_references"] = auroc(y, adapted.score_table(rows).score)
    return found


def compare_estimates(options: argparse.Namespace) -> str:
    """Set what the training rows promise beside what kinds left out of everything reach.

    With ``--references`` both are told twice, by the same fits: for new domains without references and with.
    """
    table, extra, kinds = read(options.dataset, options.data)
    if "cic" in options.dataset:
        kinds = (*kinds, *RARE_CIC_KINDS)
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict]] = defaultdict(list)
    for split in splits_of(table, options, extra, kinds):
        name = (options.dataset, options.shots, options.references, options.max_normals, split.seed)
        file = options.out / f"{'-'.join(map(str, name))}-{split.held_out_kind}.json"
        if not file.exists():
            file.write_text(json.dumps(promise_and_truth(table, split, options)))
            print(f"{file.name}: done", file=sys.stderr, flush=True)
        found[str(split.held_out_kind)].append(json.loads(file.read_text()))
    if options.references == 0:
        return estimates_table(found)
    adapted = {kind: [_with_references(run) for run in runs] for kind, runs in found.items()}
    without = estimates_table(found)
    given = f"With {options.references} references of each new domain, by the same fits, on the same rows:"
    parts = ["Without references:", without, given, estimates_table(adapted), _rests_on(found)]
    parts[-1] += f" {_known(found, 'without references')} {_known(adapted, 'with them')}"
    return "\n\n".join(parts)


def _with_references(run: dict) -> dict:
    """Return what a run says of domains with references."""
    return {"promised": run["promised"]["with_references"], "reached": run["reached_with_references"]}


def estimates_table(found: dict[str, list[dict]]) -> str:
    """Return, for each kind, promise, truth, error, and how often the truth was where it was promised.

    Where whole domains were left out there is an interval over domains, too, and what kinds rest on.
    """
    lines, every = [], []
    over_domains = all(run["promised"].get("auroc_interval") for runs in found.values() for run in runs)
    for kind, runs in found.items():
        promise = np.array([run["promised"]["auroc"] for run in runs])
        truth = np.array([run["reached"] for run in runs])
        error = float(np.abs(promise - truth).mean())
        span, inside = _within(runs, truth, "auroc_range")
        cells = [spread(promise, 3), span, spread(truth, 3), f"{error:.3f}", f"{inside}/{len(runs)}"]
        shares = [inside / len(runs)]
        if over_domains:
            span, inside = _within(runs, truth, "auroc_interval")
            cells += [span, f"{inside}/{len(runs)}"]
            shares.append(inside / len(runs))
        lines.append([kind, *cells])
        every.append((promise.mean(), truth.mean(), error, *shares))
    promise, truth, error, inside, *more = np.mean(every, axis=0)
    last = ["mean", f"{promise:.3f}", "", f"{truth:.3f}", f"{error:.3f}", f"{inside:.0%}"]
    header = [
        "kind left out",
        "promised AUROC",
        "promised range",
        "reached AUROC",
        "absolute error",
        "in range",
    ]
    if not over_domains:
        return markdown(header, [*lines, last])
    return markdown([*header, "over domains", "in it"], [*lines, [*last, "", f"{more[0]:.0%}"]])


def _within(runs: list[dict], truth: np.ndarray, key: str) -> tuple[str, int]:
    """Return a promised span, mean over the runs, and how often the truth is in it."""
    low, high = np.array([run["promised"][key] for run in runs]).T
    return f"{low.mean():.3f} to {high.mean():.3f}", int(((truth >= low) & (truth <= high)).sum())


def _rests_on(found: dict[str, list[dict]]) -> str:
    """Say on how many domains the known kinds rest, over all promises."""
    counts: dict[str, list[int]] = defaultdict(list)
    for runs in found.values():
        for run in runs:
            for item in run["promised"]["kinds"]:
                counts[item["kind"]].append(item["n_domains"])
    spans = (
        f"{kind} on {min(n)}" + (f" to {max(n)}" if max(n) > min(n) else "")
        for kind, n in sorted(counts.items())
    )
    return f"Domains that known kinds rest on: {', '.join(spans)}."


def _known(found: dict[str, list[dict]], where: str) -> str:
    """Say what each kind reaches where it is known, and left out inside the training rows."""
    areas: dict[str, list[float]] = defaultdict(list)
    for runs in found.values():
        for run in runs:
            for item in run["promised"]["kinds"]:
                areas[item["kind"]].append(item["auroc"])
    means = (f"{kind} {np.mean(values):.3f}" for kind, values in sorted(areas.items()))
    return f"Where they are known, and left out inside the training rows {where}: {', '.join(means)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["nsl-kdd", "cic-ids2017", "mit-bih"]
    parser.add_argument("dataset", choices=[*names, *(f"estimate-{name}" for name in names)])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--references", type=int, default=0)
    parser.add_argument("--max-normals", type=int, default=10_000, help="normals to train on")
    parser.add_argument("--one-name", action="store_true", help="labels name no kind")
    parser.add_argument("--plain", action="store_true", help="heartbeats prepared as any table is")
    parser.add_argument("--out", type=Path, default=Path("out/unseen"))
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    text = compare_estimates(options) if options.dataset.startswith("estimate") else measure(options)
    print(text)
    if options.write:
        suffix = f"-{options.references}" if options.references else ""
        shots = f"-{options.shots}-shots" if "mit" not in options.dataset and options.shots != 10 else ""
        named = "-one-name" if options.one_name else ""
        plain = "-plain" if options.plain else ""
        write_block(PAGE, f"{options.dataset}{named}{plain}{shots}{suffix}", text)


if __name__ == "__main__":
    main()
