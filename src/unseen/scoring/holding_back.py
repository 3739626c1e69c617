"""Which rows a fit leaves aside so that calibration sees fresh ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unseen.checks import check_int, check_real
from unseen.types import BoolArray, Labels, StrArray


def group_codes(groups: StrArray | None, n_rows: int) -> NDArray[np.int64]:
    """Number the groups; rows without a group (``""``, or no groups at all) are a group of their own each.

    Parameters
    ----------
    groups : str array of shape (n_rows,) or None
        Group name of each row.
    n_rows : int
        The number of rows.

    Returns
    -------
    int64 array of shape (n_rows,)
        Codes from 0 on without gaps.
    """
    if groups is None:
        return np.arange(n_rows, dtype=np.int64)
    names, codes = np.unique(groups, return_inverse=True)
    codes = codes.reshape(-1).astype(np.int64)
    if len(names) and names[0] == "":
        single = codes == 0
        codes -= 1
        codes[single] = len(names) - 1 + np.arange(int(single.sum()))
    return codes


def hold_back(labels: Labels, fraction: float, seed: int) -> BoolArray:
    """Choose the rows that calibration gets and the fit must not see.

    Whole groups are held back where groups are given. About ``fraction`` of the normals go, at least one
    where there are two that can be parted, and at most ``fraction`` of each known kind (rounded down). Groups
    of a kind do not go if more normals went with them than that. Of the normals and of each kind at least one
    row (with groups: its largest group) stays in the fit. Unlabelled
    rows go only where their group goes. If no normal can be held back, nothing is.

    Parameters
    ----------
    labels : Labels
        What is known about each row.
    fraction : float in [0, 1)
        Share to hold back; 0 holds nothing back.
    seed : int
        Seed of the draw.

    Returns
    -------
    bool array of shape (n_rows,)
        True where a row is held back.
    """
    share = check_real("hold_back", "fraction", fraction, minimum=0, maximum=1, open_maximum=True)
    rng = np.random.default_rng(check_int("hold_back", "seed", seed, minimum=0))
    n_rows = len(labels)
    if share == 0 or n_rows == 0:
        return np.zeros(n_rows, dtype=np.bool_)
    codes = group_codes(labels.groups, n_rows)
    n_groups = int(codes.max()) + 1
    members = [labels.normal, *(labels.anomaly & (labels.kinds == kind) for kind in labels.known_kinds)]
    counts = [np.bincount(codes[rows], minlength=n_groups) for rows in members]
    stays = np.zeros(n_groups, dtype=np.bool_)
    for count in counts:
        if count.any():
            largest = np.flatnonzero(count == count.max())
            stays[largest[rng.integers(len(largest))]] = True
    goes = np.zeros(n_groups, dtype=np.bool_)
    for position, count in enumerate(counts):
        # A share times a count may fall short of a whole number by rounding: .1 * 30 counts as 3.
        target = math.floor(share * int(count.sum()) + 1e-9)
        if position == 0:
            target = max(target, 1)
        room = target - int(count[goes].sum())
        free = ~stays & ~goes
        if position == 0:
            drawn = _draw_groups(count, free, room, rng, at_least_one=True)
            most_normals = target
            if len(drawn) == 0:
                return np.zeros(n_rows, dtype=np.bool_)
        else:
            drawn = _draw_groups(count, free, room, rng, at_least_one=False)
            spare = most_normals - int(counts[0][goes].sum())
            drawn = drawn[np.cumsum(counts[0][drawn]) <= max(spare, 0)]
        goes[drawn] = True
    return np.asarray(goes[codes], dtype=np.bool_)


def _draw_groups(
    count: NDArray[np.int64], free: BoolArray, room: int, rng: np.random.Generator, *, at_least_one: bool
) -> NDArray[np.int64]:
    """Draw free groups whose counts sum to at most ``room``; the smallest one if none fits and one is due."""
    candidates = np.flatnonzero(free & (count > 0))
    fitting = rng.permutation(candidates[count[candidates] <= room])
    drawn = fitting[np.cumsum(count[fitting]) <= room]
    if len(drawn) == 0 and at_least_one and len(candidates):
        drawn = candidates[[np.argmin(count[candidates])]]
    return drawn.astype(np.int64)
