"""A constraint network on residuals: those of normals are drawn into a ball, those of anomalies stay.

::

    u(r) = r + h(r)                h without offsets, 0 before training
    min over h   mean over normals of ρ(‖u‖) + mean over anomalies of ρ(‖u − r‖),    ρ(t) = √(1 + t²) − 1

The reading of Yao et al., "ResAD: a simple framework for class generalizable anomaly detection", NeurIPS
2024, that the detectors ``res-ad`` (rows) and ``res-ad-patches`` (pictures) share.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unseen.nn.multilayer_perceptron import MultilayerPerceptron
from unseen.nn.training import History, StepLoss, train

_TINY = 1e-12


def train_constraint(
    network: MultilayerPerceptron,
    normals: Tensor,
    draw_anomalies: Callable[[int], Tensor],
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
) -> History:
    """Set the last layer of h to 0 and train h in place.

    Parameters
    ----------
    network : MultilayerPerceptron
        h, as many outputs as inputs, without offsets.
    normals : Tensor of shape (n_rows, n_features)
        Residuals of normals, on the device of the network.
    draw_anomalies : callable
        ``draw_anomalies(n)``: n residuals of anomalies, on the same device.
    epochs : int >= 0
        Passes over the normals.
    batch_size : int >= 1
        Normals a batch; as many anomalies join them.
    lr : float > 0
        Learning rate of Adam.
    generator : torch.Generator
        Decides the order of the normals.

    Returns
    -------
    dict of str to float64 array of shape (epochs,)
        ``"loss"`` and, if there is an epoch, its two terms ``"normals"`` and ``"anomalies"``.
    """
    last = next(layer for layer in reversed(network) if isinstance(layer, nn.Linear))
    nn.init.zeros_(last.weight)

    def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        n = len(batch[0])
        residuals = torch.cat([batch[0], draw_anomalies(n)])
        change = network(residuals)
        inside = pseudo_huber(residuals[:n] + change[:n]).mean()
        unchanged = pseudo_huber(change[n:]).mean()
        return StepLoss(inside + unchanged, {"normals": inside, "anomalies": unchanged})

    return train(network, step, [normals], epochs=epochs, batch_size=batch_size, lr=lr, generator=generator)


def pseudo_huber(vectors: Tensor) -> Tensor:
    """Return ρ = √(1 + ‖v‖²) − 1 of each row, shape (n_rows,).

    Parameters
    ----------
    vectors : Tensor of shape (n_rows, n_features)
        v.

    Returns
    -------
    Tensor of shape (n_rows,), >= 0
    """
    return torch.sqrt(1 + vectors.square().sum(dim=1)) - 1


def constrained_length(network: nn.Module, residuals: Tensor) -> Tensor:
    """Return ‖r + h(r)‖ of each row, shape (n_rows,).

    Parameters
    ----------
    network : nn.Module
        h.
    residuals : Tensor of shape (n_rows, n_features)
        r.

    Returns
    -------
    Tensor of shape (n_rows,), >= 0
    """
    # The tiny number keeps the gradient of the root finite at 0.
    return torch.sqrt((residuals + network(residuals)).square().sum(dim=1) + _TINY**2)
