"""Training of the small VAE on normals, with its forward and backward pass written out.

For a 78-16-2 network most of a training step goes into autograd's bookkeeping and not into arithmetic; with
the chain rule written out it takes little more than half the time. With a_i the input of layer i (a_0 = x),
W_i and b_i its weights, and δ_i the gradient of the loss by the layer's output,

    ∂L/∂W_i = δ_iᵀ a_i,    ∂L/∂b_i = Σ_rows δ_i,    δ_{i−1} = (δ_i W_i) · 1[a_i > 0]    (ReLU)

and at the sampled z = μ + σ ε, with δ_z what comes back from the decoder and n rows in the batch,

    δ_μ = δ_z + μ / n,    δ_{log σ²} = ½ δ_z σ ε + ½ (σ² − 1) / n

The tests hold all of it against autograd on :func:`unseen.nn.losses.elbo.elbo_terms`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unseen.nn.device import seeded_generator
from unseen.nn.losses.elbo import Reconstruction, elbo_by_row, kl_to_standard_normal, reconstruction_loss
from unseen.nn.row_weighting import WeightingRule
from unseen.nn.training import History, Step, StepLoss, train
from unseen.nn.variational_autoencoder import LOG_VARIANCE_LIMIT, VariationalAutoencoder, to_tensor
from unseen.types import FloatArray


def train_on_normals(
    X: FloatArray,
    *,
    hidden: Sequence[int],
    latent: int,
    loss: Reconstruction,
    epochs: int,
    batch_size: int,
    lr: float,
    device: torch.device,
    seed: int,
    weighting: WeightingRule | None = None,
) -> tuple[VariationalAutoencoder, History]:
    """Train a VAE on normals alone: mean over the batch of reconstruction + KL, weighted if asked for.

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        Normals.
    hidden : sequence of int
        Widths of the encoder's hidden layers.
    latent : int
        Size of the latent space.
    loss : {"mse", "bce"}
        Reconstruction term; see :func:`unseen.nn.losses.elbo.reconstruction_loss`.
    epochs, batch_size, lr
        See :func:`unseen.nn.training.train`.
    device : torch.device
        Where to train, in float32.
    seed : int
        Decides first weights, order of the rows and noise.
    weighting : WeightingRule or None
        How much each row counts, by its reconstruction + KL; None: all the same.

    Returns
    -------
    network : VariationalAutoencoder
        Trained, on the CPU.
    history : dict of str to float64 array of shape (epochs,)
        ``"loss"``, ``"reconstruction"`` and ``"kl"``.
    """
    network = VariationalAutoencoder(
        X.shape[1], hidden, latent, sigmoid=loss == "bce", generator=seeded_generator(seed)
    ).to(device)
    generator = seeded_generator(seed, device)
    rows = to_tensor(X, device)
    if weighting is not None:
        numbers = torch.arange(len(rows), device=device)
        step = _weighted_step(network, weighting, len(rows), loss, epochs, batch_size, generator)
        course = train(
            network, step, [rows, numbers], epochs=epochs, batch_size=batch_size, lr=lr, generator=generator
        )
        return network.cpu(), course
    workspace = torch.empty(min(batch_size, len(X)), X.shape[1], device=device)

    def plain_step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        (x,) = batch
        noise = torch.randn(len(x), latent, generator=generator, device=device)
        reconstruction, kl = differentiate_elbo(network, x, noise, loss, workspace=workspace[: len(x)])
        return StepLoss(reconstruction + kl, {"reconstruction": reconstruction, "kl": kl})

    history = train(
        network, plain_step, [rows], epochs=epochs, batch_size=batch_size, lr=lr, generator=generator
    )
    return network.cpu(), history


def _weighted_step(
    network: VariationalAutoencoder,
    weighting: WeightingRule,
    n_rows: int,
    loss: Reconstruction,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
) -> Step:
    """Σ w (reconstruction + KL) with autograd; the parts for the history are weighted likewise."""
    weights_of = weighting.schedule(n_rows, epochs=epochs, batch_size=batch_size)

    def step(batch: tuple[Tensor, ...], epoch: int) -> StepLoss:
        x, numbers = batch
        noise = torch.randn(len(x), network.n_latent, generator=generator, device=x.device)
        output, mean, log_variance = network(x, noise)
        reconstruction, kl = elbo_by_row(output, x, mean, log_variance, loss)
        weights = weights_of(reconstruction + kl, numbers, epoch)
        parts = {"reconstruction": weights @ reconstruction, "kl": weights @ kl}
        return StepLoss(parts["reconstruction"] + parts["kl"], parts)

    return step


@torch.no_grad()
def differentiate_elbo(
    network: VariationalAutoencoder,
    rows: Tensor,
    noise: Tensor,
    kind: Reconstruction,
    *,
    workspace: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Write the gradient of the VAE loss of a batch into ``.grad`` of every parameter.

    Parameters
    ----------
    network : VariationalAutoencoder
        Its ``.grad`` tensors are overwritten, or made where there are none.
    rows : Tensor of shape (n_rows, n_features)
        x.
    noise : Tensor of shape (n_rows, n_latent)
        ε.
    kind : {"mse", "bce"}
        Reconstruction term; see :func:`unseen.nn.losses.elbo.reconstruction_loss`.
    workspace : Tensor of shape (n_rows, n_features) or None
        Memory to compute in, overwritten; saves asking the system for it in every step.

    Returns
    -------
    reconstruction, kl : scalar Tensor
        Means over the rows, as from :func:`unseen.nn.losses.elbo.elbo_terms`; their sum is the loss.
    """
    n = len(rows)
    encoder_inputs, encoded = _forward(network.encoder, rows)
    mean, unlimited = encoded[:, : network.n_latent], encoded[:, network.n_latent :]
    log_variance = unlimited.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
    deviation = (0.5 * log_variance).exp_()
    decoder_inputs, output = _forward(network.decoder, torch.addcmul(mean, deviation, noise), workspace)

    if kind == "bce":
        reconstruction = reconstruction_loss(output, rows, kind)
        by_output = output.sigmoid_().sub_(rows).div_(n)
    else:
        residual = output.sub_(rows)
        reconstruction = torch.dot(residual.view(-1), residual.view(-1))
        by_output = residual.mul_(2 / n)
    by_latent = _backward(network.decoder, decoder_inputs, by_output)
    by_mean = torch.add(by_latent, mean, alpha=1 / n)
    by_log_variance = by_latent.mul_(noise).mul_(deviation).add_(deviation.square().sub_(1), alpha=1 / n)
    by_log_variance.mul_(0.5).mul_(unlimited == log_variance)
    _backward(network.encoder, encoder_inputs, torch.cat([by_mean, by_log_variance], dim=1), to_rows=False)
    return reconstruction / n, kl_to_standard_normal(mean, log_variance) / n


