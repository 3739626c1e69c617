"""Running one job: fit, adapt, calibrate, score, measure, write the parts."""

from __future__ import annotations

import copy
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from unseen.detectors.base import BaseDetector
from unseen.errors import InputError
from unseen.evaluation.measure import ScoredTrial, measure, positions_in
from unseen.evaluation.parts import write_part
from unseen.evaluation.prepared import Prepared
from unseen.evaluation.settings import Settings
from unseen.evaluation.trials import Job, Trial
from unseen.evaluation.workers import end_with_parent
from unseen.pipeline.view_selection import choose_view
from unseen.protocols import Split
from unseen.types import NORMAL_KIND, Labels

SET_BY_EVALUATION = ("calibration_fraction", "false_alarm_rate", "seed")
"""Parameters that every clone gets from the split and the settings, whatever the given detector has."""


@runtime_checkable
class HasLatentSpace(Protocol):
    """A detector whose latent positions can be drawn."""

    def latent_means(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the latent position of each row, shape (n_rows, latent)."""


@runtime_checkable
class HasTwoStages(Protocol):
    """A detector that is trained in two stages and can score as after either."""

    def stage1_scores(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the score of each row before the second stage, shape (n_rows,)."""

    def stage2_scores(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the score of each row after the second stage, on the same scale, shape (n_rows,)."""


@dataclass(frozen=True)
class Fitted:
    """A detector fitted for a split, before it is adapted and calibrated.

    Attributes
    ----------
    detector : BaseDetector
        Fitted.
    view : str
        The view it uses.
    seconds : float
        Wall time of the fit, the choice of a view included.
    n_rows : int
        Rows fitted on.
    """

    detector: BaseDetector
    view: str
    seconds: float
    n_rows: int


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes
    ----------
    key, name : str
        Of the trial.
    seconds : float
        Wall time.
    error : str or None
        What went wrong, in one line; None if nothing did.
    details : str
        The traceback.
    bad_input : bool
        Whether what was given is to blame rather than the program.
    """

    key: str
    name: str
    seconds: float
    error: str | None = None
    details: str = ""
    bad_input: bool = False


def fit_detector(
    detector: BaseDetector, split: Split, data: Prepared, labels: Labels, settings: Settings
) -> Fitted:
    """Fit a clone of a detector on the training rows of a split.

    Parameters
    ----------
    detector : BaseDetector
        Left as it is.
    split : Split
        ``train`` rows count as normal (contaminants too), ``labelled`` ones as anomalies of their kinds. A
        detector that uses no labels is given the ``train`` rows alone.
    data : Prepared
        The features.
    labels : Labels
        Kinds, domains and groups of the table.
    settings : Settings
        False-alarm rate and choice of view.

    Returns
    -------
    Fitted
    """
    start = time.perf_counter()
    model: BaseDetector = clone(detector)
    model.set_params(calibration_fraction=0.0, seed=split.seed, false_alarm_rate=settings.false_alarm_rate)
    if detector.uses_labels:
        rows, taught = split.fit_rows, split.fit_labels(labels)
    else:
        rows, taught = split.train, _as_normals(labels.take(split.train))
    X = data.take(rows)
    if settings.view == "auto":
        view = choose_view(model, X, taught, n_references=settings.n_references, seed=split.seed)
        model.set_params(view=view)
    model.fit(X, taught.y, kinds=taught.kinds, domains=taught.domains, groups=taught.groups)
    return Fitted(model, model.view, time.perf_counter() - start, len(rows))


def _as_normals(labels: Labels) -> Labels:
    n_rows = len(labels)
    return Labels(
        np.zeros(n_rows, dtype=np.int8), np.full(n_rows, NORMAL_KIND), labels.domains, labels.groups
    )


def condition(fitted: BaseDetector, split: Split, data: Prepared, labels: Labels) -> BaseDetector:
    """Return a fitted detector adapted to the split's references and calibrated on its held-back rows.

    Parameters
    ----------
    fitted : BaseDetector
        Left as it is.
    split : Split
        References of the test domains and of the calibration domains; calibration rows are normals,
        validation rows normals and known kinds.
    data : Prepared
        The features.
    labels : Labels
        Labels and domains of the table.

    Returns
    -------
    BaseDetector
    """
    references = np.concatenate([split.references, split.calibration_references])
    if len(references):
        model = fitted.adapt(data.take(references), domains=labels.domains[references])
    else:
        model = copy.copy(fitted)
    rows = np.concatenate([split.calibration, split.validation])
    return model.calibrate(
        data.take(rows), labels.y[rows], kinds=labels.kinds[rows], domains=labels.domains[rows]
    )


class ScoreMemory:
    """Scores rows, each only once for the same references.

    Parameters
    ----------
    data : Prepared
        The features.
    labels : Labels
        Domains of the table.
    """

    def __init__(self, data: Prepared, labels: Labels) -> None:
        self._data = data
        self._labels = labels
        self._scores = np.zeros(len(data.rows))
        self._known = np.zeros(len(data.rows), dtype=np.bool_)
        self._references: bytes | None = None
        self._seconds = 0.0
        self._n_scored = 0

    @property
    def seconds_per_row(self) -> float:
        """Mean wall time of scoring a row, over all rows scored so far; 0 before the first."""
        return self._seconds / max(1, self._n_scored)

    def score(self, detector: BaseDetector, split: Split, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of some rows.

        Parameters
        ----------
        detector : BaseDetector
            The same fit each time; it may be adapted to the references of ``split``.
        split : Split
            Other references than last time make all scores be forgotten.
        rows : int64 array of shape (n_rows,)
            Row numbers of the table.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        references = np.concatenate([split.references, split.calibration_references]).tobytes()
        if references != self._references:
            self._references = references
            self._known[:] = False
        at = np.searchsorted(self._data.rows, rows)
        new = ~self._known[at]
        if new.any():
            X, domains = self._data.take(rows[new]), self._labels.domains[rows[new]]
            start = time.perf_counter()
            self._scores[at[new]] = detector.decision_function(X, domains=domains)
            self._seconds += time.perf_counter() - start
            self._n_scored += len(X)
            self._known[at[new]] = True
        return self._scores[at]


def run_job(job: Job, data: Prepared, labels: Labels, settings: Settings, parts: Path) -> list[Outcome]:
    """Run trials that share a fit and write the part of each as soon as it is done.

    Parameters
    ----------
    job : Job
        The trials.
    data : Prepared
        The features, preprocessed for these trials.
    labels : Labels
        Of the whole table.
    settings : Settings
        As for every job.
    parts : Path
        Where to write.

    Returns
    -------
    list of Outcome
        One a trial. An exception becomes the outcome of the trials that it stopped, so that other jobs go on;
        ``evaluate`` raises it at the end.
    """
    first = job.trials[0]
    start = time.perf_counter()
    try:
        fitted = fit_detector(first.detector, first.split, data, labels, settings)
    except Exception as error:  # raised again by evaluate, with the trial's name
        return [failure_of(trial.key, trial.name, error, start) for trial in job.trials]
    memory = ScoreMemory(data, labels)
    outcomes = []
    for trial in job.trials:
        try:
            _finish_trial(trial, fitted, memory, data, labels, settings, parts)
            outcomes.append(Outcome(trial.key, trial.name, time.perf_counter() - start))
        except Exception as error:  # raised again by evaluate, with the trial's name
            outcomes.append(failure_of(trial.key, trial.name, error, start))
        start = time.perf_counter()
    return outcomes


def _finish_trial(
    trial: Trial,
    fitted: Fitted,
    memory: ScoreMemory,
    data: Prepared,
    labels: Labels,
    settings: Settings,
    parts: Path,
) -> None:
    """Adapt, calibrate, score, measure, write."""
    split = trial.split
    model = condition(fitted.detector, split, data, labels)
    sets = model.calibrations_
    pool = np.concatenate([split.calibration, split.validation])
    scored = ScoredTrial(
        scores=memory.score(model, split, split.test),
        pool_scores=memory.score(model, split, pool),
        pool_y=labels.y[pool],
        calibration=sets.usual,
        view=fitted.view,
        fit_seconds=fitted.seconds,
        score_seconds=memory.seconds_per_row * len(split.test),
        n_fit=fitted.n_rows,
        sets=sets,
        domains=labels.domains[split.test],
    )
    rows = measure(trial, labels, scored, settings)
    write_part(parts, trial, rows, scored, labels, _pictures(model, split, data, labels, settings))


def run_job_on_one_thread(
    job: Job, data: Prepared, labels: Labels, settings: Settings, parts: Path, run: int
) -> list[Outcome]:
    """Run a job in a worker process of the run; it has one core to itself; see :func:`run_job`."""
    end_with_parent(run)
    torch.set_num_threads(1)
    return run_job(job, data, labels, settings, parts)


def _pictures(
    model: BaseDetector, split: Split, data: Prepared, labels: Labels, settings: Settings
) -> dict[str, NDArray[Any]]:
    """What only some detectors can show: scores before the second stage, and a sample of the latent space."""
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(model, HasTwoStages):
        X, domains = data.take(split.test), labels.domains[split.test]
        arrays["stage1_scores"] = model.stage1_scores(X, domains=domains)
        arrays["stage2_scores"] = model.stage2_scores(X, domains=domains)
    if isinstance(model, HasLatentSpace) and settings.latent_rows:
        rows = _sample_of_each_kind(split, labels, settings.latent_rows)
        arrays["latent_rows"] = positions_in(split.test, rows)
        arrays["latent"] = model.latent_means(data.take(rows), domains=labels.domains[rows]).astype(
            np.float32
        )
    return arrays


def _sample_of_each_kind(split: Split, labels: Labels, n_rows: int) -> NDArray[np.int64]:
    """Draw half normals, and the other half evenly from the kinds."""
    generator = np.random.default_rng(split.seed)
    kinds = labels.kinds[split.test]
    names = [str(name) for name in np.unique(kinds)]
    chosen = []
    for name in names:
        rows = split.test[kinds == name]
        share = n_rows // 2 if name == NORMAL_KIND else n_rows // (2 * max(1, len(names) - 1))
        chosen.append(generator.permutation(rows)[: max(1, share)])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def failure_of(key: str, name: str, error: Exception, start: float) -> Outcome:
    """Return the outcome of a trial that an exception ended.

    Parameters
    ----------
    key, name : str
        Of the trial.
    error : Exception
        What was raised.
    start : float
        When the trial began, as ``time.perf_counter`` told.

    Returns
    -------
    Outcome
    """
    message = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, InputError)
    return Outcome(
        key,
        name,
        time.perf_counter() - start,
        error=message if known else f"{type(error).__name__}: {message}",
        details="".join(traceback.format_exception(error)),
        bad_input=known,
    )
