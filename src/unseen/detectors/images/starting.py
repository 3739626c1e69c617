"""What the deviation starts from: how far training pictures are from the others, and which way tells most.

A distance by place suits parts that always lie alike, one to the nearest patch of a bank those that do not.
Where turned copies bring normals clearly closer to each other, both are asked of the training pictures: each
normal is measured against the other folds of normals, labelled anomalies and copies with made-up defects as
if they were new, and the AUROC of these against the normals decides. Elsewhere the distance by place is taken
unasked: if some normals are pictures of the same object, each has its likes among the others, and a bank
looks better than it is for new objects.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.metrics.ranking import auroc
from unseen.nn.patches.bank_distance import left_out_bank_lengths
from unseen.nn.patches.head_inputs import left_out_whitened
from unseen.nn.patches.local_distance import left_out_lengths, local_spread
from unseen.scoring.holding_back import group_codes
from unseen.scoring.oddness import doubts_by
from unseen.types import FloatArray, Labels

MEASURED = ("local", "neighbours")
"""Inputs with a distance that each picture is left out of."""

_MADE_UP_COUNT_FOR = 5
"""Made-up defects, however many, count for so many labelled anomalies."""


class Start(NamedTuple):
    """What the heads see.

    Attributes
    ----------
    kind : str
        One of :data:`unseen.nn.patches.head_inputs.INPUTS`.
    lengths : float32 array of shape (n_pictures, n_looks, height, width) or None
        Distances of the first looks of all pictures to other pictures, for kinds with such a distance.
    merits : dict of str to float
        How well each distance that was tried tells anomalies; empty if none was.
    """

    kind: str
    lengths: NDArray[np.float32] | None
    merits: dict[str, float]


def start_of(owner: Any, V: FloatArray, labels: Labels, kind: str) -> Start:
    """Return what heads see, chosen among distances if that is wanted.

    Parameters
    ----------
    owner : detector
        With ``bank_size``, ``synthetic``, ``seed``, ``top_share`` and ``turns_``.
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features; turned copies, if any, come after the made-up ones.
    labels : Labels
        Of the pictures.
    kind : str
        A kind of input, or auto.

    Returns
    -------
    Start
    """
    if kind == "auto" and owner.turns_ == 1:
        kind = "local"
    kinds = MEASURED if kind == "auto" else (kind,)
    found = {name: left_out(owner, V, labels, name) for name in kinds if name in MEASURED}
    merits = {}
    if kind == "auto":
        merits = {name: merit(top_scores(values, owner.top_share), labels) for name, values in found.items()}
        kind = max(MEASURED, key=lambda name: merits[name])
    return Start(kind, found.get(kind), merits)


def left_out(owner: Any, V: FloatArray, labels: Labels, kind: str) -> NDArray[np.float32]:
    """Return the distances of pictures to normals other than themselves, of other groups if there are some.

    Parameters
    ----------
    owner, V, labels
        As for :func:`start_of`.
    kind : {"local", "neighbours"}
        Which distance.

    Returns
    -------
    float32 array of shape (n_pictures, 1 + n_made_up, height, width)
    """
    groups, codes = domain_codes(labels)
    groups = groups[: codes.max() + 1]
    asked, together = 1 + owner.synthetic, group_codes(labels.groups, len(labels))
    if kind == "neighbours":
        remembered = [0, *range(asked, V.shape[1])]
        return left_out_bank_lengths(
            V,
            groups,
            codes,
            remembered=remembered,
            asked=asked,
            size=owner.bank_size,
            seed=owner.seed,
            groups=together,
        )
    spread = local_spread([torch.from_numpy(np.ascontiguousarray(V[rows, 0, :-2])) for rows in groups])
    return left_out_lengths(V, groups, codes, spread, asked=asked, seed=owner.seed, groups=together)


def top_scores(lengths: NDArray[np.float32], share: float) -> NDArray[np.float64]:
    """Return the mean over the highest share of the places of each picture.

    Parameters
    ----------
    lengths : float array of shape (n_pictures, n_looks, height, width)
        Distances.
    share : float in (0, 1]
        Of the places.

    Returns
    -------
    float64 array of shape (n_pictures, n_looks)
    """
    places = lengths.reshape(*lengths.shape[:2], -1).astype(np.float64)
    count = max(1, round(share * places.shape[-1]))
    return np.asarray(np.sort(places, axis=-1)[..., -count:].mean(axis=-1))


def merit(scores: NDArray[np.float64], labels: Labels) -> float:
    """Return how well scores tell anomalies from normals: AUROC, made-up defects counting for five labelled.

    Parameters
    ----------
    scores : float64 array of shape (n_pictures, n_looks)
        Of each picture and, of normals, of its copies with made-up defects.
    labels : Labels
        Of the pictures.

    Returns
    -------
    float
        .5 if there is no anomaly.
    """
    normals, labelled = scores[labels.normal, 0], scores[labels.anomaly, 0]
    parts = [(len(labelled), labelled), (_MADE_UP_COUNT_FOR, scores[labels.normal, 1:].ravel())]
    figures = [
        (count, auroc(np.repeat([0, 1], [len(normals), len(some)]), np.concatenate([normals, some])))
        for count, some in parts
        if len(some)
    ]
    total = sum(count for count, _ in figures)
    return sum(count * figure for count, figure in figures) / total if figures else 0.5


def doubts_of(owner: Any, V: FloatArray, labels: Labels, start: Start) -> tuple[NDArray[np.float64], float]:
    """Return how odd each normal looks to the others: in its worst places, or on the whole.

    Parameters
    ----------
    owner, V, labels
        As for :func:`start_of`.
    start : Start
        With the distances that were measured, if any; their highest share ranks.

    Returns
    -------
    doubts : float64 array of shape (n_normals,)
        Of :func:`unseen.scoring.oddness.doubts_by`.
    limit : float
        Beyond it no clean normal is expected.
    """
    groups, codes = domain_codes(labels)
    together = group_codes(labels.groups, len(labels))
    whole = left_out_whitened(V[:, :1], groups[: codes.max() + 1], codes, seed=owner.seed, groups=together)
    lengths = (
        left_out(owner, V[:, : 1 + owner.synthetic], labels, "local")
        if start.lengths is None
        else start.lengths
    )
    worst = top_scores(lengths[:, :1], owner.top_share)[:, 0]
    return doubts_by(worst[labels.normal], whole[labels.normal])


def domain_codes(labels: Labels) -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Return the normals of each domain that has some, and which of them each picture is compared with.

    Parameters
    ----------
    labels : Labels
        Of the pictures of the fit.

    Returns
    -------
    normals : list of int64 array
        Rows of the normals of each domain; all normals last, for pictures of domains without.
    codes : int64 array of shape (n_pictures,)
        Place in that list for each picture.
    """
    names = [name for name in np.unique(labels.domains) if (labels.normal & (labels.domains == name)).any()]
    groups = [np.flatnonzero(labels.normal & (labels.domains == name)) for name in names]
    codes = np.full(len(labels), len(names), dtype=np.int64)
    for code, name in enumerate(names):
        codes[labels.domains == name] = code
    return [*groups, np.flatnonzero(labels.normal)], codes
