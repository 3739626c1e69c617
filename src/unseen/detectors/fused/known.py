"""Scores of training normals by fits without them that know their domains: what known domains score like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.common_signs import CommonSigns
from unseen.detectors.fused.evidence import LabelledRows
from unseen.detectors.fused.left_out import LeftOutScores, join_scores, no_scores
from unseen.detectors.fused.mode import Mode, score_parts
from unseen.detectors.fused.novelty import Blocks, fit_normals
from unseen.detectors.fused.rounds import TrainingRows, thinned
from unseen.types import UNNAMED_DOMAIN, StrArray

N_PARTS = 5
"""In so many parts the normals of each domain are left out."""

ENOUGH_SCORES = 1_000
"""No further part is left out once so many normals have a score."""

_MOST_SCORES = 3_000

Grow = Callable[[NDArray[np.bool_]], tuple[LabelledRows | None, CommonSigns | None]]
"""What labels teach beside some of the normals, told which."""


def parts_of_domains(domains: StrArray, groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Deal the normals of each named domain into parts; the first has some of every domain that can be split.

    Parameters
    ----------
    domains : str array of shape (n_normals,)
        Their domains.
    groups : int64 array of shape (n_normals,)
        Normals of one group stay together.
    seed : int
        Shuffles the groups of a domain.

    Returns
    -------
    int64 array of shape (n_normals,)
        -1 for rows without a domain, and of domains that are a single group.
    """
    draw = np.random.default_rng(seed)
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    of_group = domains[first]
    parts = np.full(len(first), -1, dtype=np.int64)
    for name in np.unique(of_group[of_group != UNNAMED_DOMAIN]):
        own = np.flatnonzero(of_group == name)
        if len(own) > 1:
            parts[draw.permutation(own)] = np.arange(len(own)) % N_PARTS
    return np.asarray(parts[codes.reshape(-1)], dtype=np.int64)


def known_scores(
    mode: Mode,
    rows: TrainingRows,
    spread: NDArray[np.float64],
    blocks: Blocks | None,
    seed: int,
    grow: Grow,
) -> LeftOutScores:
    """Score parts of the normals by fits that have the other parts of their domains.

    Parameters
    ----------
    mode : Mode
        Fitted on all rows; its scales and strengths are used.
    rows : TrainingRows
        The rows.
    spread : float64 array of shape (n_normals,)
        Of all of them; see :func:`unseen.detectors.fused.novelty.own_spread`.
    blocks : Blocks or None
        Of the columns.
    seed : int
        Draws the parts.
    grow : callable
        Teaches the labels again, beside the normals that stay.

    Returns
    -------
    LeftOutScores
        With the domain of each; domains of a single row or group have none.
    """
    parts = parts_of_domains(rows.normal_domains, rows.groups, seed)
    found = [no_scores()]
    for number in range(N_PARTS):
        stays = parts != number
        known = ~stays & np.isin(rows.normal_domains, rows.normal_domains[stays])
        held = thinned(np.flatnonzero(known), _MOST_SCORES, seed)
        if not len(held) or sum(len(item.scores) for item in found) >= ENOUGH_SCORES:
            break
        of_blocks = None if blocks is None else blocks.take(stays)
        labelled, signs = (None, None) if mode.labelled is None else grow(stays)
        without = replace(
            mode,
            normals=fit_normals(rows.normals[stays], spread[stays], mode.normals.n_neighbours, of_blocks),
            labelled=labelled,
            signs=signs,
        )
        scores = score_parts(without, rows.normals[held], None, rows.unviewed_normals[held]).score
        found.append(LeftOutScores(scores, rows.normal_domains[held]))
    return join_scores(found)
