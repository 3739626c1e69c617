"""Networks of multi-directional meta-learning before training, and what is read off them by gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from unseen.errors import ParameterError
from unseen.nn.conv_encoder import ConvEncoder
from unseen.nn.residual_encoder import ResidualEncoder

_PATH_STEPS = 8


def untrained_encoder(detector: Any) -> nn.Module:
    """Return an encoder of the shape that a ``MultiDirectionalMeta`` asks for.

    Parameters
    ----------
    detector : MultiDirectionalMeta
        With ``n_features_in_``.

    Returns
    -------
    nn.Module
        From (n_rows, n_features) to (n_rows, L); a copy where a module was given.
    """
    if isinstance(detector.encoder, nn.Module):
        return copy.deepcopy(detector.encoder)
    if detector.encoder == "conv1d":
        return ConvEncoder(detector.n_features_in_, detector.latent)
    return ResidualEncoder(
        detector.n_features_in_,
        detector.latent,
        width=detector.width,
        blocks=detector.blocks,
        dropout=detector.dropout,
        drop_path=detector.drop_path,
    )


def latent_size(detector: Any) -> int:
    """Return L, the number of columns that the encoder of a ``MultiDirectionalMeta`` gives.

    Parameters
    ----------
    detector : MultiDirectionalMeta
        With ``n_features_in_``.

    Returns
    -------
    int

    Raises
    ------
    ParameterError
        If a module of the user's does not give a matrix with a row for each row.
    """
    if not isinstance(detector.encoder, nn.Module):
        return int(detector.latent)
    probe = copy.deepcopy(detector.encoder).cpu().eval()
    with torch.no_grad():
        z = cast(Tensor, probe(torch.zeros(2, detector.n_features_in_)))
    if z.ndim != 2 or len(z) != 2:
        raise ParameterError(
            f"{type(detector).__name__}: encoder must map (n_rows, n_features) to (n_rows, latent), "
            f"got {tuple(z.shape)} for 2 rows."
        )
    return int(z.shape[1])


def perturbed(x: Tensor, anomaly_log_odds: Callable[[Tensor], Tensor], size: float) -> Tensor:
    """Return ``x + ε ∇p_normal/‖∇p_normal‖``; the step itself is not differentiated.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        Encoder inputs.
    anomaly_log_odds : callable
        From encoder inputs to a(x), shape (n_rows,).
    size : float > 0
        ε.

    Returns
    -------
    Tensor of shape (n_rows, n_features)
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        # log p_normal has the direction of p_normal, and does not vanish where p_normal saturates.
        log_p = -nn.functional.softplus(anomaly_log_odds(point))
        (gradient,) = torch.autograd.grad(log_p.sum(), point)
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True).clamp_min(1e-12)
    return torch.add(x, gradient / length, alpha=size)


def path_contributions(x: Tensor, rate: Callable[[Tensor], Tensor]) -> Tensor:
    """Return integrated gradients along the straight line from zero to each row, in eight steps.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        Encoder inputs.
    rate : callable
        From encoder inputs to scores, shape (n_rows,).

    Returns
    -------
    Tensor of shape (n_rows, n_features)
    """
    total = torch.zeros_like(x)
    for step in range(_PATH_STEPS):
        point = (x * (step + 0.5) / _PATH_STEPS).requires_grad_()
        (gradient,) = torch.autograd.grad(rate(point).sum(), point)
        total += gradient / _PATH_STEPS
    return total * x
