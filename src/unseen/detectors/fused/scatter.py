r"""How far the references of a domain lie apart, so that residuals of restless domains count less.

One patient's beats vary twice as much as another's, and so do their residuals; and a steady rhythm can go
with a restless wave. So each block of columns (:mod:`unseen.detectors.fused.blocks`) is looked at by
itself. With the distance :math:`s_{db}` from a reference to the nearest other one in block b (median over
the references of domain d), its usual value :math:`\bar s_b` over the training domains, and n references,
residuals in the block are divided by

.. math:: \left( s_{db} / \bar s_b \right)^{\min(1/2, n / (n + 8))}.

The exponent is less than 1 since a few references say little about how restless their domain is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.references import ReferenceStore
from unseen.types import FloatArray

MOST_EXPONENT = 0.5
PRIOR_REFERENCES = 8.0
MOST_REFERENCES = 256
"""Of more references the first so many are looked at."""
_MOST_RATIO = 10.0


def scatter_of(references: FloatArray) -> float:
    """Return the median distance from a reference to the nearest other one; 0 for fewer than two.

    Parameters
    ----------
    references : float array of shape (n_references, n_features)
        Of one domain.
    """
    if len(references) < 2:
        return 0.0
    references = references[:MOST_REFERENCES]
    apart = np.linalg.norm(references[:, None, :] - references[None, :, :], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.median(apart.min(axis=1)))


def usual_scatter(store: ReferenceStore, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median scatter over the domains of a store, of each block.

    Parameters
    ----------
    store : ReferenceStore
        With the rows of the references.
    blocks : int64 array of shape (n_features,)
        Block of each column, from 0 on.

    Returns
    -------
    float64 array of shape (n_blocks,)
        0 where no domain has two references apart.
    """
    found = _scatters(store, blocks)
    some = [column[column > 0] for column in found.T]
    return np.array([np.median(values) if len(values) else 0.0 for values in some])


def domain_factors(
    store: ReferenceStore, usual: NDArray[np.float64], blocks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what residuals of each domain are divided by.

    Parameters
    ----------
    store : ReferenceStore
        With the rows of the references.
    usual : float64 array of shape (n_blocks,)
        From :func:`usual_scatter` of the training domains.
    blocks : int64 array of shape (n_features,)
        Block of each column.

    Returns
    -------
    float64 array of shape (n_domains + 1, n_features)
        1 where a domain has no two references apart, and for the pooled normals at the end.
    """
    scatters, counts = _scatters(store, blocks), np.diff(store.offsets)[:-1]
    exponents = np.minimum(MOST_EXPONENT, counts / (counts + PRIOR_REFERENCES))
    known = (scatters > 0) & (usual > 0)
    ratios = np.where(known, scatters, 1.0) / np.where(known, usual, 1.0)
    factors = np.clip(ratios, 1 / _MOST_RATIO, _MOST_RATIO) ** exponents[:, None]
    return np.concatenate([factors, np.ones((1, len(usual)))])[:, blocks]


def _scatters(store: ReferenceStore, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scatter of each domain in each block, shape (n_domains, n_blocks)."""
    bounds = list(zip(store.offsets[:-2], store.offsets[1:-1], strict=True))
    columns = [np.flatnonzero(blocks == block) for block in range(int(blocks.max()) + 1)]
    found = [[scatter_of(store.rows[start:end, own]) for own in columns] for start, end in bounds]
    return np.array(found, dtype=np.float64).reshape(len(bounds), len(columns))
