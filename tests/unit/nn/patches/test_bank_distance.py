"""Distances to a bank of normal patches: against a plain search, left out, and as part of a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.nn.patches.bank_distance import (
    bank_length,
    check_divided_bank,
    divided_bank,
    left_out_bank_lengths,
)
from unseen.nn.patches.cells import nearest_in_cells
from unseen.nn.patches.normal_folds import folds_of_normals


def drawn(n: int, *, seed: int, channels: int = 6, side: int = 8) -> torch.Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) + 0.5


def as_tensors(found: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in found.items()}


def plain_lengths(features: torch.Tensor, bank: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Of one picture, patch by patch."""
    rows = features.flatten(1).T.double().numpy()
    found = np.empty(len(rows))
    for place, row in enumerate(rows):
        nearest = np.argmax(bank @ row)
        found[place] = np.linalg.norm(row - bank[nearest] * lengths[nearest])
    return found.reshape(features.shape[1:])


def test_small_banks_are_searched_as_a_whole():
    memory = divided_bank(drawn(4, seed=0), size=200, seed=0)
    assert memory["bank"].shape == (200, 6)
    np.testing.assert_allclose(np.linalg.norm(memory["bank"], axis=1), 1, rtol=1e-5)
    asked = drawn(2, seed=1)
    found = bank_length(asked, as_tensors(memory))
    assert found.shape == (2, 1, 8, 8)
    for picture, values in zip(asked, found, strict=True):
        expected = plain_lengths(picture, memory["bank"].astype(float), memory["bank_lengths"].astype(float))
        np.testing.assert_allclose(values[0], expected, rtol=1e-4, atol=1e-4)


def test_the_highest_patches_are_compared_with_the_whole_bank():
    memory = divided_bank(drawn(40, seed=0), size=2000, seed=0)
    assert len(memory["cell_starts"]) > 2
    asked = drawn(1, seed=1, side=16)
    tensors = as_tensors(memory)
    found = bank_length(asked, tensors)[0, 0].numpy().ravel()
    bank, lengths = memory["bank"].astype(float), memory["bank_lengths"].astype(float)
    exact = plain_lengths(asked[0], bank, lengths).ravel()
    rows = asked[0].flatten(1).T
    near = nearest_in_cells(rows, tensors["bank"], tensors["cell_centres"], tensors["cell_starts"])
    by_cells = np.linalg.norm(rows.numpy() - bank[near] * lengths[near, None], axis=1)
    highest = np.argsort(-by_cells)[:40]
    np.testing.assert_allclose(found[highest], exact[highest], rtol=1e-4)
    rest = np.setdiff1d(np.arange(len(found)), highest)
    np.testing.assert_allclose(found[rest], by_cells[rest], rtol=1e-4)
    assert not np.allclose(found[rest], exact[rest], rtol=1e-3)


def test_a_picture_has_the_same_distances_alone():
    memory = as_tensors(divided_bank(drawn(40, seed=0), size=2000, seed=0))
    asked = drawn(3, seed=1)
    together = bank_length(asked, memory)
    torch.testing.assert_close(bank_length(asked[1:2], memory)[0], together[1], rtol=0, atol=0)


def test_its_gradient_is_that_of_the_length():
    memory = as_tensors(divided_bank(drawn(4, seed=0), size=200, seed=0))
    asked = drawn(1, seed=1).requires_grad_(True)
    bank_length(asked, memory).sum().backward()
    found = torch.linalg.vector_norm(asked.grad, dim=1)
    torch.testing.assert_close(found, torch.ones_like(found), rtol=1e-4, atol=1e-4)


def test_left_out_pictures_do_not_find_themselves():
    features = drawn(8, seed=0).numpy()
    V = np.zeros((10, 2, 8, 8, 8), dtype=np.float32)
    V[:8, 0, :6], V[:8, 1, :6] = features, features * 1.5
    V[8:, 0, :6], V[8:, 1, :6] = features[:2], features[:2]
    normals, codes = [np.arange(8)], np.zeros(10, dtype=np.int64)
    found = left_out_bank_lengths(V, normals, codes, remembered=[0], asked=2, size=5000, seed=0)
    assert found.shape == (10, 2, 8, 8)
    assert found[:8, 0].min() > 1e-3
    np.testing.assert_allclose(found[8:], 0, atol=1e-3)


def test_every_picture_is_compared_once_and_never_with_itself():
    normals = [np.array([0, 2, 3, 5, 7]), np.array([8])]
    codes = np.array([0, 0, 0, 0, 1, 0, 0, 0, 1])
    seen = np.concatenate([rows for _, rows in folds_of_normals(normals, codes, seed=0)])
    assert sorted(seen.tolist()) == list(range(9))
    for others, rows in folds_of_normals(normals, codes, seed=0):
        assert len(others) > 0
        shared = set(others.tolist()) & set(rows.tolist())
        assert shared <= {8}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cell_starts", np.array([0, 5], dtype=np.int64)),
        ("cell_starts", np.array([0.0, 100.0])),
        ("bank_lengths", np.ones(3, dtype=np.float32)),
        ("cell_centres", np.ones((2, 6), dtype=np.float32)),
    ],
)
def test_banks_that_do_not_fit_together_are_refused(name, value):
    memory = divided_bank(drawn(4, seed=0), size=100, seed=0)
    check_divided_bank(memory)
    check_divided_bank({})
    with pytest.raises(ValueError, match="bank"):
        check_divided_bank(memory | {name: value})


def test_pictures_of_one_group_are_not_compared_with_each_other():
    normals, codes = [np.arange(12), np.array([12, 13])], np.repeat([0, 1, 0], [12, 2, 1])
    groups = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 0, 9, 9, 0])
    seen = []
    for others, rows in folds_of_normals(normals, codes, seed=0, groups=groups):
        seen += rows.tolist()
        if set(rows.tolist()) <= set(range(12)):
            assert not set(groups[others]) & set(groups[rows])
        assert len(others) > 0
    assert sorted(seen) == list(range(15))
    alone = [(others.tolist(), rows.tolist()) for others, rows in folds_of_normals(normals, codes, seed=0)]
    own = folds_of_normals(normals, codes, seed=0, groups=np.arange(15))
    assert alone == [(others.tolist(), rows.tolist()) for others, rows in own]
