"""Encoders, decoder and the block of isolated randomness."""

import torch

from unseen.nn.conv_encoder import ConvEncoder
from unseen.nn.randomness import isolated_randomness
from unseen.nn.residual_encoder import NormalityHead, ResidualBlock, ResidualDecoder, ResidualEncoder


def test_shapes_of_the_residual_networks():
    x = torch.zeros(5, 7)
    z = ResidualEncoder(7, 16, width=32, blocks=2)(x)
    assert z.shape == (5, 16)
    assert ResidualDecoder(16, 7)(z).shape == (5, 7)
    assert NormalityHead(16)(z).shape == (5, 2)


def test_block_adds_half_of_its_branch():
    block = ResidualBlock(6).eval()
    x = torch.linspace(-1, 1, 12).reshape(2, 6)
    torch.testing.assert_close(block(x), x + 0.5 * block.branch(x))


def test_drop_path_skips_whole_rows_in_training_only():
    block = ResidualBlock(4, drop_path=0.5)
    x = torch.ones(200, 4)
    with isolated_randomness(0):
        changed = (block.train()(x) != x).any(dim=1)
    assert 60 < int(changed.sum()) < 140
    assert (block.eval()(x) != x).any(dim=1).all()


def test_conv_encoder_sees_signal_shape_and_takes_odd_lengths():
    for length in (8, 17, 189):
        assert ConvEncoder(length, 12)(torch.randn(3, length)).shape == (3, 12)
    assert ConvEncoder(4, 3)(torch.randn(1, 4)).shape == (1, 3)


def test_isolated_randomness_repeats_and_leaves_torch_as_it_was():
    before = torch.random.get_rng_state()
    with isolated_randomness(3):
        first = torch.randn(4)
    with isolated_randomness(3):
        second = torch.randn(4)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
