"""How detection changes with shots, references or contamination, where results hold several of them."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unseen.evaluation import ResultRow, Results
from unseen.reports.entries import summarise
from unseen.reports.figures.style import colour, dashes, marker, page_style, panels, to_svg
from unseen.reports.wording import printable

_SETTINGS = {
    "shots": "labelled rows of each known kind",
    "references": "references of each new domain",
    "contamination": "share of anomalies among the training normals",
}


def trends(results: Results) -> Markup | None:
    """Draw the mean AUROC over held-out kinds (known ones if none is held out) against what was varied.

    Parameters
    ----------
    results : Results
        The results.

    Returns
    -------
    Markup or None
        An SVG element; None if no setting was varied.
    """
    rows = results.select(role="held-out") or results.select(role="known")
    varied = [name for name in _SETTINGS if len({row[name] for row in rows}) > 1]  # type: ignore[literal-required]
    if not varied:
        return None
    with page_style():
        figure, axes = panels(len(varied), max(2, len(varied)), 2.9)
        for panel, name in zip(axes, varied, strict=True):
            _draw(panel, rows, name)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=min(4, len(labels)))
        return to_svg(
            figure, "trends", f"Mean AUROC over kinds {_role(rows)} against the settings that were varied"
        )


def _draw(axes: Axes, rows: list[ResultRow], setting: str) -> None:
    values = sorted({row[setting] for row in rows})  # type: ignore[literal-required]
    for position, detector in enumerate(dict.fromkeys(row["detector"] for row in rows)):
        of_detector = [row for row in rows if row["detector"] == detector]
        at = [[row for row in of_detector if row[setting] == value] for value in values]  # type: ignore[literal-required]
        means = [_mean_over_kinds(some) for some in at]
        axes.plot(
            range(len(values)),
            means,
            marker=marker(position),
            markersize=5,
            color=colour(position),
            linestyle=dashes(position),
            label=printable(detector, 44),
        )
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlabel(_SETTINGS[setting])
    axes.set_ylabel(f"AUROC, mean of kinds {_role(rows)}")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _role(rows: list[ResultRow]) -> str:
    return "held out" if rows[0]["role"] == "held-out" else "known"


def _mean_over_kinds(rows: list[ResultRow]) -> float:
    kinds = dict.fromkeys(row["kind"] for row in rows)
    means = [summarise([row for row in rows if row["kind"] == kind], "auroc").mean for kind in kinds]
    return float(np.mean(means)) if means else math.nan
