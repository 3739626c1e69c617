"""The constraint network on residuals: its terms by hand, and what training does to two directions."""

from __future__ import annotations

import numpy as np
import torch

from unseen.nn.multilayer_perceptron import MultilayerPerceptron
from unseen.nn.residual_constraint import constrained_length, train_constraint


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MultilayerPerceptron([2, 8, 2], bias=False)


def trained(epochs, lr=1e-2):
    """Normals lie along the first axis, anomalies along the second."""
    random = np.random.default_rng(0)
    normals = torch.tensor(random.normal(size=(64, 1)) * [1.0, 0.0], dtype=torch.float32)
    made = network()
    history = train_constraint(
        made,
        normals,
        lambda n: torch.tensor([0.0, 1.0]).repeat(n, 1),
        epochs=epochs,
        batch_size=16,
        lr=lr,
        generator=torch.Generator().manual_seed(0),
    )
    return made, history


def test_before_training_residuals_keep_their_lengths():
    made, history = trained(epochs=0)
    lengths = constrained_length(made, torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(lengths.detach(), [5.0, 0.0], atol=1e-6)
    assert history["loss"].shape == (0,)


def test_the_change_of_the_network_is_added_to_the_residual():
    halving = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.eye_(halving.weight)
    halving.weight.data *= -0.5
    np.testing.assert_allclose(constrained_length(halving, torch.tensor([[3.0, 4.0]])).detach(), [2.5])


def test_training_draws_normals_in_and_leaves_anomalies():
    made, history = trained(epochs=60)
    along, across = constrained_length(made, torch.eye(2)).detach().tolist()
    assert along < 0.3
    assert 0.8 < across < 1.2
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    np.testing.assert_allclose(history["loss"], history["normals"] + history["anomalies"], rtol=1e-5)


def test_in_the_first_step_nothing_has_changed():
    _, history = trained(epochs=1, lr=1e-9)
    np.testing.assert_allclose(history["anomalies"], 0, atol=1e-6)
    assert history["normals"][0] > 0.1
