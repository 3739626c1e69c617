"""Seeded draws of rows, and of whole units of rows that must stay together."""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from unseen.scoring.holding_back import group_codes
from unseen.types import BoolArray, StrArray

IndexArray = NDArray[np.int64]


def generator(seed: int, purpose: str, name: str = "") -> np.random.Generator:
    """Return the random stream for one purpose, so that one draw never shifts another.

    Parameters
    ----------
    seed : int
        Seed of the split.
    purpose : str
        What is drawn.
    name : str
        For which kind, where each kind has its own stream.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), zlib.crc32(name.encode())])


def share_of(n: int, share: float) -> int:
    """Return the rounded share of ``n`` things, at least one and not all of them (0 if that is impossible).

    Parameters
    ----------
    n : int
        How many there are.
    share : float in [0, 1)
        The share wanted; 0 gives 0.

    Returns
    -------
    int
    """
    if share == 0 or n < 2:
        return 0
    return min(max(math.floor(share * n + 0.5), 1), n - 1)


def domain_units(domains: StrArray, groups: StrArray | None) -> IndexArray:
    """Number the sets of rows that share a domain, or are linked through a common group.

    Parameters
    ----------
    domains : str array of shape (n_rows,)
        Domain of each row; rows without one stand alone unless their group links them.
    groups : str array of shape (n_rows,) or None
        Group of each row.

    Returns
    -------
    int64 array of shape (n_rows,)
    """
    by_domain = group_codes(domains, len(domains))
    if groups is None:
        return by_domain
    by_group = group_codes(groups, len(groups))
    n_domains = int(by_domain.max()) + 1
    n_nodes = n_domains + int(by_group.max()) + 1
    ones = np.ones(len(domains), dtype=np.int8)
    links = coo_matrix((ones, (by_domain, n_domains + by_group)), (n_nodes, n_nodes))
    component = connected_components(links, directed=False)[1]
    return np.asarray(component[by_domain], dtype=np.int64)


def draw_units(
    units: IndexArray,
    kind_codes: NDArray[np.int16],
    eligible: BoolArray,
    *,
    normal_share: float,
    anomaly_share: float,
    rng: np.random.Generator,
) -> BoolArray:
    """Draw a share of the units and return their rows.

    Units with normals are drawn systematically from a random order that is sorted by the rarest kind in each
    unit, so that kinds spread over both parts as evenly as few units allow. Units of anomalies alone are
    drawn kind by kind.

    Parameters
    ----------
    units : int64 array of shape (n_rows,)
        Which rows stay together.
    kind_codes : int16 array of shape (n_rows,)
        -1 unlabelled, 0 normal, 1 and up for the kinds.
    eligible : bool array of shape (n_rows,)
        Rows that count; units without any are never drawn.
    normal_share, anomaly_share : float in [0, 1)
        Share of the units with normals, and of the units of each kind without.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    bool array of shape (n_rows,)
    """
    n_units = int(units.max()) + 1
    n_kinds = int(kind_codes.max()) + 1
    strata, has_normal = _strata(units, kind_codes, eligible, n_units, n_kinds)
    drawn = np.zeros(n_units, dtype=np.bool_)
    members = rng.permutation(np.flatnonzero(has_normal))
    members = members[np.argsort(strata[members], kind="stable")]
    n_drawn = share_of(len(members), normal_share)
    if n_drawn:
        steps = np.floor((np.arange(n_drawn) + rng.random()) * (len(members) / n_drawn)).astype(np.int64)
        drawn[members[np.minimum(steps, len(members) - 1)]] = True
    for stratum in range(1, n_kinds):
        members = rng.permutation(np.flatnonzero((strata == stratum) & ~has_normal))
        drawn[members[: share_of(len(members), anomaly_share)]] = True
    return np.asarray(drawn[units], dtype=np.bool_)


def draw_rows(rows: IndexArray, n: int, codes: IndexArray, rng: np.random.Generator) -> IndexArray:
    """Draw up to ``n`` rows, group by group; more rows only add to what fewer would give.

    Parameters
    ----------
    rows : int64 array of shape (n_candidates,)
        Row indices to draw from.
    n : int
        How many to draw; all of them if there are fewer.
    codes : int64 array of shape (n_rows,)
        Group of every row of the table.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    int64 array
        In the order drawn.
    """
    shuffled = rng.permutation(rows)
    _, first, inverse = np.unique(codes[shuffled], return_index=True, return_inverse=True)
    by_group = np.argsort(first[inverse.reshape(-1)], kind="stable")
    return shuffled[by_group][:n]


def _strata(
    units: IndexArray, kind_codes: NDArray[np.int16], eligible: BoolArray, n_units: int, n_kinds: int
) -> tuple[IndexArray, BoolArray]:
    """The rarest kind of each unit (-1: nothing labelled), and whether the unit holds normals."""
    present = []
    for kind in range(n_kinds):
        here = np.zeros(n_units, dtype=np.bool_)
        here[units[(kind_codes == kind) & eligible]] = True
        present.append(here)
    strata = np.full(n_units, -1, dtype=np.int64)
    for kind in sorted(range(n_kinds), key=lambda k: -int(present[k].sum())):
        strata[present[kind]] = kind
    has_normal = present[0] if present else np.zeros(n_units, dtype=np.bool_)
    return strata, has_normal
