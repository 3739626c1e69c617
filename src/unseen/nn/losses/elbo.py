"""The negative evidence lower bound of a variational autoencoder, as pure functions.

    L(x) = reconstruction(x, x̂) + KL(q(z|x) ‖ N(0, I)),    q(z|x) = N(μ(x), diag σ²(x))

with both terms summed over features or latent dimensions, for one row (Kingma & Welling,
"Auto-Encoding Variational Bayes", ICLR 2014; Banda, Khosa & Sanz, "Strengthening Anomaly Awareness", sec. 2).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Reconstruction = Literal["mse", "bce"]
RECONSTRUCTIONS: tuple[str, ...] = get_args(Reconstruction)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(μ, diag σ²) ‖ N(0, I)) = −½ Σ_k (1 + log σ_k² − μ_k² − σ_k²) summed over the rows.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n_rows, n_latent)
        μ and log σ².

    Returns
    -------
    scalar Tensor, >= 0
        In nats; 0 only where μ = 0 and σ = 1.
    """
    terms = torch.addcmul(log_variance.exp() - log_variance - 1, mean, mean)
    return 0.5 * terms.sum()


def reconstruction_loss(output: Tensor, rows: Tensor, kind: Reconstruction) -> Tensor:
    """Return the reconstruction term summed over rows and features.

    Parameters
    ----------
    output : Tensor of shape (n_rows, n_features)
        What the decoder gives *before* a final sigmoid: x̂ itself for ``"mse"``, logits for ``"bce"``.
    rows : Tensor of shape (n_rows, n_features)
        x; in [0, 1] for ``"bce"``.
    kind : {"mse", "bce"}
        ``"mse"``: Σ (x − x̂)², the sum and not the mean over features, as the paper writes it.
        ``"bce"``: −Σ x log x̂ + (1 − x) log(1 − x̂) with x̂ = sigmoid(output).

    Returns
    -------
    scalar Tensor
    """
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(output, rows, reduction="sum")
    return F.mse_loss(output, rows, reduction="sum")


def elbo_terms(
    output: Tensor, rows: Tensor, mean: Tensor, log_variance: Tensor, kind: Reconstruction
) -> tuple[Tensor, Tensor]:
    """Return the mean over rows of the reconstruction term and of the KL term.

    Parameters
    ----------
    output, rows : Tensor of shape (n_rows, n_features)
        Decoder output before a final sigmoid, and x.
    mean, log_variance : Tensor of shape (n_rows, n_latent)
        μ and log σ² of q(z|x).
    kind : {"mse", "bce"}
        See :func:`reconstruction_loss`.

    Returns
    -------
    reconstruction, kl : scalar Tensor
        Their sum is the VAE loss of the batch.
    """
    n_rows = len(rows)
    reconstruction = reconstruction_loss(output, rows, kind) / n_rows
    return reconstruction, kl_to_standard_normal(mean, log_variance) / n_rows


def elbo_by_row(
    output: Tensor, rows: Tensor, mean: Tensor, log_variance: Tensor, kind: Reconstruction
) -> tuple[Tensor, Tensor]:
    """Return both terms of each row; their means over rows are those of :func:`elbo_terms`.

    Parameters
    ----------
    output, rows, mean, log_variance, kind
        See :func:`elbo_terms`.

    Returns
    -------
    reconstruction, kl : Tensor of shape (n_rows,)
    """
    if kind == "bce":
        terms = F.binary_cross_entropy_with_logits(output, rows, reduction="none")
    else:
        terms = F.mse_loss(output, rows, reduction="none")
    divergence = torch.addcmul(log_variance.exp() - log_variance - 1, mean, mean)
    return terms.sum(dim=1), 0.5 * divergence.sum(dim=1)
