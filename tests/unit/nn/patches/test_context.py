"""Patches seen from their own picture, and their distance to prototypes, against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn.patches.context import CONTEXTS, in_context
from unseen.nn.patches.prototypes import draw_prototypes, prototype_distance


@pytest.fixture
def features() -> torch.Tensor:
    return torch.rand(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def test_absolute_and_centred(features):
    patches = features.flatten(2).transpose(1, 2)
    assert torch.equal(in_context(features, "absolute"), patches)
    centred = in_context(features, "centred")
    torch.testing.assert_close(centred, patches - patches.mean(dim=1, keepdim=True))
    torch.testing.assert_close(in_context(features + 5, "centred"), centred)


def test_similarity_is_the_residual_to_the_most_alike_patch_that_is_not_near(features):
    found = in_context(features, "similarity")[1].numpy()
    grid = features[1].numpy()
    for row in range(4):
        for column in range(6):
            z = grid[:, row, column]
            best, residual = -np.inf, np.zeros(3)
            for i in range(4):
                for j in range(6):
                    if max(abs(i - row), abs(j - column)) < 3:
                        continue
                    other = grid[:, i, j]
                    cosine = z @ other / np.linalg.norm(z) / np.linalg.norm(other)
                    if cosine > best:
                        best, residual = cosine, np.abs(z - other)
            np.testing.assert_allclose(found[row * 6 + column], residual, atol=1e-6)


def test_a_repeated_pattern_has_no_residual_and_what_breaks_it_has_one():
    tile = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(1))
    picture = tile.repeat(1, 4, 4)[None].clone()
    assert float(in_context(picture, "similarity").abs().max()) < 1e-6
    picture[0, 0, 3, 3] += 2
    broken = in_context(picture, "similarity")[0].sum(dim=1)
    assert int(broken.argmax()) == 3 * 8 + 3
    assert float(broken[:24].max()) < 1e-6


def test_both_joins_the_two_and_a_tiny_grid_has_residuals_of_zero(features):
    joined = in_context(features, "both")
    assert torch.equal(joined[..., :3], in_context(features, "centred"))
    assert torch.equal(joined[..., 3:], in_context(features, "similarity"))
    assert float(in_context(features[:, :, :2, :2], "similarity").abs().max()) == 0


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_picture_is_seen_from_itself_alone(features, context):
    torch.testing.assert_close(in_context(features[1:], context)[0], in_context(features, context)[1])


def test_distance_to_prototypes_by_hand():
    z = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    prototypes = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    torch.testing.assert_close(prototype_distance(z, prototypes), torch.tensor([[0.0, 0.2, 1.6]]))


def test_without_prototypes_the_picture_is_its_own():
    z = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]])
    mean = torch.tensor([2.0, 1.0]) / 5**0.5
    expected = 1 - torch.stack([mean[0], mean[1], mean[0]])[None]
    torch.testing.assert_close(prototype_distance(z, torch.zeros(0, 2)), expected)


def test_prototypes_are_drawn_without_replacement_at_length_one():
    z = 1 + torch.arange(10.0)[:, None] * torch.tensor([[1.0, 0.3]])
    found = draw_prototypes(z, 4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    assert len(torch.unique(found, dim=0)) == 4
    assert len(draw_prototypes(z, 100, torch.Generator().manual_seed(0))) == 10


def contrast_by_hand(grid, references):
    """Loops over a grid (rows, columns, channels)."""
    unit = grid / np.linalg.norm(grid, axis=2, keepdims=True)
    found = []
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            u = unit[row, column]
            banks = [
                np.array(
                    [
                        unit[i, j]
                        for i in range(grid.shape[0])
                        for j in range(grid.shape[1])
                        if max(abs(i - row), abs(j - column)) >= 3
                    ]
                ),
                references,
            ]
            residuals = [u - bank[np.argsort(-(bank @ u))[:10]].mean(axis=0) for bank in banks if len(bank)]
            found.append(np.abs(min(residuals, key=np.linalg.norm)))
    return np.array(found)


@pytest.mark.parametrize("n_references", [0, 4, 30])
def test_contrast_against_loops(n_references):
    draw = torch.Generator().manual_seed(3)
    features = torch.randn(2, 5, 6, 7, generator=draw)
    references = torch.nn.functional.normalize(torch.randn(n_references, 5, generator=draw), dim=1)
    found = in_context(features, "contrast", references).numpy()
    for picture, values in zip(features, found, strict=True):
        expected = contrast_by_hand(picture.permute(1, 2, 0).numpy(), references.numpy())
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_contrast_forgets_the_length_of_patches_and_knows_what_references_hold(features):
    torch.testing.assert_close(in_context(3 * features, "contrast"), in_context(features, "contrast"))
    own = torch.nn.functional.normalize(features[0].flatten(1).T, dim=1).repeat_interleave(10, dim=0)
    assert float(in_context(features[:1], "contrast", own).abs().max()) < 1e-6


def test_contrast_of_a_tiny_grid_is_zero_alone_and_is_that_to_references(features):
    tiny = features[:, :, :2, :2]
    assert float(in_context(tiny, "contrast").abs().max()) == 0
    far = torch.nn.functional.normalize(-features[0, :, :1, :1].flatten(1).T, dim=1)
    assert float(in_context(tiny, "contrast", far).abs().max()) > 0.1


@pytest.mark.parametrize("context", CONTEXTS)
def test_some_places_are_seen_as_among_all(features, context):
    places = torch.tensor([7, 0, 7, 20])
    references = torch.nn.functional.normalize(features[1].flatten(1).T, dim=1)
    everything = in_context(features, context, references)
    torch.testing.assert_close(
        in_context(features, context, references, places=places), everything[:, places]
    )
