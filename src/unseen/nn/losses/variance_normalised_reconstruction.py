"""Reconstruction error in units of each feature's variance, as a pure function.

    L(x, x̂) = 1/F Σ_j (x_j − x̂_j)² / (v_j + ε)

v_j is the variance of feature j over the normals, F the number of features (Roy, Mili & Boker, A.1).
"""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-2
"""ε: keeps features that hardly vary among normals from outweighing all others."""


def variance_normalised_reconstruction(output: Tensor, rows: Tensor, variance: Tensor) -> Tensor:
    """Return the error of each row, shape (n_rows,).

    Parameters
    ----------
    output, rows : Tensor of shape (n_rows, n_features)
        x̂ and x.
    variance : Tensor of shape (n_features,)
        v.

    Returns
    -------
    Tensor of shape (n_rows,), >= 0
    """
    return ((output - rows).square() / (variance + EPSILON)).mean(dim=1)
