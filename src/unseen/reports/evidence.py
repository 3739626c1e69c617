"""What the figures need of the stored scores: small summaries, so that parts are read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, kstwobign

from unseen.evaluation import Part, read_part
from unseen.metrics.ranking import auroc, precision_recall_curve, roc_curve
from unseen.reports.entries import Entry
from unseen.types import BoolArray

FALSE_ALARM_GRID = np.unique(np.concatenate([[0.0], np.logspace(-4, 0, 121), np.linspace(0, 1, 101)]))
RECALL_GRID = np.linspace(0.005, 1, 200)
LEVEL_GRID = np.unique(np.concatenate([np.logspace(-4, 0, 121), np.linspace(0, 1, 101)[1:]]))
"""Where all curves are read off, so that they can be averaged over seeds."""

_SAMPLE = 4000
"""At most so many scores of each group are kept for a histogram."""


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curve of one trial's held-out kind, on the grids above."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    prevalence: float


@dataclass(frozen=True)
class Groups:
    """Samples of scores by group, and the AUROC of the held-out kind from all of them (NaN without one)."""

    normal: NDArray[np.float64]
    known: NDArray[np.float64]
    held_out: NDArray[np.float64]
    auroc: float


@dataclass(frozen=True)
class Latent:
    """Latent positions of a sample of test rows, shape (n, 2), which hold ``share`` of their variance."""

    points: NDArray[np.float64]
    normal: BoolArray
    held_out: BoolArray
    n_latent: int
    share: float


@dataclass(frozen=True)
class Uniformity:
    """How the p-values of one trial's test normals lie.

    Attributes
    ----------
    cumulative : float64 array
        Share of test normals with a p-value at or below each value of ``LEVEL_GRID``.
    distance : float
        Kolmogorov-Smirnov distance between those p-values and the uniform distribution.
    chance_distance : float
        What that distance exceeds in 5 % of cases if test normals are like the calibration normals.
    observed : float
        Share of test normals flagged at the false-alarm threshold.
    low, high : float
        Where ``observed`` lies with 95 % probability if test normals are like the calibration normals.
    n_test, n_calibration : int
        Normals tested and calibrated on.
    """

    cumulative: NDArray[np.float64]
    distance: float
    chance_distance: float
    observed: float
    low: float
    high: float
    n_test: int
    n_calibration: int


@dataclass(frozen=True)
class Digest:
    """What is kept of one trial; ``ends_in_stage2`` says whether its scores are those after stage 2."""

    held_out_kind: str | None
    seed: int
    curves: Curves | None
    scores: Groups
    stages: tuple[Groups, Groups] | None
    ends_in_stage2: bool
    latent: Latent | None
    uniformity: Uniformity | None
    false_alarm_threshold: float


def digests_of(entry: Entry, parts: Path) -> list[Digest]:
    """Return a digest of each trial of an entry whose scores are there.

    Parameters
    ----------
    entry : Entry
        Detector in a setting.
    parts : Path
        Folder of the parts.

    Returns
    -------
    list of Digest
        Empty if the results came without parts.
    """
    rates = {row["part"]: row["false_alarm_rate"] for row in entry.rows if row.get("part")}
    present = [(key, rate) for key, rate in rates.items() if (parts / f"{key}.json").is_file()]
    return [digest_of(read_part(parts, key), rate) for key, rate in present]


def digest_of(part: Part, false_alarm_rate: float) -> Digest:
    """Summarise the scores of one trial.

    Parameters
    ----------
    part : Part
        The scores.
    false_alarm_rate : float
        The rate that its threshold was set for.

    Returns
    -------
    Digest
    """
    unseen_rows = _held_out(part)
    known_rows = (part.y == 1) & ~unseen_rows
    stages = None
    if part.stage1_scores is not None and part.stage2_scores is not None:
        stages = (
            _groups(part, part.stage1_scores, unseen_rows, known_rows),
            _groups(part, part.stage2_scores, unseen_rows, known_rows),
        )
    return Digest(
        held_out_kind=part.held_out_kind,
        seed=part.seed,
        curves=_curves(part, unseen_rows),
        scores=_groups(part, part.scores, unseen_rows, known_rows),
        stages=stages,
        ends_in_stage2=part.stage2_scores is not None and np.array_equal(part.scores, part.stage2_scores),
        latent=_latent(part, unseen_rows),
        uniformity=_uniformity(part, false_alarm_rate),
        false_alarm_threshold=part.false_alarm_threshold,
    )


def mean_curve(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean of curves on one grid; NaN where a curve has no value."""
    return np.asarray(np.mean(np.stack(list(curves)), axis=0), dtype=np.float64)


