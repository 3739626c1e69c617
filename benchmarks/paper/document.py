"""Measured tables go into the documentation between two comments, so that a run can renew them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import unseen

_NOT_SHOWN = ("--write", "--out", "--cache", "--models", "--seconds", "--parts", "--only-read", "--finished")

DOCS = Path(__file__).resolve().parents[2] / "docs"


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Return mean ± standard deviation (over seeds) as text."""
    array = np.asarray(values, dtype=np.float64)
    deviation = array.std(ddof=1) if len(array) > 1 else 0.0
    return f"{array.mean():.{digits}f} ± {deviation:.{digits}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def write_block(page: str, name: str, text: str) -> None:
    """Put ``text`` between the comments ``<!-- begin name -->`` and ``<!-- end name -->`` of a docs page.

    Parameters
    ----------
    page : str
        Path below ``docs/``.
    name : str
        Name of the block; the page must have it.
    text : str
        Markdown. The command that made it is written below.
    """
    path = DOCS / page
    document = path.read_text(encoding="utf-8")
    script = Path(sys.argv[0]).resolve().relative_to(DOCS.parent)
    shown = _arguments_of_interest(sys.argv[1:])
    command = shlex.join(["python", str(script), *shown])
    foot = f"Command: `{command}` (unseen {unseen.__version__})."
    block = f"<!-- begin {name} -->\n{text}\n\n{foot}\n<!-- end {name} -->"
    pattern = re.compile(rf"<!-- begin {re.escape(name)} -->.*?<!-- end {re.escape(name)} -->", re.DOTALL)
    if not pattern.search(document):
        raise SystemExit(f"{path} has no block named {name!r}")
    path.write_text(pattern.sub(lambda _: block, document), encoding="utf-8")


def _arguments_of_interest(arguments: Sequence[str]) -> list[str]:
    """The arguments without where things are kept, and with the data folder as ``DATA``."""
    kept: list[str] = []
    skip = False
    for position, argument in enumerate(arguments):
        if skip:
            skip = False
            continue
        if argument in _NOT_SHOWN:
            following = arguments[position + 1 : position + 2]
            skip = bool(following) and not following[0].startswith("--")
            continue
        kept.append("DATA" + argument.split("shared/data", 1)[1] if "shared/data" in argument else argument)
    return kept
