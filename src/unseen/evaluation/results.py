"""The outcome of an evaluation, as rows, and the two files that hold it.

``results.json``::

    {"schema": 1, "dataset": {...}, "run": {...}, "rows": [{...}, ...]}

One row is one detector on one kind of one split. ``results.parquet`` holds the same rows as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

import polars as pl

from unseen.errors import ReadError
from unseen.evaluation.files import plain, read_json, write_json
from unseen.pipeline.staging import staged
from unseen.types import Json

SCHEMA = 1
"""The version of ``results.json``."""

RESULTS_JSON = "results.json"
RESULTS_PARQUET = "results.parquet"

Role = Literal["held-out", "known"]


class ResultRow(TypedDict):
    """One detector on one kind of one split. Metrics compare the kind with the test normals.

    Attributes
    ----------
    detector : str
        Name of the detector.
    held_out_kind : str or None
        The kind of which this split used no row before scoring.
    kind : str
        The kind that this row is about.
    role : {"held-out", "known"}
        Whether ``kind`` is the one held out.
    seed : int
        Seed of the split and of the detector.
    shots : int
        Labelled anomalies per known kind, training and validation together.
    references : int
        Normal rows per new domain that the detector was adapted to; they are not in the test set.
    contamination : float
        Share of the training normals that are anomalies in truth.
    n_normal, n_anomaly : int
        Test rows that the metrics are over.
    auroc, average_precision : float
        Of the raw scores.
    precision, recall, accuracy, f1 : float
        At ``threshold``, which is the same for all kinds of the split.
    threshold : float
        Score above which a row counts as flagged.
    threshold_rule : {"f1", "false-alarm"}
        How ``threshold`` was set: F1-maximal over validation normals and known kinds, or as below.
    false_alarm_rate : float
        The false-alarm rate that was asked for.
    recall_at_false_alarm_rate : float
        Share of the kind that is flagged at the threshold set for that rate on calibration normals.
    observed_false_alarm_rate : float
        Share of *all* test normals of the split that are flagged at that threshold.
    auroc_interval : pair of float
        95 % interval of ``auroc`` (DeLong), from the test rows alone: not the spread over seeds.
    view : str
        The view through which the detector saw the rows.
    fit_seconds, score_seconds : float
        Wall time of the fit, and of scoring all ``n_scored`` test rows of the split. Detectors that use
        no labels are fitted and scored once for all held-out kinds of a seed; their rows repeat the times.
    n_fit, n_scored : int
        Rows fitted on, and test rows of the split.
    part : str
        Name of the files under ``parts/`` that hold the scores.
    category : str
        Pictures only: the category that was judged.
    f1_max : float
        Pictures only: largest F1 of the picture scores at any threshold.
    pixel_auroc, pixel_f1_max, pro : float or None
        Pictures only: how well maps show the defects, against their masks; None without masks.
    """

    detector: str
    held_out_kind: str | None
    kind: str
    role: Role
    seed: int
    shots: int
    references: int
    contamination: float
    n_normal: int
    n_anomaly: int
    auroc: float
    average_precision: float
    precision: float
    recall: float
    accuracy: float
    f1: float
    threshold: float
    threshold_rule: str
    false_alarm_rate: float
    recall_at_false_alarm_rate: float
    observed_false_alarm_rate: float
    auroc_interval: tuple[float, float]
    view: str
    fit_seconds: float
    score_seconds: float
    n_fit: int
    n_scored: int
    part: str
    category: NotRequired[str]
    f1_max: NotRequired[float]
    pixel_auroc: NotRequired[float | None]
    pixel_f1_max: NotRequired[float | None]
    pro: NotRequired[float | None]


@dataclass(frozen=True)
class Results:
    """What an evaluation found.

    Attributes
    ----------
    dataset : dict
        What was evaluated on: name, files, rows, columns, kinds, fingerprint.
    rows : list of ResultRow
        One a detector, split and kind.
    run : dict
        How: command, versions, settings, parameters of the detectors, times.
    """

    dataset: dict[str, Json]
    rows: list[ResultRow]
    run: dict[str, Json] = field(default_factory=dict)

    def frame(self) -> pl.DataFrame:
        """Return the rows as a data frame, one column a key."""
        return pl.DataFrame([cast(dict[str, Any], plain(row)) for row in self.rows], infer_schema_length=None)

    def select(self, *, detector: str | None = None, role: Role | None = None) -> list[ResultRow]:
        """Return the rows of one detector, one role, or both.

        Parameters
        ----------
        detector : str or None
            Name of the detector; None for all.
        role : {"held-out", "known"} or None
            Role of the kind; None for both.

        Returns
        -------
        list of ResultRow
        """
        return [
            row
            for row in self.rows
            if (detector is None or row["detector"] == detector) and (role is None or row["role"] == role)
        ]

    def write(self, folder: Path) -> None:
        """Write ``results.json`` and ``results.parquet``, each atomically.

        Parameters
        ----------
        folder : Path
            Where to; made if it does not exist.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with staged(folder / RESULTS_PARQUET) as temporary:
            self.frame().write_parquet(temporary)
        content = {"schema": SCHEMA, "dataset": self.dataset, "run": self.run, "rows": self.rows}
        write_json(folder / RESULTS_JSON, content)

    @classmethod
    def read(cls, folder: Path | str) -> Results:
        """Read ``results.json`` of a folder.

        Parameters
        ----------
        folder : Path or str
            The folder that ``evaluate`` wrote to.

        Returns
        -------
        Results

        Raises
        ------
        ReadError
            If the file is missing, damaged, of another version, or a row lacks a key.
        """
        path = Path(folder) / RESULTS_JSON
        content = read_json(path, "the results of `unseen evaluate`")
        if content.get("schema") != SCHEMA:
            raise ReadError(
                f"{path}: schema must be {SCHEMA}, got {content.get('schema')!r}; evaluate again."
            )
        rows = content.get("rows")
        if not isinstance(rows, list) or not isinstance(content.get("dataset"), dict):
            raise ReadError(f"{path}: must hold a list 'rows' and an object 'dataset'; evaluate again.")
        _check_rows(path, rows)
        run = content.get("run")
        return cls(content["dataset"], cast(list[ResultRow], rows), run if isinstance(run, dict) else {})


REQUIRED = (
    "detector",
    "held_out_kind",
    "kind",
    "role",
    "seed",
    "shots",
    "n_normal",
    "n_anomaly",
    "auroc",
    "average_precision",
    "precision",
    "recall",
    "accuracy",
    "f1",
    "threshold",
    "fit_seconds",
    "score_seconds",
    "contamination",
    "references",
)
"""The keys that every row of ``results.json`` has, whoever wrote it."""


def _check_rows(path: Path, rows: Sequence[object]) -> None:
    for position, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ReadError(f"{path}: row {position} must be an object, got {type(row).__name__}.")
        missing = [name for name in REQUIRED if name not in row]
        if missing:
            raise ReadError(f"{path}: row {position} lacks {', '.join(missing)}; evaluate again.")
        if row["role"] not in ("held-out", "known"):
            raise ReadError(f"{path}: row {position} has role {row['role']!r}, not 'held-out' or 'known'.")