def _held_out(part: Part) -> BoolArray:
    if part.held_out_kind is None:
        return np.zeros(len(part.y), dtype=np.bool_)
    return part.of_kind(part.held_out_kind)


def _curves(part: Part, unseen_rows: BoolArray) -> Curves | None:
    rows = part.judged & (part.normal | unseen_rows)
    y, scores = unseen_rows[rows].astype(np.int8), part.scores[rows]
    if y.all() or not y.any():
        return None
    roc = roc_curve(y, scores)
    curve = precision_recall_curve(y, scores)
    first = np.minimum(np.searchsorted(curve.recall, RECALL_GRID - 1e-12), len(curve.recall) - 1)
    return Curves(
        recall=np.interp(FALSE_ALARM_GRID, roc.false_alarm_rate, roc.recall),
        precision=curve.precision[first],
        prevalence=float(np.mean(y)),
    )


def _groups(part: Part, scores: NDArray[np.float64], unseen_rows: BoolArray, known_rows: BoolArray) -> Groups:
    generator = np.random.default_rng(part.seed)

    def sample(rows: BoolArray) -> NDArray[np.float64]:
        chosen = np.flatnonzero(rows)
        if len(chosen) > _SAMPLE:
            chosen = generator.choice(chosen, _SAMPLE, replace=False)
        return scores[chosen]

    judged = part.judged & (part.normal | unseen_rows)
    both = np.any(unseen_rows[judged]) and not np.all(unseen_rows[judged])
    area = auroc(unseen_rows[judged].astype(np.int8), scores[judged]) if both else float("nan")
    return Groups(sample(part.normal), sample(known_rows), sample(unseen_rows), area)


def _latent(part: Part, unseen_rows: BoolArray) -> Latent | None:
    if part.latent is None or part.latent_rows is None or part.latent.shape[1] == 0:
        return None
    points, share = _two_dimensions(part.latent.astype(np.float64))
    return Latent(
        points=points,
        normal=part.normal[part.latent_rows],
        held_out=unseen_rows[part.latent_rows],
        n_latent=part.latent.shape[1],
        share=share,
    )


def _two_dimensions(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The points themselves if they are flat, else their first two principal components."""
    if points.shape[1] == 1:
        return np.column_stack([points[:, 0], np.zeros(len(points))]), 1.0
    if points.shape[1] == 2:
        return points, 1.0
    centred = points - points.mean(axis=0)
    _, strength, axes = np.linalg.svd(centred, full_matrices=False)
    total = float(np.sum(strength**2))
    return centred @ axes[:2].T, float(np.sum(strength[:2] ** 2) / total) if total > 0 else 1.0


def _uniformity(part: Part, false_alarm_rate: float) -> Uniformity | None:
    p_values = np.sort(part.p_values[part.normal])
    n = len(p_values)
    if n == 0:
        return None
    above = np.arange(1, n + 1) / n - p_values
    distance = max(float(above.max()), float((p_values - np.arange(n) / n).max()))
    flagged = part.scores[part.normal] > part.false_alarm_threshold
    low, high = _expected_range(false_alarm_rate, part.n_calibration, n)
    return Uniformity(
        cumulative=np.searchsorted(p_values, LEVEL_GRID, side="right") / n,
        distance=distance,
        chance_distance=float(kstwobign.ppf(0.95) * np.sqrt(1 / n + 1 / part.n_calibration)),
        observed=float(np.mean(flagged)),
        low=low,
        high=high,
        n_test=n,
        n_calibration=part.n_calibration,
    )


def _expected_range(rate: float, n_calibration: int, n_test: int) -> tuple[float, float]:
    """Central 95 % range of the observed false-alarm rate for exchangeable normals.

    The threshold is the k-th largest of n calibration scores, k = max(1, floor(rate (n + 1))); the share of
    fresh normals above it follows Beta(k, n + 1 − k) (Vovk 2012), so their number is beta-binomial.
    """
    k = min(max(1, int(np.floor(rate * (n_calibration + 1) + 1e-9))), n_calibration)
    law = betabinom(n_test, k, n_calibration + 1 - k)
    return float(law.ppf(0.025) / n_test), float(law.ppf(0.975) / n_test)
