"""Training of the VAE: the written-out gradients are those of autograd, and the KL term lives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from unseen.nn.device import seeded_generator
from unseen.nn.losses.elbo import Reconstruction, elbo_terms
from unseen.nn.vae_training import differentiate_elbo, train_on_normals
from unseen.nn.variational_autoencoder import VariationalAutoencoder

CPU = torch.device("cpu")


def _case(kind: Reconstruction, hidden: tuple[int, ...]) -> tuple[VariationalAutoencoder, Tensor, Tensor]:
    generator = seeded_generator(7)
    network = VariationalAutoencoder(5, hidden, 3, sigmoid=kind == "bce", generator=generator).double()
    rows = torch.rand(11, 5, generator=generator).double()
    return network, rows, torch.randn(11, 3, generator=generator).double()


@pytest.mark.parametrize("kind", ["mse", "bce"])
@pytest.mark.parametrize("hidden", [(7,), (8, 6)])
def test_gradients_and_values_are_those_of_autograd(kind: Reconstruction, hidden: tuple[int, ...]) -> None:
    network, rows, noise = _case(kind, hidden)
    output, mean, log_variance = network(rows, noise)
    expected = elbo_terms(output, rows, mean, log_variance, kind)
    by_autograd = torch.autograd.grad(expected[0] + expected[1], list(network.parameters()))
    reconstruction, kl = differentiate_elbo(network, rows, noise, kind)
    torch.testing.assert_close((reconstruction, kl), (expected[0].detach(), expected[1].detach()))
    torch.testing.assert_close([parameter.grad for parameter in network.parameters()], list(by_autograd))


def test_gradient_stops_where_the_variance_is_held() -> None:
    network, rows, noise = _case("mse", (7,))
    with torch.no_grad():
        network.encoder[-1].bias[3] = 1e3
        network.encoder[-1].bias[4] = -1e3
    output, mean, log_variance = network(rows, noise)
    loss = sum(elbo_terms(output, rows, mean, log_variance, "mse"))
    by_autograd = torch.autograd.grad(loss, list(network.parameters()))
    differentiate_elbo(network, rows, noise, "mse")
    torch.testing.assert_close([parameter.grad for parameter in network.parameters()], list(by_autograd))
    assert network.encoder[-1].bias.grad[3:5].tolist() == [0.0, 0.0]


def _correlated(n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(n, 1)) * np.linspace(1, 2, 5) + 0.05 * rng.normal(size=(n, 5))
    return rows.astype(np.float32)


def test_training_lowers_the_loss_and_keeps_the_kl_term_alive() -> None:
    _trained, history = train_on_normals(
        _correlated(600),
        hidden=(8,),
        latent=2,
        loss="mse",
        epochs=30,
        batch_size=64,
        lr=5e-3,
        device=CPU,
        seed=0,
    )
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["kl"][-1] > 0.5
    np.testing.assert_allclose(history["loss"], history["reconstruction"] + history["kl"], rtol=1e-5)


def test_same_seed_same_network_and_weights_of_its_own() -> None:
    settings = {"hidden": (8,), "latent": 2, "loss": "mse", "epochs": 2, "batch_size": 64, "lr": 1e-3}
    first, again, other = (
        train_on_normals(_correlated(200), device=CPU, seed=seed, **settings)[0] for seed in (3, 3, 4)
    )
    weights = [
        [parameter.detach() for parameter in network.parameters()] for network in (first, again, other)
    ]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0][0], weights[2][0])
    storages = {parameter.untyped_storage().data_ptr() for parameter in first.parameters()}
    assert len(storages) == len(list(first.parameters()))
