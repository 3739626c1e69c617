"""What there is to run: trials (one detector on one split) and jobs (trials that share one fit)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from unseen.detectors.base import BaseDetector
from unseen.evaluation.files import plain
from unseen.evaluation.settings import Settings
from unseen.protocols import Split
from unseen.types import Json

PART_SCHEMA = 1
"""The version of the files under ``parts/``."""

_INDEX_ARRAYS = (
    "train",
    "contaminants",
    "labelled",
    "validation",
    "calibration",
    "calibration_references",
    "references",
    "test",
)


@dataclass(frozen=True)
class Trial:
    """One detector on one split.

    Attributes
    ----------
    name : str
        For people: detector, held-out kind, seed and whatever else tells it from the others.
    key : str
        Hash of everything that its outcome depends on; names its files.
    detector_name : str
        Name in the evaluation.
    detector : BaseDetector
        Not fitted; never fitted itself, only clones of it.
    split : Split
        The rows.
    config : dict
        What went into ``key``.
    """

    name: str
    key: str
    detector_name: str
    detector: BaseDetector
    split: Split
    config: dict[str, Json]


@dataclass(frozen=True)
class Job:
    """Trials of one detector that share one fit; run one after the other in one process."""

    trials: tuple[Trial, ...]


def plan_trials(
    detectors: Mapping[str, BaseDetector],
    splits: Sequence[Split],
    settings: Settings,
    *,
    fingerprint: str,
    version: str,
) -> list[Trial]:
    """Cross detectors with splits.

    Parameters
    ----------
    detectors : mapping of str to BaseDetector
        Name to unfitted detector.
    splits : sequence of Split
        The splits.
    settings : Settings
        Part of every trial's key.
    fingerprint : str
        Hash of the data.
    version : str
        Version of unseen.

    Returns
    -------
    list of Trial
    """
    digests = [split_digest(split) for split in splits]
    trials = []
    for name, detector in detectors.items():
        for split, digest in zip(splits, digests, strict=True):
            config: dict[str, Json] = {
                "schema": PART_SCHEMA,
                "version": version,
                "data": fingerprint,
                "detector": name,
                "class": f"{type(detector).__module__}.{type(detector).__qualname__}",
                "parameters": plain(detector.get_params(deep=False)),
                "settings": plain(asdict(settings)),
                "split": {**split_facts(split), "rows": digest},
            }
            trials.append(Trial(_trial_name(name, split), _hash(config), name, detector, split, config))
    return trials


def group_into_jobs(trials: Sequence[Trial], settings: Settings) -> list[Job]:
    """Put trials together whose fit is the same.

    A detector that uses no labels learns from the normals alone, so all held-out kinds of one seed share its
    fit (unless its view is chosen with the help of labels).

    Parameters
    ----------
    trials : sequence of Trial
        What is still to run.
    settings : Settings
        Says whether views are chosen.

    Returns
    -------
    list of Job
        In the order of the first trial of each.
    """
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        own = trial.detector.uses_labels or settings.view == "auto"
        shared = trial.key if own else f"{trial.split.seed} {trial.split.normals_key}"
        groups.setdefault((trial.detector_name, shared), []).append(trial)
    return [Job(tuple(group)) for group in groups.values()]


def split_facts(split: Split) -> dict[str, Json]:
    """Return what tells a split from others, without its rows."""
    return {
        "held_out_kind": split.held_out_kind,
        "known_kinds": list(split.known_kinds),
        "seed": split.seed,
        "shots": split.shots,
        "contamination": split.contamination,
        "references": split.n_references,
        "balanced": split.balanced,
    }


def split_digest(split: Split) -> str:
    """Return a hash of all row numbers of a split."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _INDEX_ARRAYS:
        rows = np.ascontiguousarray(getattr(split, name), dtype=np.int64)
        digest.update(f"{name}:{len(rows)};".encode())
        digest.update(rows.tobytes())
    return digest.hexdigest()


def _trial_name(detector: str, split: Split) -> str:
    held_out = "nothing held out" if split.held_out_kind is None else f"{split.held_out_kind!r} held out"
    extra = f", {split.contamination:.0%} contaminated" if split.contamination else ""
    extra += f", {split.n_references} references" if split.n_references else ""
    return f"{detector}, {held_out}, seed {split.seed}, {split.shots} shots{extra}"


def _hash(config: Mapping[str, Json]) -> str:
    text = json.dumps(config, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
