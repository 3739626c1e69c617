"""Tables with contaminated normals: each detector with and without its robust training, ε = 0 … 20 %.

Contaminants are anomalies of all kinds in natural proportion that replace training normals without a label
(the one held out too); they are never tested on. NSL-KDD: the publisher's first fifth trains (10 000 rows),
the official test file tests. MIT-BIH: records of DS1 train, those of DS2 test, features as in
``multi_directional/heartbeats.py``. A run goes on where an earlier one stopped.

    python benchmarks/paper/contamination_tables.py nsl-kdd ../shared/data/nsl_kdd
    python benchmarks/paper/contamination_tables.py mit-bih ../shared/data/mitbih
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "multi_directional"))

from document import markdown, spread, write_block
from heartbeats import features, read_beats

from unseen.data import ColumnRoles, Table, read_table
from unseen.data.tables import concat
from unseen.detectors import DETECTORS
from unseen.detectors.base import BaseDetector
from unseen.evaluation import ResultRow, Settings
from unseen.evaluation.parts import PARTS, finished_rows
from unseen.evaluation.prepared import Prepared, fit_preprocessor
from unseen.evaluation.running import run_job
from unseen.evaluation.trials import group_into_jobs, plan_trials
from unseen.protocols import Split, leave_one_kind_out

LEVELS = "0,.05,.1,.15,.2"
SETTINGS = Settings(latent_rows=0)
KINDS = {"nsl-kdd": ("dos", "probe", "r2l", "u2r"), "mit-bih": ("F", "S", "V")}
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "k-nearest-neighbours": ("k-nearest-neighbours", {}),
    "k-nearest-neighbours, trim 0.25": ("k-nearest-neighbours", {"trim": 0.25}),
    "k-nearest-neighbours, trim auto": ("k-nearest-neighbours", {"trim": "auto"}),
    "mahalanobis": ("mahalanobis", {}),
    "mahalanobis, trim 0.25": ("mahalanobis", {"trim": 0.25}),
    "isolation-forest": ("isolation-forest", {}),
    "isolation-forest, trim 0.25": ("isolation-forest", {"trim": 0.25}),
    "vae": ("vae", {}),
    "vae, alpha": ("vae", {"reweighting": "alpha"}),
    "vae, alpha as published": (
        "vae",
        {"reweighting": "alpha", "reweighting_alpha": 0.1, "reweighting_scale": 0.1},
    ),
    "vae, confident": ("vae", {"reweighting": "confident"}),
    "anomaly-aware-vae": ("anomaly-aware-vae", {}),
    "anomaly-aware-vae, alpha": ("anomaly-aware-vae", {"reweighting": "alpha"}),
    "multi-directional-meta": ("multi-directional-meta", {}),
    "multi-directional-meta, alpha": ("multi-directional-meta", {"reweighting": "alpha"}),
}


def read(name: str, root: Path) -> tuple[Table, np.ndarray]:
    """Return all rows, and which of them are tested on."""
    if name == "mit-bih":
        return read_beats(root)
    roles = ColumnRoles(kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train"))
    train = read_table(root / "train_20percent.parquet", roles)
    test = read_table(root / "test.parquet", roles, schema=train.schema)
    return concat([train, test]), np.arange(len(train) + len(test)) >= len(train)


def prepare(name: str, table: Table, split: Split, file: Path) -> Prepared:
    """Write the features of all rows, with statistics from the training normals, contaminants among them."""
    if name == "mit-bih":
        X = features(table, split.train, "doubled")
    else:
        X = fit_preprocessor(table, split, SETTINGS).transform(table)
    np.save(file, X, allow_pickle=False)
    return Prepared(file, np.arange(len(X)), X.shape[1])


def run(options: argparse.Namespace) -> list[ResultRow]:
    """Run what is missing, for ``--seconds`` if that is given, and return the rows of all finished trials."""
    until = time.monotonic() + options.seconds
    table, tested = read(options.table, options.root)
    parts = options.out / options.table / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    detectors = {name: make(name) for name in options.variants}
    rows: list[ResultRow] = []
    for seed in options.seeds:
        for level in options.levels:
            splits = leave_one_kind_out(
                table.labels,
                shots=options.shots,
                seeds=[seed],
                test_rows=tested,
                max_normals=options.max_normals,
                held_out_kinds=KINDS[options.table],
                contamination=level,
            )
            trials = plan_trials(detectors, splits, SETTINGS, fingerprint=options.table, version="paper")
            to_do = [trial for trial in trials if finished_rows(parts, trial.key) is None]
            if to_do and not options.finished:
                with tempfile.TemporaryDirectory() as folder:
                    made: dict[str, Prepared] = {}
                    for job in group_into_jobs(to_do, SETTINGS):
                        if time.monotonic() > until:
                            break
                        split = job.trials[0].split
                        if split.normals_key not in made:
                            file = Path(folder) / f"{len(made)}.npy"
                            made[split.normals_key] = prepare(options.table, table, split, file)
                        for outcome in run_job(job, made[split.normals_key], table.labels, SETTINGS, parts):
                            print(f"{outcome.name}: {outcome.seconds:.0f} s", file=sys.stderr, flush=True)
                            if outcome.error:
                                raise SystemExit(f"{outcome.name}: {outcome.error}\n{outcome.details}")
            rows += [row for trial in trials for row in finished_rows(parts, trial.key) or []]
    return rows


def make(name: str) -> BaseDetector:
    """Return one of ``VARIANTS``."""
    detector, parameters = VARIANTS[name]
    return DETECTORS[detector](**parameters)


def table_of(rows: list[ResultRow], name: str, levels: list[float], level_of_kinds: float) -> str:
    """Return the mean AUROC over held-out kinds at each level and the drop; then kind by kind at one."""
    means: dict[tuple[str, float], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    kinds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["role"] == "held-out":
            means[(row["detector"], row["contamination"])][row["seed"]].append(row["auroc"])
            if row["contamination"] == level_of_kinds:
                kinds[(row["detector"], row["kind"])].append(row["auroc"])
    lines, by_kind = [], []
    for detector in dict.fromkeys(row["detector"] for row in rows):
        at = [[float(np.mean(v)) for v in means[(detector, level)].values()] for level in levels]
        if len({len(values) for values in at}) > 1 or not all(at):
            continue  # not finished
        drops = [first - last for first, last in zip(at[0], at[-1], strict=True)]
        lines.append([detector, *(spread(values, 3) for values in at), spread(drops, 3)])
        by_kind.append([detector, *(spread(kinds[(detector, kind)], 3) for kind in KINDS[name])])
    header = ["AUROC", *(f"ε = {level:.0%}" for level in levels), "drop, first to last"]
    return (
        markdown(header, lines)
        + f"\n\nKind by kind at ε = {level_of_kinds:.0%}:\n\n"
        + markdown(["AUROC", *KINDS[name]], by_kind)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=list(KINDS))
    parser.add_argument("root", type=Path)
    parser.add_argument("--variants", default=";".join(VARIANTS), type=lambda text: text.split(";"))
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--levels", default=LEVELS, type=lambda text: [float(p) for p in text.split(",")])
    parser.add_argument("--max-normals", type=int, default=10_000)
    parser.add_argument("--finished", action="store_true", help="show what is finished; run nothing")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--out", type=Path, default=Path("out/contamination"))
    parser.add_argument("--write", metavar="PAGE:BLOCK", help="renew a table in docs")
    options = parser.parse_args()
    text = table_of(run(options), options.table, options.levels, 0.1)
    print(text)
    if options.write:
        page, block = options.write.split(":")
        write_block(page, block, text)


if __name__ == "__main__":
    main()
