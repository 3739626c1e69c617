"""Residuals of source pictures, by hand: whose references, which patches, what the defects are called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from unseen.nn.patches.source_residuals import nearest_residuals, normal_patches, source_residuals
from unseen.types import Labels

DEFECT = [9.0, 0.0]


def looks(values, shares=(0.0, 0.0)):
    """V of one picture of two patches: as it is and with the second patch defective."""
    V = np.zeros((2, 4, 1, 2), dtype=np.float32)
    V[:, :2, 0] = np.transpose(values)
    V[1, :2, 0, 1] = DEFECT
    V[:, 2] = 1.0
    V[0, 3, 0], V[1, 3, 0] = shares, (0.0, 1.0)
    return V


def labelled(y, domains, kinds=None):
    y = np.asarray(y)
    kinds = np.where(y == 1, "dent", "normal") if kinds is None else np.asarray(kinds)
    return Labels(y=y, kinds=kinds, domains=np.asarray(domains), groups=np.arange(len(y)).astype(str))


def of(V, labels, **changed):
    settings = {
        "n_references": 8, "patches": None, "always_made_up": False, "least_on_part": 0.0, "seed": 0
    }  # fmt: skip
    return source_residuals(np.stack(V), labels, **{**settings, **changed})


def test_the_nearest_by_cosine_may_be_far_away():
    bank = torch.tensor([[10.0, 0.0], [1.0, 1.0]])
    found = nearest_residuals(torch.tensor([[1.0, 0.0]]), F.normalize(bank, dim=1), bank.norm(dim=1))
    np.testing.assert_allclose(found, [[-9.0, 0.0]])


def test_a_picture_is_not_its_own_reference():
    first, second = [[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 2.0]]
    found = of([looks(first), looks(second)], labelled([0, 0], ["a", "a"]))
    np.testing.assert_allclose(found.normals, [[-2, 0], [0, -1], [2, 0], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(found.anomalies, [[9 - 3, 0], [9 - 1, 0]], atol=1e-6)
    assert found.kinds.tolist() == ["a/", "a/"]


def test_masked_anomalies_take_the_place_of_made_up_ones_in_their_domain():
    plain = [[1.0, 0.0], [0.0, 1.0]]
    V = [looks(plain), looks(plain), looks([[0.0, 5.0], [4.0, 0.0]], (0.0, 0.8)), looks(plain), looks(plain)]
    labels = labelled([0, 0, 1, 0, 0], ["a", "a", "a", "b", "b"])
    found = of(V, labels)
    assert found.kinds.tolist() == ["a/dent", "b/", "b/"]
    np.testing.assert_allclose(found.anomalies, [[3, 0], [8, 0], [8, 0]], atol=1e-6)
    assert of(V, labels, always_made_up=True).kinds.tolist() == ["a/", "a/", "a/dent", "b/", "b/"]


def test_anomalies_without_a_mask_and_single_normals_take_no_part():
    plain = [[1.0, 0.0], [0.0, 1.0]]
    V = [looks(plain), looks(plain), looks(plain, (np.nan, np.nan)), looks([[7.0, 7.0], [7.0, 7.0]])]
    found = of(V, labelled([0, 0, 1, 0], ["a", "a", "a", "b"]))
    assert found.kinds.tolist() == ["a/", "a/"]
    np.testing.assert_allclose(found.normals, np.zeros((4, 2)), atol=1e-6)
    assert of(V[2:], labelled([1, 0], ["a", "b"])) is None


@pytest.mark.parametrize("count", [1, 2])
def test_patches_and_references_are_drawn(count):
    random = np.random.default_rng(0)
    V = [looks(random.uniform(1, 2, size=(2, 2))) for _ in range(4)]
    found = of(V, labelled([0] * 4, ["a"] * 4), patches=count, n_references=1)
    assert found.normals.shape == (4 * count, 2)
    again = of(V, labelled([0] * 4, ["a"] * 4), patches=count, n_references=1)
    assert torch.equal(found.normals, again.normals)


def test_patches_of_the_ground_are_left_out_if_others_are_left():
    V = looks([[1.0, 2.0], [3.0, 4.0]])[:1]
    V[0, 2, 0] = (0.0, 1.0)
    assert normal_patches(V, 0.5).tolist() == [[3.0, 4.0]]
    V[0, 2, 0] = 0.0
    assert normal_patches(V, 0.5).tolist() == [[1.0, 2.0], [3.0, 4.0]]
