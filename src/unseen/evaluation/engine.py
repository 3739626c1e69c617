"""Runs detectors over splits, in parallel processes, and goes on where a killed run stopped."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from unseen.checks import check_int
from unseen.data import Table
from unseen.detectors.base import BaseDetector
from unseen.errors import EvaluationError, InputError, ParameterError
from unseen.evaluation.files import plain
from unseen.evaluation.material import Material, describe, fingerprint, gather
from unseen.evaluation.parts import PARTS, finished_rows
from unseen.evaluation.prepared import Prepared, prepare, work_folder
from unseen.evaluation.progress import Progress, Silent
from unseen.evaluation.results import ResultRow, Results
from unseen.evaluation.running import SET_BY_EVALUATION, Outcome, run_job, run_job_on_one_thread
from unseen.evaluation.settings import Settings
from unseen.evaluation.trials import Job, Trial, group_into_jobs, plan_trials
from unseen.protocols import Split
from unseen.types import BoolArray, Json, Labels

_NAMED_VERSIONS = ("unseen", "numpy", "scipy", "scikit-learn", "torch", "polars", "pyarrow", "joblib")


class SplitMaker(Protocol):
    """Makes the splits once the labels are known, like ``leave_one_kind_out`` with its settings filled in."""

    def __call__(self, labels: Labels, *, test_rows: BoolArray | None) -> Sequence[Split]:
        """Return the splits of rows with these labels."""


@dataclass(frozen=True)
class _Plan:
    material: Material
    fingerprint: str
    trials: list[Trial]
    settings: Settings
    parts: Path


def evaluate(
    table: Table,
    *,
    detectors: Mapping[str, BaseDetector],
    splits: Sequence[Split] | SplitMaker,
    out: Path | str,
    test: Table | None = None,
    settings: Settings | None = None,
    jobs: int | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    dataset: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Results:
    """Measure how well detectors catch kinds that were held out, and kinds that were known.

    For each split and detector: preprocessing from the training normals, fit on training normals and
    labelled rows, ``adapt`` to the references if there are any, ``calibrate`` on calibration and validation
    rows, score the test rows, measure each kind. Rows of the held-out kind are read when test rows are scored
    and measured, and nowhere before.

    Parameters
    ----------
    table : Table
        Labelled rows.
    detectors : mapping of str to BaseDetector
        Name to unfitted detector. Clones are fitted, with ``calibration_fraction=0`` and the split's seed.
    splits : sequence of Split, or function
        The splits, over the rows of ``table`` followed by those of ``test``; or a function that makes them
        from ``(labels, *, test_rows)``, such as ``partial(leave_one_kind_out, shots=10, seeds=range(3))``.
    out : Path or str
        Folder for ``results.json``, ``results.parquet`` and ``parts/``; made if it does not exist.
    test : Table or None
        An official test table. Without a domain column it counts as one new domain.
    settings : Settings or None
        Threshold rule, false-alarm rate, choice of view, preprocessing. None: the defaults.
    jobs : int or None
        Worker processes, each with one thread; 1 runs in this process. None: as many as there are cores, and
        not more than there is work for.
    resume : bool
        Whether to take over trials that an earlier run with the same data, splits, detectors and settings
        finished in ``out``.
    progress : Progress or None
        Is told about each trial.
    dataset : mapping or None
        What else to say about the data in the results: name, files, terms of use.
    command : str or None
        The command to state in the results. None: the command line of this process.

    Returns
    -------
    Results
        Also written to ``out``, atomically, once all trials are done.

    Raises
    ------
    InputError
        If the data, splits or parameters cannot be used, also where only a detector finds that out.
    EvaluationError
        If a trial raised for another reason. The other trials are finished and kept first.
    """
    settings = settings or Settings()
    settings.check()
    _check_detectors(detectors)
    progress = progress or Silent()
    start = time.perf_counter()
    out = Path(out)
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    plan = _plan(table, test, detectors, splits, settings, out / PARTS)
    if not resume:
        for trial in plan.trials:
            (plan.parts / f"{trial.key}.json").unlink(missing_ok=True)
    to_do = [trial for trial in plan.trials if finished_rows(plan.parts, trial.key) is None]
    progress.started(len(plan.trials), len(plan.trials) - len(to_do))
    with work_folder(out) as folder:
        failures = _run(plan, to_do, folder, _worker_count(jobs), progress)
    if failures:
        raise error_of(failures, len(plan.trials))
    results = Results(
        dataset={**describe(plan.material, plan.fingerprint), **plain_object(dataset or {})},
        rows=[row for trial in plan.trials for row in rows_of(plan.parts, trial)],
        run=run_facts(
            detectors, settings, command, time.perf_counter() - start, len(plan.trials) - len(to_do)
        ),
    )
    results.write(out)
    return results


def _plan(
    table: Table,
    test: Table | None,
    detectors: Mapping[str, BaseDetector],
    splits: Sequence[Split] | SplitMaker,
    settings: Settings,
    parts: Path,
) -> _Plan:
    material = gather(table, test)
    made = splits(material.labels, test_rows=material.test_rows) if callable(splits) else splits
    if len(made) == 0:
        raise ParameterError("evaluate: splits must hold at least one split, got none.")
    digest = fingerprint(material)
    trials = plan_trials(detectors, made, settings, fingerprint=digest, version=version_of("unseen"))
    return _Plan(material, digest, trials, settings, parts)


def _run(
    plan: _Plan, to_do: Sequence[Trial], folder: Path, n_workers: int, progress: Progress
) -> list[Outcome]:
    """Run the trials and return those that failed."""
    jobs = group_into_jobs(to_do, plan.settings)
    if not jobs:
        return []
    prepared = _prepare_all(plan, to_do, folder)
    failures = []
    for outcome in _outcomes(plan, jobs, prepared, min(n_workers, len(jobs))):
        if outcome.error is None:
            progress.finished(outcome.name, outcome.seconds)
        else:
            progress.failed(outcome.name, outcome.error)
            failures.append(outcome)
    return failures


def _prepare_all(plan: _Plan, to_do: Sequence[Trial], folder: Path) -> dict[str, Prepared]:
    """Preprocess once per set of training normals; each matrix goes to a file that all processes map."""
    splits: dict[str, list[Split]] = {}
    for trial in to_do:
        splits.setdefault(trial.split.normals_key, []).append(trial.split)
    return {
        key: prepare(plan.material.table, group, plan.settings, folder / f"{number}.npy")
        for number, (key, group) in enumerate(splits.items())
    }


def _outcomes(
    plan: _Plan, jobs: Sequence[Job], prepared: Mapping[str, Prepared], n_workers: int
) -> Iterator[Outcome]:
    labels, settings, parts = plan.material.labels, plan.settings, plan.parts
    if n_workers == 1:
        for job in jobs:
            yield from run_job(job, prepared[job.trials[0].split.normals_key], labels, settings, parts)
        return
    calls = (
        delayed(run_job_on_one_thread)(
            job, prepared[job.trials[0].split.normals_key], labels, settings, parts, os.getpid()
        )
        for job in jobs
    )
    try:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            run = Parallel(n_jobs=n_workers, return_as="generator_unordered", batch_size=1)
            for outcomes in run(calls):
                yield from outcomes
    except TerminatedWorkerError as error:
        raise EvaluationError(
            "evaluate: a worker process was killed, most likely for lack of memory; run again with fewer "
            "jobs (finished trials are kept)."
        ) from error


def rows_of(parts: Path, trial: Trial) -> list[ResultRow]:
    """Return the rows of a trial that has been run, or raise EvaluationError if its files are gone.

    Parameters
    ----------
    parts : Path
        Folder of the parts.
    trial : Trial
        The trial.

    Returns
    -------
    list of ResultRow
    """
    rows = finished_rows(parts, trial.key)
    if rows is None:
        raise EvaluationError(
            f"{trial.name}: its files under {parts} disappeared or were damaged during the run."
        )
    return rows


def error_of(failures: Sequence[Outcome], n_trials: int) -> InputError | EvaluationError:
    """Return the error that stands for some failed trials.

    Parameters
    ----------
    failures : sequence of Outcome
        At least one.
    n_trials : int
        How many trials there were.

    Returns
    -------
    InputError or EvaluationError
        An InputError if what was given is to blame for the first of them.
    """
    first = failures[0]
    message = f"{first.name}: {first.error}"
    if len(failures) > 1:
        others = "; ".join(outcome.name for outcome in failures[1:4])
        more = "; ..." if len(failures) > 4 else ""
        message += f" ({len(failures)} of {n_trials} trials failed; also: {others}{more})"
    error: InputError | EvaluationError
    error = InputError(message) if first.bad_input else EvaluationError(message)
    error.add_note(first.details)
    return error


def _worker_count(jobs: int | None) -> int:
    if jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return check_int("evaluate", "jobs", jobs, minimum=1)


def _check_detectors(detectors: Mapping[str, BaseDetector]) -> None:
    if not detectors:
        raise ParameterError("evaluate: detectors must name at least one detector, got none.")
    for name, detector in detectors.items():
        if not isinstance(detector, BaseDetector):
            raise ParameterError(
                f"evaluate: detectors[{name!r}] must be a detector (an instance), got {detector!r}."
            )


def run_facts(
    detectors: Mapping[str, BaseDetector],
    settings: Settings,
    command: str | None,
    seconds: float,
    n_kept: int,
) -> dict[str, Json]:
    """Return what the results say about a run.

    Parameters
    ----------
    detectors : mapping of str to BaseDetector
        What was run.
    settings : Settings
        How.
    command : str or None
        The command to state. None: the command line of this process.
    seconds : float
        Wall time.
    n_kept : int
        Trials that an earlier run had finished.

    Returns
    -------
    dict
    """
    facts = {
        "command": command if command is not None else shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "trials_kept_from_earlier_runs": n_kept,
        "versions": {"python": platform.python_version()}
        | {name: version_of(name) for name in _NAMED_VERSIONS},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "settings": asdict(settings),
        "detectors": {
            name: {
                "class": f"{type(detector).__module__}.{type(detector).__qualname__}",
                "uses_labels": detector.uses_labels,
                "reference_use": detector.reference_use,
                "parameters": {
                    key: value
                    for key, value in detector.get_params(deep=False).items()
                    if key not in SET_BY_EVALUATION
                },
            }
            for name, detector in detectors.items()
        },
    }
    return plain_object(facts)


def plain_object(values: Mapping[str, Any]) -> dict[str, Json]:
    """Return a mapping as a JSON object; see :func:`unseen.evaluation.files.plain`."""
    return {str(name): plain(value) for name, value in values.items()}


def version_of(package: str) -> str:
    """Return the version of an installed package, or "unknown"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
