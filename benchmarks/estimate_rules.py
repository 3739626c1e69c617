"""How to sum up known kinds left out: in the training half of MIT-BIH, one half of DS1 predicts the other.

The patients of DS1 are parted in two halves, several times. Each half in turn is trained on and promises, as
``unseen fit`` does, how well a kind that nobody labelled will be caught in new patients; the kind that was
left out of everything is then looked for in the other half. A row of the table is how the figures of the
known kinds are summed up. *Error of the mean* is that of the mean over the three kinds, absolute, mean over
the halves. DS2 is not touched.

    python benchmarks/estimate_rules.py ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
from document import markdown, write_block

from unseen.data import Table
from unseen.detectors import UnseenDetector
from unseen.metrics.over_domains import JudgedDomains, auroc_over_domains, equal_voices
from unseen.metrics.ranking import auroc
from unseen.pipeline import TableModel
from unseen.pipeline.estimate import _leave_kinds_out, _rows_by_domain
from unseen.protocols import Split, leave_one_kind_out
from unseen_detector import MIT_KINDS, read

PAGE = "decisions/0006-labels-that-never-hurt.md"
N_REFERENCES, SHOTS, MOST_NORMALS = 8, 50, 2_000
SORTS = ("no references", f"{N_REFERENCES} references")
ROWS, VOICES = "rows pooled", "patients alike"
Kinds = Sequence[dict]


def summed(how: Callable[[list[float]], float], weighing: str, least: int) -> Callable[[Kinds], float]:
    """Return what sums up the kinds on so many patients or more; all kinds, if those are fewer than two."""

    def rule(kinds: Kinds) -> float:
        enough = [kind[weighing] for kind in kinds if kind["n_domains"] >= least]
        return float(how(enough if len(enough) >= 2 else [kind[weighing] for kind in kinds]))

    return rule


RULES: dict[str, Callable[[Kinds], float]] = {
    f"median, {ROWS}": summed(np.median, ROWS, 1),
    f"median, {VOICES}": summed(np.median, VOICES, 1),
    f"mean, {VOICES}": summed(np.mean, VOICES, 1),
    f"lowest, {VOICES}": summed(min, VOICES, 1),
    f"median of kinds on three patients or more, {ROWS}": summed(np.median, ROWS, 3),
    f"**median of kinds on three patients or more, {VOICES}**": summed(np.median, VOICES, 3),
    f"lowest of kinds on three patients or more, {VOICES}": summed(min, VOICES, 3),
}


def promises(training: Table, detector: UnseenDetector) -> list[list[dict]]:
    """Return the kinds left out of the training rows, without references and with them."""
    judged = _leave_kinds_out(training, detector, 0, N_REFERENCES, max_kinds=6)
    assert judged is not None
    return [
        [told(kind, [_rows_by_domain(part) for part in parts]) for kind, parts in way.found.items() if parts]
        for way in judged[1]
    ]


def told(kind: str, parts: Sequence[JudgedDomains]) -> dict:
    """Return the AUROC of a kind over rows and over patients, and how many patients have it."""
    return {
        "kind": kind,
        "n_domains": int(sum((part.anomalies > 0).sum() for part in parts)),
        ROWS: auroc_over_domains(parts).estimate,
        VOICES: auroc_over_domains([equal_voices(part) for part in parts]).estimate,
    }


def promised_and_reached(table: Table, split: Split) -> dict:
    """Return what one half promises for kinds that nobody labelled, and what it reaches in the other."""
    labels, detector = table.labels, UnseenDetector(n_jobs=1, seed=split.seed)
    normal = split.validation[labels.y[split.validation] == 0]
    training = table.take(np.sort(np.concatenate([split.fit_rows, split.calibration, normal])))
    model = TableModel.fit(training, detector)
    adapted = model.adapt(table.take(split.references))
    judged = split.test_of(str(split.held_out_kind))
    rows, y = table.take(judged), labels.y[judged]
    reached = [auroc(y, item.score_table(rows).score) for item in (model, adapted)]
    return {"promised": promises(training, detector), "reached": reached}


def run(options: argparse.Namespace) -> list[tuple[str, dict]]:
    """Return what was promised and reached for each half and kind; go on where a run stopped."""
    table, extra, _kinds = read("mit-bih", options.data)
    table = table.take(~np.asarray(extra["test_rows"]))
    options.out.mkdir(parents=True, exist_ok=True)
    names, found = np.unique(table.labels.domains), []
    for parting in range(options.partings):
        halves = np.array_split(np.random.default_rng(parting).permutation(names), 2)
        for side, tested in enumerate(halves):
            for split in leave_one_kind_out(
                table.labels,
                shots=SHOTS,
                seeds=[parting],
                references=N_REFERENCES,
                max_normals=MOST_NORMALS,
                held_out_kinds=MIT_KINDS,
                test_rows=np.isin(table.labels.domains, tested),
            ):
                file = options.out / f"halves-{parting}-{side}-{split.held_out_kind}.json"
                if not file.exists():
                    file.write_text(json.dumps(promised_and_reached(table, split)))
                    print(f"{file.name}: done", file=sys.stderr, flush=True)
                found.append((f"{parting} {side}", json.loads(file.read_text())))
    return found


def line(rule: str, way: int, found: Sequence[tuple[str, dict]]) -> list[str]:
    """Return what a rule promises, and how far it is off."""
    halves = np.array([half for half, _run in found])
    expected = np.array([RULES[rule](run["promised"][way]) for _half, run in found])
    reached = np.array([run["reached"][way] for _half, run in found])
    error = expected - reached
    of_means = [abs(error[halves == half].mean()) for half in np.unique(halves)]
    figures = (expected.mean(), reached.mean(), np.mean(of_means), np.abs(error).mean())
    return [f"{figure:.3f}" for figure in figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--partings", type=int, default=5, help="how often DS1 is parted")
    parser.add_argument("--out", type=Path, default=Path("out/estimate_rules"))
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    found = run(options)
    lines = [[f"{sort}: {rule}", *line(rule, way, found)] for way, sort in enumerate(SORTS) for rule in RULES]
    text = markdown(
        ["known kinds summed up", "promised", "reached", "error of the mean", "error of a kind"], lines
    )
    print(text)
    if options.write:
        write_block(PAGE, "estimate-rules", text)


if __name__ == "__main__":
    main()
