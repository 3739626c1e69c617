"""Neighbours, coresets and maps against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from unseen.errors import InputError
from unseen.nn.patches import (
    divide,
    gaussian_smoothing,
    greedy_k_centre,
    largest_cosine,
    nearest_by_cosine,
    nearest_by_distance,
    nearest_in_cells,
    score_images,
    top_mean,
)
from unseen.nn.patches.pictures import ArrayPictures, SomePictures, as_source
from unseen.nn.patches.staged_search import (
    check_cells,
    highest_patches,
    in_cells,
    nearest_closely,
    nearest_roughly,
    principal_directions,
    with_neighbours,
)


def points(n: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, channels, generator=torch.Generator().manual_seed(seed))


def test_neighbours_are_those_of_all_pairs():
    queries, bank = points(50, 7), points(30, 7, seed=1)
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], bank[None], dim=2)
    found = nearest_by_cosine(queries, torch.nn.functional.normalize(bank, dim=1))
    torch.testing.assert_close(found.values, cosines.amax(dim=1))
    assert torch.equal(found.places, cosines.argmax(dim=1))
    near = nearest_by_distance(queries, bank)
    torch.testing.assert_close(near.values, torch.cdist(queries, bank).amin(dim=1))
    assert nearest_by_distance(bank, bank).values.max() == 0


def test_neighbours_do_not_depend_on_blocks():
    queries, bank = points(700, 5), torch.nn.functional.normalize(points(2500, 5, seed=1), dim=1)
    cosines = torch.nn.functional.normalize(queries, dim=1) @ bank.T
    found = nearest_by_cosine(queries, bank)
    torch.testing.assert_close(found.values, cosines.amax(dim=1).clamp(-1, 1))
    torch.testing.assert_close(cosines.gather(1, found.places[:, None])[:, 0], cosines.amax(dim=1))
    twice = torch.cat([bank, bank])
    assert nearest_by_cosine(queries, twice).places.max() < len(bank)


def test_cells_divide_a_bank_and_hold_the_nearest_of_their_own():
    bank = torch.nn.functional.normalize(points(500, 6), dim=1)
    cells = divide(bank, 9, generator=torch.Generator().manual_seed(0))
    assert sorted(cells.order.tolist()) == list(range(500))
    assert cells.starts[0] == 0
    assert cells.starts[-1] == 500
    assert (cells.starts.diff() > 0).all()
    ordered, queries = bank[cells.order], 3 * points(80, 6, seed=1)
    unit = torch.nn.functional.normalize(queries, dim=1)
    torch.testing.assert_close(cells.centres.norm(dim=1), torch.ones(9))
    nearest = (unit @ cells.centres.T).argsort(dim=1, descending=True)
    exact = nearest_by_cosine(queries, ordered)
    hits = []
    for probes in (1, 2, 3, 20):
        found = nearest_in_cells(queries, ordered, cells.centres, cells.starts, probes=probes)
        for row in range(80):
            spans = [range(int(cells.starts[c]), int(cells.starts[c + 1])) for c in nearest[row, :probes]]
            members = torch.tensor([place for span in spans for place in span])
            assert found[row] == members[(ordered[members] @ unit[row]).argmax()]
        hits.append(float((found == exact.places).float().mean()))
    assert 0.5 < hits[0] < hits[1] < hits[2] < hits[3] == 1.0
    exact = exact.values
    torch.testing.assert_close(largest_cosine(queries, bank), exact)


def test_principal_directions_hold_the_most_of_the_squared_length():
    scale = torch.tensor([1.0, 5.0, 0.1, 3.0])
    rows = points(200, 4) * scale
    found = principal_directions(rows, 2)
    torch.testing.assert_close(found.T @ found, torch.eye(2), atol=1e-5, rtol=0)
    largest = np.linalg.svd(rows.numpy(), full_matrices=False)[2][:2].T
    torch.testing.assert_close((found.T @ torch.from_numpy(largest)).abs(), torch.eye(2), atol=1e-4, rtol=0)
    assert principal_directions(rows, 9).shape == (4, 4)


def test_the_rough_search_is_near_the_close_one_and_that_near_the_exact_one():
    patches = points(3000, 90) * torch.linspace(3, 0.1, 90)
    queries = patches[::10] + 0.3 * points(300, 90, seed=1)
    memory = in_cells(patches, 50, short=True, seed=0)
    assert memory["short"].shape == (6000, 64)
    torch.testing.assert_close(memory["short"], memory["bank"][memory["near"]] @ memory["projection"])
    restored = memory["bank"] * memory["lengths"][:, None]
    torch.testing.assert_close(restored.sum(dim=0), patches.sum(dim=0), atol=1e-2, rtol=1e-4)
    exact = nearest_by_cosine(queries, memory["bank"])
    for search, least in ((nearest_roughly, 0.8), (nearest_closely, 0.95)):
        found = (torch.nn.functional.normalize(queries, dim=1) * memory["bank"][search(queries, memory)]).sum(
            1
        )
        assert (found <= exact.values + 1e-5).all()
        assert (found > exact.values - 1e-5).float().mean() > least
    assert "short" not in in_cells(patches, 50, short=False, seed=0)


def test_cells_are_searched_with_the_patches_that_lie_second_nearest_to_them():
    bank = torch.nn.functional.normalize(points(60, 4), dim=1)
    cells = divide(bank, 5, generator=torch.Generator().manual_seed(0))
    ordered = bank[cells.order]
    rows, starts = with_neighbours(ordered, cells)
    nearest = (ordered @ cells.centres.T).argsort(dim=1, descending=True)[:, :2]
    for cell in range(5):
        expected = [row for row in range(60) if cell in nearest[row].tolist()]
        assert rows[starts[cell] : starts[cell + 1]].tolist() == expected
    alone = divide(bank, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(with_neighbours(bank, alone)[0], torch.arange(60))


def test_the_highest_patches_come_with_their_features():
    features = points(2 * 3 * 4, 5).reshape(2, 3, 4, 5).permute(0, 3, 1, 2)
    scores = points(2, 12, seed=1).reshape(2, 3, 4)
    highest, patches = highest_patches(scores, features, 3)
    assert patches.shape == (6, 5)
    for picture in range(2):
        for rank, place in enumerate(scores[picture].flatten().argsort(descending=True)[:3].tolist()):
            assert highest[picture, rank] == scores[picture].flatten()[place]
            assert torch.equal(patches[3 * picture + rank], features[picture, :, place // 4, place % 4])
    assert highest_patches(scores, features, 99)[0].shape == (2, 12)


def test_a_bank_that_does_not_fit_together_is_refused():
    memory = in_cells(points(200, 6), 5, short=True, seed=0)
    check_cells(memory, short=True)
    wrong = {
        "lengths differ": {"lengths": memory["lengths"][1:]},
        "by half": {"starts": None},
        "add up": {"starts": memory["starts"] + 1},
        "projection differ": {"short": memory["short"][:, 1:]},
        "neighbours of the cells": {"near": memory["near"] + 1},
        "searched roughly": {"near": None},
        "the neighbours": {"near_starts": memory["near_starts"][1:]},
    }
    for message, change in wrong.items():
        changed = {k: v for k, v in (memory | change).items() if v is not None}
        with pytest.raises(ValueError, match=message):
            check_cells(changed, short=True)


def test_equal_patches_are_one_cell():
    cells = divide(torch.ones(40, 3), 5, generator=torch.Generator().manual_seed(0))
    assert len(cells.centres) == 1
    assert cells.starts.tolist() == [0, 40]


@pytest.mark.parametrize("n_kept", [1, 2, 7, 300, 1500])
def test_every_point_of_the_coreset_was_the_farthest_when_it_was_chosen(n_kept):
    bank = points(2500, 5)
    chosen = greedy_k_centre(bank, n_kept, generator=torch.Generator().manual_seed(3), projection=None)
    nearest = torch.full((len(bank),), torch.inf)
    for place in chosen.tolist():
        if nearest[place] < torch.inf:
            assert nearest[place] >= nearest.max() - 1e-4
        nearest = torch.minimum(nearest, (bank - bank[place]).square().sum(dim=1))
        nearest[place] = -1.0
    assert len(set(chosen.tolist())) == n_kept


def test_a_coreset_of_everything_is_everything():
    assert greedy_k_centre(points(5, 2), 9, generator=torch.Generator()).tolist() == [0, 1, 2, 3, 4]


def test_equal_points_are_kept_once_until_there_is_nothing_else():
    bank = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    chosen = greedy_k_centre(bank, 3, generator=torch.Generator().manual_seed(0))
    assert len(set(chosen.tolist())) == 3
    assert 2 in chosen[:2].tolist()


def test_the_projection_covers_about_as_well():
    bank = points(2000, 256)
    covered = []
    for projection in (None, 64):
        chosen = greedy_k_centre(bank, 200, generator=torch.Generator().manual_seed(0), projection=projection)
        covered.append(float(nearest_by_distance(bank, bank[chosen]).values.max()))
    assert covered[1] < 1.1 * covered[0]


def test_the_top_mean_counts_a_share_of_the_patches():
    scores = torch.arange(200.0).view(1, 10, 20)
    assert top_mean(scores, 0.01).tolist() == [198.5]
    assert top_mean(scores, 0.0).tolist() == [199.0]
    assert top_mean(scores, 1.0).tolist() == [99.5]


def test_smoothing_is_a_gaussian():
    image = points(24, 31).numpy()
    smooth = gaussian_smoothing(torch.from_numpy(image)[None, None], 2.0)[0, 0]
    np.testing.assert_allclose(smooth, ndimage.gaussian_filter(image, 2.0, mode="nearest"), atol=1e-5)
    assert score_images(torch.ones(2, 4, 4), (9, 7), 1.0).shape == (2, 9, 7)
    torch.testing.assert_close(score_images(torch.ones(1, 4, 4), (9, 7), 1.0), torch.ones(1, 9, 7))


@pytest.mark.parametrize(("size", "sigma"), [((20, 33), 1.5), ((5, 9), 0.0), ((64, 8), 3.0)])
def test_maps_are_interpolated_and_then_smoothed(size, sigma):
    scores = points(3 * 7 * 9, 1).reshape(3, 7, 9)
    larger = torch.nn.functional.interpolate(scores[:, None], size=size, mode="bilinear")
    expected = gaussian_smoothing(larger, sigma)[:, 0]
    torch.testing.assert_close(score_images(scores, size, sigma), expected, rtol=1e-5, atol=1e-5)


def test_arrays_are_pictures():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    source = ArrayPictures("test", images)
    some = SomePictures(source, np.array([3, 1, 4]))
    assert len(some) == 3
    assert some.key(1) == source.key(1) != source.key(2)
    np.testing.assert_array_equal(some[2], images[4])
    batches = list(some.iterate(2, size=(8, 6)))
    np.testing.assert_array_equal(np.concatenate([b.images for b in batches]), images[[3, 1, 4]])
    assert [b.indices.tolist() for b in batches] == [[0, 1], [2]]
    assert as_source("test", source) is source


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match="sequence of uint8 pictures"):
        as_source("test", "folder")
    with pytest.raises(InputError, match="float64"):
        as_source("test", np.zeros((2, 4, 4, 3)))
