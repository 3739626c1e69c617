"""How unusual a row is for the encoder that has learned the normals, without any label.

Cues, each a number per row that grows with unusualness (z = f_θ(x), x̂ = g_θ(z))::

    neighbours      1/k Σ_i ‖z − b_(i)‖           mean distance to the k nearest latent normals
    mahalanobis     (z − μ)ᵀ Σ⁻¹ (z − μ)          with a Ledoit-Wolf covariance of latent normals
    reconstruction  1/F Σ_j (x_j − x̂_j)²/(v_j + ε)  as in the inner loop
    reference       ‖x − m‖ of the viewed row      m = 0 where the view is a residual to references, else the
                                                  normals' mean

Cues have different units. Each is brought to one scale by what it is on normals that neither trained the
encoder nor entered the cue::

    c'(x) = log(1 + c(x)/c̃) / spread >= 0,   c̃ the median of c over those normals

with the spread (1.4826 × median absolute deviation) of the logarithms over the same normals. No median is
subtracted: it would shift all scores alike, and positive ones keep their relative precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from torch import Tensor

Cue = Literal["neighbours", "mahalanobis", "reconstruction", "reference"]
CUES: tuple[str, ...] = get_args(Cue)

_EIGENVALUE_FLOOR = 1e-4
_TINY = 1e-12


def whitening(latents: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean μ (L,) and a matrix W (L, L) with ``‖(z − μ) W‖² = (z − μ)ᵀ Σ⁻¹ (z − μ)``.

    Parameters
    ----------
    latents : float32 array of shape (n_rows, L)
        Latent normals. Eigenvalues of their shrunk covariance are kept at 1e-4 of the mean variance or more.

    Returns
    -------
    mean : float32 array of shape (L,)
    matrix : float32 array of shape (L, L)
    """
    rows = latents.astype(np.float64)
    mean = rows.mean(axis=0)
    covariance = ledoit_wolf(rows - mean, assume_centered=True)[0] if len(rows) > 1 else np.zeros((1, 1))
    scale = float(np.trace(covariance)) / len(covariance)
    if scale <= _TINY:
        return mean.astype(np.float32), np.eye(len(mean), dtype=np.float32)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, _EIGENVALUE_FLOOR * scale)
    return mean.astype(np.float32), (vectors / np.sqrt(values)).astype(np.float32)


def neighbour_distance(z: Tensor, bank: Tensor, centre: Tensor, k: int) -> Tensor:
    """Return the mean Euclidean distance to the k nearest rows of the bank, shape (n_rows,).

    The neighbours are found by a matrix product around ``centre``; their distances are then computed by
    differences, so that they are exact and can be differentiated.

    Parameters
    ----------
    z : Tensor of shape (n_rows, L)
        Latent rows.
    bank : Tensor of shape (n_bank, L)
        Latent normals.
    centre : Tensor of shape (L,)
        A point near the bank.
    k : int
        Number of neighbours; at most n_bank are used.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    k = min(k, len(bank))
    with torch.no_grad():
        table = bank - centre
        closeness = torch.addmm(0.5 * table.square().sum(1), z - centre, table.T, alpha=-1.0)
        nearest = torch.topk(closeness, k, dim=1, largest=False, sorted=False).indices
    difference = z[:, None, :] - bank[nearest]
    return torch.sqrt(difference.square().sum(-1) + _TINY).mean(1)


def latent_cue(cue: str, z: Tensor, bank: Tensor, mean: Tensor, matrix: Tensor, *, k: int) -> Tensor:
    """Return a cue that is read off latent vectors alone, shape (n_rows,).

    Parameters
    ----------
    cue : {"neighbours", "mahalanobis"}
        Which one.
    z : Tensor of shape (n_rows, L)
        Latent rows.
    bank, mean, matrix : Tensors of shape (n_bank, L), (L,) and (L, L)
        Latent normals, and μ and W of :func:`whitening`.
    k : int
        Number of neighbours.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    if cue == "neighbours":
        return neighbour_distance(z, bank, mean, k)
    return torch.mm(z - mean, matrix).square().sum(1)


@dataclass(frozen=True)
class CueScale:
    """What a cue is on normals.

    Attributes
    ----------
    unit : float > 0
        c̃, the median.
    spread : float > 0
        Spread of ``log(1 + c/c̃)``.
    """

    unit: float
    spread: float

    def apply(self, cue: Tensor) -> Tensor:
        """Return c', shape of ``cue``."""
        return torch.log1p(cue / self.unit) / self.spread


def cue_scale(values: NDArray[np.float64]) -> CueScale:
    """Measure a cue on normals.

    Parameters
    ----------
    values : float64 array of shape (n_rows,)
        The cue, >= 0.

    Returns
    -------
    CueScale
    """
    unit = max(float(np.median(values)), _TINY)
    _, spread = robust_location(np.log1p(values / unit))
    return CueScale(unit, spread)


def robust_location(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return median and spread; the spread is at least a tenth of the standard deviation, and positive.

    Parameters
    ----------
    values : float64 array of shape (n_rows,)
        Numbers.

    Returns
    -------
    median, spread : float
    """
    centre = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - centre))), 0.1 * float(values.std()))
    return centre, spread if spread > 1e-9 else 1.0
