"""Which view of the references suits a detector, judged on source domains left out in turn.

The domains of the training rows are split into at most five folds. For each fold the detector is fitted on
the other domains, is given the first ``n_references`` normals of each domain of the fold as references, and
scores the fold's remaining rows. A view is judged by

* **known kinds**, if some are labelled in the sources: the mean over folds and kinds of the AUROC of that
  kind against the fold's normals. The kinds only judge; the fits see no label, because the view has to serve
  kinds that nobody has labelled.
* **no labels**, otherwise: ``1 − D``, where ``D`` is the mean over left-out domains of the Kolmogorov-Smirnov
  distance between the uniform distribution and the shares
  ``u = #{source normals held back with a score >= s} / n`` of the domain's normals. ``D`` is 0 where the
  normals of a new domain score just as those of the old ones do, and free of the score's unit, so it measures
  the difference between domains relative to the spread within them. It cannot see anomalies: a view that
  makes domains alike but hides anomalies would be preferred, so label a few anomalies where you can.

Ties (within ``TIE``) go to the view that is listed first, ``raw`` before all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.checks import check_int
from unseen.data import Table, TablePreprocessor
from unseen.detectors.base import BaseDetector
from unseen.metrics.ranking import auroc
from unseen.references import VIEWS, reference_rows
from unseen.types import UNNAMED_DOMAIN, BoolArray, FloatArray, Labels

MAX_FOLDS = 5
TIE = 0.002
"""Differences of the criterion below this count as none."""

_MAX_ROWS_A_DOMAIN = 2_000
_MAX_ROWS = 20_000


@dataclass(frozen=True)
class ViewChoice:
    """The chosen view and what it was chosen on.

    Attributes
    ----------
    view : str
        The best view.
    criterion : str
        What was compared, in words.
    values : dict of str to float
        The criterion of each view; higher = better. Empty if there was nothing to compare on.
    """

    view: str
    criterion: str
    values: dict[str, float]


@dataclass(frozen=True)
class _Fold:
    """Row indices of one fold: what to fit on, the references, and what to score."""

    fit: NDArray[np.int64]
    references: NDArray[np.int64]
    scored: NDArray[np.int64]


def choose_view(
    detector: BaseDetector, X: FloatArray, labels: Labels, *, n_references: int, seed: int
) -> str:
    """Return the view that is best on source domains left out in turn.

    Parameters
    ----------
    detector : BaseDetector
        Unfitted; it is cloned.
    X : float array of shape (n_rows, n_features)
        Training rows, preprocessed.
    labels : Labels
        Their labels and domains.
    n_references : int
        How many normals of each left-out domain serve as its references, >= 1.
    seed : int
        Seed of the folds and of the detector.

    Returns
    -------
    str
        One of :data:`unseen.references.VIEWS`; ``"raw"`` where fewer than two named domains have more than
        ``n_references`` normals.
    """
    return compare_views(detector, X, labels, n_references=n_references, seed=seed).view


def compare_views(
    detector: BaseDetector,
    X: FloatArray,
    labels: Labels,
    *,
    n_references: int,
    seed: int,
    views: Sequence[str] = VIEWS,
) -> ViewChoice:
    """Compare views on source domains left out in turn.

    Parameters
    ----------
    detector : BaseDetector
        Unfitted; it is cloned.
    X : float array of shape (n_rows, n_features)
        Training rows, preprocessed.
    labels : Labels
        Their labels and domains.
    n_references : int
        How many normals of each left-out domain serve as its references, >= 1.
    seed : int
        Seed of the folds and of the detector.
    views : sequence of str
        The views to compare, in the order in which ties are decided.

    Returns
    -------
    ViewChoice
    """
    check_int("choose_view", "n_references", n_references, minimum=1)
    rng = np.random.default_rng(seed)
    rows = _sample(labels, rng)
    X, labels = X[rows], labels.take(rows)
    folds = _folds(labels, n_references, rng)
    if len(folds) < 2:
        few = f"fewer than two domains have more than {n_references} normals, so nothing was compared"
        return ViewChoice(views[0], few, {})
    with_kinds = any(labels.anomaly[fold.scored].any() for fold in folds)
    criterion = (
        "mean AUROC of the known kinds in domains left out"
        if with_kinds
        else "1 - distance between the normals' p-values in domains left out and uniform ones"
    )
    values = {
        view: _judge(_prepared(detector, view, n_references, seed), X, labels, folds, with_kinds)
        for view in views
    }
    best = max(values.values())
    chosen = next(view for view, value in values.items() if value >= best - TIE)
    return ViewChoice(chosen, criterion, values)


def compare_table_views(detector: BaseDetector, table: Table) -> ViewChoice:
    """Compare views on the domains of a table, with the detector's own ``n_references`` and ``seed``.

    Parameters
    ----------
    detector : BaseDetector
        Unfitted; it is cloned.
    table : Table
        Training rows with domains. The preprocessing is fitted on all its normals.

    Returns
    -------
    ViewChoice
    """
    labels = table.labels
    rows = _sample(labels, np.random.default_rng(detector.seed))
    sample, few = table.take(rows), labels.take(rows)
    X = TablePreprocessor().fit_transform(sample, few.y)
    return compare_views(detector, X, few, n_references=detector.n_references, seed=detector.seed)


def _prepared(detector: BaseDetector, view: str, n_references: int, seed: int) -> BaseDetector:
    copied: BaseDetector = clone(detector)
    fraction = copied.calibration_fraction or 0.2
    copied.set_params(view=view, n_references=n_references, seed=seed, calibration_fraction=fraction)
    return copied


def _judge(
    detector: BaseDetector, X: FloatArray, labels: Labels, folds: Sequence[_Fold], with_kinds: bool
) -> float:
    """Mean of the criterion over the folds, for the view that ``detector`` has."""
    values: list[float] = []
    for fold in folds:
        fitted = clone(detector)
        groups = None if labels.groups is None else labels.groups[fold.fit]
        fitted.fit(X[fold.fit], labels.y[fold.fit], domains=labels.domains[fold.fit], groups=groups)
        adapted = fitted.adapt(X[fold.references], domains=labels.domains[fold.references])
        scores = adapted.decision_function(X[fold.scored], domains=labels.domains[fold.scored])
        here = labels.take(fold.scored)
        if with_kinds:
            values += _kind_values(scores, here)
        else:
            assert adapted.calibration_ is not None
            values += _likeness_values(scores, here, adapted.calibration_.normal_scores)
    return float(np.mean(values))


def _kind_values(scores: NDArray[np.float64], labels: Labels) -> list[float]:
    if not labels.normal.any():
        return []
    against: list[float] = []
    for kind in labels.known_kinds:
        rows = labels.normal | (labels.kinds == kind)
        against.append(auroc(labels.y[rows], scores[rows]))
    return against


def _likeness_values(
    scores: NDArray[np.float64], labels: Labels, source_scores: NDArray[np.float64]
) -> list[float]:
    normals = labels.normal
    return [
        1 - uniform_distance(scores[normals & (labels.domains == domain)], source_scores)
        for domain in np.unique(labels.domains[normals])
    ]


def uniform_distance(scores: NDArray[np.float64], source_scores: NDArray[np.float64]) -> float:
    """Return the largest difference between two samples' distribution functions.

    It equals the Kolmogorov-Smirnov distance of the first sample's p-values, taken against the second, from
    the uniform distribution.

    Parameters
    ----------
    scores : float64 array of shape (n_rows,)
        Scores of the normals of a domain left out.
    source_scores : float64 array of shape (n_source,)
        Scores of source normals, sorted.

    Returns
    -------
    float
        In [0, 1].
    """
    ordered = np.sort(scores)
    points = np.concatenate([ordered, source_scores])
    own = np.searchsorted(ordered, points, side="right") / len(ordered)
    source = np.searchsorted(source_scores, points, side="right") / len(source_scores)
    return float(np.abs(own - source).max())


def _sample(labels: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cap the rows: of each domain (its first normals are kept in order) and in all."""
    domains = np.unique(labels.domains)
    cap = min(_MAX_ROWS_A_DOMAIN, max(50, _MAX_ROWS // max(1, len(domains))))
    chosen: list[NDArray[np.int64]] = []
    for domain in domains:
        here = labels.domains == domain
        for part in (here & labels.normal, here & labels.anomaly):
            rows = np.flatnonzero(part)
            chosen.append(_thin(rows, cap, rng))
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _thin(rows: NDArray[np.int64], cap: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Keep the first tenth of ``cap`` rows (references come first in time) and a sample of the others."""
    if len(rows) <= cap:
        return rows
    head = cap // 10
    return np.concatenate([rows[:head], rng.choice(rows[head:], cap - head, replace=False)])


def _folds(labels: Labels, n_references: int, rng: np.random.Generator) -> list[_Fold]:
    """Domains that have more than ``n_references`` normals, in at most MAX_FOLDS folds."""
    named = [str(name) for name in np.unique(labels.domains) if name != UNNAMED_DOMAIN]
    usable = [name for name in named if _normals(labels, name).sum() > n_references]
    if len(usable) < 2:
        return []
    order = rng.permutation(np.array(usable, dtype=np.str_))
    folds: list[_Fold] = []
    for part in np.array_split(order, min(MAX_FOLDS, len(order))):
        out: BoolArray = np.isin(labels.domains, part)
        marked = reference_rows(labels.domains, labels.normal & out, n_references)
        fit = ~out & labels.normal
        folds.append(
            _Fold(
                np.flatnonzero(fit), np.flatnonzero(marked), np.flatnonzero(out & ~marked & (labels.y >= 0))
            )
        )
    return folds


def _normals(labels: Labels, domain: str) -> BoolArray:
    mask: BoolArray = labels.normal & (labels.domains == domain)
    return mask
