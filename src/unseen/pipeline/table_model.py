"""A detector together with the columns and the preprocessing it was fitted on.

What ``fit`` does, in order, so that the split-conformal p-values are exact:

1. hold rows back for calibration (never split within a group);
2. fit the preprocessing on the normals that are **not** held back;
3. fit the detector on the rows that are not held back;
4. calibrate it on the rows that are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from unseen.data import Table, TablePreprocessor, TableSchema
from unseen.detectors.base import BaseDetector
from unseen.detectors.fused.reasons import NOVEL, USUAL, Reasons
from unseen.errors import LabelError, ParameterError, SchemaError
from unseen.pipeline.fit_summary import FitSummary, summarise
from unseen.references import reference_rows
from unseen.scoring.calibration import Calibration, hold_back
from unseen.scoring.holding_back import group_codes
from unseen.types import UNNAMED_DOMAIN, BoolArray, FloatArray, Labels, StrArray

DEFAULT_DETECTOR = "unseen"
"""The detector that is used where none is named."""

LEAST_DOMAINS = 5
"""Named domains from which on calibration holds whole domains back."""


@runtime_checkable
class GivesReasons(Protocol):
    """A detector that can tell novel rows from rows like a known kind."""

    def reasons(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> Reasons:
        """Return why each row scores as it does."""


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of some rows.

    Attributes
    ----------
    score : float64 array of shape (n_rows,)
        Anomaly score; higher = more anomalous.
    p_value : float64 array of shape (n_rows,)
        Split-conformal p-value.
    flagged : bool array of shape (n_rows,)
        Score above the threshold of the row's domain.
    contributions : float array of shape (n_rows, n_columns) or None
        Contribution of each column of the table to the score; None if they were not asked for.
    reason, like_kind : str array of shape (n_rows,) or None
        Why a row scores as it does, and the known kind it resembles (``""``: none); None where they were not
        asked for or the detector cannot tell.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    flagged: BoolArray
    contributions: FloatArray | None = None
    reason: StrArray | None = None
    like_kind: StrArray | None = None

    def __len__(self) -> int:
        return len(self.score)


class TableModel:
    """A fitted detector for tables: schema, preprocessing, detector and what the fit said.

    Parameters
    ----------
    schema : TableSchema
        Columns and roles that a table must have.
    preprocessor : TablePreprocessor
        Fitted preprocessing.
    detector : BaseDetector
        Fitted and calibrated detector.
    summary : FitSummary
        What the fit was made from.
    """

    def __init__(
        self,
        schema: TableSchema,
        preprocessor: TablePreprocessor,
        detector: BaseDetector,
        summary: FitSummary,
    ) -> None:
        self.schema = schema
        self.preprocessor = preprocessor
        self.detector = detector
        self.summary = summary

    @classmethod
    def fit(
        cls, table: Table, detector: BaseDetector, *, preprocessor: TablePreprocessor | None = None
    ) -> TableModel:
        """Fit preprocessing and detector, and calibrate on rows that neither has seen.

        Parameters
        ----------
        table : Table
            Rows with their labels; a table without labels is taken as all normal.
        detector : BaseDetector
            Unfitted; it is cloned. Its ``calibration_fraction`` of the normals (and of each known kind) is
            held back, by group where the table has groups.
        preprocessor : TablePreprocessor or None
            Unfitted; it is cloned. None: the defaults.

        Returns
        -------
        TableModel

        Raises
        ------
        InputError
            If there are fewer than two normals, or they are all in groups that have to stay, or the table or
            a parameter cannot be used.
        """
        started = time.perf_counter()
        if not detector.calibration_fraction > 0:
            raise ParameterError(
                f"{type(detector).__name__}: calibration_fraction must be > 0 for a table model, "
                f"got {detector.calibration_fraction!r}; p-values need normals that are held back."
            )
        labels = table.labels
        if labels.normal.sum() < 2:
            raise LabelError(
                f"fit needs at least 2 normal rows (one to learn from, one to calibrate on), got "
                f"{int(labels.normal.sum())} of {len(table)}; check the kind column and the normal value."
            )
        held = _held_back(labels, detector)
        kept = np.flatnonzero(~held)
        prepared = TablePreprocessor() if preprocessor is None else clone(preprocessor)
        prepared.fit(table.features[kept], labels.y[kept])
        X = prepared.transform(table.features)
        fitted = clone(detector).set_params(calibration_fraction=0.0)
        fitted.fit(X[kept], **_label_arguments(labels.take(kept)))
        fitted.set_params(calibration_fraction=detector.calibration_fraction)
        _calibrate_as_new(fitted, X[held], labels.take(held))
        summary = summarise(table, prepared, fitted, time.perf_counter() - started)
        return cls(table.schema, prepared, fitted, summary)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns that contributions refer to."""
        return self.schema.names

    @property
    def calibration(self) -> Calibration:
        """The calibration of the detector."""
        calibration = self.detector.calibration_
        assert calibration is not None, "a table model is always calibrated"
        return calibration

    def score_batch(
        self,
        frame: pl.DataFrame,
        domains: StrArray | None = None,
        *,
        false_alarm_rate: float | None = None,
        explain: bool = True,
    ) -> ScoredBatch:
        """Score rows that have the columns of the schema.

        Parameters
        ----------
        frame : polars DataFrame of n_rows rows
            The feature columns, conformed to the schema.
        domains : str array of shape (n_rows,) or None
            Domain of each row.
        false_alarm_rate : float in (0, 1) or None
            Share of normals that may be flagged; None: the model's own.
        explain : bool
            Whether to compute the contributions too.

        Returns
        -------
        ScoredBatch
        """
        return self.score_matrix(
            self.preprocessor.transform(frame), domains, false_alarm_rate=false_alarm_rate, explain=explain
        )

    def score_matrix(
        self,
        X: FloatArray,
        domains: StrArray | None = None,
        *,
        false_alarm_rate: float | None = None,
        explain: bool = True,
    ) -> ScoredBatch:
        """Score rows that are already preprocessed; arguments as in ``score_batch``.

        Parameters
        ----------
        X : float array of shape (n_rows, n_features)
            What ``preprocessor.transform`` gave.
        domains : str array of shape (n_rows,) or None
            Domain of each row.
        false_alarm_rate : float in (0, 1) or None
            Share of normals that may be flagged; None: the model's own.
        explain : bool
            Whether to compute the contributions too.

        Returns
        -------
        ScoredBatch
        """
        contributions: FloatArray | None = None
        reason: StrArray | None = None
        like_kind: StrArray | None = None
        if explain and isinstance(self.detector, GivesReasons):
            reasons = self.detector.reasons(X, domains=domains)
            score, contributions = reasons.score, self.preprocessor.fold(reasons.contributions)
            reason, like_kind = reasons.reason, reasons.like_kind
        elif explain:
            score, by_feature = self.detector.score_and_explain(X, domains=domains)
            contributions = self.preprocessor.fold(by_feature)
        else:
            score = self.detector.decision_function(X, domains=domains)
        names = np.full(len(score), UNNAMED_DOMAIN) if domains is None else domains
        sets = self.detector.calibrations_
        p_value = sets.p_values(score, names)
        flagged = np.asarray(score > sets.thresholds(names, rate=false_alarm_rate))
        if reason is not None:  # where many normals may be flagged, usual ones are, too
            reason = np.where(flagged & (reason == USUAL), NOVEL, reason)
        return ScoredBatch(score, p_value, flagged, contributions, reason, like_kind)

    def score_table(self, table: Table, *, explain: bool = False) -> ScoredBatch:
        """Score a table in memory.

        Parameters
        ----------
        table : Table
            Rows with the columns of the schema.
        explain : bool
            Whether to compute the contributions too.

        Returns
        -------
        ScoredBatch
        """
        return self.score_batch(table.features, table.domains, explain=explain)

    def adapt(self, references: Table) -> TableModel:
        """Return a model conditioned on reference normals of new domains; this one stays as it is.

        Parameters
        ----------
        references : Table
            Rows known to be normal, conformed to the schema. Rows that carry a label must be normal.

        Returns
        -------
        TableModel
            It shares the preprocessing, and the calibration unless the detector lets references calibrate.

        Raises
        ------
        LabelError
            If a row is labelled as an anomaly.
        """
        if references.y is not None and (references.y == 1).any():
            row = int(np.flatnonzero(references.y == 1)[0])
            raise LabelError(
                f"adapt: references must be normal, but row {row} is labelled as an anomaly "
                f"({int((references.y == 1).sum())} such rows); leave them out."
            )
        X = self.preprocessor.transform(references.features)
        adapted = self.detector.adapt(X, domains=references.domains)
        return TableModel(self.schema, self.preprocessor, adapted, self.summary)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return everything but the detector: JSON values, and arrays by name."""
        values, arrays = self.preprocessor.to_state()
        return (
            {"schema": self.schema.to_json(), "preprocessor": values, "summary": self.summary.to_json()},
            arrays,
        )

    @classmethod
    def from_state(
        cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], detector: BaseDetector
    ) -> TableModel:
        """Rebuild a model from ``to_state`` and its detector.

        Parameters
        ----------
        values : mapping
            The JSON values.
        arrays : mapping of str to ndarray
            The arrays.
        detector : BaseDetector
            The fitted detector.

        Returns
        -------
        TableModel

        Raises
        ------
        SchemaError
            If detector and preprocessing do not fit together.
        """
        preprocessor = TablePreprocessor.from_state(values["preprocessor"], dict(arrays))
        n_features = len(preprocessor.feature_names_out_)
        if detector.n_features_in_ != n_features:
            raise SchemaError(
                f"the model's detector takes {detector.n_features_in_} features but its preprocessing "
                f"makes {n_features}; the model directory mixes two models, fit it again."
            )
        return cls(
            TableSchema.from_json(values["schema"]),
            preprocessor,
            detector,
            FitSummary.from_json(values["summary"]),
        )


def _held_back(labels: Labels, detector: BaseDetector) -> BoolArray:
    """Return which rows calibrate: whole domains where they can be spared, groups where they are given."""
    share, seed = detector.calibration_fraction, detector.seed
    held = hold_back(by_whole_domains(labels), share, seed)
    if labels.groups is None and not (held & labels.normal).any():
        held = hold_back(labels, share, seed)
    if not (held & labels.normal).any():
        n_groups = len(np.unique(group_codes(labels.groups, len(labels))[labels.normal]))
        raise LabelError(
            f"fit holds whole groups of normals back for p-values, but none of the {n_groups} can be spared: "
            "the largest one with normals, and with each known kind, has to stay; name a column of smaller "
            "groups."
        )
    return held


def by_whole_domains(labels: Labels) -> Labels:
    """Make domains the groups, so that none is split, where enough are named and no groups are given.

    What is normal differs from domain to domain. Normals of domains that the fit has seen score lower than
    those of new ones, so a threshold read off them would let too many false alarms through on a new domain.

    Parameters
    ----------
    labels : Labels
        Of the training table.

    Returns
    -------
    Labels
        The same, where fewer than ``LEAST_DOMAINS`` domains are named, some normals have none, or groups are
        given.
    """
    named = np.unique(labels.domains[labels.normal])
    if labels.groups is not None or len(named) < LEAST_DOMAINS or UNNAMED_DOMAIN in named:
        return labels
    return replace(labels, groups=labels.domains)


def _calibrate_as_new(fitted: BaseDetector, X: FloatArray, labels: Labels) -> None:
    """Calibrate on held-back rows; new domains among them get references where the view asks for some."""
    marked = np.zeros(len(X), dtype=np.bool_)
    adapted = fitted
    if fitted.view != "raw":
        new = labels.normal & ~fitted.references_.knows(labels.domains)
        marked = reference_rows(labels.domains, new, fitted.n_references)
        if not (labels.normal & ~marked).any():
            marked[:] = False
        if marked.any():
            adapted = fitted.adapt(X[marked], domains=labels.domains[marked])
    arguments = _label_arguments(labels.take(~marked))
    arguments.pop("groups")
    adapted.calibrate(X[~marked], **arguments)
    fitted._take_calibration(adapted)


def _label_arguments(labels: Labels) -> dict[str, Any]:
    return {"y": labels.y, "kinds": labels.kinds, "domains": labels.domains, "groups": labels.groups}
