"""Domains for data that names none: clusters of the normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from unseen.types import FloatArray, StrArray


def pseudo_domains(normals: FloatArray, n_domains: int, generator: np.random.Generator) -> StrArray:
    """Cluster normals into domains by mini-batch k-means, for data that names none.

    Parameters
    ----------
    normals : float array of shape (n_rows, n_features)
        Training normals.
    n_domains : int >= 1
        How many clusters to look for; fewer come out where rows coincide.
    generator : numpy.random.Generator
        Draws the seed of the clustering.

    Returns
    -------
    str array of shape (n_rows,)
        ``"cluster 0"``, ``"cluster 1"``, …
    """
    n_clusters = min(n_domains, len(np.unique(normals, axis=0)))
    seed = int(generator.integers(2**31))
    codes: NDArray[np.int64] = MiniBatchKMeans(n_clusters, random_state=seed, n_init=3).fit_predict(normals)
    return np.array([f"cluster {code}" for code in codes], dtype=np.str_)


def named_or_pseudo_domains(
    normals: FloatArray, domains: StrArray, n_domains: int, generator: np.random.Generator
) -> StrArray:
    """Return the domains as they are where two or more are named, else clusters of the normals.

    Parameters
    ----------
    normals : float array of shape (n_rows, n_features)
        Training normals.
    domains : str array of shape (n_rows,)
        Domain of each.
    n_domains, generator
        As in :func:`pseudo_domains`.

    Returns
    -------
    str array of shape (n_rows,)
    """
    if len(np.unique(domains)) >= 2:
        return domains
    return pseudo_domains(normals, n_domains, generator)
