"""What is lost when more anomalies sit unnoticed among the training normals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unseen.evaluation import ResultRow, Results
from unseen.evaluation.results import Role
from unseen.reports import wording
from unseen.reports.entries import summarise
from unseen.types import Json

_SOURCES: dict[object, str] = {
    "all": "all kinds, the one held out too: it is then absent from labels, validation and calibration, "
    "and not from the training normals",
    "known": "known kinds alone: nothing has met the kind held out",
    "held-out": "the kind held out alone, without a label",
}


@dataclass(frozen=True)
class ContaminationTable:
    """Mean AUROC at each level, one line a detector (and number of shots and references, if they vary).

    Attributes
    ----------
    role : {"held-out", "known"}
        Which kinds the mean is over.
    levels : tuple of str
        Shares of contaminants as percentages, rising.
    lines : tuple of ContaminationLine
        The detector that loses least comes first.
    """

    role: str
    levels: tuple[str, ...]
    lines: tuple[ContaminationLine, ...]


@dataclass(frozen=True)
class ContaminationLine:
    """One detector.

    Attributes
    ----------
    name : str
        Detector, and setting if several were run.
    scores : tuple of str
        Mean over kinds of the mean over seeds of the AUROC at each level.
    steps : tuple of str
        Change from each level to the next; one fewer.
    drop : str
        AUROC at the lowest level minus that at the highest.
    """

    name: str
    scores: tuple[str, ...]
    steps: tuple[str, ...]
    drop: str


def contamination_table(results: Results) -> ContaminationTable | None:
    """Return the AUROC at each level of contamination and what is lost between levels.

    Parameters
    ----------
    results : Results
        The results.

    Returns
    -------
    ContaminationTable or None
        None if all rows are of one level.
    """
    role: Role = "held-out" if results.select(role="held-out") else "known"
    rows = results.select(role=role)
    levels = sorted({row["contamination"] for row in rows})
    if len(levels) < 2:
        return None
    groups: dict[tuple[str, int, int], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row["detector"], row["shots"], row["references"]), []).append(row)
    several = len({key[1:] for key in groups}) > 1
    found = []
    for (detector, shots, references), mine in groups.items():
        name = wording.printable(detector)
        name += f" ({shots} shots, {references} references)" if several else ""
        means = [_mean_over_kinds([row for row in mine if row["contamination"] == level]) for level in levels]
        found.append((means[0] - means[-1], _line(name, means)))
    found.sort(key=lambda pair: (math.isnan(pair[0]), pair[0]))
    return ContaminationTable(role, tuple(map(wording.percent, levels)), tuple(line for _, line in found))


def contaminant_source(choice: Json) -> str:
    """Say where contaminants come from; "" if the results do not tell.

    Parameters
    ----------
    choice : JSON value
        ``dataset["contaminants"]`` of the results.

    Returns
    -------
    str
    """
    return _SOURCES.get(choice, "") if isinstance(choice, str) else ""


def _line(name: str, means: Sequence[float]) -> ContaminationLine:
    steps = [later - earlier for earlier, later in pairwise(means)]
    return ContaminationLine(
        name=name,
        scores=tuple(map(wording.score, means)),
        steps=tuple(map(_signed, steps)),
        drop=_signed(means[0] - means[-1]).removeprefix("+"),
    )


def _signed(value: float) -> str:
    return wording.MISSING if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _mean_over_kinds(rows: Sequence[ResultRow]) -> float:
    kinds = dict.fromkeys(row["kind"] for row in rows)
    means = [summarise([row for row in rows if row["kind"] == kind], "auroc").mean for kind in kinds]
    return float(np.mean(means)) if means else math.nan
