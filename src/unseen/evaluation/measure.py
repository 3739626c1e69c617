"""From the scores of one trial to the rows of the results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.errors import InputError
from unseen.evaluation.results import ResultRow, Role
from unseen.evaluation.settings import Settings
from unseen.evaluation.trials import Trial
from unseen.metrics.intervals import delong_interval
from unseen.metrics.operating import confusion_at
from unseen.metrics.ranking import auroc, average_precision, roc_curve
from unseen.protocols import Split
from unseen.scoring.calibration import Calibration
from unseen.scoring.calibration_sets import CalibrationSets
from unseen.types import ANOMALY, Labels, StrArray


@dataclass(frozen=True)
class ScoredTrial:
    """What scoring a trial gave.

    Attributes
    ----------
    scores : float64 array of shape (n_test,)
        Raw scores of ``split.test``, in its order.
    pool_scores, pool_y : float64 and int8 array of shape (n_pool,)
        Raw scores and labels of the split's calibration and validation rows.
    calibration : Calibration
        From those rows.
    view : str
        The view that was used.
    fit_seconds, score_seconds : float
        Wall time of the fit, and of scoring ``n_test`` rows.
    n_fit : int
        Rows fitted on.
    sets : CalibrationSets or None
        What each test row is compared with, by its domain; None: all with ``calibration``.
    domains : str array of shape (n_test,) or None
        Domain of each test row; None with ``sets``.
    """

    scores: NDArray[np.float64]
    pool_scores: NDArray[np.float64]
    pool_y: NDArray[np.int8]
    calibration: Calibration
    view: str
    fit_seconds: float
    score_seconds: float
    n_fit: int
    sets: CalibrationSets | None = None
    domains: StrArray | None = None

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which test rows lie above the threshold for the false-alarm rate."""
        if self.sets is None or self.domains is None:
            return self.calibration.flags(self.scores)
        return np.asarray(self.scores > self.sets.thresholds(self.domains))

    @property
    def p_values(self) -> NDArray[np.float64]:
        """P-value of each test row."""
        if self.sets is None or self.domains is None:
            return self.calibration.p_values(self.scores)
        return self.sets.p_values(self.scores, self.domains)


def operating_threshold(scored: ScoredTrial, settings: Settings, *, balanced: bool) -> tuple[float, str]:
    """Return the one threshold of a trial and the rule that set it.

    Parameters
    ----------
    scored : ScoredTrial
        Holds the validation pool: rows that were not fitted on and are not tested.
    settings : Settings
        Holds the rule that was asked for.
    balanced : bool
        Whether test sets hold as many normals as anomalies. The pool is then weighted likewise: it holds few
        anomalies among many normals, and F1 at its own share of anomalies has its maximum elsewhere.

    Returns
    -------
    threshold : float
    rule : {"f1", "false-alarm"}
        ``"false-alarm"`` also where ``"f1"`` was asked for but no anomaly was there to validate on.
    """
    if settings.threshold_rule == "f1" and np.any(scored.pool_y == ANOMALY):
        share = 0.5 if balanced else float(np.mean(scored.pool_y == ANOMALY))
        return best_f1_threshold(scored.pool_y, scored.pool_scores, share), "f1"
    return scored.calibration.threshold, "false-alarm"


def best_f1_threshold(y: NDArray[np.int8], scores: NDArray[np.float64], share: float) -> float:
    r"""Return the threshold with the largest F1 if anomalies were a given share of the rows.

    With recall :math:`r`, false-alarm rate :math:`a` and share :math:`\pi`:
    :math:`F_1 = 2 \pi r / (\pi r + (1 - \pi) a + \pi)`.

    Parameters
    ----------
    y : int8 array of shape (n_rows,)
        0 normal, 1 anomaly; both must occur.
    scores : float64 array of shape (n_rows,)
        Higher = more anomalous.
    share : float in (0, 1)
        The share of anomalies to assume.

    Returns
    -------
    float
        Halfway between the lowest flagged score and the next lower one; flag ``score > threshold``. Among
        equal F1 the highest threshold.
    """
    curve = roc_curve(y, scores)
    hits = share * curve.recall[1:]
    f1 = 2 * hits / (hits + (1 - share) * curve.false_alarm_rate[1:] + share)
    levels = curve.thresholds[1:]
    best = int(np.argmax(f1))
    below = levels[best + 1] if best + 1 < len(levels) else np.nextafter(levels[best], -np.inf)
    halfway = below / 2 + levels[best] / 2 if np.isfinite(below) and np.isfinite(levels[best]) else below
    return float(halfway if below <= halfway < levels[best] else below)


