"""The network: its layers, its seeded weights, and errors that are those of z = μ."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn.device import seeded_generator
from unseen.nn.variational_autoencoder import (
    VariationalAutoencoder,
    errors_by_feature,
    latent_means,
    reconstruction_errors,
)

CPU = torch.device("cpu")


def _network(seed: int = 0, sigmoid: bool = False) -> VariationalAutoencoder:
    return VariationalAutoencoder(5, (7, 3), 2, sigmoid=sigmoid, generator=seeded_generator(seed))


def _rows(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)


def test_layers_mirror_each_other() -> None:
    shapes = [tuple(parameter.shape) for parameter in _network().parameters() if parameter.ndim == 2]
    assert shapes == [(7, 5), (3, 7), (4, 3), (3, 2), (7, 3), (5, 7)]


def test_weights_come_from_the_generator_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = _network(1), _network(1), _network(2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.encoder[0].weight, again.encoder[0].weight)
    assert not torch.equal(first.encoder[0].weight, other.encoder[0].weight)
    assert first.encoder[0].weight.abs().max() <= 5**-0.5
    empty = VariationalAutoencoder(5, (7, 3), 2)
    assert all(not parameter.any() for parameter in empty.parameters())


@pytest.mark.parametrize("sigmoid", [False, True])
def test_errors_are_those_of_the_mean_written_out(sigmoid: bool) -> None:
    network, rows = _network(sigmoid=sigmoid), _rows()
    with torch.no_grad():
        output, mean, _log_variance = network(torch.from_numpy(rows), torch.zeros(len(rows), 2))
        reconstruction = (output.sigmoid() if sigmoid else output).numpy()
    by_hand = (rows.astype(np.float64) - reconstruction) ** 2
    errors, squares = errors_by_feature(network, rows, CPU)
    np.testing.assert_allclose(squares, by_hand, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(errors, by_hand.sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(errors, reconstruction_errors(network, rows, CPU))
    np.testing.assert_allclose(latent_means(network, rows, CPU), mean.numpy(), rtol=1e-6)


def test_log_variance_cannot_overflow() -> None:
    network = _network()
    far = torch.full((1, 5), 1e7)
    _mean, log_variance = network.encode(far)
    assert log_variance.abs().max() <= 20
