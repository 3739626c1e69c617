"""Rows seen from the references of their own domain.

A *domain* is a named sort of normal (a patient, a machine, a network); its *references* are a few rows of
it that are known to be normal. A view re-expresses a row ``x`` of domain ``d`` by what is normal there:

==================== =====================================================================
view                 what a row becomes
==================== =====================================================================
``raw``              ``x``
``residual-centre``  ``x − m_d``, with ``m_d`` the per-feature median of the references of ``d``
``scaled-centre``    ``(x − m_d) / s_d``, with ``s_d`` their spread, shrunk towards the pooled one
``residual-nearest`` ``x − r``, with ``r`` the reference of ``d`` nearest to ``x`` (Euclidean)
==================== =====================================================================

Every function here is pure; :class:`ReferenceStore` only holds the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unseen.types import UNNAMED_DOMAIN, BoolArray, FloatArray, StrArray

View = Literal["raw", "residual-centre", "scaled-centre", "residual-nearest"]
VIEWS: tuple[str, ...] = get_args(View)

_SHRINKAGE_ROWS = 8.0
"""How many references weigh as much as the pooled spread does."""

_CHUNK_CELLS = 8_000_000


@dataclass(frozen=True)
class ReferenceStore:
    """What is normal in each domain, as numbers.

    Attributes
    ----------
    domains : str array of shape (n_domains,)
        The domains that have references of their own.
    centres : float array of shape (n_domains + 1, n_features)
        Per-feature median of the references; the last row is that of the pooled normals.
    spreads : float array of shape (n_domains + 1, n_features)
        Per-feature spread, shrunk towards the pooled spread; the last row is the pooled one. Positive.
    rows : float array of shape (n_stored, n_features)
        The references themselves, domain by domain, pooled ones last; empty unless a view needs them.
    offsets : int64 array of shape (n_domains + 2,)
        Rows ``offsets[i]:offsets[i + 1]`` belong to domain ``i``.
    """

    domains: StrArray
    centres: FloatArray
    spreads: FloatArray
    rows: FloatArray
    offsets: NDArray[np.int64]

    def codes(self, domains: StrArray) -> NDArray[np.int64]:
        """Return where the references of each row stand.

        Parameters
        ----------
        domains : str array of shape (n_rows,)
            Domain of each row.

        Returns
        -------
        int64 array of shape (n_rows,)
            Position of the domain, ``n_domains`` (the pooled normals) where it has no references.
        """
        if len(self.domains) == 0:
            return np.zeros(len(domains), dtype=np.int64)
        order = np.argsort(self.domains)
        position = np.searchsorted(self.domains, domains, sorter=order)
        candidate = order[np.minimum(position, len(order) - 1)]
        known = self.domains[candidate] == domains
        return np.where(known, candidate, len(self.domains)).astype(np.int64)

    def knows(self, domains: StrArray) -> BoolArray:
        """Return which rows' domains have references of their own.

        Parameters
        ----------
        domains : str array of shape (n_rows,)
            Domain of each row.

        Returns
        -------
        bool array of shape (n_rows,)
        """
        return self.codes(domains) < len(self.domains)


def empty_store(n_features: int) -> ReferenceStore:
    """Return a store without domains, for the raw view, which looks at no reference.

    Parameters
    ----------
    n_features : int
        Number of columns. Centre 0 and spread 1 stand in for the pooled normals.

    Returns
    -------
    ReferenceStore
    """
    return ReferenceStore(
        domains=np.array([], dtype=np.str_),
        centres=np.zeros((1, n_features)),
        spreads=np.ones((1, n_features)),
        rows=np.zeros((0, n_features)),
        offsets=np.zeros(2, dtype=np.int64),
    )


def reference_rows(domains: StrArray, usable: BoolArray, n_references: int) -> BoolArray:
    """Mark the first ``n_references`` usable rows of each named domain.

    Parameters
    ----------
    domains : str array of shape (n_rows,)
        Domain of each row; rows of the unnamed domain are never marked.
    usable : bool array of shape (n_rows,)
        Rows that may serve (normals that take part in the fit).
    n_references : int
        How many rows to mark in each domain; domains with fewer give all they have.

    Returns
    -------
    bool array of shape (n_rows,)
    """
    marked = np.zeros(len(domains), dtype=np.bool_)
    candidates = np.flatnonzero(usable & (domains != UNNAMED_DOMAIN))
    for domain in np.unique(domains[candidates]):
        marked[candidates[domains[candidates] == domain][:n_references]] = True
    return marked


def build_store(
    X: FloatArray, domains: StrArray, references: BoolArray, normals: BoolArray, *, keep_rows: bool
) -> ReferenceStore:
    """Gather the references of each training domain, and the pooled normals for all others.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        The training rows.
    domains : str array of shape (n_rows,)
        Domain of each row.
    references : bool array of shape (n_rows,)
        The rows that serve as references of their domain.
    normals : bool array of shape (n_rows,)
        The rows that are normal; their median and spread stand in for domains without references.
    keep_rows : bool
        Whether to keep the reference rows themselves (``residual-nearest`` needs them). Of the pooled
        normals at most 4096, evenly spaced, are kept.

    Returns
    -------
    ReferenceStore
    """
    pool = X[normals]
    pooled_centre = np.median(pool, axis=0)
    residuals = pool - pooled_centre
    named = [str(name) for name in np.unique(domains[references])]
    if named:
        residuals = np.concatenate(
            [
                X[normals & (domains == name)] - np.median(X[normals & (domains == name)], axis=0)
                for name in named
            ]
        )
    pooled_spread = _spread(residuals)
    empty = np.zeros((0, X.shape[1]), dtype=X.dtype)
    pooled_rows = (
        pool[np.linspace(0, len(pool) - 1, min(len(pool), 4096)).astype(int)] if keep_rows else empty
    )
    store = ReferenceStore(
        domains=np.array([], dtype=np.str_),
        centres=pooled_centre[None, :],
        spreads=pooled_spread[None, :],
        rows=pooled_rows,
        offsets=np.array([0, len(pooled_rows)], dtype=np.int64),
    )
    return extend_store(store, X[references], domains[references], keep_rows=keep_rows)


def extend_store(
    store: ReferenceStore, X_ref: FloatArray, domains: StrArray, *, keep_rows: bool
) -> ReferenceStore:
    """Return a store in which the domains of ``X_ref`` have these references (and no earlier ones).

    Parameters
    ----------
    store : ReferenceStore
        Left as it is.
    X_ref : float array of shape (n_references, n_features)
        Rows known to be normal.
    domains : str array of shape (n_references,)
        Domain of each; the unnamed domain counts as one domain here.
    keep_rows : bool
        Whether to keep the rows themselves.

    Returns
    -------
    ReferenceStore
    """
    new = [str(name) for name in np.unique(domains)]
    kept = [i for i, name in enumerate(store.domains) if str(name) not in new]
    pooled = len(store.domains)
    names = [str(store.domains[i]) for i in kept] + new
    centres = [store.centres[i] for i in kept]
    spreads = [store.spreads[i] for i in kept]
    blocks = [store.rows[store.offsets[i] : store.offsets[i + 1]] for i in kept]
    for name in new:
        rows = X_ref[domains == name]
        centre = np.median(rows, axis=0)
        weight = len(rows) / (len(rows) + _SHRINKAGE_ROWS)
        own = np.mean((rows - centre) ** 2, axis=0)
        centres.append(centre)
        spreads.append(np.sqrt(weight * own + (1 - weight) * store.spreads[pooled] ** 2))
        blocks.append(rows if keep_rows else rows[:0])
    blocks.append(store.rows[store.offsets[pooled] : store.offsets[pooled + 1]])
    return ReferenceStore(
        domains=np.array(names, dtype=np.str_),
        centres=np.stack([*centres, store.centres[pooled]]).astype(store.centres.dtype),
        spreads=np.stack([*spreads, store.spreads[pooled]]).astype(store.spreads.dtype),
        rows=np.concatenate(blocks).astype(store.rows.dtype),
        offsets=np.cumsum([0, *(len(block) for block in blocks)]).astype(np.int64),
    )


def apply_view(view: str, X: FloatArray, domains: StrArray, store: ReferenceStore) -> FloatArray:
    """Express rows by what is normal in their domain.

    Parameters
    ----------
    view : {"raw", "residual-centre", "scaled-centre", "residual-nearest"}
        See the table at the top of this file.
    X : float array of shape (n_rows, n_features)
        The rows.
    domains : str array of shape (n_rows,)
        Domain of each row. Rows whose domain has no references are seen from the pooled normals.
    store : ReferenceStore
        The references.

    Returns
    -------
    float array of shape (n_rows, n_features)
        In the dtype of ``X``; ``X`` itself (not a copy) for ``"raw"``.
    """
    if view == "raw":
        return X
    codes = store.codes(domains)
    if view == "residual-centre":
        return (X - store.centres[codes]).astype(X.dtype, copy=False)
    if view == "scaled-centre":
        return ((X - store.centres[codes]) / store.spreads[codes]).astype(X.dtype, copy=False)
    out = np.empty_like(X)
    for code in np.unique(codes):
        references = store.rows[store.offsets[code] : store.offsets[code + 1]]
        mine = np.flatnonzero(codes == code)
        step = max(1, _CHUNK_CELLS // max(1, len(references)))
        for start in range(0, len(mine), step):
            chunk = mine[start : start + step]
            out[chunk] = X[chunk] - references[nearest(X[chunk], references)]
    return out


def nearest(X: FloatArray, references: FloatArray) -> NDArray[np.int64]:
    """Return the Euclidean-nearest reference of each row.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        The rows.
    references : float array of shape (n_references, n_features)
        At least one.

    Returns
    -------
    int64 array of shape (n_rows,)
        Row numbers in ``references``.
    """
    # Distances do not change when both are moved; near the origin no digits are lost in the squares.
    origin = references.mean(axis=0, dtype=np.float64)
    moved = references - origin
    squared = np.sum(moved**2, axis=1)
    cross = (X - origin) @ moved.T
    return np.asarray(np.argmin(squared - 2 * cross, axis=1), dtype=np.int64)


def _spread(residuals: FloatArray) -> FloatArray:
    """Root mean square per feature, with 1 where a feature does not vary."""
    spread = np.sqrt(np.mean(np.square(residuals, dtype=np.float64), axis=0))
    return np.asarray(np.where(spread > 1e-12, spread, 1.0), dtype=np.float64)
