"""Why rows score as they do, in words and rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.mode import Mode, Parts
from unseen.detectors.fused.novelty import DomainNormals
from unseen.types import FloatArray, StrArray

USUAL = "usual"
NOVEL = "novel"
LIKE_KNOWN = "like known"
BOTH = "novel and like known"

_SHARE = 0.25
_CLEARLY = 0.5
_UNUSUAL = 0.5
_NOTABLE = 1.0
"""The unit of scores: from the median of the normals' novelty to its 99 % quantile."""


@dataclass(frozen=True)
class Reasons:
    """Why rows score as they do.

    Attributes
    ----------
    score : float64 array of shape (n_rows,)
        As ``decision_function`` gives it.
    contributions : float array of shape (n_rows, n_features)
        As ``explain`` gives it.
    novelty : float64 array of shape (n_rows,)
        The part of the score that needs no labels.
    raised : float64 array of shape (n_rows,)
        What labels add, >= 0; ``score`` is the sum of both.
    reason : str array of shape (n_rows,)
        ``"usual"`` in the midst of the normals: less than half of the way from their median to what 99 % of
        them do not exceed. ``"novel"``; ``"like known"``: labels make more than three quarters of the score
        (what they add to a usual normal not counted), or novelty is usual; ``"novel and like known"``: labels
        make between a quarter and three quarters, or trees and nearness agree that the row is like a labelled
        one, whatever that adds. Else, that a row is like a known kind is not said where labels raise it by
        less than a quarter of that way.
    cue : str array of shape (n_rows,)
        The novelty cue that says most.
    like_kind : str array of shape (n_rows,)
        Kind of the nearest labelled anomaly where the reason says that the row is like one; else ``""``.
    nearest_kind : str array of shape (n_rows,)
        Kind of the nearest labelled anomaly; ``""`` without any.
    kind_distance, normal_distance : float64 array of shape (n_rows,)
        Distance to it (inf without any) and to the nearest normal, in the units of the features.
    nearest_normal : float array of shape (n_rows, n_features)
        The nearest normal, in the view that the row was scored in.
    """

    score: NDArray[np.float64]
    contributions: FloatArray
    novelty: NDArray[np.float64]
    raised: NDArray[np.float64]
    reason: StrArray
    cue: StrArray
    like_kind: StrArray
    nearest_kind: StrArray
    kind_distance: NDArray[np.float64]
    normal_distance: NDArray[np.float64]
    nearest_normal: FloatArray


def reasons_of(
    mode: Mode, V: FloatArray, parts: Parts, own: DomainNormals | None, contributions: FloatArray
) -> Reasons:
    """Put together why rows of one domain score as they do.

    Parameters
    ----------
    mode : Mode
        How they were scored.
    V : float array of shape (n_rows, n_features)
        The rows, in the view of the mode.
    parts : Parts
        The parts of their scores.
    own : DomainNormals or None
        References of their domain that joined the normals.
    contributions : float array of shape (n_rows, n_features)
        Of each feature to each score.

    Returns
    -------
    Reasons
    """
    normals = mode.normals.bank if own is None else np.concatenate([mode.normals.bank, own.rows])
    raised = np.maximum(parts.raised - mode.usual_raise, 0)
    share = raised / np.maximum(np.maximum(parts.novelty, 0) + raised, _NOTABLE)
    spoke = share >= _SHARE
    nearest_kind = np.full(len(V), "", dtype=np.str_)
    kind_distance = np.full(len(V), np.inf)
    if mode.labelled is not None and parts.evidence is not None:
        nearest_kind = mode.labelled.kinds[parts.evidence.nearest]
        kind_distance = np.linalg.norm(V - mode.labelled.rows[parts.evidence.nearest], axis=1)
        # a row can be novel by far, and clearly of a known kind as well
        spoke |= parts.evidence.local > _CLEARLY
    return Reasons(
        score=parts.score,
        contributions=contributions,
        novelty=parts.novelty,
        raised=parts.raised,
        reason=reason_of(parts.novelty, parts.novelty + raised, share, spoke),
        cue=np.array(mode.cues)[np.argmax(parts.placed * mode.weights, axis=1)],
        like_kind=np.where(spoke, nearest_kind, ""),
        nearest_kind=nearest_kind,
        kind_distance=kind_distance.astype(np.float64),
        normal_distance=parts.neighbours[0][:, 0],
        nearest_normal=normals[parts.neighbours[1][:, 0]],
    )


def reason_of(
    novelty: NDArray[np.float64],
    score: NDArray[np.float64],
    share: NDArray[np.float64],
    spoke: NDArray[np.bool_],
) -> StrArray:
    """Name the reason of each row.

    Parameters
    ----------
    novelty, score : float64 array of shape (n_rows,)
        In units of how far normals reach.
    share : float64 array of shape (n_rows,)
        What labels make of the score.
    spoke : bool array of shape (n_rows,)
        Whether labels say that the row is like a known kind.

    Returns
    -------
    str array of shape (n_rows,)
    """
    by_labels = np.where((share > 1 - _SHARE) | (novelty < _UNUSUAL), LIKE_KNOWN, BOTH)
    return np.where(spoke, by_labels, np.where(score < _UNUSUAL, USUAL, NOVEL))


def in_order(found: list[tuple[NDArray[np.int64], Reasons]]) -> Reasons:
    """Put reasons of batches of rows into the order of the rows.

    Parameters
    ----------
    found : list of pairs
        Row numbers and reasons of each batch, all rows together; at least one.

    Returns
    -------
    Reasons
    """
    back = np.argsort(np.concatenate([rows for rows, _ in found]), kind="stable")
    fields = Reasons.__dataclass_fields__
    return Reasons(
        **{name: np.concatenate([getattr(item, name) for _, item in found])[back] for name in fields}
    )
