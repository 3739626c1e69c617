"""What commands print: prose and progress on stderr or stdout, JSON where a program reads.

On a terminal progress is a bar; elsewhere it is a plain line now and then, without control characters.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

_LINE_SECONDS = 10.0
_PLAIN_WIDTH = 120


def print_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print values as one JSON document on stdout; NaN and ±inf become null.

    Parameters
    ----------
    values : mapping or sequence
        JSON values.
    """
    from unseen.evaluation.files import plain

    typer.echo(json.dumps(plain(values), indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str = "", *, quiet: bool = False) -> None:
    """Print a line of prose on stdout, or on stderr where stdout is for a program.

    Parameters
    ----------
    text : str
        The line.
    quiet : bool
        Whether stdout is for a program (``--json``).
    """
    typer.echo(text, err=quiet)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table; the first column is text, the others are right-aligned.

    Parameters
    ----------
    header : sequence of str
        Column names.
    rows : sequence of sequences of str
        Cells.
    title : str or None
        Printed above.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PLAIN_WIDTH)
    console.print(table)


@contextmanager
def row_progress(what: str, total: int | None, unit: str = "rows") -> Iterator[Callable[[int], None]]:
    """Show how many rows are done.

    Parameters
    ----------
    what : str
        What is being done, "scoring" for instance.
    total : int or None
        How many rows there are, if known.
    unit : str
        What is counted.

    Yields
    ------
    callable
        Takes the number of rows done since the last call.
    """
    if sys.stderr.isatty():
        with _bar(what, total, unit) as advance:
            yield advance
        return
    yield _plain_lines(what, total, unit)


@contextmanager
def _bar(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda rows: progress.advance(task, rows)


def _plain_lines(what: str, total: int | None, unit: str) -> Callable[[int], None]:
    started = last = time.monotonic()
    done = 0

    def advance(rows: int) -> None:
        nonlocal done, last
        done += rows
        now = time.monotonic()
        if now - last >= _LINE_SECONDS:
            last = now
            of = f" of {total:,}" if total is not None else ""
            typer.echo(f"{what}: {done:,}{of} {unit}, {done / (now - started):,.0f} a second", err=True)

    return advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something goes on whose length is not known, and for how long it has.

    On a terminal a line with the time, which goes when it ends; elsewhere a plain line every ten seconds.

    Parameters
    ----------
    what : str
        What is being done, "fitting" for instance.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            progress.add_task(what, total=None)
            yield
        return
    ended = threading.Event()
    teller = threading.Thread(target=_tell_time, args=(what, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell_time(what: str, ended: threading.Event) -> None:
    started = time.monotonic()
    while not ended.wait(_LINE_SECONDS):
        typer.echo(f"{what}: {time.monotonic() - started:,.0f} s so far", err=True)
