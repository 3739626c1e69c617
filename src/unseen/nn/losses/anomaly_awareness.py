"""The anomaly-awareness term of stage 2, as pure functions.

    L(B) = mean over normals of L_VAE(x) − λ_e · mean over anomalies of min(E(x), clip),
    E(x) = Σ_j (x_j − x̂_j)²,    λ_e = λ_max · e / E        for epoch e = 1 … E

(Banda, Khosa & Sanz, "Strengthening Anomaly Awareness", section 2.1 and Algorithm 1; clip: section 3.3.)
"""

from __future__ import annotations

from torch import Tensor


def ramped_weight(epoch: int, epochs: int, lambda_max: float) -> float:
    """Return λ_e = λ_max · e / E.

    Parameters
    ----------
    epoch : int
        e, from 1 to ``epochs``.
    epochs : int
        E.
    lambda_max : float
        The weight of the last epoch.

    Returns
    -------
    float
    """
    return lambda_max * epoch / epochs


def squared_error(reconstruction: Tensor, rows: Tensor) -> Tensor:
    """Return E(x) = Σ_j (x_j − x̂_j)² of each row, shape (n_rows,)."""
    return (reconstruction - rows).square().sum(dim=1)


def anomaly_error(errors: Tensor, clip: float | None) -> Tensor:
    """Return the mean over anomalies of min(E(x), clip).

    Parameters
    ----------
    errors : Tensor of shape (n_anomalies,)
        E(x).
    clip : float or None
        Largest error that still counts; beyond it the gradient of a row is zero, so that an anomaly which is
        already badly reconstructed is left in peace. None: no limit (the objective is then unbounded below).

    Returns
    -------
    scalar Tensor
    """
    if clip is not None:
        errors = errors.clamp(max=clip)
    return errors.mean()


def anomaly_awareness_loss(vae_loss: Tensor, errors: Tensor, weight: float, clip: float | None) -> Tensor:
    """Return the stage-2 loss of a batch.

    Parameters
    ----------
    vae_loss : scalar Tensor
        Mean VAE loss of the normals of the batch.
    errors : Tensor of shape (n_anomalies,)
        E(x) of the anomalies of the batch.
    weight : float
        λ_e; see :func:`ramped_weight`.
    clip : float or None
        See :func:`anomaly_error`.

    Returns
    -------
    scalar Tensor
    """
    return vae_loss - weight * anomaly_error(errors, clip)
