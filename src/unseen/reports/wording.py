"""Numbers and names as the report writes them."""

from __future__ import annotations

import math
import unicodedata

MISSING = "–"


def score(value: float) -> str:
    """Return a figure in [0, 1] with three decimals."""
    return MISSING if math.isnan(value) else f"{value:.3f}"


def percent(value: float) -> str:
    """Return a share as a percentage with two or three significant digits."""
    if math.isnan(value):
        return MISSING
    scaled = 100 * value
    text = f"{scaled:.1f}" if scaled >= 1 else f"{scaled:.2g}"
    return f"{text.removesuffix('.0')} %"


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    if math.isnan(value):
        return MISSING
    if value < 0.0995:
        return f"{1000 * value:.2g} ms" if value < 0.00995 else f"{1000 * value:.0f} ms"
    if value < 99.5:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def count(value: float) -> str:
    """Return a whole number with thin spaces between thousands."""
    return MISSING if math.isnan(value) else f"{value:,.0f}".replace(",", "\u202f")


def rate(value: float) -> str:
    """Return a number of rows per second, rounded to two digits."""
    if math.isnan(value) or value <= 0:
        return MISSING
    step = 10 ** (math.floor(math.log10(value)) - 1)
    return count(round(value / step) * step)


def printable(name: str, longest: int = 60) -> str:
    """Return a name without control characters, shortened if it is very long."""
    clean = "".join(" " if char.isspace() else char for char in name)
    clean = "".join("\ufffd" if unicodedata.category(char).startswith("C") else char for char in clean)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
