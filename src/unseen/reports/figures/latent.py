"""Where rows lie in a detector's latent space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from unseen.reports.evidence import Digest, Latent
from unseen.reports.figures.style import HELD_OUT, KNOWN, NORMAL, page_style, panels, to_svg
from unseen.reports.wording import printable

_GROUPS = ((NORMAL, "normal", "."), (KNOWN, "known kinds", "."), (HELD_OUT, "kind held out", "."))


def latent_maps(digests: Sequence[Digest], name: str) -> Markup:
    """Draw the latent positions of a sample of test rows, one panel a held-out kind.

    Parameters
    ----------
    digests : sequence of Digest
        One a held-out kind, all of one seed, all with latent positions.
    name : str
        Keeps the ids of the figure apart from others.

    Returns
    -------
    Markup
        An SVG element, with the points as an embedded picture.
    """
    with page_style():
        n_columns = min(4, max(2, len(digests)))
        figure, axes = panels(len(digests), n_columns, 10.2 / n_columns + 0.1)
        for panel, digest in zip(axes, digests, strict=True):
            assert digest.latent is not None
            _draw(panel, digest.latent)
            kind = "nothing" if digest.held_out_kind is None else printable(digest.held_out_kind, 24)
            panel.set_title(f"{kind} held out")
        handles = [
            Line2D([], [], marker="o", markersize=5, linestyle="none", color=ink, label=label)
            for ink, label, _ in _GROUPS
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3, handletextpad=0.2)
        return to_svg(figure, name, "Latent positions of normals, known kinds and the kind held out")


def _draw(axes: Axes, latent: Latent) -> None:
    known = ~latent.normal & ~latent.held_out
    size = 3.6 if len(latent.points) > 600 else 5.5
    for rows, (ink, _, symbol) in zip((latent.normal, known, latent.held_out), _GROUPS, strict=True):
        points = latent.points[rows]
        axes.plot(
            points[:, 0],
            points[:, 1],
            symbol,
            color=ink,
            markersize=size,
            alpha=0.5,
            markeredgewidth=0,
            rasterized=True,
        )
    axes.set_xlim(*_limits(latent.points[:, 0]))
    axes.set_ylim(*_limits(latent.points[:, 1]))
    names = ("latent 1", "latent 2") if latent.n_latent <= 2 else ("component 1", "component 2")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """A range that leaves out the farthest half percent on each side, so that the bulk can be seen."""
    low, high = np.quantile(values, [0.005, 0.995])
    margin = 0.06 * (high - low) if high > low else 1.0
    return float(low - margin), float(high + margin)
