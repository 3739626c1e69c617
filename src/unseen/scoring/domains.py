"""Calibration for domains that are not there yet: patients, machines, networks.

Normals of one domain resemble each other, so a hundred normals of a domain say less about the next domain
than their number suggests. What is exchangeable are the domains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_int, check_real
from unseen.errors import InputError
from unseen.scoring.conformal import check_scores

MOST_OF_A_DOMAIN = 1_000


def balanced_over_domains(scores: ArrayLike, domains: ArrayLike) -> NDArray[np.float64]:
    """Stand in for every domain by the same number of its order statistics.

    Parameters
    ----------
    scores : array-like of shape (n_rows,)
        Scores of normals.
    domains : array-like of shape (n_rows,)
        Their domains.

    Returns
    -------
    float64 array of shape (n_domains * m,)
        Sorted. m is the number of rows of the largest domain, at most ``MOST_OF_A_DOMAIN``; of a domain with
        n rows the i-th of m is its order statistic number ⌈i n / m⌉.

    Raises
    ------
    InputError
        If the lengths differ, or there is no score.
    """
    values = check_scores("balanced_over_domains", scores)
    names, codes = np.unique(np.asarray(domains), return_inverse=True)
    if len(codes) != len(values) or len(values) == 0:
        raise InputError("balanced_over_domains: needs one domain a score, and at least one score.")
    m = min(int(np.bincount(codes).max()), MOST_OF_A_DOMAIN)
    found = []
    for code in range(len(names)):
        own = np.sort(values[codes == code])
        found.append(own[-(-np.arange(1, m + 1) * len(own) // m) - 1])
    return np.sort(np.concatenate(found))


def guaranteed_on_new_domains(n_domains: int, rate: float) -> float:
    r"""Return the false-alarm rate that holds for a normal of a new domain.

    With D calibration domains, each scored by a fit that has not met it, and a new one, all exchangeable, the
    p-value of a normal x of the new domain

    .. math:: p(x) = \frac{1 + \sum_d \mathrm{share}_d(score \ge score(x))}{D + 1}

    is valid: P(p ≤ a) ≤ a (Lee, Barber and Willett 2023, for hierarchical data). Where at most a share r of
    the calibration normals, every domain weighed alike, lies above the threshold, a flagged row has
    :math:`p \le (1 + D r) / (D + 1)`: this is the bound. It is never below 1 / (D + 1); that a threshold
    aims at less is a hope that the new domain is like the usual ones.

    Parameters
    ----------
    n_domains : int
        D, at least 1.
    rate : float in [0, 1]
        r.

    Returns
    -------
    float
    """
    count = check_int("guaranteed_on_new_domains", "n_domains", n_domains, minimum=1)
    share = check_real("guaranteed_on_new_domains", "rate", rate, minimum=0, maximum=1)
    return (1.0 + count * share) / (count + 1.0)
