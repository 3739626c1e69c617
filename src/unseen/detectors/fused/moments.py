"""Mean and shrunk covariance of normals, of all of them and of domains that have references."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.baselines.mahalanobis import blended_moments, floored, inverse, shrunk_covariance
from unseen.types import FloatArray

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


def fit_moments(rows: FloatArray) -> Moments:
    """Return the moments of rows.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        At least one.

    Returns
    -------
    Moments
    """
    values = rows.astype(np.float64)
    covariance = np.ascontiguousarray(floored(shrunk_covariance(values, "ledoit-wolf")))
    return Moments(values.mean(axis=0), covariance, inverse(covariance))
