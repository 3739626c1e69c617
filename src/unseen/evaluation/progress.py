"""How a run tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What :func:`unseen.evaluation.evaluate` calls while it runs.

    A *trial* is one detector on one split. All calls come from the thread that called ``evaluate``.
    """

    def started(self, n_trials: int, n_kept: int) -> None:
        """Report the number of trials, and how many of them an earlier run has finished already."""

    def finished(self, trial: str, seconds: float) -> None:
        """Report a trial that is done and written, and how long it took."""

    def failed(self, trial: str, message: str) -> None:
        """Report a trial that raised; the run goes on and ends with an error."""


class Silent:
    """Says nothing."""

    def started(self, n_trials: int, n_kept: int) -> None:
        """Do nothing."""

    def finished(self, trial: str, seconds: float) -> None:
        """Do nothing."""

    def failed(self, trial: str, message: str) -> None:
        """Do nothing."""
