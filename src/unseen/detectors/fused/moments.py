r"""Mean and shrunk covariance of normals, of all of them and of domains that have references.

Rows of very many columns, more than there are rows, never make a matrix of columns by columns. With the rows
about their mean, weighed, as the few rows of F, the shrunk covariance and its inverse are

.. math:: c I + F^T F, \qquad \tfrac{1}{c} (I - G^T G), \qquad G = L^{-1} F, \quad L L^T = c I + F F^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from unseen.detectors.baselines.mahalanobis import (
    RIDGE,
    blended_moments,
    floored,
    inverse,
    shrunk_covariance,
)
from unseen.types import FloatArray

WIDE = 1_000
"""From so many columns on."""

_CHUNK_ROWS = 1_024


@dataclass(frozen=True)
class Moments:
    """Moments of rows.

    Attributes
    ----------
    mean : float64 array of shape (n_features,)
        Their mean.
    covariance, precision : float64 array of shape (n_features, n_features)
        Their shrunk covariance (Ledoit-Wolf) and its inverse.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    precision: NDArray[np.float64]

    def contributions(self, V: FloatArray) -> NDArray[np.float64]:
        """Split the squared Mahalanobis distance of each row over the features.

        Parameters
        ----------
        V : float array of shape (n_rows, n_features)
            The rows.

        Returns
        -------
        float64 array of shape (n_rows, n_features)
            Rows sum to the squared distance; a term can be negative.
        """
        centred = V - self.mean
        return np.asarray(centred * (centred @ self.precision))

    def distances(self, V: FloatArray) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each row, shape (n_rows,)."""
        squared = np.empty(len(V), dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            centred = V[start : start + _CHUNK_ROWS] - self.mean
            np.einsum("ij,ij->i", centred, centred @ self.precision, out=squared[start : start + _CHUNK_ROWS])
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

    def blended(self, references: FloatArray, prior: float) -> Moments:
        """Return these moments with references weighed in, ``prior`` rows strong.

        Parameters
        ----------
        references : float array of shape (n_references, n_features)
            Normals of one domain.
        prior : float > 0
            How many references weigh as much as these moments.

        Returns
        -------
        Moments
        """
        mean, covariance = blended_moments(self.mean, self.covariance, references, prior)
        covariance = floored(covariance)
        return Moments(mean, covariance, inverse(covariance))


@dataclass(frozen=True)
class WideMoments:
    """Moments of fewer rows than columns; it does what :class:`Moments` does.

    Attributes
    ----------
    mean : float64 array of shape (n_features,)
        Their mean.
    variance : float
        c: what the covariance has in every direction.
    lower : float64 array of shape (n_directions, n_directions)
        L, a lower triangle.
    directions : float64 array of shape (n_directions, n_features)
        G.
    """

    mean: NDArray[np.float64]
    variance: float
    lower: NDArray[np.float64]
    directions: NDArray[np.float64]

    def contributions(self, V: FloatArray) -> NDArray[np.float64]:
        """As :meth:`Moments.contributions`."""
        centred = V - self.mean
        rest = centred - (centred @ self.directions.T) @ self.directions
        return np.asarray(centred * rest / self.variance)

    def distances(self, V: FloatArray) -> NDArray[np.float64]:
        """As :meth:`Moments.distances`."""
        squared = np.empty(len(V), dtype=np.float64)
        for start in range(0, len(V), _CHUNK_ROWS):
            centred = V[start : start + _CHUNK_ROWS] - self.mean
            along = centred @ self.directions.T
            own = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", along, along)
            squared[start : start + _CHUNK_ROWS] = own / self.variance
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

    def blended(self, references: FloatArray, prior: float) -> WideMoments:
        """As :meth:`Moments.blended`."""
        rows = references.astype(np.float64)
        weight = len(rows) / (len(rows) + prior)
        shift = rows.mean(axis=0) - self.mean
        parts = [
            np.sqrt(1 - weight) * (self.lower @ self.directions),
            np.sqrt(weight / len(rows)) * (rows - rows.mean(axis=0)),
            np.sqrt(weight * (1 - weight)) * shift[None],
        ]
        mean = self.mean + weight * shift
        return wide_moments(mean, (1 - weight) * self.variance, np.concatenate(parts))


AnyMoments = Moments | WideMoments


def wide_moments(mean: NDArray[np.float64], variance: float, rows: NDArray[np.float64]) -> WideMoments:
    """Return moments with the covariance c I + FᵀF; c is at least 1e-6 of the mean variance.

    Parameters
    ----------
    mean : float64 array of shape (n_features,)
        The mean.
    variance : float
        c; if the covariance is all zeros, 1 stands in for it.
    rows : float64 array of shape (n_directions, n_features)
        F.
    """
    scale = variance + float(np.einsum("ij,ij->", rows, rows)) / len(mean)
    variance = max(variance, RIDGE * scale) if scale > 0 else 1.0
    lower = cholesky(rows @ rows.T + variance * np.eye(len(rows)), lower=True, check_finite=False)
    return WideMoments(mean, variance, lower, solve_triangular(lower, rows, lower=True, check_finite=False))


def ledoit_wolf_share(centred: NDArray[np.float64]) -> tuple[float, float]:
    """Return Ledoit and Wolf's shrinkage and the mean variance, from products of rows alone.

    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J.
    Multivariate Analysis 88, 2004.

    Parameters
    ----------
    centred : float64 array of shape (n_rows, n_features)
        Rows of mean 0.

    Returns
    -------
    shrinkage, mean_variance : float
        The covariance is (1 − shrinkage) times the empirical one, and on the diagonal shrinkage ×
        mean_variance.
    """
    n_rows, n_features = centred.shape
    products = centred @ centred.T
    mean_variance = float(np.trace(products)) / (n_rows * n_features)
    squares = float(np.square(products).sum()) / n_rows**2  # of all entries of the empirical covariance
    noise = (float(np.square(np.diag(products)).sum()) / n_rows - squares) / (n_features * n_rows)
    apart = squares / n_features - mean_variance**2
    noise = min(noise, apart)
    return (noise / apart if noise > 0 else 0.0), mean_variance


def fit_moments(rows: FloatArray) -> AnyMoments:
    """Return the moments of rows; wide ones of fewer rows than columns, if these are very many.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        At least one.

    Returns
    -------
    Moments or WideMoments
    """
    values = rows.astype(np.float64)
    if max(WIDE, len(values) + 1) <= values.shape[1]:
        mean = values.mean(axis=0)
        share, mean_variance = ledoit_wolf_share(values - mean)
        scaled = np.sqrt((1 - share) / len(values)) * (values - mean)
        return wide_moments(mean, share * mean_variance, scaled)
    covariance = np.ascontiguousarray(floored(shrunk_covariance(values, "ledoit-wolf")))
    return Moments(values.mean(axis=0), covariance, inverse(covariance))
