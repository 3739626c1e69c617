"""Adam on a flat tensor beside torch's own."""

from __future__ import annotations

import copy

import torch
from torch import nn

from unseen.nn.device import seeded_generator
from unseen.nn.flat_adam import FlatAdam


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def test_steps_are_those_of_torch() -> None:
    ours = _network()
    theirs = copy.deepcopy(ours)
    flat, reference = FlatAdam(ours, 0.01), torch.optim.Adam(theirs.parameters(), lr=0.01)
    generator = seeded_generator(0)
    for _ in range(25):
        rows = torch.randn(8, 4, generator=generator).double()
        for network, optimizer in ((ours, flat), (theirs, reference)):
            optimizer.zero_grad()
            network(rows).square().sum().backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_release_gives_each_parameter_its_own_memory_and_keeps_values() -> None:
    network = _network()
    optimizer = FlatAdam(network, 0.01)
    assert len({parameter.untyped_storage().data_ptr() for parameter in network.parameters()}) == 1
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer.release()
    assert len({parameter.untyped_storage().data_ptr() for parameter in network.parameters()}) == 4
    torch.testing.assert_close(
        [parameter.detach() for parameter in network.parameters()], before, rtol=0, atol=0
    )
    assert all(parameter.grad is None for parameter in network.parameters())


def test_frozen_parameters_stay_as_they_are() -> None:
    network = _network()
    frozen = network[0].weight.requires_grad_(False)
    before = frozen.clone()
    optimizer = FlatAdam(network, 0.1)
    network(torch.ones(2, 4).double()).sum().backward()
    optimizer.step()
    assert torch.equal(frozen, before)
    assert network[0].bias.grad is not None
