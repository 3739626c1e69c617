"""One way to score rows: a view of them, what normals look like in it, and what labels add.

::

    novelty(x) = Σ_c w_c z_c(x) / Σ_c w_c
    score(x)   = ( novelty(x) + raised(x) ) / u                                             without domains
    score(x)   = ( novelty(x) + a · t · [local(x) − f]₊ + b · wide(x) ) / u                  with domains

raised is that of :mod:`unseen.detectors.fused.likeness`. z_c are the cues on the scale of held-back normals,
f is what 99 % of them do not exceed in local, t the distance from the median to the 99.5 % quantile of their
novelty, u that to the 99 % quantile. Where labels add nothing the score is the normals-only one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.common_signs import CommonSigns
from unseen.detectors.fused.evidence import Evidence, LabelledRows, evidence_of, tree_features
from unseen.detectors.fused.lift import Lift, Raise
from unseen.detectors.fused.novelty import (
    CUES,
    Distances,
    DomainNormals,
    NormalModel,
    Positions,
    cue_names,
    cue_values,
    nearest_normals,
)
from unseen.detectors.fused.ranks import ranks
from unseen.detectors.fused.scales import CueScales
from unseen.types import FloatArray

_NOTHING = 1e-3
"""What labels add below this, in units of the score, is no reason to name a feature."""


@dataclass(frozen=True)
class Mode:
    """How rows of one sort (with references of their own, or without) are scored.

    Attributes
    ----------
    view : str
        The view that rows are brought to before.
    normals : NormalModel
        What normals look like in it.
    scales : CueScales
        The scale of each cue.
    weights : float64 array of shape (n_cues,)
        w, in the order of ``cues``; sums to 1.
    labelled : LabelledRows or None
        What labels taught; None without labelled anomalies, or where they are not used.
    local_strength, wide_strength : float
        a and b.
    floor : float
        f.
    reach : float
        t.
    unit : float
        u.
    odds_centre, odds_spread : float
        Where the normals' log-odds lie.
    likeness : Lift, Raise or None
        What likeness to labelled anomalies adds; see :mod:`unseen.detectors.fused.likeness`.
    signs : CommonSigns or None
        Whose log-odds the wide term takes; None without one.
    """

    view: str
    normals: NormalModel
    scales: CueScales
    weights: NDArray[np.float64]
    labelled: LabelledRows | None
    local_strength: float
    wide_strength: float
    floor: float
    reach: float
    unit: float
    odds_centre: float
    odds_spread: float
    likeness: Lift | Raise | None
    signs: CommonSigns | None

    @property
    def usual_raise(self) -> float:
        """What the wide term adds to the score of the usual normal."""
        return self.wide_strength * float(np.log(2)) / self.unit

    @property
    def labels_count(self) -> bool:
        """Whether labels change any score."""
        return self.likeness is not None or self.local_strength > 0 or self.wide_strength > 0

    @property
    def cues(self) -> tuple[str, ...]:
        """Names of the cues, in the order of their columns."""
        return cue_names(len(self.normals.of_blocks))


@dataclass(frozen=True)
class Parts:
    """The parts of the scores of some rows.

    Attributes
    ----------
    placed : float64 array of shape (n_rows, n_cues)
        Cues on the scale of normals.
    novelty : float64 array of shape (n_rows,)
        The normals-only score.
    raised : float64 array of shape (n_rows,)
        What labels add to it.
    neighbours : pair of arrays of shape (n_rows, k)
        Distances and positions of the nearest normals.
    evidence : Evidence or None
        What labels say.
    """

    placed: NDArray[np.float64]
    novelty: NDArray[np.float64]
    raised: NDArray[np.float64]
    neighbours: tuple[Distances, Positions]
    evidence: Evidence | None

    @property
    def score(self) -> NDArray[np.float64]:
        """Novelty and what labels add, shape (n_rows,)."""
        return self.novelty + self.raised


def score_parts(
    mode: Mode,
    V: FloatArray,
    own: DomainNormals | None,
    unviewed: FloatArray | None = None,
    *,
    evidence_wanted: bool = True,
) -> Parts:
    """Score rows of one domain.

    Parameters
    ----------
    mode : Mode
        How.
    V : float array of shape (n_rows, n_features)
        Rows in the view of the mode.
    own : DomainNormals or None
        References of their domain that join the normals.
    unviewed : float array of shape (n_rows, n_features) or None
        The rows as they are before the view; None: these.
    evidence_wanted : bool
        Whether to ask what labels say where that changes no score, too.

    Returns
    -------
    Parts
    """
    neighbours = nearest_normals(mode.normals, V, own)
    placed = mode.scales.place(cue_values(mode.normals, V, neighbours, own, unviewed))
    novelty = placed @ mode.weights
    if mode.labelled is None or not (evidence_wanted or mode.labels_count):
        return Parts(placed, novelty / mode.unit, np.zeros(len(V)), neighbours, None)
    evidence = evidence_of(mode.labelled, V, placed, neighbours[0][:, 0], mode.normals.usual)
    odds = np.zeros(len(V))
    if mode.signs is not None:
        odds = mode.signs.log_odds(V if unviewed is None else unviewed, placed)
    raised = raised_by(mode, evidence.local, odds)
    if mode.likeness is not None:
        raised = raised + mode.likeness.raised(novelty, evidence.likeness) / mode.unit
    return Parts(placed, novelty / mode.unit, raised, neighbours, evidence)


def raised_by(
    mode: Mode,
    local: NDArray[np.float64],
    log_odds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what the terms for named domains add to the scores, shape (n_rows,), never negative.

    Parameters
    ----------
    mode : Mode
        Strengths and units.
    local, log_odds : float64 array of shape (n_rows,)
        What labels say about the rows.
    """
    added = mode.local_strength * mode.reach * np.maximum(local - mode.floor, 0.0)
    if mode.wide_strength:
        added = added + mode.wide_strength * np.logaddexp(0, (log_odds - mode.odds_centre) / mode.odds_spread)
    return np.asarray(added / mode.unit)


