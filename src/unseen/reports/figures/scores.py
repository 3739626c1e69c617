"""Histograms of scores, and of scores before and after a second stage of training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from unseen.reports.evidence import Digest, Groups
from unseen.reports.figures.style import (
    FAINT,
    HELD_OUT,
    KNOWN,
    NORMAL,
    label_decades,
    page_style,
    panels,
    to_svg,
)
from unseen.reports.wording import printable

_BINS = 56


def score_histograms(digests: Sequence[Digest], name: str) -> Markup:
    """Draw the scores of normals, known kinds and the held-out kind, one panel a kind.

    Parameters
    ----------
    digests : sequence of Digest
        One a held-out kind, all of one seed.
    name : str
        Keeps the ids of the figure apart from others.

    Returns
    -------
    Markup
        An SVG element.
    """
    edges, logarithmic = _edges([digest.scores for digest in digests])
    with page_style():
        n_columns = min(4, max(2, len(digests)))
        figure, axes = panels(len(digests), n_columns, 1.95)
        for number, (panel, digest) in enumerate(zip(axes, digests, strict=True)):
            _draw(panel, digest.scores, edges, logarithmic, labelled=number % n_columns == 0)
            panel.set_title(_title(digest, digest.scores, longest=64 // n_columns))
            _mark(panel, digest.false_alarm_threshold, edges)
        figure.legend(handles=_handles(), loc="outside upper left", ncols=4)
        return to_svg(figure, name, "Histograms of scores of normals, known kinds and the kind held out")


def stage_histograms(digests: Sequence[Digest], name: str) -> Markup:
    """Draw the scores before (left) and after (right) the second stage, one row a held-out kind.

    Parameters
    ----------
    digests : sequence of Digest
        One a held-out kind, all of one seed, all with stages.
    name : str
        Keeps the ids of the figure apart from others.

    Returns
    -------
    Markup
        An SVG element.
    """
    edges, logarithmic = _edges([groups for digest in digests for groups in digest.stages or ()])
    with page_style():
        figure, axes = panels(2 * len(digests), 2, 1.9)
        for row, digest in enumerate(digests):
            assert digest.stages is not None
            pair, (before, after) = axes[2 * row : 2 * row + 2], digest.stages
            unchanged = np.array_equal(before.normal, after.normal)
            for panel, groups, when in zip(pair, digest.stages, ("before", "after"), strict=True):
                _draw(panel, groups, edges, logarithmic, labelled=when == "before")
                panel.set_title(f"{when} stage 2: {_title(digest, groups, longest=28)}")
            if unchanged:
                pair[1].set_title(f"stage 2 was left out: {_title(digest, after, longest=24)}")
            if digest.ends_in_stage2:
                _mark(pair[1], digest.false_alarm_threshold, edges)
            top = max(panel.get_ylim()[1] for panel in pair)
            for panel in pair:
                panel.set_ylim(0, top)
        figure.legend(handles=_handles(), loc="outside upper left", ncols=4)
        return to_svg(figure, name, "Histograms of scores before and after the second stage of training")


def _title(digest: Digest, groups: Groups, *, longest: int) -> str:
    kind = "nothing held out" if digest.held_out_kind is None else printable(digest.held_out_kind, longest)
    return kind if math.isnan(groups.auroc) else f"{kind}, AUROC {groups.auroc:.3f}"


def _edges(groups: Sequence[Groups]) -> tuple[NDArray[np.float64], bool]:
    """Bins that hold all groups, evenly spaced on a log scale where scores are positive and far apart."""
    everything = np.concatenate([part for g in groups for part in (g.normal, g.known, g.held_out)])
    values = everything[np.isfinite(everything)]
    if len(values) == 0:
        return np.linspace(0, 1, _BINS + 1), False
    low, high = np.quantile(values, [0.001, 0.999])
    positive = values[values > 0]
    normals = np.concatenate([g.normal for g in groups])
    if values.min() >= 0 and len(positive) and high > 8 * max(float(np.median(normals)), float(high) * 1e-7):
        floor = max(float(np.quantile(positive, 0.01)), float(high) * 1e-6)
        return np.geomspace(floor, max(float(high), 10 * floor), _BINS + 1), True
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1), False


def _draw(
    axes: Axes, groups: Groups, edges: NDArray[np.float64], logarithmic: bool, *, labelled: bool
) -> None:
    for scores, ink, fill, order in (
        (groups.normal, NORMAL, 0.55, 2),
        (groups.known, KNOWN, 0.25, 3),
        (groups.held_out, HELD_OUT, 0.20, 4),
    ):
        if len(scores) == 0:
            continue
        inside = np.clip(scores, edges[0], edges[-1])
        shares = np.histogram(inside, edges)[0] / len(scores)
        axes.stairs(shares, edges, fill=True, color=ink, alpha=fill, linewidth=0, zorder=order)
        axes.stairs(shares, edges, color=ink, linewidth=1.3, zorder=order + 3)
    if logarithmic:
        axes.set_xscale("log")
        label_decades(axes.xaxis, float(edges[0]), float(edges[-1]))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("score, log scale" if logarithmic else "score")
    if labelled:
        axes.set_ylabel("share of rows")
    axes.grid(axis="x", visible=False)
    axes.minorticks_off()


def _mark(axes: Axes, threshold: float, edges: NDArray[np.float64]) -> None:
    if edges[0] <= threshold <= edges[-1]:
        axes.axvline(threshold, color=FAINT, linewidth=1.1, linestyle=(0, (4, 2)), zorder=9)


def _handles() -> list[Patch]:
    groups = ((NORMAL, "normal"), (KNOWN, "known kinds"), (HELD_OUT, "kind held out"))
    patches = [Patch(facecolor=ink, alpha=0.75, label=label) for ink, label in groups]
    return [*patches, Patch(facecolor="none", edgecolor=FAINT, linestyle="--", label="false-alarm threshold")]
