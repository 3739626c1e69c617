"""How a run tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What :func:`unseen.evaluation.evaluate` calls while it runs.

    A *trial* is one detector on one split. All calls come from the thread that called ``evaluate``.
    """

    def started(self, n_trials: int, n_kept: int) -> None:
        """Report what is to be done.

        Parameters
        ----------
        n_trials : int
            Number of trials.
        n_kept : int
            How many of them an earlier run has finished already.
        """

    def finished(self, trial: str, seconds: float) -> None:
        """Report a trial that is done and written.

        Parameters
        ----------
        trial : str
            Its name.
        seconds : float
            How long it took.
        """

    def failed(self, trial: str, message: str) -> None:
        """Report a trial that raised; the run goes on and ends with an error.

        Parameters
        ----------
        trial : str
            Its name.
        message : str
            What went wrong.
        """


class Silent:
    """Says nothing."""

    def started(self, n_trials: int, n_kept: int) -> None:
        """Do nothing."""

    def finished(self, trial: str, seconds: float) -> None:
        """Do nothing."""

    def failed(self, trial: str, message: str) -> None:
        """Do nothing."""
