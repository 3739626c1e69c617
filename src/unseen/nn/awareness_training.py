"""Stage 2 of anomaly awareness: batches of normals with labelled anomalies among them.

Banda, Khosa & Sanz, "Strengthening Anomaly Awareness", Algorithm 1; the loss is in
:mod:`unseen.nn.losses.anomaly_awareness`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.nn.losses.anomaly_awareness import (
    anomaly_awareness_loss,
    anomaly_error,
    ramped_weight,
    squared_error,
)
from unseen.nn.losses.elbo import Reconstruction, elbo_by_row, elbo_terms
from unseen.nn.row_weighting import WeightingRule
from unseen.nn.training import History, StepLoss, train
from unseen.nn.variational_autoencoder import VariationalAutoencoder
from unseen.types import StrArray


def fine_tune(
    network: VariationalAutoencoder,
    normals: Tensor,
    anomalies: Tensor,
    kinds: StrArray,
    *,
    loss: Reconstruction,
    epochs: int,
    batch_size: int,
    lr: float,
    lambda_max: float,
    clip: float | None,
    anomaly_fraction: float,
    generator: torch.Generator,
    weighting: WeightingRule | None = None,
) -> History:
    """Stage 2, in place: batches of normals with labelled anomalies among them.

    Parameters
    ----------
    network : VariationalAutoencoder
        After stage 1.
    normals : float32 Tensor of shape (n_normals, n_features)
    anomalies : float32 Tensor of shape (n_anomalies, n_features)
        At least one row.
    kinds : str array of shape (n_anomalies,)
        Their kinds; each kind is drawn equally often.
    loss : {"mse", "bce"}
        Reconstruction term of the normals.
    epochs : int
        E.
    batch_size : int
        Normals and anomalies of a batch together.
    lr : float
    lambda_max : float
    clip : float or None
        See :mod:`unseen.nn.losses.anomaly_awareness`.
    anomaly_fraction : float
        Share of anomalies in a batch, at least one row.
    generator : torch.Generator
        On the device of the tensors.
    weighting : WeightingRule or None
        How much each normal counts, by its reconstruction + KL; None: all the same. There is no burn-in,
        since stage 1 has been trained already.

    Returns
    -------
    dict of str to float64 array of shape (epochs,)
        ``"loss"``, ``"reconstruction"``, ``"kl"`` and ``"anomaly_error"``.
    """
    n_drawn = min(max(1, round(anomaly_fraction * batch_size)), max(1, batch_size - 1))
    grouped, offsets, counts = _by_kind(anomalies, kinds)
    n_batch = max(1, batch_size - n_drawn)
    weights_of = (
        None
        if weighting is None
        else weighting.schedule(len(normals), epochs=epochs, batch_size=n_batch, burn_in=0.0)
    )

    def step(batch: tuple[Tensor, ...], epoch: int) -> StepLoss:
        x, numbers = batch
        drawn = grouped[_draw(offsets, counts, n_drawn, generator)]
        both = torch.cat([x, drawn])
        noise = torch.randn(len(both), network.n_latent, generator=generator, device=x.device)
        output, mean, log_variance = network(both, noise)
        n = len(x)
        if weights_of is None:
            reconstruction, kl = elbo_terms(output[:n], x, mean[:n], log_variance[:n], loss)
        else:
            of_rows = elbo_by_row(output[:n], x, mean[:n], log_variance[:n], loss)
            weights = weights_of(of_rows[0] + of_rows[1], numbers, epoch)
            reconstruction, kl = weights @ of_rows[0], weights @ of_rows[1]
        errors = squared_error(network.finish(output[n:]), drawn)
        weight = ramped_weight(epoch, epochs, lambda_max)
        total = anomaly_awareness_loss(reconstruction + kl, errors, weight, clip)
        parts = {
            "reconstruction": reconstruction,
            "kl": kl,
            "anomaly_error": anomaly_error(errors.detach(), clip),
        }
        return StepLoss(total, parts)

    return train(
        network,
        step,
        [normals, torch.arange(len(normals), device=normals.device)],
        epochs=epochs,
        batch_size=n_batch,
        lr=lr,
        generator=generator,
    )


def _by_kind(anomalies: Tensor, kinds: StrArray) -> tuple[Tensor, Tensor, Tensor]:
    """The anomalies sorted by kind, and where each kind starts and how many rows it has."""
    order = np.argsort(kinds, kind="stable")
    counts = np.unique(kinds, return_counts=True)[1]
    offsets = np.cumsum(counts) - counts
    device = anomalies.device
    as_tensor = [torch.from_numpy(array.astype(np.int64)).to(device) for array in (order, offsets, counts)]
    return anomalies[as_tensor[0]], as_tensor[1], as_tensor[2]


def _draw(offsets: Tensor, counts: Tensor, n_drawn: int, generator: torch.Generator) -> Tensor:
    """Indices of rows drawn with replacement: a kind uniformly, then one of its rows uniformly."""
    device = offsets.device
    kind = torch.randint(len(counts), (n_drawn,), generator=generator, device=device)
    place = torch.rand(n_drawn, generator=generator, device=device) * counts[kind]
    return offsets[kind] + torch.minimum(place.long(), counts[kind] - 1)