def _forward(layers: nn.Sequential, rows: Tensor, out: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
    """Input of each linear layer, and the output of the last (in ``out``)."""
    *hidden, last = _linear(layers)
    inputs = [rows]
    for layer in hidden:
        inputs.append(torch.addmm(layer.bias, inputs[-1], layer.weight.t()).relu_())
    return inputs, torch.addmm(last.bias, inputs[-1], last.weight.t(), out=out)


def _backward(
    layers: nn.Sequential, inputs: list[Tensor], gradient: Tensor, *, to_rows: bool = True
) -> Tensor:
    """Write the gradients of these layers, and return that of their input (if ``to_rows``)."""
    linear = _linear(layers)
    for position in range(len(linear) - 1, -1, -1):
        layer, rows = linear[position], inputs[position]
        torch.mm(gradient.t(), rows, out=_grad(layer.weight))
        torch.sum(gradient, 0, out=_grad(layer.bias))
        if position > 0:
            gradient = (gradient @ layer.weight).mul_(rows.sign())  # rows >= 0 after a ReLU
        elif to_rows:
            gradient = gradient @ layer.weight
    return gradient


def _grad(parameter: Tensor) -> Tensor:
    """The gradient tensor of a parameter, made if there is none."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad


def _linear(layers: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in layers if isinstance(layer, nn.Linear)]
