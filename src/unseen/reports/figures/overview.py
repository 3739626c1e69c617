"""Every detector on every kind: held out against known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from unseen.reports.entries import Entry, Summary
from unseen.reports.figures.style import FAINT, GRID, WIDTH, colour, marker_of_round, page_style, to_svg
from unseen.reports.wording import printable


def overview(entries: Sequence[Entry], kinds: Sequence[str]) -> Markup:
    """Draw the AUROC of each kind, held out (filled) and known (ring), detector by detector.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings.
    kinds : sequence of str
        The kinds to show, from top to bottom.

    Returns
    -------
    Markup
        An SVG element.
    """
    n_lines = len(kinds) * (len(entries) + 1)
    with page_style():
        figure = Figure(figsize=(WIDTH, 1.0 + 0.21 * n_lines), layout="constrained")
        axes = figure.subplots()
        lowest = 1.0
        for row, kind in enumerate(kinds):
            top = row * (len(entries) + 1)
            axes.axhline(top + len(entries), color=GRID, linewidth=0.8, clip_on=False)
            for entry in entries:
                y = top + entry.position
                known = entry.per_kind("known", "auroc").get(kind)
                held_out = entry.per_kind("held-out", "auroc").get(kind)
                lowest = min(lowest, _draw(axes, y, entry.position, held_out, known))
        _dress(axes, entries, kinds, lowest)
        return to_svg(figure, "overview", "AUROC of each detector on each kind, held out and known")


def _draw(axes: Axes, y: float, position: int, held_out: Summary | None, known: Summary | None) -> float:
    """Draw one line and return its lowest value."""
    ink, shape = colour(position), marker_of_round(position)
    line = axes.plot
    drawn = [s for s in (held_out, known) if s is not None and not math.isnan(s.mean)]
    if len(drawn) == 2:
        line([drawn[0].mean, drawn[1].mean], [y, y], color=ink, linewidth=1.1, alpha=0.45, zorder=2)
    if known is not None:
        line(
            [known.mean],
            [y],
            shape,
            markersize=6,
            markerfacecolor="white",
            color=ink,
            markeredgewidth=1.4,
            zorder=3,
        )
    if held_out is not None:
        line(held_out.values, [y] * len(held_out.values), "|", color=ink, markersize=7, alpha=0.7, zorder=3)
        line([held_out.mean], [y], shape, markersize=6.5, color=ink, zorder=4)
    return min([value for s in drawn for value in (s.mean, *s.values)], default=1.0)


def _dress(axes: Axes, entries: Sequence[Entry], kinds: Sequence[str], lowest: float) -> None:
    block = len(entries) + 1
    step = 0.02 if lowest > 0.9 else 0.05 if lowest > 0.6 else 0.1
    left = max(0.0, step * math.floor((lowest - 0.01) / step))
    ax = axes
    ax.set_xlim(left, 1.0 + 0.01 * (1 - left))
    ax.set_ylim(block * len(kinds) - 0.8, -0.8)
    ax.set_yticks(
        block * np.arange(len(kinds)) + (len(entries) - 1) / 2, [printable(kind, 26) for kind in kinds]
    )
    ax.tick_params(axis="y", length=0, labelsize=10, labelcolor="#1b2733")
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.set_xlabel("AUROC")
    handles = [
        Line2D(
            [],
            [],
            marker=marker_of_round(entry.position),
            linestyle="none",
            color=colour(entry.position),
            label=printable(entry.label, 44),
        )
        for entry in entries
    ]
    handles += [
        Line2D([], [], marker="o", linestyle="none", color=FAINT, label="held out: mean; each seed a tick"),
        Line2D(
            [],
            [],
            marker="o",
            linestyle="none",
            color=FAINT,
            markerfacecolor="white",
            label="known: labels were used",
        ),
    ]
    ax.figure.legend(handles=handles, loc="outside upper left", ncols=3, handletextpad=0.3)
