"""``unseen report``: the page of an evaluation, made again from its results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.cli.console import say


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `unseen evaluate` wrote.")],
) -> None:
    """Write report.html again from the results in a folder."""
    from unseen.reports import write_report

    say(f"wrote {write_report(folder)}")
