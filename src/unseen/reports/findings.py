"""What the results mean, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unseen.evaluation import Results
from unseen.reports import wording
from unseen.reports.entries import Entry, best_entry, kinds_of, summarise
from unseen.reports.tables import DriftLine


@dataclass(frozen=True)
class Tile:
    """A key figure: the number, its name, and a remark."""

    number: str
    name: str
    remark: str


def headline(entries: Sequence[Entry], drift: Sequence[DriftLine], unit: str = "rows") -> str:
    """Return what to expect of the best detector, in sentences a person can act on.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings.
    drift : sequence of DriftLine
        What is known about false alarms.
    unit : str
        What was scored, in the plural.

    Returns
    -------
    str
    """
    best = best_entry(entries)
    mean = best.mean_over_kinds("held-out", "auroc")
    if math.isnan(mean):
        known = best.mean_over_kinds("known", "auroc")
        return (
            f"No kind was held out, so nothing here says how unlabelled kinds would fare. Kinds that were "
            f"labelled are caught at an AUROC of {wording.score(known)} by {best.label}."
        )
    kind, worst = best.worst_kind("held-out", "auroc")
    several = len(best.per_kind("held-out", "auroc")) > 1
    low = f" on average (worst kind: {wording.printable(kind)}, {wording.score(worst)})" if several else ""
    sentence = (
        f"Expect {best.label} to catch kinds nobody labelled at an AUROC of {wording.score(mean)}{low}. "
    )
    return sentence + _at_threshold(best, drift, unit)


def caution(entries: Sequence[Entry]) -> str:
    """Return why the best figure is a little too good, or "" if there was no choice."""
    if len(entries) < 2:
        return ""
    best = best_entry(entries)
    return (
        f"The best of {len(entries)}, {wording.printable(best.label)}, was picked on the very kinds held "
        "out, which flatters it slightly; differences smaller than the spread over seeds mean nothing."
    )


def tiles(entries: Sequence[Entry], drift: Sequence[DriftLine], unit: str = "rows") -> list[Tile]:
    """Return the key figures of the best detector.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings.
    drift : sequence of DriftLine
        What is known about false alarms.
    unit : str
        What was scored, in the plural.

    Returns
    -------
    list of Tile
    """
    best = best_entry(entries)
    role = "held-out" if best.held_out() else "known"
    kind, worst = best.worst_kind(role, "auroc")
    n_kinds, n_seeds = len(best.per_kind(role, "auroc")), len({row["seed"] for row in best.rows})
    found = [
        Tile(
            wording.score(best.mean_over_kinds(role, "auroc")),
            f"AUROC, kinds {'held out' if role == 'held-out' else 'known'}",
            f"mean of {_plural(n_kinds, 'kind')}, {_plural(n_seeds, 'seed')}",
        )
    ]
    if n_kinds > 1:
        found.append(Tile(wording.score(worst), "AUROC, worst kind", wording.printable(kind, 40)))
    recall = best.mean_over_kinds(role, "recall_at_false_alarm_rate")
    if not math.isnan(recall):
        asked = best.rows[0]["false_alarm_rate"]
        found.append(
            Tile(
                wording.percent(recall),
                f"of such {unit} flagged",
                f"threshold set for {wording.percent(asked)} false alarms",
            )
        )
    mine = next((line for line in drift if line.entry == best.label), None)
    if mine is not None:
        found.append(
            Tile(mine.observed, "of test normals flagged", f"asked for: {mine.asked}; {_short(mine)}")
        )
    return found


def cost_of_being_unseen(entries: Sequence[Entry], results: Results) -> str:
    """Return how much the labels of a kind are worth to the best detector, or "" if that was not measured."""
    best = best_entry(entries)
    both = [kind for kind in kinds_of(results, "held-out") if best.held_out(kind) and best.known(kind)]
    if not both:
        return ""
    gains = {
        kind: summarise(best.known(kind), "auroc").mean - summarise(best.held_out(kind), "auroc").mean
        for kind in both
    }
    mean = sum(gains.values()) / len(gains)
    largest = max(gains, key=lambda kind: gains[kind])
    uses = results.run.get("detectors")
    about = uses.get(best.detector) if isinstance(uses, dict) else None
    if isinstance(about, dict) and about.get("uses_labels") is False:
        return f"{best.label} does not use labels, so known and held-out kinds are caught equally well by it."
    return (
        f"Labelled examples of a kind change its AUROC by {mean:+.3f} on average with {best.label} "
        f"(most for {wording.printable(largest)}: {gains[largest]:+.3f})."
    )


def _at_threshold(best: Entry, drift: Sequence[DriftLine], unit: str) -> str:
    recall = best.mean_over_kinds("held-out", "recall_at_false_alarm_rate")
    if math.isnan(recall):
        return ""
    asked = wording.percent(best.rows[0]["false_alarm_rate"])
    share = wording.percent(recall)
    text = f"With the threshold set for {asked} false alarms, it flags {share} of their {unit}"
    mine = next((line for line in drift if line.entry == best.label), None)
    if mine is None:
        return text + "."
    if mine.lowest and not mine.too_many:
        few = f"so few calibration normals promise {mine.lowest} at best"
        return f"{text} and {mine.observed} of the test normals ({few})."
    if mine.too_many:
        reason = "because these have drifted from the training ones"
        return f"{text}, but also {mine.observed} of the test normals, {reason}."
    return text + f" and {mine.observed} of the test normals."


def _short(line: DriftLine) -> str:
    if line.lowest and not line.drifted:
        return f"possible: {line.lowest}"
    return "normals have drifted" if line.drifted else "as it should be"


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
