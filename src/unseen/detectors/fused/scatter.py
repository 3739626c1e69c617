r"""How far the references of a domain lie apart, so that residuals of restless domains count less.

One patient's beats vary twice as much as another's, and so do their residuals. With the distance
:math:`s_d` from a reference to the nearest other one (median over the references of domain d), its usual
value :math:`\bar s` over the training domains, and n references, residuals of the domain are divided by

.. math:: \left( s_d / \bar s \right)^{\min(1/2, n / (n + 8))}.

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


def usual_scatter(store: ReferenceStore) -> float:
    """Return the median scatter over the domains of a store; 0 where none has two references apart.

    Parameters
    ----------
    store : ReferenceStore
        With the rows of the references.
    """
    found = [value for value in _scatters(store) if value > 0]
    return float(np.median(found)) if found else 0.0


def domain_factors(store: ReferenceStore, usual: float) -> NDArray[np.float64]:
    """Return what residuals of each domain are divided by.

    Parameters
    ----------
    store : ReferenceStore
        With the rows of the references.
    usual : float
        From :func:`usual_scatter` of the training domains.

    Returns
    -------
    float64 array of shape (n_domains + 1,)
        1 for domains with fewer than two references apart, and for the pooled normals at the end.
    """
    out = np.ones(len(store.domains) + 1)
    counts = np.diff(store.offsets)
    for i, scatter in enumerate(_scatters(store)):
        if scatter > 0 and usual > 0:
            exponent = min(MOST_EXPONENT, counts[i] / (counts[i] + PRIOR_REFERENCES))
            out[i] = np.clip(scatter / usual, 1 / _MOST_RATIO, _MOST_RATIO) ** exponent
    return out


def _scatters(store: ReferenceStore) -> list[float]:
    bounds = zip(store.offsets[:-2], store.offsets[1:-1], strict=True)
    return [scatter_of(store.rows[start:end]) for start, end in bounds]
