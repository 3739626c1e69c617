"""ROC and precision-recall curves of each held-out kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from unseen.reports.entries import Entry
from unseen.reports.evidence import FALSE_ALARM_GRID, RECALL_GRID, Curves, Digest, mean_curve
from unseen.reports.figures.style import FAINT, colour, dashes, page_style, panels, to_svg
from unseen.reports.wording import percent, printable

MOST_BANDS = 6
"""Of more entries the bands cover one another, and are not drawn."""


def curves_of_kinds(
    entries: Sequence[Entry],
    digests: Mapping[int, Sequence[Digest]],
    kinds: Sequence[str],
    false_alarm_rate: float,
) -> Markup:
    """Draw one row of three panels a held-out kind: ROC, ROC at few false alarms, precision and recall.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings.
    digests : mapping of int to sequence of Digest
        The trials of each entry, by its position.
    kinds : sequence of str
        The held-out kinds, from top to bottom.
    false_alarm_rate : float
        Where to mark the rate that was asked for.

    Returns
    -------
    Markup
        An SVG element.
    """
    with page_style():
        figure, axes = panels(3 * len(kinds), 3, 2.55)
        for row, kind in enumerate(kinds):
            whole, few, precision = axes[3 * row : 3 * row + 3]
            prevalence = 0.5
            for entry in entries:
                curves = [d.curves for d in digests[entry.position] if d.held_out_kind == kind and d.curves]
                if curves:
                    _draw(whole, few, precision, entry.position, curves, bands=len(entries) <= MOST_BANDS)
                    prevalence = curves[0].prevalence
            _dress_roc(whole, few, printable(kind, 28), false_alarm_rate)
            _dress_precision(precision, prevalence)
        handles = [
            Line2D(
                [], [], color=colour(e.position), linestyle=dashes(e.position), label=printable(e.label, 44)
            )
            for e in entries
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)))
        return to_svg(figure, "curves", "ROC and precision-recall curves of each kind held out")


def _draw(
    whole: Axes, few: Axes, precision: Axes, position: int, curves: Sequence[Curves], *, bands: bool
) -> None:
    recalls = [curve.recall for curve in curves]
    precisions = [curve.precision for curve in curves]
    for axes, grid, several in (
        (whole, FALSE_ALARM_GRID, recalls),
        (few, FALSE_ALARM_GRID, recalls),
        (precision, RECALL_GRID, precisions),
    ):
        axes.plot(grid, mean_curve(several), color=colour(position), linestyle=dashes(position), zorder=3)
        if bands:
            _band(axes, grid, several, position)


def _band(
    axes: Axes, grid: NDArray[np.float64], curves: Sequence[NDArray[np.float64]], position: int
) -> None:
    if len(curves) > 1:
        low, high = np.min(np.stack(curves), axis=0), np.max(np.stack(curves), axis=0)
        axes.fill_between(grid, low, high, color=colour(position), alpha=0.13, linewidth=0, zorder=2)


def _dress_roc(whole: Axes, few: Axes, kind: str, false_alarm_rate: float) -> None:
    whole.plot([0, 1], [0, 1], color="#b8c2cc", linewidth=0.9, linestyle=(0, (2, 2)))
    whole.set_title(f"{kind} held out")
    whole.set_xlabel("false-alarm rate")
    few.plot(FALSE_ALARM_GRID, FALSE_ALARM_GRID, color="#b8c2cc", linewidth=0.9, linestyle=(0, (2, 2)))
    few.set_xscale("log")
    few.set_xlim(1e-3, 1)
    few.set_xticks([0.001, 0.01, 0.1, 1], ["0.1 %", "1 %", "10 %", "100 %"])
    few.minorticks_off()
    few.axvline(false_alarm_rate, color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
    few.set_title(f"few false alarms (line: {percent(false_alarm_rate)})", fontweight="normal")
    few.set_xlabel("false-alarm rate, log scale")
    whole.set_xlim(-0.01, 1.01)
    for axes in (whole, few):
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("recall")


def _dress_precision(axes: Axes, prevalence: float) -> None:
    axes.axhline(prevalence, color="#b8c2cc", linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set_title("precision and recall", fontweight="normal")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(min(0.48, 0.95 * prevalence) if prevalence >= 0.4 else -0.02, 1.02)