def measure(trial: Trial, labels: Labels, scored: ScoredTrial, settings: Settings) -> list[ResultRow]:
    """Compare each kind of the test set with the test normals.

    Parameters
    ----------
    trial : Trial
        What was run.
    labels : Labels
        Of the whole table; of the held-out kind this is the only place where they are looked at.
    scored : ScoredTrial
        Scores and thresholds.
    settings : Settings
        Holds the threshold rule and the false-alarm rate.

    Returns
    -------
    list of ResultRow
        One a kind, the held-out one first.

    Raises
    ------
    InputError
        If a score is NaN.
    """
    split = trial.split
    if np.isnan(scored.scores).any():
        n_bad = int(np.isnan(scored.scores).sum())
        raise InputError(f"{trial.name}: {n_bad} of {len(scored.scores)} scores are NaN.")
    normal = labels.normal[split.test]
    observed = float(np.mean(scored.flagged[normal])) if normal.any() else np.nan
    return [
        _row(trial, labels, scored, settings, kind, observed)
        for kind in sorted(tested_kinds(split), key=lambda kind: (kind != split.held_out_kind, kind))
    ]


def tested_kinds(split: Split) -> list[str]:
    """Return the kinds that a split can be measured on: the held-out one and the known ones.

    Kinds of the test set that are neither (a kind that occurs in the test file alone while another one is
    held out) are as unseen as the held-out kind, but are measured in their own split.
    """
    return [kind for kind in split.test_kinds if kind in split.known_kinds or kind == split.held_out_kind]


def _row(
    trial: Trial, labels: Labels, scored: ScoredTrial, settings: Settings, kind: str, observed: float
) -> ResultRow:
    split = trial.split
    rows = split.test_of(kind)
    at = positions_in(split.test, rows)
    scores, y = scored.scores[at], labels.y[rows]
    threshold, rule = operating_threshold(scored, settings, balanced=split.balanced)
    at_rate = confusion_at(y, scored.flagged[at].astype(np.float64), 0.5)
    point = at_rate if rule == "false-alarm" else confusion_at(y, scores, threshold)
    interval = delong_interval(y, scores)
    role: Role = "held-out" if kind == split.held_out_kind else "known"
    return ResultRow(
        detector=trial.detector_name,
        held_out_kind=split.held_out_kind,
        kind=kind,
        role=role,
        seed=split.seed,
        shots=split.shots,
        references=split.n_references,
        contamination=split.contamination,
        n_normal=int(np.sum(y == 0)),
        n_anomaly=int(np.sum(y == 1)),
        auroc=auroc(y, scores),
        average_precision=average_precision(y, scores),
        precision=point.precision,
        recall=point.recall,
        accuracy=point.accuracy,
        f1=point.f1,
        threshold=threshold,
        threshold_rule=rule,
        false_alarm_rate=settings.false_alarm_rate,
        recall_at_false_alarm_rate=at_rate.recall,
        observed_false_alarm_rate=observed,
        auroc_interval=(interval.low, interval.high),
        view=scored.view,
        fit_seconds=scored.fit_seconds,
        score_seconds=scored.score_seconds,
        n_fit=scored.n_fit,
        n_scored=len(split.test),
        part=trial.key,
    )


def positions_in(haystack: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of ``rows`` stands in ``haystack``, which holds all of them, once each."""
    order = np.argsort(haystack, kind="stable")
    return order[np.searchsorted(haystack, rows, sorter=order)].astype(np.int64)
