"""How well kinds that nobody has labelled will be caught, estimated from the training table alone.

Each known kind in turn is left out of everything (labels, preprocessing, fit, calibration), and the model is
asked to tell its rows from fresh normals. What it reaches there is what a further, unlabelled kind may expect
if it is about as unusual as the known ones are: an estimate, and no promise. Its range is the range over the
kinds, because kinds differ far more than samples of one kind do.

Where domains (patients, machines, networks) are named, deployment is on new ones, and normals of a domain
that the model knows say too much good of it. So whole domains are left out, a third of them at a time, and
fresh normals and the kind's rows are of those; with references, the first normals of each are its references.
Every domain has the same say there, as it has in the threshold, however many rows it has. Intervals are then
over domains (:mod:`unseen.metrics.over_domains`), and each kind says on how many it rests: what is known of a
kind that one or two patients have, other patients need not bear out. Such kinds are shown, but enter neither
the median nor the range where two others do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.data import Table
from unseen.detectors.base import BaseDetector
from unseen.metrics.intervals import clopper_pearson_interval, delong_interval
from unseen.metrics.over_domains import (
    JudgedDomains,
    auroc_over_domains,
    equal_voices,
    judge_domains,
    medians_over_domains,
    recall_over_domains,
)
from unseen.pipeline.table_model import LEAST_DOMAINS, ScoredBatch, TableModel
from unseen.references import reference_rows
from unseen.scoring.calibration import hold_back
from unseen.types import UNNAMED_DOMAIN, BoolArray, Labels, StrArray

_TEST_SHARE = 0.3
_LEAST_ROWS_OF_A_KIND = 2
N_ROUNDS = 3
"""In so many parts the domains are left out."""

_FEW_DOMAINS = 3


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
        Against normals that were not fitted or calibrated on; where domains were left out, each of them has
        the same say, among the kind's rows and among the normals.
    auroc_interval : pair of float
        95 % interval from the sample sizes (DeLong), or over the domains left out (Obuchowski).
    recall : float
        Share of its rows that are flagged at the model's false-alarm rate (mean over domains likewise).
    recall_interval : pair of float
        95 % interval from the sample size (Clopper-Pearson), one row a domain if domains were left out.
    n_domains : int or None
        How many domains the rows are of, if whole domains were left out.
    """

    kind: str
    n_rows: int
    auroc: float
    auroc_interval: tuple[float, float]
    recall: float
    recall_interval: tuple[float, float]
    n_domains: int | None = None


