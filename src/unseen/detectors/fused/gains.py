r"""What rows of domains left out gain by another score, and how sure that is.

Every row of a known kind was scored by a fit that had not met its domain; its *area* is the share of
held-back normals below it, whose mean over a kind is the AUROC. Rows of one domain speak with one voice: with
the gain :math:`d_r` of a row, weights :math:`w_r` that give each kind the same say, and sums over domains,

.. math:: SE^2 = \frac{m}{m - 1} \sum_D \Big( \sum_{r \in D} w_r (d_r - \bar d_{kind(r)}) \Big)^2,
    \qquad m = 1 / \sum_D \Big( \sum_{r \in D} w_r \Big)^2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unseen.types import StrArray


def below(normals: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of normals below each row, ties counted half.

    Parameters
    ----------
    normals, rows : float64 array
        Scores.

    Returns
    -------
    float64 array of the shape of ``rows``
    """
    ordered = np.sort(normals)
    at_least = np.searchsorted(ordered, rows, side="left") + np.searchsorted(ordered, rows, side="right")
    return np.asarray(at_least / (2 * len(ordered)))


def gain_of(
    gains: NDArray[np.float64], kinds: StrArray, domains: StrArray
) -> tuple[Mapping[str, float], float]:
    """Return the mean gain of each kind, and the standard error of their mean over domains.

    Parameters
    ----------
    gains : float64 array of shape (n_rows,)
        What each row gained.
    kinds, domains : str array of shape (n_rows,)
        Kind and domain of each row.

    Returns
    -------
    dict of str to float, and float
        The error is inf where all rows are of one domain.
    """
    names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    means = np.bincount(codes, gains) / counts
    weights = 1.0 / (len(names) * counts[codes])
    _domains, of_domain = np.unique(domains, return_inverse=True)
    effective = 1.0 / float(np.sum(np.bincount(of_domain, weights) ** 2))
    if effective <= 1.0 + 1e-9:
        return dict(zip(names.tolist(), means.tolist(), strict=True)), float("inf")
    apart = np.bincount(of_domain, weights * (gains - means[codes]))
    error = float(np.sqrt(effective / (effective - 1.0) * np.sum(apart**2)))
    return dict(zip(names.tolist(), means.tolist(), strict=True)), error
