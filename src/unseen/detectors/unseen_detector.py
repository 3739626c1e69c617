"""The detector to reach for first: novelty in several spaces, and labels that may lift rows, within bounds.

Labels tell what *some* anomalies look like. Used as classifiers use them, they cost detection of the kinds
that nobody labelled. Here the score is normals-only novelty, and labels raise it::

    score(x) = ( Σ_c w_c z_c(x) + raised(x) ) / u

with cues ``z_c`` (:mod:`unseen.detectors.fused.novelty`) on the scale of held-back normals
(:mod:`unseen.detectors.fused.scales`). Without named domains, rows like labelled anomalies are lifted with
a share of the false alarms (:mod:`unseen.detectors.fused.lift`, :mod:`unseen.detectors.fused.likeness`), so
that what any other kind can lose is bounded. With named domains labels add
``a · t · [P(x) g(x) − f]₊ + b · wide(x)`` (:mod:`unseen.detectors.fused.evidence`,
:mod:`unseen.detectors.fused.choice`). How much labels may say is chosen on known kinds left out in turn
inside the training rows; it is nothing, and the score the normals-only one, where a kind left out would lose
by them. Rows whose domain has references are scored in a second mode, as residuals to the nearest reference,
if the training rows have named domains to learn from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_choice, check_int, check_matrix, check_real, resolve_domains
from unseen.detectors.base import BaseDetector
from unseen.detectors.fused.blocks import column_blocks
from unseen.detectors.fused.checking import check_domain_normals, check_mode, check_scatter
from unseen.detectors.fused.left_out import LeftOutScores
from unseen.detectors.fused.lift import Lift
from unseen.detectors.fused.mode import Mode, score_parts, split_over_features
from unseen.detectors.fused.novelty import DomainNormals, add_references
from unseen.detectors.fused.reasons import Reasons, in_order, reasons_of
from unseen.detectors.fused.reference_scores import left_out_reference_scores
from unseen.detectors.fused.rounds import Options, TrainingRows
from unseen.detectors.fused.scatter import domain_factors, usual_scatter
from unseen.detectors.fused.training import EXACT_ROWS, FittedMode, LargeBank, fit_mode, in_unit_of
from unseen.references import ReferenceStore, apply_view, build_store, extend_store, reference_rows
from unseen.scoring.calibration import Calibration
from unseen.scoring.calibration_sets import CalibrationSets
from unseen.scoring.holding_back import group_codes
from unseen.scoring.mixing import mixed_calibration
from unseen.types import ANOMALY, NORMAL, NORMAL_KIND, UNNAMED_DOMAIN, FloatArray, Labels, StrArray

LABELS = ("guarded", "trusted", "ignore")
INNER_VIEW = "residual-nearest"
REFERENCE_PRIOR = 300.0


class UnseenDetector(BaseDetector):
    """Normals-only novelty; rows like labelled anomalies are lifted, with a bound on what others lose.

    Parameters
    ----------
    labels : {"guarded", "trusted", "ignore"}
        Whether labelled anomalies may raise scores. ``"guarded"``: as far as kinds left out of the training
        rows do not lose by it. ``"trusted"``: boldly, since every anomaly that matters is like a labelled
        one; kinds that nobody labelled can be caught less well then. Where domains are named it is the same
        as ``"guarded"``. ``"ignore"`` is the normals-only score.
    n_neighbours : int
        How many nearest normals count.
    n_trees : int
        Trees of the label-aware part.
    trim : float in [0, 0.5)
        This share of the normals, the most unusual ones, is left out of the fit, since some of them may be
        anomalies.
    max_bank_rows : int
        Most normals that are kept; of more, so many are drawn by ``seed``. Up to 20 000 are searched exactly.
        Above that neighbours are searched in the cells around a row, and everything else is fitted on 20 000
        drawn normals; with named domains, a view or ``trim`` no more than these are kept.
    n_jobs : int or None
        Threads that grow trees; None: as many as this process may use. It changes no score.
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`. With ``view="raw"`` and named domains both the raw
        and the residual mode are fitted.

    Attributes
    ----------
    modes_ : tuple of Mode
        How rows are scored: without references, and, if it could be learnt, with.
    store_ : ReferenceStore or None
        References of domains, for the second mode.
    blocks_ : int64 array of shape (n_features,) or None
        Block of each column; None without a second mode.
    scatter_ : float64 array of shape (n_blocks,) or None
        How far references of a training domain usually lie apart in each block; None likewise.
    joined_ : dict of str to DomainNormals
        References of domains as parts of the normals of the first mode.
    reference_scores_ : dict of str to float64 array
        Scores of these references, each by a detector without it. The threshold and p-values rest on them
        and, the less the more they are, on the calibration normals.
    unmixed_ : Calibration or None
        The calibration without references.
    choices_ : dict
        What was chosen inside the training rows: for each mode the cues, what labels add (the share of the
        false alarms that may be due to them, 1 where it has no bound; with named domains the strengths), and
        the AUROC of each known kind when it was left out, normals-only and fused.
    n_trimmed_ : int
        Normals that ``trim`` left out.
    left_out_ : tuple of LeftOutScores
        For each mode, scores of the training normals by fits that had not met their domain; empty where
        fewer than two domains are named. With five or more they calibrate, together with the rows held back.
    known_scores_ : LeftOutScores
        Scores of training normals by fits without them that know their domain, where five or more domains are
        named.
    known_calibration_ : Calibration or None
        What rows of domains that the fit knows are compared with, if they are named: normals of such domains
        that were held back and, the less the more they are, these scores. None where there are no scores.
    known_domains_ : str array of shape (n_known,)
        Names of these domains. Domains that ``adapt`` was given references of are not among them.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = (
        "rows of their domain are scored as residuals to the nearest of them where domains were named in "
        "training, and otherwise join the neighbours and the moments and, each scored without itself, the "
        "calibration, beside what the view does"
    )

    modes_: tuple[Mode, ...]
    store_: ReferenceStore | None
    blocks_: NDArray[np.int64] | None
    scatter_: NDArray[np.float64] | None
    joined_: dict[str, DomainNormals]
    reference_scores_: dict[str, NDArray[np.float64]]
    unmixed_: Calibration | None
    choices_: dict[str, dict[str, str | float | list[float] | list[str]]]
    n_trimmed_: int
    left_out_: tuple[LeftOutScores, ...]
    known_scores_: LeftOutScores
    known_calibration_: Calibration | None
    known_domains_: StrArray

    def __init__(
        self,
        *,
        labels: str = "guarded",
        n_neighbours: int = 5,
        n_trees: int = 60,
        trim: float = 0.0,
        max_bank_rows: int = 200_000,
        n_jobs: int | None = None,
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.n_neighbours = n_neighbours
        self.n_trees = n_trees
        self.trim = trim
        self.max_bank_rows = max_bank_rows
        self.n_jobs = n_jobs
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_fitted_values(self) -> None:
        if len(self.left_out_) != len(self.modes_):
            raise ValueError("the modes and their scores of domains left out do not belong together")
        if not 1 <= len(self.modes_) <= 2 or (len(self.modes_) == 2) != (self.store_ is not None):
            raise ValueError("the modes and the references do not belong together")
        check_scatter(self.store_, self.blocks_, self.scatter_, self.n_features_in_)
        for mode in self.modes_:
            check_mode(mode, self.n_features_in_)
        for own in self.joined_.values():
            check_domain_normals(own, self.n_features_in_)
        scored = self.reference_scores_.values()
        if any(scores.ndim != 1 or not len(scores) or np.isnan(scores).any() for scores in scored):
            raise ValueError("the scores of the references are no list of numbers")
        if (
            self.known_calibration_ is not None
            and not np.isin(self.known_domains_, self.known_scores_.domains).all()
        ):
            raise ValueError("a domain is said to be known that has no scores")

    def _check_parameters(self) -> None:
        check_choice(self, "labels", self.labels, LABELS)
        check_int(self, "n_neighbours", self.n_neighbours, minimum=1)
        check_int(self, "n_trees", self.n_trees, minimum=1)
        check_real(self, "trim", self.trim, minimum=0, maximum=0.5, open_maximum=True)
        check_int(self, "max_bank_rows", self.max_bank_rows, minimum=1)
        if self.n_jobs is not None:
            check_int(self, "n_jobs", self.n_jobs, minimum=1)

    # -------------------------------------------------------------------- fit
    def _fit(self, V: FloatArray, labels: Labels) -> None:
        chosen = self._drawn(labels, min(self.max_bank_rows, EXACT_ROWS))
        bank = self._large_bank(V, labels, chosen)
        V, labels = V[chosen], labels.take(chosen)
        kept = self._untrimmed(V, labels)
        self.n_trimmed_ = int((~kept).sum())
        V, labels = V[kept], labels.take(kept)
        options = Options(self.n_neighbours, self.n_trees, self.seed, self._n_jobs(), self.labels)
        rows = _training_rows(V, labels)
        marked = self._inner_references(labels)
        named = {"names_known": not marked.any()}
        fitted = [fit_mode(self.view, rows, options, residual=self.view != "raw", bank=bank, **named)]
        self.store_, self.blocks_, self.scatter_, self.joined_ = None, None, None, {}
        self.reference_scores_, self.unmixed_ = {}, None
        if marked.any():
            self.store_ = build_store(V, labels.domains, marked, labels.normal, keep_rows=True)
            others = labels.normal & ~marked
            self.blocks_ = column_blocks(V[others], labels.domains[others])
            self.scatter_ = usual_scatter(self.store_, self.blocks_)
            residuals = self._residuals(self.store_, V, labels.domains)[~marked]
            rows = _training_rows(residuals, labels.take(~marked), V[~marked])
            second = fit_mode(INNER_VIEW, rows, options, residual=True, names_known=True)
            fitted.append(in_unit_of(fitted[0], second))
        self.modes_ = tuple(item.mode for item in fitted)
        self.left_out_ = tuple(item.left_out for item in fitted)
        self.known_scores_, self.known_calibration_ = fitted[-1].known, None
        self.known_domains_ = np.unique(self.known_scores_.domains)
        self.choices_ = {
            name: _choices(item) for name, item in zip(("plain", "references"), fitted, strict=False)
        }

    def _drawn(self, labels: Labels, most: int) -> NDArray[np.int64]:
        """Return normals, capped, and all labelled anomalies."""
        normals = np.flatnonzero(labels.normal)
        if len(normals) > most:
            marked = np.flatnonzero(self._inner_references(labels))
            others = np.setdiff1d(normals, marked)
            draw = np.random.default_rng(self.seed)
            few = draw.choice(others, max(1, most - len(marked)), replace=False)
            normals = np.concatenate([marked, few])
        return np.sort(np.concatenate([normals, np.flatnonzero(labels.anomaly)]))

    def _large_bank(self, V: FloatArray, labels: Labels, chosen: NDArray[np.int64]) -> LargeBank | None:
        """Return all normals, capped, if they are more than everything is fitted on."""
        own = chosen[labels.normal[chosen]]
        others = np.setdiff1d(np.flatnonzero(labels.normal), own)
        room = self.max_bank_rows - len(own)
        named = bool(np.any(labels.domains[labels.normal] != UNNAMED_DOMAIN))
        if room <= 0 or len(others) == 0 or named or self.trim or self.view != "raw":
            return None
        if len(others) > room:
            others = np.random.default_rng(self.seed).choice(others, room, replace=False)
        everything = np.sort(np.concatenate([own, others]))
        return LargeBank(V[everything], np.searchsorted(everything, own))

    def _untrimmed(self, V: FloatArray, labels: Labels) -> NDArray[np.bool_]:
        """Return which rows stay when the most unusual normals go."""
        kept = np.ones(len(V), dtype=np.bool_)
        n_out = int(self.trim * labels.normal.sum())
        if n_out:
            rows = np.flatnonzero(labels.normal)
            options = Options(max(self.n_neighbours, 2 * n_out), 1, self.seed, 1, "ignore")
            normals = _training_rows(V[rows], labels.take(rows))
            mode = fit_mode(self.view, normals, options, residual=self.view != "raw").mode
            novelty = score_parts(mode, V[rows], None).novelty
            kept[rows[np.argsort(-novelty, kind="stable")[:n_out]]] = False
        return kept

    def _inner_references(self, labels: Labels) -> NDArray[np.bool_]:
        """Mark references of training domains for the second mode; none where it cannot be learnt."""
        none = np.zeros(len(labels), dtype=np.bool_)
        if self.view != "raw":
            return none
        marked = reference_rows(labels.domains, labels.normal, self.n_references)
        left = labels.normal & ~marked & (labels.domains != UNNAMED_DOMAIN)
        return marked if len(np.unique(labels.domains[left])) >= 2 else none

    def _n_jobs(self) -> int:
        return self.n_jobs if self.n_jobs is not None else len(os.sched_getaffinity(0))

    # -------------------------------------------------------------- calibrate
    def _calibrate(self, scores: NDArray[np.float64], labels: Labels) -> None:
        """Calibrate on rows held back, and on training normals of domains left out, if there are enough."""
        self._calibrate_known(scores, labels)
        normal_domains = labels.domains[labels.normal]
        fresh = normal_domains[~np.isin(normal_domains, self.left_out_[0].domains)]
        adapted = self.store_ is not None and len(fresh) > 0 and bool(self.store_.knows(fresh).all())
        left_out = self.left_out_[1 if adapted else 0]
        if not left_out.enough or np.any(normal_domains == UNNAMED_DOMAIN):
            super()._calibrate(scores, labels)
            self.unmixed_ = self.calibration_
            self._mix_references_in()
            return
        new = labels.anomaly | (labels.normal & ~np.isin(labels.domains, left_out.domains))
        self.calibration_ = Calibration.from_scores(
            np.concatenate([left_out.scores, scores[new]]),
            np.concatenate([np.zeros(len(left_out.scores), dtype=labels.y.dtype), labels.y[new]]),
            false_alarm_rate=self.false_alarm_rate,
            domains=np.concatenate([left_out.domains, labels.domains[new]]),
        )

    def _calibrate_known(self, scores: NDArray[np.float64], labels: Labels) -> None:
        """Calibrate for domains that the fit knows, on its own normals left out and on those held back."""
        if not len(self.known_domains_):
            return
        crossed, anomalous = self.known_scores_.scores, scores[labels.anomaly]
        found = Calibration.from_scores(
            np.concatenate([crossed, anomalous]),
            np.repeat([NORMAL, ANOMALY], [len(crossed), len(anomalous)]),
            false_alarm_rate=self.false_alarm_rate,
        )
        own = labels.normal & np.isin(labels.domains, self.known_domains_)
        if own.any():
            found = mixed_calibration(found, scores[own], REFERENCE_PRIOR)
        self.known_calibration_ = found

    @property
    def calibrations_(self) -> CalibrationSets:
        """What each row is compared with: of known domains with normals of these, else with new ones."""
        return CalibrationSets(self._calibrated(), self.known_calibration_, self.known_domains_)

    def _take_calibration(self, other: Self) -> None:
        super()._take_calibration(other)
        self.known_calibration_ = other.known_calibration_

    def _mix_references_in(self) -> None:
        """Let references that joined the normals, each scored without itself, speak for their places."""
        if self.unmixed_ is not None and self.reference_scores_:
            scores = np.concatenate(list(self.reference_scores_.values()))
            self.calibration_ = mixed_calibration(self.unmixed_, scores, REFERENCE_PRIOR)

    def _calibrate_for_references(self) -> None:
        """Where rows are now scored in the second mode, take the threshold from its domains left out."""
        left_out, before = self.left_out_[1], self.calibration_
        if before is None or not left_out.enough:
            return
        found = Calibration.from_scores(
            left_out.scores,
            np.zeros(len(left_out.scores), dtype=np.int8),
            false_alarm_rate=self.false_alarm_rate,
            domains=left_out.domains,
        )
        self.calibration_ = found
        if before.n_anomalies:
            self.calibration_ = replace(
                before,
                normal_scores=found.normal_scores,
                threshold=found.threshold,
                guaranteed_false_alarm_rate=found.guaranteed_false_alarm_rate,
                n_domains=found.n_domains,
            )

    # ------------------------------------------------------------------ score
    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        self.known_domains_ = self.known_domains_[~np.isin(self.known_domains_, domains)]
        if self.store_ is not None:
            self.store_ = extend_store(self.store_, V_ref, domains, keep_rows=True)
            self._calibrate_for_references()
            return
        if self.view == "residual-nearest":
            return
        normals = self.modes_[0].normals
        new = {
            str(name): add_references(normals, V_ref[domains == name], REFERENCE_PRIOR)
            for name in np.unique(domains)
        }
        self.joined_ = {**self.joined_, **new}
        if self.view == "raw":
            left_out = {
                name: left_out_reference_scores(self.modes_[0], own.rows, REFERENCE_PRIOR)
                for name, own in new.items()
            }
            self.reference_scores_ = {**self.reference_scores_, **left_out}
            self._mix_references_in()

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(len(V), dtype=np.float64)
        for batch in self._batches(V, domains):
            parts = score_parts(batch.mode, batch.V, batch.own, batch.unviewed, evidence_wanted=False)
            out[batch.rows] = parts.score
        return out

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._score_and_explain(V, domains)[1]

    def _score_and_explain(
        self, V: FloatArray, domains: StrArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scores = np.empty(len(V), dtype=np.float64)
        contributions = np.empty(V.shape, dtype=np.float64)
        for batch in self._batches(V, domains):
            parts = score_parts(batch.mode, batch.V, batch.own, batch.unviewed)
            scores[batch.rows] = parts.score
            contributions[batch.rows] = split_over_features(
                batch.mode, batch.V, parts, batch.own, batch.unviewed
            )
        return scores, contributions

    def reasons(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> Reasons:
        """Return why each row scores as it does: the cue that fired, features, nearest kind and normal.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        Reasons
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        found = []
        for batch in self._batches(apply_view(self.view, rows, names, self.references_), names):
            parts = score_parts(batch.mode, batch.V, batch.own, batch.unviewed)
            split = split_over_features(batch.mode, batch.V, parts, batch.own, batch.unviewed)
            found.append((batch.rows, reasons_of(batch.mode, batch.V, parts, batch.own, split)))
        return in_order(found)

    def _residuals(self, store: ReferenceStore, V: FloatArray, domains: StrArray) -> FloatArray:
        """Rows seen from the nearest reference of their domain, in units of how far those lie apart."""
        assert self.scatter_ is not None
        assert self.blocks_ is not None
        factors = domain_factors(store, self.scatter_, self.blocks_).astype(V.dtype)
        return np.asarray(apply_view(INNER_VIEW, V, domains, store) / factors[store.codes(domains)])

    def _batches(self, V: FloatArray, domains: StrArray) -> Iterator[_Batch]:
        """Yield rows that are scored alike."""
        rest = np.ones(len(V), dtype=np.bool_)
        if self.store_ is not None:
            known = self.store_.knows(domains)
            rows = np.flatnonzero(known)
            if len(rows):
                residuals = self._residuals(self.store_, V[rows], domains[rows])
                yield _Batch(rows, residuals, self.modes_[1], None, V[rows])
            rest &= ~known
        for name, own in self.joined_.items():
            rows = np.flatnonzero(rest & (domains == name))
            if len(rows):
                yield _Batch(rows, V[rows], self.modes_[0], own, None)
                rest[rows] = False
        rows = np.flatnonzero(rest)
        if len(rows):
            yield _Batch(rows, V[rows], self.modes_[0], None, None)


@dataclass(frozen=True)
class _Batch:
    """Rows that are scored alike, in the view of their mode."""

    rows: NDArray[np.int64]
    V: FloatArray
    mode: Mode
    own: DomainNormals | None
    unviewed: FloatArray | None


def _training_rows(V: FloatArray, labels: Labels, unviewed: FloatArray | None = None) -> TrainingRows:
    normal, anomaly = labels.normal, labels.anomaly
    before = V if unviewed is None else unviewed
    return TrainingRows(
        normals=V[normal],
        anomalies=V[anomaly],
        normal_domains=labels.domains[normal],
        anomaly_domains=labels.domains[anomaly],
        kinds=labels.kinds[anomaly],
        groups=group_codes(labels.groups, len(labels))[normal],
        unviewed_normals=before[normal],
        unviewed_anomalies=before[anomaly],
    )


def _choices(fitted: FittedMode) -> dict[str, str | float | list[float] | list[str]]:
    judged = fitted.likeness or fitted.strengths
    chosen: dict[str, str | float | list[float] | list[str]] = {
        "cues": fitted.cues,
        "kinds": list(judged.kinds),
        "novelty": [float(value) for value in judged.novelty],
        "fused": [float(value) for value in judged.fused],
    }
    if fitted.likeness is None:
        return chosen | {
            "local": fitted.strengths.local,
            "wide": fitted.strengths.wide,
        }
    rule = fitted.likeness.rule
    share = rule.share if isinstance(rule, Lift) else float(rule is not None)
    return chosen | {
        "likeness": fitted.likeness.name,
        "share": share,
    }