@dataclass(frozen=True)
class UnlabelledEstimate:
    """What to expect for kinds that are not labelled.

    Attributes
    ----------
    auroc, recall : float
        Medians over the kinds left out in turn: one kind that cannot be told from normals shows in the range.
    auroc_range, recall_range : pair of float
        Lowest and highest over the kinds.
    auroc_interval, recall_interval : pair of float or None
        95 % intervals of the medians, whole domains resampled; None if none were left out.
    left_aside : tuple of str
        Kinds that rest on too few domains to enter the medians and ranges.
    n_references : int
        So many normals of each new domain are its references; 0: none.
    with_references : UnlabelledEstimate or None
        The same where each new domain has references, if that was asked for too.
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
    auroc_interval: tuple[float, float] | None = None
    recall_interval: tuple[float, float] | None = None
    left_aside: tuple[str, ...] = ()
    n_references: int = 0
    with_references: UnlabelledEstimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as values that JSON can hold."""
        values = asdict(self)
        values["kinds"] = [dict(kind) for kind in values["kinds"]]
        if self.with_references is not None:
            values["with_references"] = self.with_references.to_json()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def estimate_unlabelled_kinds(
    table: Table,
    detector: BaseDetector,
    *,
    n_references: int = 0,
    optional_references: int = 0,
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
    n_references : int
        How many normals of each new domain the model will get as references; 0: none. Without named domains
        it changes nothing.
    optional_references : int
        How many it may get: the estimate says in ``with_references`` what they would bring. 0: not asked.
        It is not said where no domains are named, or more than half of the normals would be references.
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
    sample = _sample(table.labels, max_normals, max_kind_rows, detector.seed)
    judged = _leave_kinds_out(table.take(sample), detector, n_references, optional_references, max_kinds)
    if judged is None:
        return None
    rounds, ways = judged
    plain, *adapted = [_summed_up(way, rounds, detector) for way in ways]
    return replace(plain, with_references=adapted[0]) if adapted else plain


def _leave_kinds_out(
    table: Table, detector: BaseDetector, n_references: int, optional_references: int, max_kinds: int
) -> tuple[list[_Round], list[_Way]] | None:
    """Judge each kind and the fresh normals of each round; None where there are too few."""
    labels = table.labels
    kinds = _frequent_kinds(labels, max_kinds)
    if len(kinds) < 2 or labels.normal.sum() < 20:
        return None
    optional = reference_rows(labels.domains, labels.normal, optional_references)
    if 2 * optional.sum() > labels.normal.sum():
        optional_references = 0
    rounds = _rounds(labels, max(n_references, optional_references), detector.seed)
    ways = [_Way.of(kinds, n_references)]
    if optional_references and rounds[0].by_domain:
        ways.append(_Way.of(kinds, optional_references))
    for left_out in rounds:
        _judge(table, left_out, detector, ways)
    return rounds, ways


def _summed_up(way: _Way, rounds: list[_Round], detector: BaseDetector) -> UnlabelledEstimate:
    """Put together what the rounds say."""
    found = {kind: parts for kind, parts in way.found.items() if parts}
    by_domain = rounds[0].by_domain
    over_domains = {kind: _by_domain(parts) for kind, parts in found.items()} if by_domain else {}
    measured = [_measure(kind, parts, over_domains.get(kind)) for kind, parts in found.items()]
    counted = _counted(measured)
    names = [item.kind for item in counted]
    resampled = (
        medians_over_domains([over_domains[kind] for kind in names], seed=detector.seed)
        if by_domain
        else (None, None)
    )
    return UnlabelledEstimate(
        auroc=float(np.median([item.auroc for item in counted])),
        auroc_range=_range([item.auroc for item in counted]),
        recall=float(np.median([item.recall for item in counted])),
        recall_range=_range([item.recall for item in counted]),
        false_alarm_rate=float(detector.false_alarm_rate),
        observed_false_alarm_rate=float(np.mean(way.alarms)),
        n_normals=int(sum(left_out.fresh.sum() for left_out in rounds)),
        kinds=tuple(measured),
        auroc_interval=resampled[0],
        recall_interval=resampled[1],
        left_aside=tuple(item.kind for item in measured if item.kind not in names),
        n_references=way.n_references if by_domain else 0,
    )


def _counted(kinds: list[KindEstimate]) -> list[KindEstimate]:
    """Kinds that say something of other domains, if there are two; else all."""
    enough = [item for item in kinds if item.n_domains is None or item.n_domains >= _FEW_DOMAINS]
    return enough if len(enough) >= 2 else kinds


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
    return f"expect to catch kinds you have not labelled at {_figures(estimate)}"


def references_sentence(estimate: Mapping[str, Any]) -> str | None:
    """Say what references of each new domain would bring.

    Parameters
    ----------
    estimate : mapping
        What :meth:`UnlabelledEstimate.to_json` gave.

    Returns
    -------
    str or None
        None if it was not asked.
    """
    adapted = estimate.get("with_references")
    if adapted is None:
        return None
    return f"with {adapted['n_references']} references of each new domain: {_figures(adapted)}"


def _figures(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["auroc_range"]
    least, most = estimate["recall_range"]
    n_kinds = len(estimate["kinds"]) - len(estimate.get("left_aside", ()))
    return (
        f"about AUROC {_short(estimate['auroc'])} "
        f"({_short(low)}-{_short(high)} over {n_kinds} kinds left out in turn), flagging "
        f"{estimate['recall']:.0%} of their rows ({least:.0%}-{most:.0%}) at a false-alarm rate of "
        f"{estimate['false_alarm_rate']:.3g}{_about_domains(estimate)}"
    )


def _about_domains(estimate: Mapping[str, Any]) -> str:
    """Say how much hangs on which domains were seen; nothing where none were left out."""
    interval = estimate.get("auroc_interval")
    if interval is None:
        return ""
    narrow = [
        f"{item['kind']} rests on {item['n_domains']} {'domain' if item['n_domains'] == 1 else 'domains'}"
        + (" and is not counted" if item["kind"] in estimate.get("left_aside", ()) else "")
        for item in estimate["kinds"]
        if item["n_domains"] < _FEW_DOMAINS
    ]
    over = f"; over other domains like these AUROC {_short(interval[0])}-{_short(interval[1])}"
    return "; ".join([over, *narrow])


def kind_sentences(estimate: Mapping[str, Any]) -> list[str]:
    """Say of each known kind how it was caught when it was left out, with 95 % intervals.

    Parameters
    ----------
    estimate : mapping
        What :meth:`UnlabelledEstimate.to_json` gave.

    Returns
    -------
    list of str
    """
    return [
        f"{kind['kind']} left out: AUROC {_short(kind['auroc'])} "
        f"({_interval(kind['auroc_interval'], _short)}), {kind['recall']:.0%} of {kind['n_rows']:,} rows "
        f"{_of_domains(kind)}flagged ({_interval(kind['recall_interval'], '{:.0%}'.format)})"
        for kind in estimate["kinds"]
    ]


def _of_domains(kind: Mapping[str, Any]) -> str:
    n = kind.get("n_domains")
    return "" if n is None else f"of {n} {'domain' if n == 1 else 'domains'} "


@dataclass(frozen=True)
class _Round:
    """Rows that one round leaves out of the fit: fresh normals, references, and others of its domains."""

    held: BoolArray
    fresh: BoolArray
    references: BoolArray
    domains: StrArray

    @property
    def by_domain(self) -> bool:
        return len(self.domains) > 0


@dataclass(frozen=True)
class _Judged:
    """Scores of one kind and of the fresh normals by one fit, and the domains of both."""

    left_out: _Round
    normals: NDArray[np.float64]
    anomalies: NDArray[np.float64]
    flagged: BoolArray
    normal_domains: StrArray
    anomaly_domains: StrArray


@dataclass(frozen=True)
class _Way:
    """How new domains are met, with so many references each, and what is found so."""

    n_references: int
    found: dict[str, list[_Judged]]
    alarms: list[float]

    @classmethod
    def of(cls, kinds: list[str], n_references: int) -> _Way:
        return cls(n_references, {kind: [] for kind in kinds}, [])


def _judge(table: Table, left_out: _Round, detector: BaseDetector, ways: list[_Way]) -> None:
    """Fit without the round's rows and each kind in turn; add to each way what the fit says."""
    labels = table.labels
    models: list[TableModel] = []
    normals: list[ScoredBatch] = []
    for kind in ways[0].found:
        judged = (labels.kinds == kind) & (left_out.held if left_out.by_domain else True)
        if not judged.any():
            continue
        if not models or detector.uses_labels:
            models = _models(table, left_out, kind, detector, ways)
            normals = [model.score_table(table.take(left_out.fresh)) for model in models]
            for way, fresh in zip(ways, normals, strict=True):
                way.alarms.append(float(fresh.flagged.mean()))
        domains = labels.domains[left_out.fresh], labels.domains[judged]
        for way, model, fresh in zip(ways, models, normals, strict=True):
            batch = model.score_table(table.take(judged))
            way.found[kind].append(_Judged(left_out, fresh.score, batch.score, batch.flagged, *domains))


def _models(
    table: Table, left_out: _Round, kind: str, detector: BaseDetector, ways: list[_Way]
) -> list[TableModel]:
    """Fit once; adapt the fit where a way has references."""
    training = _training_rows(table.labels, left_out, kind, detector)
    model = TableModel.fit(table.take(training), clone(detector))
    references = table.take(left_out.references)
    return [model.adapt(references) if way.n_references and len(references) else model for way in ways]


def _rounds(labels: Labels, n_references: int, seed: int) -> list[_Round]:
    """Leave thirds of the domains out in turn; without enough named domains, once a share of the normals."""
    none: BoolArray = np.zeros(len(labels), dtype=np.bool_)
    named = np.unique(labels.domains[labels.normal])
    if len(named) < LEAST_DOMAINS or UNNAMED_DOMAIN in named:
        fresh: BoolArray = hold_back(labels, _TEST_SHARE, seed) & labels.normal
        return [_Round(fresh, fresh, none, named[:0])]
    rounds = []
    alone = np.setdiff1d(
        labels.domains[labels.anomaly], named
    )  # no normal is of these; one round judges each
    parts = np.array_split(np.random.default_rng(seed).permutation(named), N_ROUNDS)
    for part in map(np.concatenate, zip(parts, np.array_split(alone, N_ROUNDS), strict=True)):
        held: BoolArray = np.isin(labels.domains, part)
        references = reference_rows(labels.domains, held & labels.normal, n_references)
        rounds.append(_Round(held, held & labels.normal & ~references, references, np.sort(part)))
    return [item for item in rounds if item.fresh.any()]


def _training_rows(labels: Labels, left_out: _Round, kind: str, detector: BaseDetector) -> BoolArray:
    """Everything but what the round and the kind leave out; no kind at all where labels are not used."""
    if detector.uses_labels:
        return np.asarray(~left_out.held & (labels.kinds != kind), dtype=np.bool_)
    return np.asarray(~left_out.held & ~labels.anomaly, dtype=np.bool_)


def _by_domain(parts: list[_Judged]) -> list[JudgedDomains]:
    return [equal_voices(_rows_by_domain(part)) for part in parts]


def _rows_by_domain(part: _Judged) -> JudgedDomains:
    return judge_domains(
        (part.normals, part.normal_domains),
        (part.anomalies, part.anomaly_domains),
        part.flagged,
        domains=part.left_out.domains,
    )


def _measure(kind: str, parts: list[_Judged], over_domains: list[JudgedDomains] | None) -> KindEstimate:
    """Average over the rounds, each weighed by its domains with the kind; without domains there is one."""
    n_domains = None
    if over_domains is not None:
        area, caught = auroc_over_domains(over_domains), recall_over_domains(over_domains)
        n_domains = len(np.unique(np.concatenate([part.anomaly_domains for part in parts])))
    else:
        (part,) = parts
        y = np.arange(len(part.normals) + len(part.anomalies)) >= len(part.normals)
        area = delong_interval(y.astype(np.int8), np.concatenate([part.normals, part.anomalies]))
        caught = clopper_pearson_interval(int(part.flagged.sum()), len(part.flagged))
    return KindEstimate(
        kind=kind,
        n_rows=sum(len(part.anomalies) for part in parts),
        auroc=area.estimate,
        auroc_interval=(area.low, area.high),
        recall=caught.estimate,
        recall_interval=(caught.low, caught.high),
        n_domains=n_domains,
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


def _interval(limits: Sequence[float], said: Callable[[float], str]) -> str:
    return f"{said(limits[0])}-{said(limits[1])}"


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
