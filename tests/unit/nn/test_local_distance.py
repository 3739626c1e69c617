"""Distances by place against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn.patches.head_inputs import head_inputs, local_centre, whitening_statistics
from unseen.nn.patches.local_distance import (
    left_out_lengths,
    local_distribution,
    local_length,
    local_spread,
)


def pictures(n: int = 12, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, 2, 4, generator=torch.Generator().manual_seed(seed))


def tensors(found: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in found.items()}


def test_the_distance_is_that_of_the_definition():
    features = pictures()
    spread = local_spread([features])
    asked = pictures(2, seed=1)
    found = local_length(asked, tensors(local_distribution(features, spread, seed=0)))
    assert found.shape == (2, 1, 2, 4)
    rows = features[:, :, 1, 2].numpy() / spread
    covariance = 12 / 21 * np.cov(rows.T) + 9 / 21 * np.eye(3)
    difference = asked[1, :, 1, 2].numpy() / spread - rows.mean(axis=0)
    expected = np.sqrt(difference @ np.linalg.solve(covariance, difference) / 3)
    assert found[1, 0, 1, 2].item() == pytest.approx(expected, rel=1e-4)


def test_one_reference_gives_a_plain_distance():
    one, spread = pictures(1), np.full(3, 2.0, dtype=np.float32)
    asked = pictures(2, seed=1)
    found = local_length(asked, tensors(local_distribution(one, spread, seed=0)))
    share = 9 / 10
    expected = ((asked - one) / 2).square().mean(dim=1, keepdim=True).sqrt() / share**0.5
    torch.testing.assert_close(found, expected)


def test_a_channel_that_does_not_vary_is_left_as_it_is():
    features = pictures()
    features[:, 1] = 3.0
    assert local_spread([features])[1] == 1


def test_no_normal_picture_is_compared_with_itself():
    V = np.zeros((9, 1, 5, 2, 4), dtype=np.float32)
    V[:, 0, :3] = pictures(9).numpy()
    V[4, 0, :3] += 50
    rows, codes = np.arange(8), np.zeros(9, dtype=np.int64)
    spread = np.ones(3, dtype=np.float32)
    left_out = left_out_lengths(V, [rows], codes, spread, asked=1, seed=0)[:, 0]
    features = torch.from_numpy(V[:, 0, :3])
    inside = local_length(features, tensors(local_distribution(features[:8], spread, seed=0)))[:, 0].numpy()
    assert left_out[4].min() > 3 * inside[4].max()
    np.testing.assert_allclose(left_out[8], inside[8], rtol=1e-5)


def test_known_lengths_stand_for_those_that_are_computed():
    features = pictures()
    memory = tensors(local_centre(features) | whitening_statistics([features]))
    memory |= tensors(local_distribution(features, local_spread([features]), seed=0))
    lengths = local_length(features, memory)[:, 0]
    seen = head_inputs(features, memory, "local")
    assert seen.shape == (12, 4, 2, 4)
    assert torch.equal(seen, head_inputs(features, memory, "local", lengths=lengths))
    standard = (lengths - memory["length_centre"]) / memory["length_scale"]
    assert standard.max() < 10
    torch.testing.assert_close(seen[:, -1], standard)


def test_far_distances_grow_as_their_logarithm():
    features = pictures(1)
    memory = tensors(local_centre(features) | whitening_statistics([pictures()]))
    memory |= {"length_centre": torch.tensor([1.0]), "length_scale": torch.tensor([2.0])}
    lengths = torch.full((1, 2, 4), 1 + 2 * 1000.0)
    seen = head_inputs(features, memory, "local", lengths=lengths)
    torch.testing.assert_close(
        seen[:, -1], torch.full((1, 2, 4), 10 * (1 + np.log(100.0)), dtype=torch.float32)
    )
