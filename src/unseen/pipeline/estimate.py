"""How well kinds that nobody has labelled will be caught, estimated from the training table alone.

Each known kind in turn is left out of everything (labels, preprocessing, fit, calibration), and the model is
asked to tell its rows from fresh normals. What it reaches there is what a further, unlabelled kind may expect
if it is about as unusual as the known ones are: an estimate, and no promise. Its range is the range over the
kinds, because kinds differ far more than samples of one kind do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.data import Table
from unseen.detectors.base import BaseDetector
from unseen.metrics.intervals import clopper_pearson_interval, delong_interval
from unseen.pipeline.table_model import TableModel
from unseen.scoring.calibration import hold_back
from unseen.types import BoolArray, Labels

_TEST_SHARE = 0.3
_LEAST_ROWS_OF_A_KIND = 2


@dataclass(frozen=True)
class KindEstimate:
    """One known kind, left out.

    Attributes
    ----------
    kind : str
        Its name.
    n_rows : int
        Rows of it that were scored.
    auroc : float
        Against normals that were not fitted or calibrated on.
    auroc_interval : pair of float
        95 % interval from the sample sizes (DeLong).
    recall : float
        Share of its rows that are flagged at the model's false-alarm rate.
    recall_interval : pair of float
        95 % interval from the sample size (Clopper-Pearson).
    """

    kind: str
    n_rows: int
    auroc: float
    auroc_interval: tuple[float, float]
    recall: float
    recall_interval: tuple[float, float]


@dataclass(frozen=True)
class UnlabelledEstimate:
    """What to expect for kinds that are not labelled.

    Attributes
    ----------
    auroc, recall : float
        Means over the kinds left out in turn.
    auroc_range, recall_range : pair of float
        Lowest and highest over the kinds.
    false_alarm_rate : float
        The rate at which ``recall`` was taken.
    observed_false_alarm_rate : float
        Share of the fresh normals that were flagged, mean over the fits.
    n_normals : int
        Fresh normals it rests on.
    kinds : tuple of KindEstimate
        One a kind.
    """

    auroc: float
    auroc_range: tuple[float, float]
    recall: float
    recall_range: tuple[float, float]
    false_alarm_rate: float
    observed_false_alarm_rate: float
    n_normals: int
    kinds: tuple[KindEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as values that JSON can hold."""
        values = asdict(self)
        values["kinds"] = [dict(kind) for kind in values["kinds"]]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def estimate_unlabelled_kinds(
    table: Table,
    detector: BaseDetector,
    *,
    max_normals: int = 5_000,
    max_kind_rows: int = 500,
    max_kinds: int = 6,
) -> UnlabelledEstimate | None:
    """Leave each known kind out in turn and see how well it is caught.

    Parameters
    ----------
    table : Table
        The training table.
    detector : BaseDetector
        Unfitted; it is cloned.
    max_normals : int
        Normals that take part, so that the estimate costs little beside the fit.
    max_kind_rows : int
        Rows of each kind that take part.
    max_kinds : int
        How many kinds are left out, the most frequent ones first.

    Returns
    -------
    UnlabelledEstimate or None
        None if fewer than two kinds have at least two rows, or there are fewer than 20 normals.
    """
    labels = table.labels
    sample = _sample(labels, max_normals, max_kind_rows, detector.seed)
    table, labels = table.take(sample), labels.take(sample)
    kinds = _frequent_kinds(labels, max_kinds)
    if len(kinds) < 2 or labels.normal.sum() < 20:
        return None
    fresh: BoolArray = hold_back(labels, _TEST_SHARE, detector.seed) & labels.normal
    found: list[KindEstimate] = []
    alarms: list[float] = []
    model: TableModel | None = None
    for kind in kinds:
        if model is None or detector.uses_labels:
            model = TableModel.fit(table.take(_training_rows(labels, fresh, kind, detector)), clone(detector))
            normal_batch = model.score_table(table.take(fresh))
            alarms.append(float(normal_batch.flagged.mean()))
        batch = model.score_table(table.take(labels.kinds == kind))
        found.append(_measure(kind, normal_batch.score, batch.score, int(batch.flagged.sum())))
    return UnlabelledEstimate(
        auroc=float(np.mean([item.auroc for item in found])),
        auroc_range=_range([item.auroc for item in found]),
        recall=float(np.mean([item.recall for item in found])),
        recall_range=_range([item.recall for item in found]),
        false_alarm_rate=float(detector.false_alarm_rate),
        observed_false_alarm_rate=float(np.mean(alarms)),
        n_normals=int(fresh.sum()),
        kinds=tuple(found),
    )


def estimate_sentence(estimate: Mapping[str, Any]) -> str:
    """Say an estimate in one sentence.

    Parameters
    ----------
    estimate : mapping
        What :meth:`UnlabelledEstimate.to_json` gave.

    Returns
    -------
    str
    """
    low, high = estimate["auroc_range"]
    least, most = estimate["recall_range"]
    return (
        f"expect to catch kinds you have not labelled at about AUROC {_short(estimate['auroc'])} "
        f"({_short(low)}-{_short(high)} over {len(estimate['kinds'])} kinds left out in turn), flagging "
        f"{estimate['recall']:.0%} of their rows ({least:.0%}-{most:.0%}) at a false-alarm rate of "
        f"{estimate['false_alarm_rate']:.3g}"
    )


def _training_rows(labels: Labels, fresh: BoolArray, kind: str, detector: BaseDetector) -> BoolArray:
    """Everything but the fresh normals and the kind left out; no kind at all where labels are not used."""
    if detector.uses_labels:
        return np.asarray(~fresh & (labels.kinds != kind), dtype=np.bool_)
    return np.asarray(~fresh & ~labels.anomaly, dtype=np.bool_)


def _measure(
    kind: str, normal_scores: NDArray[np.float64], kind_scores: NDArray[np.float64], n_flagged: int
) -> KindEstimate:
    n_rows = len(kind_scores)
    y = np.concatenate([np.zeros(len(normal_scores), dtype=np.int8), np.ones(n_rows, dtype=np.int8)])
    scores = np.concatenate([normal_scores, kind_scores])
    area = delong_interval(y, scores)
    caught = clopper_pearson_interval(n_flagged, n_rows)
    return KindEstimate(
        kind=kind,
        n_rows=n_rows,
        auroc=area.estimate,
        auroc_interval=(area.low, area.high),
        recall=caught.estimate,
        recall_interval=(caught.low, caught.high),
    )


def _sample(labels: Labels, max_normals: int, max_kind_rows: int, seed: int) -> NDArray[np.int64]:
    """Cap normals and each kind, at random; unlabelled rows stay out."""
    rng = np.random.default_rng(seed)
    chosen = [_at_most(np.flatnonzero(labels.normal), max_normals, rng)]
    for kind in labels.known_kinds:
        chosen.append(_at_most(np.flatnonzero(labels.kinds == kind), max_kind_rows, rng))
    return np.sort(np.concatenate(chosen))


def _at_most(rows: NDArray[np.int64], limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= limit else rng.choice(rows, limit, replace=False)


def _frequent_kinds(labels: Labels, most: int) -> list[str]:
    names, counts = np.unique(labels.kinds[labels.anomaly], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    enough = [int(i) for i in order if counts[i] >= _LEAST_ROWS_OF_A_KIND]
    return [str(names[i]) for i in enough[:most]]


def _range(values: list[float]) -> tuple[float, float]:
    return (min(values), max(values))


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
