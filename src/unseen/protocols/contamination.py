"""Anomalies that pass for normal among the training rows.

Rows are taken as they are. (Pictures of public folders get noise on top, because there the contaminants are
a good part of the few defects; rows of a table need none.) A contaminant is never a test row.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unseen.errors import LabelError
from unseen.protocols.drawing import IndexArray, draw_rows, generator
from unseen.protocols.duties import NOBODY, TEST, TRAINING, Duties, Rows
from unseen.protocols.options import Options


def contaminate(
    who: str,
    rows: Rows,
    duties: Duties,
    options: Options,
    seed: int,
    held_out_code: int,
    owner: NDArray[np.int8],
    used: IndexArray,
) -> tuple[IndexArray, IndexArray]:
    """Replace a share of the training normals by anomalies.

    Parameters
    ----------
    who : str
        Who asks, for messages.
    rows : Rows
        The table.
    duties : Duties
        Who gets which normals.
    options : Options
        Checked arguments.
    seed : int
        Seed of the draws; a lower contamination is a part of a higher one.
    held_out_code : int
        Code of the held-out kind.
    owner : int8 array of shape (n_groups,)
        Duty of each group; groups of contaminants are set to ``TRAINING`` **in place**.
    used : int64 array
        Anomalies that have a duty already (shots), or must not be drawn for another reason.

    Returns
    -------
    tuple of two int64 arrays
        The training rows with the contaminants among them, and the contaminants; both rising.

    Raises
    ------
    LabelError
        If there are too few anomalies to draw from.
    """
    n_wanted = math.floor(options.contamination * len(duties.train) + 0.5)
    if n_wanted == 0:
        return duties.train, np.empty(0, dtype=np.int64)
    pool = _pool(rows, duties, options, seed, held_out_code, owner, used)
    if len(pool) < n_wanted:
        raise LabelError(
            f"{who}: contamination {options.contamination:g} of {len(duties.train)} training normals needs "
            f"{n_wanted} anomalies of {options.contaminants!r} kinds, but only {len(pool)} can be spared; "
            "lower it or max_normals."
        )
    contaminants = np.sort(pool[:n_wanted])
    owner[rows.groups[contaminants]] = TRAINING
    kept = generator(seed, "replaced").permutation(duties.train)[n_wanted:]
    return np.sort(np.concatenate([kept, contaminants])), contaminants


def _pool(
    rows: Rows,
    duties: Duties,
    options: Options,
    seed: int,
    held_out_code: int,
    owner: NDArray[np.int8],
    used: IndexArray,
) -> IndexArray:
    """The anomalies that may be drawn, in order: beside the test first, then half of each kind's."""
    wanted = rows.kind_codes > 0
    if options.contaminants != "all":
        wanted &= (rows.kind_codes == held_out_code) == (options.contaminants == "held-out")
    wanted[used] = False
    # Off the test side, TEST owns groups only to keep the held-out kind testable; they may be asked for.
    beside = wanted & ~duties.test & np.isin(owner[rows.groups], (NOBODY, TRAINING, TEST))
    if rows.domain_units is not None:
        beside &= ~duties.held
    rng = generator(seed, "contaminants")
    ordered = [draw_rows(np.flatnonzero(beside), int(beside.sum()), rows.groups, rng)]
    with_normals = np.zeros(len(owner), dtype=np.bool_)
    with_normals[rows.groups[rows.normal]] = True
    on_test_side = (duties.test | duties.surplus) & (owner[rows.groups] == TEST)
    tested = wanted & ~beside & on_test_side & ~with_normals[rows.groups]
    spared = [np.empty(0, dtype=np.int64)]
    for code in np.unique(rows.kind_codes[tested]):
        mine = np.flatnonzero(tested & (rows.kind_codes == code))
        spared.append(
            draw_rows(mine, len(mine) // 2, rows.groups, generator(seed, "spared", rows.kind_names[code]))
        )
    ordered.append(draw_rows(np.concatenate(spared), len(rows.groups), rows.groups, rng))
    return np.concatenate(ordered)
