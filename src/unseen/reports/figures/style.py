"""How all figures look, and how they become part of the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

NORMAL = "#8a98a8"
KNOWN = "#e0a12e"
HELD_OUT = "#c2253c"
"""Colours of the groups of rows."""

INK = "#1b2733"
FAINT = "#5c6b7a"
GRID = "#e4e9ee"

_ENTRY_COLOURS = ("#0a6ebd", "#c8102e", "#14804a", "#8048b8", "#c26a00", "#00868b", "#a3446f", "#5d6d7e")
Dashes = Literal["-"] | tuple[float, Sequence[float]]

_ENTRY_DASHES: tuple[Dashes, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.5, 1.4, 1.5)))
_ENTRY_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")

WIDTH = 10.2
"""Width of a full-width figure in inches."""

_PARAMETERS: dict[str, Any] = {
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "unseen",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": "#b8c2cc",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlecolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


def colour(position: int) -> str:
    """Return the colour of an entry."""
    return _ENTRY_COLOURS[position % len(_ENTRY_COLOURS)]


def dashes(position: int) -> Dashes:
    """Return the line style of an entry: told without colour, and another one where colours come again."""
    return _ENTRY_DASHES[(position + position // len(_ENTRY_COLOURS)) % len(_ENTRY_DASHES)]


def marker(position: int) -> str:
    """Return the marker of an entry, another one where colours come again."""
    return _ENTRY_MARKERS[(position + position // len(_ENTRY_COLOURS)) % len(_ENTRY_MARKERS)]


def marker_of_round(position: int) -> str:
    """Return a marker that stays until colours come again."""
    return _ENTRY_MARKERS[position // len(_ENTRY_COLOURS) % len(_ENTRY_MARKERS)]


def magnitude(value: float, _position: object = None) -> str:
    """Return the label of a tick on a log scale."""
    return f"{value:g}" if 1e-3 <= value < 1e5 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def label_decades(axis: Axis, low: float, high: float) -> None:
    """Put plain numbers on a log axis: the decades, and steps between them where there are few decades."""
    steps = (1.0,) if high > 100 * low else (1.0, 3.0) if high > 15 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axis.set_major_formatter(FuncFormatter(magnitude))


@contextmanager
def page_style() -> Iterator[None]:
    """Draw in the page's style inside the block; matplotlib's settings are as before afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcParams.update(_PARAMETERS)  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def panels(n_panels: int, n_columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a full-width figure with panels in rows, ``height`` inches each."""
    n_rows = -(-n_panels // n_columns)
    figure = Figure(figsize=(WIDTH, height * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for unused in grid[n_panels:]:
        unused.set_axis_off()
    return figure, grid[:n_panels]


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an inline SVG element.

    Parameters
    ----------
    figure : Figure
        Drawn inside :func:`page_style`.
    name : str
        Letters and hyphens; keeps the ids of several figures on one page apart.
    description : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    Markup
    """
    name = f"figure-{name}"
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=170, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]+', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)([^")]+)', rf"\1{name}-\2", text)
    text = re.sub(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"', r"<svg \1", text, count=1)
    opening, rest = text.split(">", 1)
    title = f'<title id="{name}-title">{escape(description)}</title>'
    return Markup(f'{opening} role="img" aria-labelledby="{name}-title">{title}{rest}')
