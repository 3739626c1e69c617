"""The tables of the report, as plain records that the template lays out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.reports import wording
from unseen.reports.entries import Entry, Summary, summarise
from unseen.reports.evidence import Digest, Uniformity


@dataclass(frozen=True)
class Cell:
    """One figure with its spread.

    Attributes
    ----------
    text : str
        The mean.
    spread : str
        The standard deviation over seeds, or ``""``.
    best : bool
        Whether it is the highest of its row.
    heat : float
        0 (AUROC 0.5 or less) to 1 (AUROC 1), for the shade.
    """

    text: str
    spread: str
    best: bool
    heat: float


@dataclass(frozen=True)
class Line:
    """One row of a table: what it is about, a remark on it, its cells, and whether it sums up others."""

    name: str
    remark: str
    cells: tuple[Cell, ...]
    total: bool = False


def auroc_lines(entries: Sequence[Entry], kinds: Sequence[str], role: str) -> list[Line]:
    """Return one line a kind, then the mean over kinds and the worst kind.

    Parameters
    ----------
    entries : sequence of Entry
        The columns.
    kinds : sequence of str
        The lines.
    role : {"held-out", "known"}
        Which rows of the results.

    Returns
    -------
    list of Line
    """
    lines = [
        Line(
            wording.printable(kind),
            _test_rows(entries, kind, role),
            cells_of([entry.per_kind(role, "auroc").get(kind) for entry in entries]),
        )
        for kind in kinds
    ]
    if len(kinds) > 1:
        means = [_summary_over_kinds(entry, role, np.mean) for entry in entries]
        worst = [_summary_over_kinds(entry, role, np.min) for entry in entries]
        lines.append(Line("Mean over kinds", "", cells_of(means), total=True))
        lines.append(Line("Worst kind", "of each seed", cells_of(worst), total=True))
    return lines


@dataclass(frozen=True)
class DetailLine:
    """All measured figures of one entry on one kind in one role."""

    kind: str
    role: str
    n: str
    figures: tuple[str, ...]


DETAIL_METRICS = (
    ("auroc", "AUROC"),
    ("average_precision", "Average precision"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("accuracy", "Accuracy"),
    ("f1", "F1"),
    ("recall_at_false_alarm_rate", "Recall at set false alarms"),
)


PICTURE_METRICS = (("f1_max", "F1 at best"),)
"""What there is of pictures besides."""


def detail_lines(
    entry: Entry, kinds: Sequence[str], metrics: Sequence[tuple[str, str]] = DETAIL_METRICS
) -> list[DetailLine]:
    """Return one line a role and kind with every metric as "mean ± spread".

    Parameters
    ----------
    entry : Entry
        Detector in a setting.
    kinds : sequence of str
        The order of the kinds.
    metrics : sequence of (str, str)
        Key of the rows and title of each figure.

    Returns
    -------
    list of DetailLine
    """
    lines = []
    for role in ("held-out", "known"):
        for kind in kinds:
            rows = entry.of_role(role, kind)
            if rows:
                figures = tuple(_plus_minus(summarise(rows, metric)) for metric, _ in metrics)
                n = f"{wording.count(rows[0]['n_anomaly'])} / {wording.count(rows[0]['n_normal'])}"
                lines.append(DetailLine(wording.printable(kind), role, n, figures))
    return lines


@dataclass(frozen=True)
class DriftLine:
    """How far one entry's test normals are from its calibration normals.

    ``lowest`` is the false-alarm rate that so few calibration normals can promise at best, ``""`` if that is
    not above the one asked for.
    """

    entry: str
    asked: str
    lowest: str
    observed: str
    expected: str
    distance: str
    chance_distance: str
    n_calibration: str
    smallest_p: str
    verdict: str
    too_many: bool
    drifted: bool


def drift_line(entry: Entry, digests: Sequence[Digest]) -> DriftLine | None:
    """Return the calibration line of an entry, or None if its scores are not there.

    Parameters
    ----------
    entry : Entry
        Detector in a setting.
    digests : sequence of Digest
        Its trials.

    Returns
    -------
    DriftLine or None
    """
    found = [digest.uniformity for digest in digests if digest.uniformity is not None]
    if not found:
        return None
    asked = entry.rows[0]["false_alarm_rate"]
    observed = float(np.mean([item.observed for item in found]))
    n = int(np.median([item.n_calibration for item in found]))
    verdict, drifted, too_many = _verdict(found, observed / asked, possible=1 / (n + 1) <= asked)
    return DriftLine(
        entry=entry.label,
        asked=wording.percent(asked),
        lowest=wording.percent(1 / (n + 1)) if 1 / (n + 1) > asked else "",
        observed=wording.percent(observed),
        expected=_percent_range(
            float(np.mean([item.low for item in found])), float(np.mean([item.high for item in found]))
        ),
        distance=wording.score(float(np.mean([item.distance for item in found]))),
        chance_distance=wording.score(float(np.mean([item.chance_distance for item in found]))),
        n_calibration=wording.count(n),
        smallest_p=f"{1 / (n + 1):.2g}",
        verdict=verdict,
        too_many=too_many,
        drifted=drifted,
    )


def _verdict(found: Sequence[Uniformity], ratio: float, *, possible: bool) -> tuple[str, bool, bool]:
    """What most trials say, whether that is drift, and whether it means too many false alarms."""

    def mostly(votes: list[bool]) -> bool:
        return 2 * sum(votes) > len(votes)

    if mostly([item.observed > item.high for item in found]):
        return f"normals drifted: {ratio:.2g} times the alarms asked for", True, True
    if mostly([item.observed < item.low for item in found]):
        return f"normals drifted: {ratio:.2g} times the alarms asked for, fewer are caught", True, False
    if mostly([item.distance > item.chance_distance for item in found]):
        return "rate as it should be, but normals drifted: p-values are not uniform", True, False
    return "as it should be" if possible else "too few calibration normals for this rate", False, False


@dataclass(frozen=True)
class TimeLine:
    """Times of one entry."""

    entry: str
    fit: str
    n_fit: str
    scoring: str
    n_scored: str
    rate: str


def time_line(entry: Entry) -> TimeLine:
    """Return the times of an entry, as means over its trials."""
    rows = list({(row.get("part"), row["seed"], row["held_out_kind"]): row for row in entry.rows}.values())
    fit = float(np.mean([row["fit_seconds"] for row in rows]))
    scoring = float(np.mean([row["score_seconds"] for row in rows]))
    n_fit = float(np.mean([row.get("n_fit", math.nan) for row in rows]))
    n_scored = float(np.mean([row.get("n_scored", math.nan) for row in rows]))
    return TimeLine(
        entry=entry.label,
        fit=wording.seconds(fit),
        n_fit=wording.count(n_fit),
        scoring=wording.seconds(scoring),
        n_scored=wording.count(n_scored),
        rate=wording.rate(n_scored / scoring if scoring > 0 else math.nan),
    )


@dataclass(frozen=True)
class KindLine:
    """How many rows of a kind there are."""

    kind: str
    n: str
    n_test: str | None


def kind_lines(kinds: Mapping[str, int], test_kinds: Mapping[str, int] | None) -> list[KindLine]:
    """Return the number of rows of each kind, in the table and in the official test table if there is one."""
    names = dict.fromkeys([*kinds, *(test_kinds or {})])
    return [
        KindLine(
            wording.printable(name),
            wording.count(kinds.get(name, 0)),
            None if test_kinds is None else wording.count(test_kinds.get(name, 0)),
        )
        for name in names
    ]


def _summary_over_kinds(entry: Entry, role: str, fold: Callable[[list[float]], Any]) -> Summary:
    """Fold the kinds of each seed into one figure, then take mean and spread over seeds."""
    seeds: dict[int, list[float]] = {}
    for kind in dict.fromkeys(row["kind"] for row in entry.of_role(role)):
        by_seed: dict[int, list[float]] = {}
        for row in entry.of_role(role, kind):
            if row["auroc"] is not None:
                by_seed.setdefault(row["seed"], []).append(row["auroc"])
        for seed, values in by_seed.items():
            seeds.setdefault(seed, []).append(float(np.mean(values)))
    folded = tuple(float(fold(values)) for values in seeds.values())
    mean = float(np.mean(folded)) if folded else math.nan
    return Summary(mean, float(np.std(folded, ddof=1)) if len(folded) > 1 else math.nan, folded)


def cells_of(summaries: Sequence[Summary | None]) -> tuple[Cell, ...]:
    """Return the cells of one line, the highest marked.

    Parameters
    ----------
    summaries : sequence of Summary or None
        One a column; None where nothing was measured.

    Returns
    -------
    tuple of Cell
    """
    texts = [wording.MISSING if item is None else wording.score(item.mean) for item in summaries]
    numbers = [text for text in texts if text != wording.MISSING]
    highest = max(numbers) if len(numbers) > 1 else None
    cells = []
    for item, text in zip(summaries, texts, strict=True):
        known = item is not None and not math.isnan(item.mean)
        spread = f"± {item.spread:.3f}" if item is not None and not math.isnan(item.spread) else ""
        heat = min(1.0, max(0.0, 2 * item.mean - 1)) if item is not None and known else 0.0
        cells.append(Cell(text, spread, text == highest, heat))
    return tuple(cells)


def _test_rows(entries: Sequence[Entry], kind: str, role: str) -> str:
    for entry in entries:
        for row in entry.of_role(role, kind):
            return _counts(row["n_anomaly"], row["n_normal"])
    return ""


def _counts(n_anomaly: int, n_normal: int) -> str:
    return f"{wording.count(n_anomaly)} against {wording.count(n_normal)} normals"


def _plus_minus(item: Summary) -> str:
    text = wording.score(item.mean)
    return text if math.isnan(item.spread) else f"{text} ± {item.spread:.3f}"


def _percent_range(low: float, high: float) -> str:
    return f"{wording.percent(low).removesuffix(' %')} – {wording.percent(high)}"