def split_over_features(
    mode: Mode,
    V: FloatArray,
    parts: Parts,
    own: DomainNormals | None,
    unviewed: FloatArray | None = None,
) -> FloatArray:
    """Return how much each feature contributes to the scores of rows of one domain.

    Each cue hands its placed value, if positive, to the features in proportion to their terms in it (squared
    differences, terms of the Mahalanobis distance, squares); what labels add is handed out likewise, by what
    each feature moved the trees' probability, or the log-odds of the wide term, unless it is next to nothing.

    Parameters
    ----------
    mode : Mode
        How the rows were scored.
    V : float array of shape (n_rows, n_features)
        Rows in the view of the mode.
    parts : Parts
        From :func:`score_parts`.
    own : DomainNormals or None
        References of their domain.
    unviewed : float array of shape (n_rows, n_features) or None
        The rows as they are before the view; None: these.

    Returns
    -------
    float64 array of shape (n_rows, n_features)
    """
    differences = _squared_differences(mode.normals, V, parts.neighbours[1], own)
    plain, ranked = (mode.normals.plain, mode.normals.ranked) if own is None else (own.plain, own.ranked)
    terms = {
        "neighbours": differences,
        "local": differences,
        "covariance": plain.contributions(V),
        "ranks": ranked.contributions(ranks(V, mode.normals.knots)),
        "length": np.square(V, dtype=np.float64),
    }
    terms |= _block_terms(mode.normals, V, V if unviewed is None else unviewed)
    out = np.zeros(V.shape, dtype=np.float64)
    for i, cue in enumerate(mode.cues):
        if mode.weights[i] > 0:
            amount = mode.weights[i] * np.maximum(parts.placed[:, i], 0) / mode.unit
            out += amount[:, None] * _shares(terms[cue])
    if mode.labelled is not None:
        before = V if unviewed is None else unviewed
        for amount, credits in _label_credits(mode, V, parts, before):
            raised = np.where(amount < _NOTHING, 0.0, amount)
            out += raised[:, None] * _shares(_label_terms(credits, differences))
    return out


def _block_terms(normals: NormalModel, V: FloatArray, unviewed: FloatArray) -> dict[str, NDArray[np.float64]]:
    """Terms of the cues that look at one block each; 0 outside of it."""
    names = iter(cue_names(len(normals.of_blocks))[len(CUES) :])
    terms = {}
    for block, moments in enumerate(normals.of_blocks):
        columns = normals.columns(block)
        for found in (np.square(V[:, columns]), moments.contributions(unviewed[:, columns])):
            own = np.zeros(V.shape, dtype=np.float64)
            own[:, columns] = found
            terms[next(names)] = own
    return terms


def _label_credits(
    mode: Mode, V: FloatArray, parts: Parts, unviewed: FloatArray
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield what labels add, and by how much features and cues moved it: the wide term, then trees."""
    assert mode.labelled is not None
    of_trees = parts.raised
    if mode.signs is not None and parts.evidence is not None:
        of_trees = raised_by(replace(mode, wide_strength=0.0), parts.evidence.local, np.zeros(0))
        yield parts.raised - of_trees, mode.signs.credits(unviewed, parts.placed)
    yield of_trees, mode.labelled.forest.credits(tree_features(V, parts.placed))


def _label_terms(credits: NDArray[np.float64], differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """What features moved; what a cue moved, or nothing, goes where the row differs from its neighbours."""
    n_features = differences.shape[1]
    by_cues = np.maximum(credits[:, n_features:].sum(axis=1), 0)
    terms = credits[:, :n_features] + by_cues[:, None] * _shares(differences)
    return np.asarray(np.where((terms > 0).any(axis=1, keepdims=True), terms, differences))


def _squared_differences(
    normals: NormalModel, V: FloatArray, positions: Positions, own: DomainNormals | None
) -> NDArray[np.float64]:
    rows = normals.bank if own is None else np.concatenate([normals.bank, own.rows])
    total = np.zeros(V.shape, dtype=np.float64)
    for column in positions.T:
        total += np.square(V - rows[column], dtype=np.float64)
    return np.asarray(total / positions.shape[1], dtype=np.float64)


def _shares(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale the terms of each row so that their positive part sums to 1; negative terms count as none."""
    positive = np.maximum(terms, 0.0)
    total = positive.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, positive / np.where(total > 0, total, 1.0), 1.0 / terms.shape[1]))
