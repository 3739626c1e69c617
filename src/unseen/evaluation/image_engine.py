"""Measures detectors of pictures on kinds of defects, and goes on where a killed run stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unseen.data.images import ImageSet
from unseen.detectors.images import BaseImageDetector
from unseen.errors import ParameterError
from unseen.evaluation.engine import error_of, plain_object, rows_of, run_facts, version_of
from unseen.evaluation.image_material import describe_images, fingerprint_of_images, gather_images
from unseen.evaluation.image_splits import ImageProtocol, image_splits
from unseen.evaluation.image_trials import group_image_trials, run_image_job
from unseen.evaluation.parts import PARTS, finished_rows
from unseen.evaluation.prepared import work_folder
from unseen.evaluation.progress import Progress, Silent
from unseen.evaluation.results import Results
from unseen.evaluation.running import Outcome
from unseen.evaluation.settings import Settings
from unseen.evaluation.trials import plan_trials


def evaluate_images(
    targets: Sequence[ImageSet],
    *,
    detectors: Mapping[str, BaseImageDetector],
    out: Path | str,
    sources: Sequence[ImageSet] = (),
    protocol: ImageProtocol | None = None,
    settings: Settings | None = None,
    cache_dir: Path | str | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    dataset: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Results:
    """Measure how well detectors find kinds of defects in categories that they have a few good pictures of.

    For each category, set of references and detector: fit (on the sources, if there are any and the detector
    learns from them, else on the references), ``adapt`` to the references, score the test pictures, judge
    each kind. Test pictures and their masks are read when they are scored and judged, and nowhere before.

    Parameters
    ----------
    targets : sequence of ImageSet
        Categories to judge, with labelled defects.
    detectors : mapping of str to BaseImageDetector
        Name to unfitted detector. Clones are fitted, with the split's seed.
    out : Path or str
        Folder for ``results.json``, ``results.parquet`` and ``parts/``.
    sources : sequence of ImageSet
        Other categories to train on.
    protocol : ImageProtocol or None
        References, seeds and shots. None: all normals.
    settings : Settings or None
        Holds the false-alarm rate. None: the defaults.
    cache_dir : Path, str or None
        Where features are kept. None: in ``out`` while this runs.
    resume : bool
        Whether to take over what an earlier run finished.
    progress : Progress or None
        Is told about each trial.
    dataset : mapping or None
        What else to say about the pictures in the results.
    command : str or None
        The command to state. None: the command line of this process.

    Returns
    -------
    Results
        Also written to ``out``. Rows are those of :func:`unseen.evaluation.evaluate`, with pixel figures.

    Raises
    ------
    InputError
        If pictures or parameters cannot be used; a file that cannot be read is named.
    EvaluationError
        If a trial raised for another reason. The other trials are finished and kept first.
    """
    start = time.perf_counter()
    settings, protocol = settings or Settings(), protocol or ImageProtocol()
    settings.check()
    _check_detectors(detectors)
    progress = progress or Silent()
    material = gather_images(targets, sources)
    splits = image_splits(material, protocol)
    digest = fingerprint_of_images(material)
    parts = Path(out) / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    trials = plan_trials(detectors, splits, settings, fingerprint=digest, version=version_of("unseen"))
    if not resume:
        for trial in trials:
            (parts / f"{trial.key}.json").unlink(missing_ok=True)
    to_do = [trial for trial in trials if finished_rows(parts, trial.key) is None]
    progress.started(len(trials), len(trials) - len(to_do))
    failures: list[Outcome] = []
    with work_folder(Path(out)) as folder:
        features = str(folder if cache_dir is None else cache_dir)
        for job in group_image_trials(to_do):
            for outcome in run_image_job(job, material, settings, parts, features):
                if outcome.error is None:
                    progress.finished(outcome.name, outcome.seconds)
                else:
                    progress.failed(outcome.name, outcome.error)
                    failures.append(outcome)
    if failures:
        raise error_of(failures, len(trials))
    results = Results(
        dataset={**describe_images(material, digest), **plain_object(dataset or {})},
        rows=[row for trial in trials for row in rows_of(parts, trial)],
        run=run_facts(detectors, settings, command, time.perf_counter() - start, len(trials) - len(to_do)),
    )
    results.write(Path(out))
    return results


def _check_detectors(detectors: Mapping[str, BaseImageDetector]) -> None:
    if not detectors:
        raise ParameterError("evaluate: detectors must name at least one detector, got none.")
    for name, detector in detectors.items():
        if not isinstance(detector, BaseImageDetector):
            raise ParameterError(f"evaluate: detectors[{name!r}] must be a detector of pictures.")
        if detector.cache_dir is not None:
            raise ParameterError(
                f"evaluate: detectors[{name!r}] must not have a cache_dir of its own; give cache_dir here."
            )
