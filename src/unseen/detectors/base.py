"""The contract that every detector keeps.

A detector has ``fit``, ``calibrate``, ``adapt``, ``decision_function``, ``p_values``, ``predict``,
``predict_proba``, ``explain`` and ``score_and_explain``, and nothing else: no training loop, no plotting, no
saving lives in this class, and nobody inherits more than two deep. A method implements these hooks:

``_fit(V, labels)``
    Learn from the rows ``V``, already seen through the view. Sets attributes ending in an underscore.
``_score(V, domains)``
    Anomaly score of each row, higher = more anomalous.
``_explain(V, domains)``
    Contribution of each feature to each row's score.
``_adapt(V_ref, domains)``
    Optional: take references in beyond what the view does with them.
``_check_fitted_values()``
    Optional: refuse fitted values from a file that do not fit together.
``_score_and_explain(V, domains)``
    Optional: both at once, for methods whose scores and contributions share work.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from unseen.checks import (
    check_choice,
    check_int,
    check_matrix,
    check_real,
    column_names,
    no_normals,
    resolve_domains,
    resolve_labels,
)
from unseen.errors import LabelError, NotCalibratedError, NotFittedError
from unseen.references import (
    VIEWS,
    ReferenceStore,
    apply_view,
    build_store,
    empty_store,
    extend_store,
    reference_rows,
)
from unseen.scoring.calibration import Calibration, hold_back
from unseen.scoring.calibration_sets import CalibrationSets
from unseen.types import FloatArray, Labels, StrArray


class BaseDetector(BaseEstimator, ABC):
    """Base class of all detectors.

    Subclasses take, beside their own, these keyword-only constructor parameters and only store them.

    Parameters
    ----------
    view : {"raw", "residual-centre", "scaled-centre", "residual-nearest"}
        How rows are seen from the references of their domain; see :mod:`unseen.references`.
    n_references : int
        How many normals of each *training* domain serve as its references when ``view`` is not ``"raw"``
        (they then take no other part in the fit).
    calibration_fraction : float in [0, 0.9]
        Share of the normals (and of each known kind) that ``fit`` holds back and calibrates on. 0: ``fit``
        does not calibrate; call ``calibrate`` with other rows before ``p_values`` or ``predict``.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal where ``y`` or ``kinds`` hold names; case does not matter.
    seed : int
        Seed of every random choice.
    """

    uses_labels: ClassVar[bool] = False
    """Whether labelled anomalies change the scores."""

    reference_use: ClassVar[str] = "through the view only; with view='raw' references change nothing"
    """What the method does with references, in words."""

    view: str
    n_references: int
    calibration_fraction: float
    false_alarm_rate: float
    normal: str | Sequence[str]
    seed: int

    n_features_in_: int
    feature_names_: tuple[str, ...] | None
    references_: ReferenceStore
    calibration_: Calibration | None

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _fit(self, V: FloatArray, labels: Labels) -> None:
        """Learn from the viewed rows."""

    @abstractmethod
    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        """Score the viewed rows."""

    @abstractmethod
    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        """Split the score of the viewed rows over the features."""

    def _score_and_explain(self, V: FloatArray, domains: StrArray) -> tuple[NDArray[np.float64], FloatArray]:
        """Score the viewed rows and split each score over the features; override where they share work."""
        return self._score(V, domains), self._explain(V, domains)

    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        """Take references in; must not change arrays in place."""

    def _check_fitted_values(self) -> None:
        """Raise ValueError if fitted values that were read from a file do not fit together."""

    def _try_scoring(self) -> None:
        """Score something made up, to see that fitted values that were read from a file do so."""
        self.score_and_explain(np.zeros((1, self.n_features_in_), dtype=np.float32))

    @abstractmethod
    def _check_parameters(self) -> None:
        """Check the method's own constructor parameters."""

    # --------------------------------------------------------------- contract
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn what is normal, and from labelled anomalies where the method can.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        y : array-like of shape (n_rows,) or None
            0 normal, 1 anomaly, -1 unlabelled, or kind names. None: all rows are taken as normal.
        kinds : array-like of shape (n_rows,) or None
            Kind name of each anomaly.
        domains : array-like of shape (n_rows,) or None
            Domain name of each row.
        groups : array-like of shape (n_rows,) or None
            Rows of one group are never split between fit and calibration.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If the rows, labels or parameters cannot be used; the message says which and why.
        """
        self._check_common_parameters()
        self._check_parameters()
        rows = check_matrix(self, X)
        labels = resolve_labels(
            self, len(rows), y, kinds=kinds, domains=domains, groups=groups, normal=self.normal
        )
        if not labels.normal.any():
            raise no_normals(self, "fit", labels, self.normal)
        held = hold_back(labels, self.calibration_fraction, self.seed)
        self.n_features_in_, self.feature_names_ = rows.shape[1], column_names(X)
        usable = labels.normal & ~held
        if not usable.any():
            raise LabelError(
                f"{type(self).__name__}: no normal row is left to fit on after holding "
                f"{self.calibration_fraction:.0%} back; give more normals or calibration_fraction=0."
            )
        seen_from = self.view != "raw"
        marked = reference_rows(labels.domains, usable, self.n_references if seen_from else 0)
        if seen_from and not (usable & ~marked).any():
            raise LabelError(
                f"{type(self).__name__}: all {int(usable.sum())} normals serve as references; "
                f"give more normals than n_references={self.n_references} in some domain."
            )
        if seen_from:
            self.references_ = build_store(rows, labels.domains, marked, usable, keep_rows=self._keeps_rows)
        else:
            self.references_ = empty_store(rows.shape[1])
        V = apply_view(self.view, rows, labels.domains, self.references_)
        taking_part = ~held & ~marked
        self.calibration_ = None
        self._fit(V[taking_part], labels.take(taking_part))
        if held.any():
            self._calibrate(self._score(V[held], labels.domains[held]), labels.take(held))
        return self

    def calibrate(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
    ) -> Self:
        """Set p-values, thresholds and probabilities from rows that ``fit`` has not seen.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Fresh rows: normals, and if there are any, anomalies of known kinds.
        y, kinds, domains : array-like of shape (n_rows,) or None
            As in ``fit``.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the detector is not fitted yet.
        LabelError
            If there is no normal row.
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        labels = resolve_labels(self, len(rows), y, kinds=kinds, domains=domains, normal=self.normal)
        if not labels.normal.any():
            raise no_normals(self, "calibrate", labels, self.normal)
        self._calibrate(self._scored(rows, labels.domains), labels)
        return self

    def adapt(self, X_ref: ArrayLike, *, domains: ArrayLike | None = None) -> Self:
        """Return a detector conditioned on reference normals of new domains.

        No shared weight is trained again and this detector stays as it is. Each row is then scored against
        the references of its own domain; rows whose domain has none fall back to the pooled normals.

        Parameters
        ----------
        X_ref : array-like of shape (n_references, n_features)
            Rows known to be normal.
        domains : array-like of shape (n_references,) or None
            Domain of each. None: they are the references of rows whose domain is not given.

        Returns
        -------
        Self
            A new detector. It keeps this one's calibration, unless the method lets references calibrate.
        """
        self._check_fitted()
        rows = check_matrix(self, X_ref, name="X_ref", n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        adapted = copy.copy(self)
        adapted.references_ = extend_store(self.references_, rows, names, keep_rows=self._keeps_rows)
        adapted._adapt(apply_view(self.view, rows, names, adapted.references_), names)
        return adapted

    def decision_function(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the anomaly score of each row, shape (n_rows,); higher = more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        return self._scored(rows, resolve_domains(self, len(rows), domains))

    def p_values(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return split-conformal p-values; small = unlike the calibration normals.

        For a fresh normal row P(p <= a) <= a.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows,)
            In [1 / (n + 1), 1] for n calibration normals.

        Raises
        ------
        NotCalibratedError
            If the detector is not calibrated.
        """
        scores, names = self._scored_with_domains(X, domains)
        return self.calibrations_.p_values(scores, names)

    def predict(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.int8]:
        """Return 1 for rows whose score is above the threshold, else 0.

        The threshold is ``threshold_``, unless the detector has another one for rows of domains that it knows
        (``calibrations_``).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        int8 array of shape (n_rows,)

        Raises
        ------
        NotCalibratedError
            If the detector is not calibrated.
        """
        scores, names = self._scored_with_domains(X, domains)
        return (scores > self.calibrations_.thresholds(names)).astype(np.int8)

    def predict_proba(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return P(normal) and P(anomaly) of each row.

        Calibrated on the held-back rows; see :class:`unseen.scoring.calibration.Calibration`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows, 2)
            Rows sum to 1; the second column rises with the score, among rows with the same threshold.

        Raises
        ------
        NotCalibratedError
            If the detector is not calibrated.
        """
        scores, names = self._scored_with_domains(X, domains)
        anomalous = self.calibrations_.probabilities(scores, names)
        return np.column_stack([1 - anomalous, anomalous])

    def explain(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return how much each feature contributes to each row's score.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows, n_features)
            Larger = speaks more for an anomaly. What the contributions sum to is the method's to say.
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        return self._explain(apply_view(self.view, rows, names, self.references_), names)

    def score_and_explain(
        self, X: ArrayLike, *, domains: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], FloatArray]:
        """Return what ``decision_function`` and ``explain`` return, in one pass where the method can.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        scores : float64 array of shape (n_rows,)
        contributions : float32 or float64 array of shape (n_rows, n_features)
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        return self._score_and_explain(apply_view(self.view, rows, names, self.references_), names)

    @property
    def threshold_(self) -> float:
        """The score above which ``predict`` flags a row, at a false-alarm rate of ``false_alarm_rate``."""
        return self._calibrated().threshold

    @property
    def calibrations_(self) -> CalibrationSets:
        """What each row is compared with, by its domain."""
        return CalibrationSets(self._calibrated())

    @property
    def classes_(self) -> NDArray[np.int8]:
        """What the columns of ``predict_proba`` are: 0 normal, 1 anomaly."""
        self._check_fitted()
        return np.array([0, 1], dtype=np.int8)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the data frame that ``fit`` was given; AttributeError if it had none."""
        self._check_fitted()
        if self.feature_names_ is None:
            raise AttributeError(f"{type(self).__name__}: fit was given no column names.")
        return np.array(self.feature_names_, dtype=object)

    # ---------------------------------------------------------------- helpers
    @property
    def _keeps_rows(self) -> bool:
        return self.view == "residual-nearest"

    def _scored(self, rows: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._score(apply_view(self.view, rows, domains, self.references_), domains)

    def _scored_with_domains(
        self, X: ArrayLike, domains: ArrayLike | None
    ) -> tuple[NDArray[np.float64], StrArray]:
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        return self._scored(rows, names), names

    def _calibrate(self, scores: NDArray[np.float64], labels: Labels) -> None:
        self.calibration_ = Calibration.from_scores(scores, labels.y, false_alarm_rate=self.false_alarm_rate)

    def _take_calibration(self, other: Self) -> None:
        """Take over the calibration of a copy of this detector."""
        self.calibration_ = other.calibration_

    def _calibrated(self) -> Calibration:
        self._check_fitted()
        if self.calibration_ is None:
            raise NotCalibratedError(
                f"{type(self).__name__}: not calibrated; call calibrate(X, y) with rows fit has not seen, "
                "or fit with calibration_fraction > 0."
            )
        return self.calibration_

    def _check_fitted(self) -> None:
        if not hasattr(self, "references_"):
            raise NotFittedError(f"{type(self).__name__}: not fitted yet; call fit first.")

    def _check_common_parameters(self) -> None:
        check_choice(self, "view", self.view, VIEWS)
        check_int(self, "n_references", self.n_references, minimum=1)
        check_real(self, "calibration_fraction", self.calibration_fraction, minimum=0, maximum=0.9)
        check_real(
            self,
            "false_alarm_rate",
            self.false_alarm_rate,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )
        check_int(self, "seed", self.seed, minimum=0)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "references_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "outlier_detector"
        tags.target_tags.required = False
        return tags
