"""Whether p-values of test normals are uniform, as they are if nothing has drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from unseen.reports.entries import Entry
from unseen.reports.evidence import LEVEL_GRID, Digest, mean_curve
from unseen.reports.figures.style import FAINT, colour, dashes, page_style, panels, to_svg
from unseen.reports.wording import percent, printable


def uniformity(
    entries: Sequence[Entry], digests: Mapping[int, Sequence[Digest]], false_alarm_rate: float
) -> Markup:
    """Draw the share of test normals with a p-value at or below each level, on plain and log scales.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings.
    digests : mapping of int to sequence of Digest
        The trials of each entry, by its position.
    false_alarm_rate : float
        The rate that was asked for.

    Returns
    -------
    Markup
        An SVG element.
    """
    with page_style():
        figure, (plain, small) = panels(2, 2, 3.1)
        for entry in entries:
            curves = [d.uniformity.cumulative for d in digests[entry.position] if d.uniformity]
            if curves:
                mean = mean_curve(curves)
                for axes in (plain, small):
                    axes.plot(
                        LEVEL_GRID, mean, color=colour(entry.position), linestyle=dashes(entry.position)
                    )
        _dress(plain, small, false_alarm_rate)
        handles = [
            Line2D(
                [], [], color=colour(e.position), linestyle=dashes(e.position), label=printable(e.label, 44)
            )
            for e in entries
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)))
        return to_svg(figure, "p-values", "Share of test normals with a p-value at or below each level")


def _dress(plain: Axes, small: Axes, false_alarm_rate: float) -> None:
    for axes in (plain, small):
        axes.plot(LEVEL_GRID, LEVEL_GRID, color="#b8c2cc", linewidth=1.2, zorder=1)
        axes.set_xlabel("p-value level")
        axes.set_ylabel("share of test normals at or below it")
    plain.set_xlim(-0.01, 1.01)
    plain.set_ylim(-0.02, 1.02)
    plain.set_title("all levels (grey: what exchangeable normals give)", fontweight="normal")
    small.set_xscale("log")
    small.set_yscale("log")
    small.axvline(false_alarm_rate, color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
    bottom = min(1e-3, false_alarm_rate / 10)
    ticks = [t for t in (1e-4, 1e-3, 1e-2, 1e-1, 1.0) if t >= bottom * 0.99]
    for which in (small.xaxis, small.yaxis):
        which.set_ticks(ticks, [percent(t) for t in ticks])
    small.minorticks_off()
    small.set_xlim(bottom, 1)
    small.set_ylim(bottom, 1.1)
    small.set_title(f"small levels (line: {percent(false_alarm_rate)})", fontweight="normal")
