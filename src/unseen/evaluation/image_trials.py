"""Running trials on pictures: fit, adapt, score, judge pictures and pixels, keep a few for the galleries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.detectors.images import BaseImageDetector
from unseen.evaluation.gallery import choose_pictures, pack_pictures
from unseen.evaluation.image_material import ImageMaterial
from unseen.evaluation.measure import ScoredTrial, measure
from unseen.evaluation.parts import write_part
from unseen.evaluation.results import ResultRow
from unseen.evaluation.running import Outcome, failure_of
from unseen.evaluation.settings import Settings
from unseen.evaluation.trials import Job, Trial
from unseen.metrics import Localisation, LocalisationMeter
from unseen.metrics.ranking import f1_max
from unseen.pipeline.heat_maps import MapScale
from unseen.pipeline.image_folders import within_memory
from unseen.pipeline.image_model import map_scale
from unseen.protocols import Split
from unseen.scoring.calibration import Calibration
from unseen.types import NORMAL, BoolArray

_BLOCK = 64
_PIXEL_CLASSES = 2**20


@dataclass(frozen=True)
class FittedToTarget:
    """A detector that is ready for the pictures of a target.

    Attributes
    ----------
    detector : BaseImageDetector
        Fitted, and adapted to the references.
    domain : str
        By which its pictures are judged.
    calibration : Calibration
        From the references. Of a single one nothing follows: its threshold is infinite.
    seconds : float
        Wall time of the fit, adapting included.
    n_rows : int
        Pictures fitted on.
    scale : MapScale or None
        Of its maps, from the references; None where nothing will be drawn.
    """

    detector: BaseImageDetector
    domain: str
    calibration: Calibration
    seconds: float
    n_rows: int
    scale: MapScale | None = None


@dataclass(frozen=True)
class JudgedPictures:
    """What scoring the test pictures gave.

    Attributes
    ----------
    scores : float64 array of shape (n_test,)
        In the order of the split's test rows.
    by_kind : dict of str to Localisation
        Pixel figures of each kind that has masks.
    seconds : float
        Wall time of scoring.
    """

    scores: NDArray[np.float64]
    by_kind: dict[str, Localisation]
    seconds: float


def group_image_trials(trials: Sequence[Trial]) -> list[Job]:
    """Put trials together that share fit, references and test pictures.

    Parameters
    ----------
    trials : sequence of Trial
        What is still to run.

    Returns
    -------
    list of Job
    """
    groups: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        split = trial.split
        rows = [split.references, split.test]
        rows += [split.train, split.labelled] if trial.detector.uses_labels else []
        key = (trial.detector_name, split.seed, *(part.tobytes() for part in rows))
        groups.setdefault(key, []).append(trial)
    return [Job(tuple(group)) for group in groups.values()]


def fit_to_target(
    detector: BaseImageDetector,
    material: ImageMaterial,
    split: Split,
    settings: Settings,
    cache_dir: str | None = None,
) -> FittedToTarget:
    """Fit on the training rows of a split and adapt to its references; no test picture is read.

    A detector that learns nothing that domains share (``uses_labels`` is False) takes in the references
    alone.

    Parameters
    ----------
    detector : BaseImageDetector
        Left as it is.
    material : ImageMaterial
        The pictures.
    split : Split
        Which of them are what.
    settings : Settings
        Holds the false-alarm rate.
    cache_dir : str or None
        Folder of features.

    Returns
    -------
    FittedToTarget
    """
    start = time.perf_counter()
    model: BaseImageDetector = clone(detector)
    model.set_params(seed=split.seed, false_alarm_rate=settings.false_alarm_rate, cache_dir=cache_dir)
    model.set_params(calibration_fraction=0.0)
    domain = str(material.labels.domains[split.references[0]])
    references, _ = within_memory(material.images.take(split.references), model)
    names = np.full(len(references), domain)
    n_rows = len(references)
    if model.uses_labels:
        folds = model.calibration_folds
        rows, labels = split.fit_rows, split.fit_labels(material.labels)
        model.set_params(calibration_folds=0)
        model.fit(material.images.take(rows), labels.y, kinds=labels.kinds, domains=labels.domains)
        model.set_params(calibration_folds=folds)
        n_rows = len(rows)
    else:
        model.fit(references, domains=names)
    if domain not in model.domain_memories_ and model.uses_labels:
        model = model.adapt(references, domains=names)
    known = model.domain_memories_
    found = model.domain_calibrations_.get(domain) if domain in known else model.calibration_
    if found is None:
        found = Calibration.from_scores([np.inf], [NORMAL], false_alarm_rate=settings.false_alarm_rate)
    return FittedToTarget(model, domain, found, time.perf_counter() - start, n_rows)


def judge_pictures(fitted: FittedToTarget, material: ImageMaterial, split: Split) -> JudgedPictures:
    """Score the test pictures of a split and compare their maps with the masks, a block at a time.

    Parameters
    ----------
    fitted : FittedToTarget
        The detector.
    material : ImageMaterial
        The pictures.
    split : Split
        Its ``test`` rows are judged.

    Returns
    -------
    JudgedPictures
    """
    meter = LocalisationMeter(bins=_PIXEL_CLASSES)
    scores = np.empty(len(split.test))
    masked: set[str] = set()
    seconds = 0.0
    for start in range(0, len(scores), _BLOCK):
        rows = split.test[start : start + _BLOCK]
        block = material.images.take(rows)
        began = time.perf_counter()
        found, maps = fitted.detector.score_and_explain(block, domains=np.full(len(block), fitted.domain))
        seconds += time.perf_counter() - began
        scores[start : start + len(rows)] = found
        for place, (row, values) in enumerate(zip(rows.tolist(), maps, strict=True)):
            mask = block.mask(place, size=(values.shape[0], values.shape[1]))
            if mask is not None:
                kind = str(material.labels.kinds[row])
                masked |= {kind} if mask.any() else set()
                meter.add(mask, values, kind)
    return JudgedPictures(scores, meter.by_kind() if masked else {}, seconds)


def run_image_job(
    job: Job, material: ImageMaterial, settings: Settings, parts: Path, cache_dir: str | None
) -> list[Outcome]:
    """Run trials that share a fit and write the part of each.

    Parameters
    ----------
    job : Job
        The trials.
    material : ImageMaterial
        The pictures.
    settings : Settings
        As for every job.
    parts : Path
        Where to write.
    cache_dir : str or None
        Folder of features.

    Returns
    -------
    list of Outcome
        One a trial; an exception becomes the outcome of the trials that it stopped.
    """
    first, start = job.trials[0], time.perf_counter()
    detector = cast(BaseImageDetector, first.detector)
    try:
        fitted = fit_to_target(detector, material, first.split, settings, cache_dir)
        if first.split.seed == 0:
            references = material.images.take(first.split.references)
            fitted = replace(fitted, scale=map_scale(fitted.detector, references))
        judged = judge_pictures(fitted, material, first.split)
    except Exception as error:  # raised again by evaluate_images, with the trial's name
        return [failure_of(trial.key, trial.name, error, start) for trial in job.trials]
    outcomes = []
    for trial in job.trials:
        try:
            _finish(trial, fitted, judged, material, settings, parts)
            outcomes.append(Outcome(trial.key, trial.name, time.perf_counter() - start))
        except Exception as error:  # raised again by evaluate_images, with the trial's name
            outcomes.append(failure_of(trial.key, trial.name, error, start))
        start = time.perf_counter()
    return outcomes


def _finish(
    trial: Trial,
    fitted: FittedToTarget,
    judged: JudgedPictures,
    material: ImageMaterial,
    settings: Settings,
    parts: Path,
) -> None:
    """Measure, keep pictures for the galleries of the first seed, write."""
    split, pool = trial.split, fitted.calibration.normal_scores
    scored = ScoredTrial(
        scores=judged.scores,
        pool_scores=pool,
        pool_y=np.zeros(len(pool), dtype=np.int8),
        calibration=fitted.calibration,
        view="raw",
        fit_seconds=fitted.seconds,
        score_seconds=judged.seconds,
        n_fit=fitted.n_rows,
    )
    rows = [
        _with_pixels(row, judged, material, split)
        for row in measure(trial, material.labels, scored, settings)
    ]
    arrays: Mapping[str, NDArray[Any]] = {}
    if fitted.scale is not None:
        held_out = np.asarray(material.labels.kinds[split.test] == split.held_out_kind, dtype=np.bool_)
        arrays = _gallery(fitted, fitted.scale, judged.scores, material, split, held_out)
    write_part(parts, trial, rows, scored, material.labels, arrays)


def _with_pixels(row: ResultRow, judged: JudgedPictures, material: ImageMaterial, split: Split) -> ResultRow:
    rows = split.test_of(row["kind"])
    of_kind = np.isin(split.test, rows)
    found = judged.by_kind.get(row["kind"])
    row["category"] = str(material.labels.domains[split.references[0]])
    row["f1_max"] = float(f1_max(material.labels.y[split.test[of_kind]], judged.scores[of_kind])[0])
    row["pixel_auroc"] = None if found is None else found.auroc
    row["pixel_f1_max"] = None if found is None else found.f1
    row["pro"] = None if found is None else found.pro
    return row


def _gallery(
    fitted: FittedToTarget,
    scale: MapScale,
    scores: NDArray[np.float64],
    material: ImageMaterial,
    split: Split,
    held_out: BoolArray,
) -> Mapping[str, NDArray[Any]]:
    normal = np.asarray(material.labels.normal[split.test], dtype=np.bool_)
    places, groups = choose_pictures(scores, normal, held_out, seed=split.seed)
    chosen = material.images.take(split.test[places])
    maps = fitted.detector.score_maps(chosen, domains=np.full(len(chosen), fitted.domain))
    return pack_pictures(chosen, scale.levels(maps), places, groups)
