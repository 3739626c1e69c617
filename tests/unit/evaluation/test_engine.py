"""Whole evaluations: what they write, what they take over, how they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from unseen.data import Table
from unseen.detectors import AnomalyAwareVAE, KNearestNeighbours, Mahalanobis
from unseen.errors import EvaluationError, InputError, LabelError, ParameterError
from unseen.evaluation import Results, Settings, evaluate, read_part, running
from unseen.evaluation.results import REQUIRED, ResultRow
from unseen.metrics.ranking import auroc
from unseen.protocols import Split, leave_one_kind_out
from unseen.types import Labels

MakeTable = Callable[..., Table]
SPLITS = partial(leave_one_kind_out, shots=6, seeds=(0, 1))


class Diary:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.kept = -1
        self.done: list[str] = []
        self.failures: dict[str, str] = {}

    def started(self, n_trials: int, n_kept: int) -> None:
        self.kept = n_kept

    def finished(self, trial: str, seconds: float) -> None:
        assert seconds >= 0
        self.done.append(trial)

    def failed(self, trial: str, message: str) -> None:
        self.failures[trial] = message


class Stumbling(Mahalanobis):
    """Fails on the split in which the kind "near" is held out, as far as it can know: by its labels."""

    uses_labels = True

    def _fit(self, V: Any, labels: Labels) -> None:
        if "near" not in labels.known_kinds:
            raise ZeroDivisionError("no near rows")
        super()._fit(V, labels)


class Demanding(Mahalanobis):
    """Refuses every input."""

    def _fit(self, V: Any, labels: Labels) -> None:
        raise InputError("Demanding: wants other rows.")


class Blank(Mahalanobis):
    """Scores are NaN."""

    def _score(self, V: Any, domains: Any) -> Any:
        scores = super()._score(V, domains)
        return np.where(scores > np.median(scores) * 3, np.nan, scores)


def run(table: Table, out: Path, **changes: Any) -> tuple[Results, Diary]:
    diary = Diary()
    arguments: dict[str, Any] = {
        "detectors": {"knn": KNearestNeighbours(n_neighbours=3), "ellipse": Mahalanobis()},
        "splits": SPLITS,
        "jobs": 1,
        "progress": diary,
    }
    return evaluate(table, out=out, **(arguments | changes)), diary


def metrics(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """The rows without times, sorted."""
    kept = [{name: value for name, value in row.items() if not name.endswith("seconds")} for row in rows]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def test_every_kind_is_measured_held_out_and_known(make_table: MakeTable, tmp_path: Path) -> None:
    results, diary = run(make_table(), tmp_path)
    assert len(diary.done) == 2 * 2 * 3
    assert len(results.rows) == 2 * 2 * 3 * 3
    for row in results.rows:
        assert set(REQUIRED) <= set(row)
        assert row["role"] == ("held-out" if row["kind"] == row["held_out_kind"] else "known")
        assert row["n_normal"] == row["n_anomaly"] > 0
        assert row["auroc_interval"][0] <= row["auroc"] <= row["auroc_interval"][1]
        assert row["shots"] == 6
        assert row["references"] == 0
        assert row["threshold_rule"] == "f1"
    far = [
        row["auroc"] for row in results.select(detector="ellipse", role="held-out") if row["kind"] == "far"
    ]
    assert min(far) > 0.95


def test_files_hold_what_is_returned(make_table: MakeTable, tmp_path: Path) -> None:
    results, _ = run(make_table(), tmp_path, dataset={"name": "small world"}, command="do it")
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["schema"] == 1
    assert written["dataset"]["name"] == "small world"
    assert written["dataset"]["kinds"] == {"normal": 150, "aside": 24, "far": 24, "near": 24}
    assert written["run"]["command"] == "do it"
    assert {"unseen", "torch", "numpy"} <= set(written["run"]["versions"])
    assert metrics(written["rows"]) == metrics(json.loads(json.dumps(results.rows)))
    table = pl.read_parquet(tmp_path / "results.parquet")
    assert table["auroc"].to_list() == [row["auroc"] for row in results.rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "results.json", "results.parquet"]


def test_parts_hold_the_scores_behind_the_rows(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table()
    results, _ = run(table, tmp_path)
    splits = {(s.held_out_kind, s.seed): s for s in SPLITS(table.labels)}
    for row in results.select(role="held-out"):
        part = read_part(tmp_path / "parts", row["part"])
        split = splits[row["held_out_kind"], row["seed"]]
        assert np.array_equal(part.rows, split.test)
        assert np.array_equal(part.y, table.labels.y[split.test])
        assert np.array_equal(np.array(part.kind_names)[part.kind_codes], table.labels.kinds[split.test])
        assert np.array_equal(part.rows[part.judged], split.test_of(row["kind"]))
        assert auroc(part.y[part.judged], part.scores[part.judged]) == row["auroc"]
        flagged = part.scores > part.false_alarm_threshold
        level = max(row["false_alarm_rate"], 1 / (part.n_calibration + 1))
        assert np.array_equal(flagged, part.p_values <= level)
        assert float(np.mean(flagged[part.normal])) == row["observed_false_alarm_rate"]


def test_a_second_run_takes_everything_over(make_table: MakeTable, tmp_path: Path) -> None:
    first, _ = run(make_table(), tmp_path)
    second, diary = run(make_table(), tmp_path)
    assert diary.kept == 12
    assert diary.done == []
    assert json.dumps(second.rows) == json.dumps(first.rows)


@pytest.mark.parametrize(
    ("changes", "n_run"),
    [
        ({"detectors": {"knn": KNearestNeighbours(n_neighbours=4), "ellipse": Mahalanobis()}}, 6),
        ({"detectors": {"knn": KNearestNeighbours(n_neighbours=3), "another": Mahalanobis()}}, 6),
        ({"settings": Settings(false_alarm_rate=0.05)}, 12),
        ({"settings": Settings(preprocessing={"log_skewed": False})}, 12),
        ({"splits": partial(leave_one_kind_out, shots=5, seeds=(0, 1))}, 12),
        ({"splits": partial(leave_one_kind_out, shots=6, seeds=(0, 1, 2))}, 6),
        ({"resume": False}, 12),
    ],
)
def test_what_changed_is_run_again_and_nothing_else(
    make_table: MakeTable, tmp_path: Path, changes: dict[str, Any], n_run: int
) -> None:
    run(make_table(), tmp_path)
    _, diary = run(make_table(), tmp_path, **changes)
    assert len(diary.done) == n_run


def test_other_data_do_not_take_over_old_parts(make_table: MakeTable, tmp_path: Path) -> None:
    run(make_table(seed=0), tmp_path)
    _, diary = run(make_table(seed=1), tmp_path)
    assert len(diary.done) == 12


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_damaged_part_is_run_again(make_table: MakeTable, tmp_path: Path, suffix: str) -> None:
    first, _ = run(make_table(), tmp_path)
    victim = tmp_path / "parts" / f"{first.rows[0]['part']}.{suffix}"
    victim.write_bytes(victim.read_bytes()[:40])
    second, diary = run(make_table(), tmp_path)
    assert len(diary.done) == 1
    assert metrics(second.rows) == metrics(first.rows)


def test_a_killed_run_goes_on_where_it_stopped(make_table: MakeTable, tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from functools import partial
from conftest import small_table
from unseen.detectors import KNearestNeighbours, Mahalanobis
from unseen.evaluation import evaluate
from unseen.protocols import leave_one_kind_out
class Killer:
    done = 0
    def started(self, n_trials, n_kept): pass
    def failed(self, trial, message): raise AssertionError(message)
    def finished(self, trial, seconds):
        self.done += 1
        if self.done == 4:
            os.kill(os.getpid(), 9)
evaluate(small_table(), out={str(tmp_path)!r}, jobs=1, progress=Killer(),
         detectors={{"knn": KNearestNeighbours(n_neighbours=3), "ellipse": Mahalanobis()}},
         splits=partial(leave_one_kind_out, shots=6, seeds=(0, 1)))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr
    assert not (tmp_path / "results.json").exists()
    assert list(tmp_path.glob(".work-*"))
    _, diary = run(make_table(), tmp_path)
    assert diary.kept >= 4
    assert len(diary.done) == 12 - diary.kept
    assert (tmp_path / "results.json").exists()
    assert not list(tmp_path.glob(".work-*"))


def processes_that_name(text: str) -> list[int]:
    """Numbers of the running processes that have a text in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:  # it ended meanwhile, or is somebody else's
                continue
            if text.encode() in told:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_workers_end_when_their_run_is_killed(make_table: MakeTable, tmp_path: Path) -> None:
    """Each worker is at a fit of ten minutes when the run is killed; the next run does its work."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time, os\n"
        "from unseen.detectors import Mahalanobis\n"
        "class Slow(Mahalanobis):\n"
        "    def _fit(self, V, labels):\n"
        f"        pathlib.Path({str(tmp_path)!r}, f'at_work_{{os.getpid()}}').touch()\n"
        "        time.sleep(600)\n"
    )
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from functools import partial
from conftest import small_table
from slow import Slow
from unseen.detectors import KNearestNeighbours
from unseen.evaluation import evaluate
from unseen.protocols import leave_one_kind_out
evaluate(small_table(), out={str(tmp_path / "out")!r}, jobs=2,
         detectors={{"ellipse": Slow(), "knn": KNearestNeighbours(n_neighbours=3)}},
         splits=partial(leave_one_kind_out, shots=6, seeds=(0, 1)))
"""
    mark = f"unseen-test-{tmp_path}"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    killed = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path, "UNSEEN_TEST_MARK": mark}
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("at_work_*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = {int(file.name.removeprefix("at_work_")) for file in tmp_path.glob("at_work_*")}
    assert len(workers) == 2
    assert workers < set(processes_that_name(mark))
    killed.kill()
    killed.wait()
    deadline = time.monotonic() + 10
    while processes_that_name(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_that_name(mark) == []
    _, diary = run(make_table(), tmp_path / "out")
    assert diary.kept + len(diary.done) == 12
    assert (tmp_path / "out" / "results.json").exists()


def test_processes_give_the_same_results(make_table: MakeTable, tmp_path: Path) -> None:
    alone, _ = run(make_table(), tmp_path / "alone")
    together, diary = run(make_table(), tmp_path / "together", jobs=2)
    assert len(diary.done) == 12
    for one, other in zip(metrics(alone.rows), metrics(together.rows), strict=True):
        assert one.pop("auroc_interval") == pytest.approx(other.pop("auroc_interval"), abs=1e-6)
        assert one == pytest.approx(other, abs=1e-6)


def test_an_error_is_named_and_the_others_are_finished(make_table: MakeTable, tmp_path: Path) -> None:
    diary = Diary()
    detectors = {"stumbling": Stumbling(), "ellipse": Mahalanobis()}
    with pytest.raises(EvaluationError, match=r"'near' held out, seed 0.*ZeroDivisionError: no near rows"):
        run(make_table(), tmp_path, detectors=detectors, progress=diary)
    assert len(diary.failures) == 2
    assert len(diary.done) == 10
    assert not (tmp_path / "results.json").exists()
    again = Diary()
    with pytest.raises(EvaluationError):
        run(make_table(), tmp_path, detectors=detectors, progress=again)
    assert again.kept == 10


def test_bad_input_found_by_a_detector_stays_bad_input(make_table: MakeTable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"demanding, .* wants other rows"):
        run(make_table(), tmp_path, detectors={"demanding": Demanding()})


def test_scores_that_are_not_numbers_are_an_error(make_table: MakeTable, tmp_path: Path) -> None:
    with pytest.raises((InputError, EvaluationError), match="NaN"):
        run(make_table(), tmp_path, detectors={"blank": Blank()})


def test_errors_cross_processes(make_table: MakeTable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="n_neighbours") as caught:
        run(make_table(), tmp_path, detectors={"a": KNearestNeighbours(n_neighbours=0)}, jobs=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("detector", "n_fits"),
    [(Mahalanobis(), 2), (AnomalyAwareVAE(epochs=1, awareness_epochs=1, lambda_max=1.0), 6)],
)
def test_detectors_without_labels_are_fitted_once_a_seed(
    make_table: MakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: Any, n_fits: int
) -> None:
    fits: list[Split] = []
    original = running.fit_detector

    def counted(detector: Any, split: Split, *others: Any) -> Any:
        fits.append(split)
        return original(detector, split, *others)

    monkeypatch.setattr(running, "fit_detector", counted)
    results, _ = run(make_table(), tmp_path, detectors={"it": detector})
    assert len(fits) == n_fits
    assert len(results.rows) == 18


def test_two_stages_and_latent_positions_are_kept(make_table: MakeTable, tmp_path: Path) -> None:
    detector = AnomalyAwareVAE(epochs=2, awareness_epochs=1, lambda_max=1.0, score="stage2")
    results, _ = run(make_table(), tmp_path, detectors={"aware": detector}, settings=Settings(latent_rows=20))
    part = read_part(tmp_path / "parts", results.rows[0]["part"])
    assert part.stage1_scores is not None
    assert part.stage2_scores is not None
    assert part.latent is not None
    assert part.latent_rows is not None
    assert np.array_equal(part.stage2_scores, part.scores)
    assert not np.array_equal(part.stage1_scores, part.scores)
    assert len(part.latent) == len(part.latent_rows) <= 20
    assert {"normal", *(row["kind"] for row in results.rows)} == {
        part.kind_names[code] for code in part.kind_codes[part.latent_rows]
    }


def test_references_reach_the_detector_and_leave_the_test_set(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(n_domains=6)
    splits = partial(leave_one_kind_out, shots=4, seeds=(0,))
    detectors = {"centred": Mahalanobis(view="residual-centre")}
    without, _ = run(table, tmp_path / "0", splits=partial(splits, references=0), detectors=detectors)
    given, _ = run(table, tmp_path / "5", splits=partial(splits, references=5), detectors=detectors)
    assert {row["references"] for row in given.rows} == {5}
    assert (
        np.mean([row["auroc"] for row in given.rows]) > np.mean([row["auroc"] for row in without.rows]) + 0.05
    )
    split = partial(splits, references=5)(table.labels)[0]
    part = read_part(tmp_path / "5" / "parts", given.rows[0]["part"])
    assert not np.isin(split.references, part.rows).any()


def test_an_official_test_table_is_one_new_domain(make_table: MakeTable, tmp_path: Path) -> None:
    splits = partial(leave_one_kind_out, shots=4, seeds=(0,), references=8)
    results, _ = run(make_table(), tmp_path, test=make_table(seed=5), splits=splits)
    assert results.dataset["n_test_rows"] == 222
    part = read_part(tmp_path / "parts", results.rows[0]["part"])
    assert part.rows.min() >= 222
    assert int(part.normal.sum()) == 150 - 8


def test_a_view_is_chosen_where_asked(
    make_table: MakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Labels] = []

    def choose(detector: Any, X: Any, labels: Labels, *, n_references: int, seed: int) -> str:
        assert n_references == 3
        seen.append(labels)
        return "residual-centre"

    monkeypatch.setattr(running, "choose_view", choose)
    splits = partial(leave_one_kind_out, shots=4, seeds=(0,), references=5)
    settings = Settings(view="auto", n_references=3)
    results, _ = run(make_table(n_domains=6), tmp_path, splits=splits, settings=settings)
    assert {row["view"] for row in results.rows} == {"residual-centre"}
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detectors": {}}, "at least one detector"),
        ({"detectors": {"a": Mahalanobis}}, "must be a detector"),
        ({"splits": []}, "at least one split"),
        ({"jobs": 0}, "jobs"),
        ({"settings": Settings(false_alarm_rate=0)}, "false_alarm_rate"),
        ({"settings": Settings(threshold_rule="best")}, "threshold_rule"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments(make_table: MakeTable, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(make_table(), tmp_path, **changes)


def test_tables_that_cannot_be_evaluated(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table()
    with pytest.raises(LabelError, match="no labels"):
        run(Table(table.features, table.schema), tmp_path)
    normals = table.take(table.labels.normal)
    with pytest.raises(LabelError, match="nothing to measure"):
        run(normals, tmp_path)
    with pytest.raises(LabelError, match="no row is normal"):
        run(table.take(table.labels.anomaly), tmp_path)
