"""What a classifier's rows are compressed to."""

from __future__ import annotations

import numpy as np
import torch

from unseen.nn.multilayer_perceptron import CompressedInput, LatentClassifier


def test_compression_is_asinh_of_the_standardised_row():
    random = np.random.default_rng(0)
    normals = random.normal(size=(50, 3)) * [1, 10, 0] + [5, 0, 7]
    compress = CompressedInput(3)
    compress.measure(torch.from_numpy(normals).float())
    least = normals.std(axis=0).mean()
    assert normals[:, 0].std() < least < normals[:, 1].std()
    spread = np.array([least, normals[:, 1].std(), least])
    rows = random.normal(size=(9, 3)) * 100
    expected = np.arcsinh(3 * (rows - normals.mean(axis=0)) / spread) / 3
    np.testing.assert_allclose(compress(torch.from_numpy(rows)), expected, rtol=1e-5)


def test_what_was_measured_is_saved_with_the_weights():
    network, other = LatentClassifier(3, (4,), 1), LatentClassifier(3, (4,), 1)
    network.compress.measure(torch.arange(12.0).view(4, 3))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.compress.centre, torch.tensor([4.5, 5.5, 6.5]))
    assert torch.equal(other.logit(torch.ones(2, 3)), network.logit(torch.ones(2, 3)))
