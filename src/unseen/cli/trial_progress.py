"""Progress of an evaluation: a bar on a terminal, a plain line a trial elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from unseen.evaluation import Progress


class PlainTrials:
    """One line on stderr for each trial."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0

    def started(self, n_trials: int, n_kept: int) -> None:
        """Say how much there is to do."""
        self._total, self._done = n_trials, n_kept
        kept = f", {n_kept} of them finished by an earlier run" if n_kept else ""
        typer.echo(f"{n_trials} trials{kept}", err=True)

    def finished(self, trial: str, seconds: float) -> None:
        """Say that a trial is done."""
        self._done += 1
        typer.echo(f"[{self._done}/{self._total}] {trial}, {seconds:.1f} s", err=True)

    def failed(self, trial: str, message: str) -> None:
        """Say that a trial failed."""
        self._done += 1
        typer.echo(f"[{self._done}/{self._total}] {trial} failed: {message}", err=True)


class BarOfTrials:
    """A bar on stderr.

    Parameters
    ----------
    bar : rich.progress.Progress
        Started by the caller.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("trials", total=None)

    def started(self, n_trials: int, n_kept: int) -> None:
        """Set the length of the bar."""
        self._bar.update(self._task, total=n_trials, completed=n_kept)

    def finished(self, trial: str, seconds: float) -> None:
        """Move on by one."""
        self._bar.update(self._task, advance=1, description=trial)

    def failed(self, trial: str, message: str) -> None:
        """Say what failed above the bar."""
        self._bar.console.print(f"{trial} failed: {message}", markup=False)
        self._bar.update(self._task, advance=1)


@contextmanager
def trial_progress() -> Iterator[Progress]:
    """Yield what :func:`unseen.evaluation.evaluate` can report to."""
    if not sys.stderr.isatty():
        yield PlainTrials()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield BarOfTrials(bar)
