"""The rows of the results, arranged as the report shows them: entries (detectors in a setting) and kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unseen.evaluation import ResultRow, Results
from unseen.metrics.intervals import spread_over_seeds
from unseen.reports.wording import printable

_SETTINGS: dict[str, Callable[[Any], str]] = {
    "shots": lambda value: f"{value} shots",
    "references": lambda value: f"{value} references",
    "contamination": lambda value: f"{100 * value:.3g} % contaminated",
}
"""What can tell two columns of one detector apart, and how to say it."""


class Summary(NamedTuple):
    """A figure over seeds.

    Attributes
    ----------
    mean : float
        Mean over seeds; NaN if there is none.
    spread : float
        Standard deviation over seeds (n − 1); NaN for fewer than two seeds.
    values : tuple of float
        The figure of each seed.
    """

    mean: float
    spread: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Entry:
    """A detector in one setting: a column of the tables, a line in the figures.

    Attributes
    ----------
    label : str
        The detector's name, fit to print, and its setting where the results hold several.
    detector : str
        The detector's name.
    position : int
        Number of the entry; decides its colour.
    rows : tuple of ResultRow
        Its rows.
    """

    label: str
    detector: str
    position: int
    rows: tuple[ResultRow, ...]

    def held_out(self, kind: str | None = None) -> list[ResultRow]:
        """Return the rows about held-out kinds, or those about one of them."""
        return self._select("held-out", kind)

    def known(self, kind: str | None = None) -> list[ResultRow]:
        """Return the rows about known kinds, or those about one of them."""
        return self._select("known", kind)

    def of_role(self, role: str, kind: str | None = None) -> list[ResultRow]:
        """Return the rows of one role, or those about one kind in it."""
        return self._select(role, kind)

    def mean_over_kinds(self, role: str, metric: str) -> float:
        """Return the mean over kinds of the mean over seeds; NaN without rows of that role."""
        return _mean([summary.mean for summary in self.per_kind(role, metric).values()])

    def worst_kind(self, role: str, metric: str) -> tuple[str, float]:
        """Return the kind with the lowest mean over seeds, and that mean; ``("", nan)`` without rows."""
        means = {kind: s.mean for kind, s in self.per_kind(role, metric).items() if not math.isnan(s.mean)}
        if not means:
            return "", math.nan
        kind = min(means, key=lambda name: means[name])
        return kind, means[kind]

    def per_kind(self, role: str, metric: str) -> dict[str, Summary]:
        """Return the summary of a metric for each kind that has rows of that role."""
        kinds = dict.fromkeys(row["kind"] for row in self._select(role, None))
        return {kind: summarise(self._select(role, kind), metric) for kind in kinds}

    def _select(self, role: str, kind: str | None) -> list[ResultRow]:
        return [row for row in self.rows if row["role"] == role and kind in (None, row["kind"])]


def make_entries(results: Results) -> list[Entry]:
    """Group rows into entries, in the order in which they occur.

    Parameters
    ----------
    results : Results
        The results.

    Returns
    -------
    list of Entry
        One a detector and setting; only settings of which there are several are named.
    """
    varying = [name for name in _SETTINGS if len({row[name] for row in results.rows}) > 1]  # type: ignore[literal-required]
    groups: dict[tuple[Any, ...], list[ResultRow]] = {}
    for row in results.rows:
        key = (row["detector"], *(row[name] for name in varying))  # type: ignore[literal-required]
        groups.setdefault(key, []).append(row)
    return [
        Entry(
            label=_label(key[0], [_SETTINGS[name](v) for name, v in zip(varying, key[1:], strict=True)]),
            detector=key[0],
            position=position,
            rows=tuple(rows),
        )
        for position, (key, rows) in enumerate(groups.items())
    ]


def _label(detector: str, settings: list[str]) -> str:
    return f"{printable(detector)} ({', '.join(settings)})" if settings else printable(detector)


def best_entry(entries: Sequence[Entry]) -> Entry:
    """Return the entry with the highest mean AUROC over held-out kinds (known ones if none is held out)."""

    def merit(entry: Entry) -> tuple[float, float]:
        held_out = entry.mean_over_kinds("held-out", "auroc")
        known = entry.mean_over_kinds("known", "auroc")
        return tuple(-math.inf if math.isnan(value) else value for value in (held_out, known))  # type: ignore[return-value]

    return max(entries, key=merit)


def summarise(rows: Iterable[ResultRow], metric: str) -> Summary:
    """Return mean and spread over seeds.

    Parameters
    ----------
    rows : iterable of ResultRow
        Rows of one seed (a known kind has one for each kind held out) are averaged first.
    metric : str
        Key of the rows; missing values are left out.

    Returns
    -------
    Summary
    """
    seeds: dict[int, list[float]] = {}
    for row in rows:
        value = row.get(metric)
        if isinstance(value, (int, float)) and not math.isnan(value):
            seeds.setdefault(row["seed"], []).append(float(value))
    values = tuple(float(np.mean(of_seed)) for of_seed in seeds.values())
    if not values:
        return Summary(math.nan, math.nan, ())
    over = spread_over_seeds(values)
    return Summary(over.mean, over.standard_deviation, values)


def kinds_of(results: Results, role: str) -> list[str]:
    """Return the kinds that have rows of a role, the most frequent in the data first."""
    present = {row["kind"] for row in results.rows if row["role"] == role}
    counts = results.dataset.get("kinds")
    order = list(counts) if isinstance(counts, dict) else []
    return sorted(present, key=lambda kind: (order.index(kind) if kind in order else len(order), kind))


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return float(np.mean(finite)) if finite else math.nan
