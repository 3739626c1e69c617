"""What ``unseen evaluate`` runs: splits for every combination of settings, and the detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unseen.cli import options

if TYPE_CHECKING:
    from unseen.detectors import BaseDetector
    from unseen.protocols import Split
    from unseen.protocols.options import Contaminants
    from unseen.types import BoolArray, Labels


class SplitGrid:
    """Leave-one-kind-out splits for every combination of shots, references and contamination.

    Parameters
    ----------
    shots, references : sequence of int
        See :func:`unseen.protocols.leave_one_kind_out`.
    contamination : sequence of float
        In [0, 0.5].
    seeds : sequence of int
        Seeds.
    balanced : bool
        Balanced or natural test sets.
    held_out : sequence of str or None
        Kinds to hold out; None: all.
    max_normals : int or None
        Most normals to train on.
    domain_split : bool or None
        Whether test domains are new ones; None: where there are domains and no official test part.
    contaminants : {"all", "known", "held-out"}
        The kinds that contaminants are drawn from.
    """

    def __init__(
        self,
        *,
        shots: Sequence[int],
        references: Sequence[int],
        contamination: Sequence[float],
        seeds: Sequence[int],
        balanced: bool,
        held_out: Sequence[str] | None,
        max_normals: int | None,
        domain_split: bool | None = None,
        contaminants: Contaminants = "all",
    ) -> None:
        self.combinations = [(s, r, c) for s in shots for r in references for c in contamination]
        self.seeds = list(seeds)
        self.balanced = balanced
        self.held_out = held_out
        self.max_normals = max_normals
        self.domain_split = domain_split
        self.contaminants: Contaminants = contaminants

    def about_contaminants(self) -> dict[str, str]:
        """Return which kinds contaminants come from, for the results; nothing where there are none."""
        contaminated = any(share > 0 for _, _, share in self.combinations)
        return {"contaminants": self.contaminants} if contaminated else {}

    def __call__(self, labels: Labels, *, test_rows: BoolArray | None) -> list[Split]:
        """Return the splits of rows with these labels."""
        from unseen.protocols import leave_one_kind_out

        return [
            split
            for shots, references, contamination in self.combinations
            for split in leave_one_kind_out(
                labels,
                shots=shots,
                references=references,
                contamination=contamination,
                contaminants=self.contaminants,
                seeds=self.seeds,
                test_rows=test_rows,
                balanced=self.balanced,
                held_out_kinds=self.held_out,
                max_normals=self.max_normals,
                domain_split=self.domain_split,
            )
        ]


def contaminant_kinds(text: str) -> Contaminants:
    """Return where contaminants come from, or raise ParameterError if it is not a choice.

    Parameters
    ----------
    text : str
        What was given.

    Returns
    -------
    {"all", "known", "held-out"}
    """
    from unseen.errors import ParameterError

    choices: tuple[Contaminants, ...] = ("all", "known", "held-out")
    for choice in choices:
        if text == choice:
            return choice
    raise ParameterError(f"--contaminants must be one of {', '.join(choices)}, got {text!r}.")


def make_detectors(
    names: str, settings: Sequence[str], *, view: str, n_references: int
) -> dict[str, BaseDetector]:
    """Return the unfitted detectors that the options name.

    Parameters
    ----------
    names : str
        Comma-separated, or ``"all"``.
    settings : sequence of str
        ``detector.key=value`` texts.
    view : str
        The view of all of them.
    n_references : int
        References of each training domain.

    Returns
    -------
    dict of str to BaseDetector

    Raises
    ------
    ParameterError
        If a detector or parameter is not known.
    """
    from unseen.cli.detector_options import build_detector, check_detector_names
    from unseen.detectors import DETECTORS

    chosen = list(DETECTORS) if names.strip() == "all" else check_detector_names(options.names(names))
    own = settings_of(chosen, settings)
    return {
        name: build_detector(name, texts, view=view, n_references=n_references) for name, texts in own.items()
    }


def settings_of(chosen: Sequence[str], settings: Sequence[str]) -> dict[str, list[str]]:
    """Return the ``key=value`` texts of each detector, or raise ParameterError.

    Parameters
    ----------
    chosen : sequence of str
        Names of the detectors.
    settings : sequence of str
        ``detector.key=value`` texts.

    Returns
    -------
    dict of str to list of str
    """
    from unseen.errors import ParameterError

    own: dict[str, list[str]] = {name: [] for name in chosen}
    for text in settings:
        name, found, rest = text.partition(".")
        if not found or name not in own:
            raise ParameterError(f"--set {text}: write detector.key=value with one of {', '.join(chosen)}.")
        own[name].append(rest)
    return own
