"""Mahalanobis distance to the normals, with a shrunk covariance.

P. C. Mahalanobis, "On the generalised distance in statistics", 1936; O. Ledoit, M. Wolf, "A well-conditioned
estimator for large-dimensional covariance matrices", J. Multivariate Analysis 88, 2004; Y. Chen, A. Wiesel,
Y. C. Eldar, A. O. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE TSP 58, 2010 ("oas")::

    s(x) = sqrt( (x − μ_d)ᵀ Σ_d⁻¹ (x − μ_d) )
    Σ    = (1 − δ) S + δ (tr S / n_features) I

``S`` is the sample covariance of the normals, ``δ`` the share that the estimator moves it towards a sphere.
For a domain ``d`` with n references of mean ``m`` and covariance ``S_d`` about that mean, the moments are
those of a mixture in which the references weigh as n and the pooled normals as ``reference_prior`` rows::

    w   = n / (n + reference_prior)
    μ_d = (1 − w) μ + w m
    Σ_d = (1 − w) Σ + w S_d + w (1 − w) (m − μ)(m − μ)ᵀ

All other rows are scored with the pooled ``μ`` and ``Σ``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky
from scipy.linalg.lapack import dpotrf, dpotri
from sklearn.covariance import ledoit_wolf, oas

from unseen.checks import check_choice, check_real
from unseen.detectors.base import BaseDetector
from unseen.detectors.concentration import Trim, check_trim, kept_after_trimming
from unseen.types import FloatArray, Labels, StrArray

SHRINKAGES = ("ledoit-wolf", "oas", "empirical")

RIDGE = 1e-6
_CHUNK_CELLS = 4_000_000


class Mahalanobis(BaseDetector):
    """Mahalanobis distance (the root, not the square) to the normals.

    Parameters
    ----------
    shrinkage : {"ledoit-wolf", "oas", "empirical"}
        How the covariance is estimated. ``"empirical"`` is the sample covariance. In all three every
        eigenvalue is kept at 1e-6 of the mean variance or more, so that constant columns and fewer rows
        than columns are allowed.
    reference_prior : float > 0
        How many references weigh as much as all pooled normals do in the moments of their domain.
    trim : float in [0, 0.5], "auto" or None
        Leave out the most suspicious share of the normals before anything is learned from them, for normals
        that may hold unnoticed anomalies; ``"auto"``: as many as are believed to be anomalous. See
        :mod:`unseen.detectors.concentration`. None: nothing is left out.
    view : {"raw", "residual-centre", "scaled-centre", "residual-nearest"}
        How rows are seen from the references of their domain.
    n_references : int
        References of each training domain where ``view`` is not ``"raw"``.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Draws the calibration rows.

    Attributes
    ----------
    domains_ : str array of shape (n_domains,)
        The domains with moments of their own, sorted.
    means_ : float64 array of shape (n_domains + 1, n_features)
        Mean of each domain; the last row is that of the pooled normals.
    covariances_ : float64 array of shape (1, n_features, n_features)
        The shrunk covariance of the pooled normals.
    precisions_ : float64 array of shape (n_domains + 1, n_features, n_features)
        Inverse covariance of each domain; the last one is that of the pooled normals.

    Notes
    -----
    ``explain`` gives ``(x − μ)_j (Σ⁻¹ (x − μ))_j`` for feature ``j``; it sums to the squared score. A term
    can be negative: that feature then makes the row less unusual than the others alone would.
    """

    uses_labels: ClassVar[bool] = False
    reference_use: ClassVar[str] = (
        "weighted into the mean and covariance of their own domain, beside what the view does; "
        "with view='residual-nearest' through the view only, where every reference lies at zero"
    )

    domains_: StrArray
    means_: NDArray[np.float64]
    covariances_: NDArray[np.float64]
    precisions_: NDArray[np.float64]

    def __init__(
        self,
        *,
        shrinkage: str = "ledoit-wolf",
        reference_prior: float = 300.0,
        trim: Trim = None,
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.shrinkage = shrinkage
        self.reference_prior = reference_prior
        self.trim = trim
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_choice(self, "shrinkage", self.shrinkage, SHRINKAGES)
        check_real(self, "reference_prior", self.reference_prior, minimum=0, open_minimum=True)
        check_trim(self, self.trim)

    def _check_fitted_values(self) -> None:
        n_moments, n_features = len(self.domains_) + 1, self.n_features_in_
        square = (n_features, n_features)
        if self.means_.shape != (n_moments, n_features) or self.covariances_.shape != (1, *square):
            raise ValueError("the means and covariances are not those of the domains and features")
        if self.precisions_.shape != (n_moments, *square):
            raise ValueError("the precisions are not those of the domains and features")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        normals = V[labels.normal].astype(np.float64)
        normals = normals[kept_after_trimming(normals, self.trim, self.seed, labels.domains[labels.normal])]
        covariance = np.ascontiguousarray(floored(shrunk_covariance(normals, self.shrinkage)))
        self.domains_ = np.array([], dtype=np.str_)
        self.means_ = normals.mean(axis=0)[None, :]
        self.covariances_ = covariance[None, :, :]
        self.precisions_ = inverse(covariance)[None, :, :]

    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        if self.view == "residual-nearest":
            return
        moments = {str(name): (self.means_[i], self.precisions_[i]) for i, name in enumerate(self.domains_)}
        for name in np.unique(domains):
            mean, covariance = blended_moments(
                self.means_[-1], self.covariances_[0], V_ref[domains == name], self.reference_prior
            )
            moments[str(name)] = (mean, inverse(floored(covariance)))
        names = sorted(moments)
        self.domains_ = np.array(names, dtype=np.str_)
        self.means_ = np.stack([*(moments[name][0] for name in names), self.means_[-1]])
        self.precisions_ = np.stack([*(moments[name][1] for name in names), self.precisions_[-1]])

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        squared = np.empty(len(V), dtype=np.float64)
        for rows, contributions in self._contributions(V, domains):
            squared[rows] = contributions.sum(axis=1)
        return np.sqrt(np.maximum(squared, 0.0))

    def _score_and_explain(
        self, V: FloatArray, domains: StrArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        contributions = self._explain(V, domains)
        return np.sqrt(np.maximum(contributions.sum(axis=1), 0.0)), contributions

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        out = np.empty(V.shape, dtype=np.float64)
        for rows, contributions in self._contributions(V, domains):
            out[rows] = contributions
        return out

    def _contributions(
        self, V: FloatArray, domains: StrArray
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield row numbers and their feature contributions, chunk by chunk, domain by domain."""
        pooled = ~np.isin(domains, self.domains_)
        step = max(1, _CHUNK_CELLS // V.shape[1])
        for i, name in enumerate([*self.domains_, None]):
            mine = np.flatnonzero(pooled if name is None else domains == name)
            for start in range(0, len(mine), step):
                rows = mine[start : start + step]
                centred = V[rows] - self.means_[i]
                yield rows, centred * (centred @ self.precisions_[i])


def shrunk_covariance(X: NDArray[np.float64], shrinkage: str) -> NDArray[np.float64]:
    """Return the covariance of rows by one of ``SHRINKAGES``; zeros for a single row.

    Parameters
    ----------
    X : float64 array of shape (n_rows, n_features)
        The rows.
    shrinkage : {"ledoit-wolf", "oas", "empirical"}
        The estimator.

    Returns
    -------
    float64 array of shape (n_features, n_features)
    """
    if len(X) == 1:
        return np.zeros((X.shape[1], X.shape[1]))
    centred = X - X.mean(axis=0)
    if shrinkage == "empirical":
        return np.asarray(centred.T @ centred / len(X))
    estimator = ledoit_wolf if shrinkage == "ledoit-wolf" else oas
    return np.asarray(estimator(centred, assume_centered=True)[0], dtype=np.float64)


def floored(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a covariance whose eigenvalues are at least 1e-6 of the mean variance.

    Parameters
    ----------
    covariance : float64 array of shape (n_features, n_features)
        Symmetric. If it is all zeros (one row, or constant rows), the unit matrix stands in for it.

    Returns
    -------
    float64 array of shape (n_features, n_features)
    """
    scale = float(np.trace(covariance)) / len(covariance)
    if scale <= 0:
        return np.eye(len(covariance))
    if _is_positive(covariance - RIDGE * scale * np.eye(len(covariance))):
        return covariance
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, RIDGE * scale)) @ vectors.T)


def _is_positive(matrix: NDArray[np.float64]) -> bool:
    """Whether a symmetric matrix is positive definite, for a tenth of what its eigenvalues cost."""
    try:
        cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return False
    return True


def blended_moments(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], references: FloatArray, prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weigh the moments of references into pooled ones; the equations stand at the top of this file.

    Parameters
    ----------
    mean : float64 array of shape (n_features,)
        Pooled mean.
    covariance : float64 array of shape (n_features, n_features)
        Pooled covariance.
    references : float array of shape (n_references, n_features)
        References of one domain.
    prior : float
        How many references the pooled moments weigh as.

    Returns
    -------
    mean : float64 array of shape (n_features,)
    covariance : float64 array of shape (n_features, n_features)
    """
    rows = references.astype(np.float64)
    weight = len(rows) / (len(rows) + prior)
    own_mean = rows.mean(axis=0)
    centred = rows - own_mean
    shift = own_mean - mean
    blended = (
        (1 - weight) * covariance
        + weight * (centred.T @ centred) / len(rows)
        + weight * (1 - weight) * np.outer(shift, shift)
    )
    return mean + weight * shift, blended


def inverse(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a symmetric positive definite matrix, exactly symmetric.

    Parameters
    ----------
    covariance : float64 array of shape (n_features, n_features)
        As :func:`floored` returns it.

    Returns
    -------
    float64 array of shape (n_features, n_features)
    """
    lower, failed = dpotrf(covariance, lower=True)
    found, failed_too = dpotri(lower, lower=True)
    if failed or failed_too:
        raise LinAlgError("The covariance is not positive definite.")
    half = np.tril(found, -1)
    return np.ascontiguousarray(half + half.T + np.diag(np.diag(found)))
