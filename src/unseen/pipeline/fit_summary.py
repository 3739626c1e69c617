"""What a table model was made from and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
import polars as pl

from unseen.data import Table, TablePreprocessor
from unseen.detectors import DETECTORS
from unseen.detectors.base import BaseDetector
from unseen.detectors.fused.left_out import LEAST_DOMAINS
from unseen.types import UNNAMED_DOMAIN, Labels, StrArray

_LABELS_SAY = {
    "off": "labels change no score: labelled rows stand out as much without them, or kinds left out would "
    "lose by them, so the normals alone decide",
    "careful": "labels lift rows that are like labelled anomalies (careful: up to about {share:.0%} of the "
    "false alarms may be due to them); if all that matters is like them, --set labels=trusted lets them say "
    "more",
    "untested": "labels raise rows that are more like labelled anomalies than like normals; what that costs "
    "could not be tested, since no normals could be left out",
    "bold": "labels raise scores wherever rows are like labelled anomalies rather than normals (bold)",
    "trusted": "labels are trusted: they raise scores wherever rows are like labelled anomalies rather than "
    "normals, also where that costs kinds that nobody labelled",
    "domains": "labels raise scores near labelled anomalies, as far as no kind left out in new domains loses",
}

_NAMES_OF_LABELS = {"kind", "label", "labels", "class", "target", "y", "anomaly", "is_anomaly", "outlier"}
"""What columns of labels are usually called."""

_ROWS_TO_BE_SURE = 20
_MANY_COPIES = 0.25
_FEW_VALUES = 50
"""No more has a column of names or codes."""

_SHOWN = 5


@dataclass(frozen=True)
class FitSummary:
    """What a fit was made from and what it promises.

    Attributes
    ----------
    detector : str
        Name in the catalogue.
    n_rows, n_normals, n_unlabelled : int
        Rows of the training table.
    n_columns, n_features : int
        Columns of the table that are used, and numbers they become.
    kinds : dict of str to int
        Rows of each known kind.
    domains : dict of str to int
        Rows of each named domain.
    n_calibration : int
        Scores of normals that calibrate.
    n_calibration_domains : int
        Whole domains that they come from, each scored by a fit without it; 0 where rows were held back.
    smallest_p : float
        Smallest p-value that so many calibration normals allow, 1 / (n_calibration + 1).
    threshold : float
        Score above which a row is flagged.
    false_alarm_rate : float
        Share of normals that may be flagged, as asked for.
    guaranteed_false_alarm_rate : float
        The bound that holds at the threshold; larger if there are too few calibration normals, or if it is
        for normals of new domains.
    reference_use : str
        What the detector does with references.
    notes : tuple of str
        What was noticed on the way (merged spellings, dropped columns, ...).
    seconds : float
        Time the fit took.
    estimate : dict or None
        The estimate for kinds that are not labelled; see :mod:`unseen.pipeline.estimate`.
    suspects : dict or None
        How many rows taken for normal look anomalous, and the first of them; see
        :mod:`unseen.pipeline.suspects`.
    n_known_domains, n_known_calibration : int
        Domains that the fit knows and whose rows, where they are named, are compared with other normals than
        rows of new ones; how many these are. 0 where all rows are compared with the same.
    known_threshold : float or None
        Score above which such rows are flagged.
    """

    detector: str
    n_rows: int
    n_normals: int
    n_unlabelled: int
    n_columns: int
    n_features: int
    kinds: dict[str, int]
    domains: dict[str, int]
    n_calibration: int
    smallest_p: float
    threshold: float
    false_alarm_rate: float
    guaranteed_false_alarm_rate: float
    reference_use: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    n_calibration_domains: int = 0
    estimate: dict[str, Any] | None = field(default=None)
    suspects: dict[str, Any] | None = field(default=None)
    n_known_domains: int = 0
    n_known_calibration: int = 0
    known_threshold: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the summary as values that JSON can hold."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a summary from ``to_json``.

        Parameters
        ----------
        values : mapping
            Its values; keys it does not know are left out.

        Returns
        -------
        FitSummary
        """
        names = {item.name for item in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        return cls(**{**known, "notes": tuple(known.get("notes", ()))})


def summarise(
    table: Table, preprocessor: TablePreprocessor, detector: BaseDetector, seconds: float
) -> FitSummary:
    """Describe a fit.

    Parameters
    ----------
    table : Table
        What was fitted on.
    preprocessor : TablePreprocessor
        Fitted.
    detector : BaseDetector
        Fitted and calibrated.
    seconds : float
        Time the fit took.

    Returns
    -------
    FitSummary
    """
    labels, sets = table.labels, detector.calibrations_
    calibration, known = sets.usual, sets.known
    n_calibration = len(calibration.normal_scores)
    notes = [*table.notes, *preprocessor.notes_]
    if table.y is None:
        notes.append("no kind or label column was named: all rows are taken as normal" + _maybe_labels(table))
    notes += [*_on_row_numbers(table), *_on_leaks(table, preprocessor), *_on_repeats(table)]
    notes += [*_on_unused_columns(table, preprocessor), *_on_missing_domains(labels)]
    notes += [*_on_trimming(detector), *_on_labels(detector, labels)]
    if calibration.smallest_p > detector.false_alarm_rate:
        notes.append(
            f"{n_calibration} calibration normals cannot promise a false-alarm rate of "
            f"{detector.false_alarm_rate:g}; the threshold is their largest score, which promises "
            f"{calibration.smallest_p:.3g}"
        )
    return FitSummary(
        detector=detector_name(detector),
        n_rows=len(table),
        n_normals=int(labels.normal.sum()),
        n_unlabelled=int((labels.y == -1).sum()),
        n_columns=len(table.schema),
        n_features=detector.n_features_in_,
        kinds=_counts(labels.kinds[labels.anomaly]),
        domains=_counts(labels.domains[labels.domains != UNNAMED_DOMAIN]),
        n_calibration=n_calibration,
        smallest_p=float(calibration.smallest_p),
        threshold=float(calibration.threshold),
        false_alarm_rate=float(detector.false_alarm_rate),
        guaranteed_false_alarm_rate=float(calibration.guaranteed_false_alarm_rate),
        reference_use=detector.reference_use,
        notes=tuple(dict.fromkeys(notes)),
        seconds=seconds,
        n_calibration_domains=int(calibration.n_domains),
        n_known_domains=0 if known is None else len(sets.known_domains),
        n_known_calibration=0 if known is None else len(known.normal_scores),
        known_threshold=None if known is None else float(known.threshold),
    )


def _maybe_labels(table: Table) -> str:
    """Name the columns that are used as features though their names say that they hold labels."""
    named = [name for name in table.schema.names if name.strip().casefold() in _NAMES_OF_LABELS]
    if not named:
        return ""
    told = ", ".join(map(repr, named))
    return f"; {told} may hold labels and is used as a feature: name it with --kind-column, or --ignore it"


def _on_row_numbers(table: Table) -> list[str]:
    """Say which columns rise or fall from each row to the next: a feature hardly does."""
    if len(table) < _ROWS_TO_BE_SURE:
        return []
    found = []
    for name, sort in zip(table.schema.names, table.schema.types, strict=True):
        if sort == "numeric":
            steps = np.diff(table.features[name].to_numpy())
            if (steps > 0).all() or (steps < 0).all():
                found.append(repr(name))
    if not found:
        return []
    return [
        f"{', '.join(found)}: every row has more (or less) than the row before, as row numbers and times do; "
        "new rows will lie beyond all of these, so leave such a column out (--ignore)"
    ]


def _on_missing_domains(labels: Labels) -> list[str]:
    """Say that normals without a domain keep the threshold from being made for new domains."""
    domains = labels.domains[labels.normal]
    n_without = int((domains == UNNAMED_DOMAIN).sum())
    if n_without == 0 or len(np.unique(domains)) <= LEAST_DOMAINS:
        return []
    return [
        f"{n_without:,} normals have no domain, so threshold and estimate are not made for new domains, as "
        "they are where all have one; name theirs, or leave these rows out"
    ]


def _on_repeats(table: Table) -> list[str]:
    """Say if many normals are copies of others: held back, they are more usual than new rows are."""
    normals = table.features.filter(pl.Series(table.labels.normal))
    n_copies = len(normals) - normals.hash_rows().n_unique()
    if len(normals) < _ROWS_TO_BE_SURE or n_copies < _MANY_COPIES * len(normals):
        return []
    return [
        f"{n_copies:,} of {len(normals):,} normals repeat another one cell by cell; unless new rows do so, "
        "too, more of them are flagged than the threshold promises"
    ]


def _on_leaks(table: Table, preprocessor: TablePreprocessor) -> list[str]:
    """Say which columns of few values share none between normals and labelled anomalies, as labels do."""
    labels, used = table.labels, set(preprocessor.column_of_feature_.tolist())
    if labels.normal.sum() < _ROWS_TO_BE_SURE or labels.anomaly.sum() < _ROWS_TO_BE_SURE:
        return []
    found = []
    for place, name in enumerate(table.schema.names):
        values = table.features[name]
        if place not in used or values.n_unique() > _FEW_VALUES:
            continue
        of_normals = values.filter(pl.Series(labels.normal)).unique()
        of_anomalies = values.filter(pl.Series(labels.anomaly)).unique()
        if not of_anomalies.is_in(of_normals.implode(), nulls_equal=True).any():
            found.append(repr(name))
    if not found:
        return []
    return [
        f"{', '.join(found)}: no labelled anomaly has a value that a normal has; if the column was made from "
        "the labels, leave it out (--ignore)"
    ]


def _on_unused_columns(table: Table, preprocessor: TablePreprocessor) -> list[str]:
    """Say in which columns that are constant over the normals labelled anomalies have other values."""
    labels, used = table.labels, set(preprocessor.column_of_feature_.tolist())
    differing: dict[str, int] = {}
    for place, (name, sort) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
        if sort == "categorical" or place in used:
            continue
        values = table.features[name].cast(pl.Float64).to_numpy()
        other = np.isfinite(values) & ~np.isin(values, np.unique(values[labels.normal]))
        differing[name] = int((other & labels.anomaly).sum())
    most = sorted((name for name, n in differing.items() if n), key=lambda name: -differing[name])[:_SHOWN]
    if not most:
        return []
    told = ", ".join(f"{name!r} ({differing[name]:,} rows)" for name in most)
    return [
        f"labelled anomalies have values that no normal has in columns that are constant over these: {told}; "
        f"--categorical {','.join(most)} makes such values count"
    ]


def _on_trimming(detector: BaseDetector) -> list[str]:
    n_trimmed = getattr(detector, "n_trimmed_", 0)
    if not n_trimmed:
        return []
    return [
        f"trim: the {n_trimmed:,} most unusual normals were left out of the fit; those held back for the "
        "threshold are not trimmed, and anomalies among them raise it"
    ]


def _on_labels(detector: BaseDetector, labels: Labels) -> list[str]:
    """Say what a detector that chooses how much labels may say has chosen."""
    chosen = getattr(detector, "choices_", {}).get("plain", {})
    if (
        not labels.anomaly.any()
        or getattr(detector, "labels", None) == "ignore"
        or not {"likeness", "local"} & chosen.keys()
    ):
        return []
    if "likeness" in chosen:
        trusted = getattr(detector, "labels", None) == "trusted" and chosen["likeness"] == "bold"
        share = float(chosen["share"])
        say = "trusted" if trusted else chosen["likeness"]
        return [_LABELS_SAY["untested" if say == "careful" and share == 1 else say].format(share=share)]
    return [_LABELS_SAY["domains" if chosen["local"] or chosen["wide"] else "off"]]


def detector_name(detector: BaseDetector) -> str:
    """Return the catalogue's name of a detector, or its class name if it is not in there."""
    for name, cls in DETECTORS.items():
        if type(detector) is cls:
            return name
    return type(detector).__name__


def _counts(names: StrArray) -> dict[str, int]:
    values, counts = np.unique(names, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}
