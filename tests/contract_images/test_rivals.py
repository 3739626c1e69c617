"""What is particular to each training-free detector, against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.detectors.images import (
    NearestNeighbourPatches,
    PaDiM,
    PatchCore,
    PCAResidual,
    Spade,
    nearest_neighbour_patches,
)
from unseen.detectors.images.looking import rotated
from unseen.errors import ParameterError
from unseen.nn.backbones import extract, patch_grid
from unseen.nn.synthetic import estimate_foreground
from unseen.persistence import load, save

from .conftest import SHARED, averages, draw


def patches_of(images: list[np.ndarray], pool: int = 1) -> np.ndarray:
    """Patch features (n_pictures, places, channels)."""
    grid = patch_grid(extract(averages(), images, 32, (4, 8)), pool=pool)
    return grid.flatten(2).transpose(1, 2).double().numpy()


def highest(scores: np.ndarray, share: float = 0.05) -> np.ndarray:
    count = round(share * scores.shape[1])
    return np.sort(scores, axis=1)[:, -count:].mean(axis=1)


def test_nearest_neighbours_are_those_of_all_pairs():
    world = draw(1, 3, 3)
    bank, queries = patches_of(world.X[:3]).reshape(-1, 12), patches_of(world.X[3:])
    unit = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    cosines = queries @ unit.T / np.linalg.norm(queries, axis=2, keepdims=True)
    of_cosine = NearestNeighbourPatches(**SHARED).fit(world.X[:3])
    expected = highest(1 - cosines.max(axis=2))
    np.testing.assert_allclose(of_cosine.decision_function(world.X[3:]), expected, atol=1e-5)
    residuals = np.linalg.norm(queries - bank[cosines.argmax(axis=2)], axis=2)
    of_norm = NearestNeighbourPatches(score="residual-norm", **SHARED).fit(world.X[:3])
    np.testing.assert_allclose(of_norm.decision_function(world.X[3:]), highest(residuals), rtol=1e-3)


@pytest.mark.parametrize("score", ["cosine", "residual-norm"])
def test_two_stages_give_the_exact_scores_of_pictures(score, monkeypatch, tmp_path):
    monkeypatch.setattr(nearest_neighbour_patches, "_SMALL_BANK", 100)
    world = draw(1, 8, 6)
    exact = NearestNeighbourPatches(score=score, search="exact", **SHARED).fit(world.X[:4])
    staged = NearestNeighbourPatches(score=score, **SHARED).fit(world.X[:4])
    assert "centres" not in exact.memory_
    assert len(staged.memory_["starts"]) == len(staged.memory_["centres"]) + 1
    # with 64 patches a picture all of them are candidates
    expected, maps = exact.score_and_explain(world.X)
    scores, staged_maps = staged.score_and_explain(world.X)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(staged_maps, maps)
    assert np.corrcoef(staged_maps.ravel(), maps.ravel())[0, 1] > 0.9
    loaded = load(save(staged, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(world.X), scores)


def test_turned_references_know_turned_parts():
    upright = draw(1, 4, 0).X
    turned = [np.rot90(image).copy() for image in draw(2, 4, 0).X]
    plain = NearestNeighbourPatches(**SHARED).fit(upright)
    with_turns = NearestNeighbourPatches(rotations=4, **SHARED).fit(upright)
    assert len(with_turns.memory_["bank"]) == 4 * len(plain.memory_["bank"])
    assert np.all(with_turns.decision_function(turned) <= plain.decision_function(turned) + 1e-6)
    exact = with_turns.decision_function([np.rot90(upright[0], 3).copy()])
    assert exact[0] < plain.decision_function([np.rot90(upright[0], 3).copy()])[0]


def test_the_ground_does_not_count_where_it_is_left_out():
    random = np.random.default_rng(0)
    parts = []
    for _ in range(4):
        image = np.full((32, 32, 3), 20, dtype=np.uint8)
        image[16:28, 16:28] = random.integers(180, 200, (12, 12, 3))
        parts.append(image)
    smudged = parts[3].copy()
    smudged[0:3, 0:3] = 60
    assert not estimate_foreground(smudged)[0, 0]
    everywhere = NearestNeighbourPatches(**SHARED).fit(parts[:3])
    on_part = NearestNeighbourPatches(foreground="estimate", **SHARED).fit(parts[:3])
    assert len(on_part.memory_["bank"]) < len(everywhere.memory_["bank"])
    assert everywhere.decision_function([smudged])[0] > 2 * everywhere.decision_function([parts[3]])[0]
    np.testing.assert_allclose(
        on_part.decision_function([smudged]), on_part.decision_function([parts[3]]), rtol=0.05
    )
    assert on_part.score_maps([smudged])[0, 0, 0] < 0.1 * everywhere.score_maps([smudged])[0, 0, 0]


@pytest.mark.parametrize("maker", [NearestNeighbourPatches, PCAResidual, PatchCore, Spade])
def test_automatic_turns_are_all_or_none(maker):
    bar = np.full((1, 32, 32, 3), 40, dtype=np.uint8)
    bar[:, 12:20, 4:28] = 240
    lying = [bar[0], rotated(bar, 45.0)[0]]
    at_any_angle = maker(rotations="auto", pool=1, **SHARED).fit(lying)
    eightfold = maker(rotations=8, pool=1, **SHARED).fit(lying)
    for name, array in eightfold.memory_.items():
        np.testing.assert_array_equal(at_any_angle.memory_[name], array)
    alike = draw(1, 4, 0).X
    automatic, plain = (
        maker(rotations="auto", pool=1, **SHARED).fit(alike),
        maker(pool=1, **SHARED).fit(alike),
    )
    for name, array in plain.memory_.items():
        np.testing.assert_array_equal(automatic.memory_[name], array)


def test_only_auto_is_text_for_rotations():
    for wrong in ("always", 0, 2.5):
        with pytest.raises(ParameterError, match="rotations"):
            NearestNeighbourPatches(rotations=wrong, **SHARED).fit(draw(1, 2, 0).X)


@pytest.mark.parametrize("thinning", ["random", "coreset"])
def test_a_large_bank_is_thinned_out(thinning):
    detector = NearestNeighbourPatches(max_patches=50, thinning=thinning, **SHARED).fit(draw(1, 4, 0).X)
    assert detector.memory_["bank"].shape == (50, 12)
    assert np.isfinite(detector.decision_function(draw(2, 2, 2).X)).all()


def test_patch_core_with_its_whole_bank_is_the_formula():
    world = draw(1, 3, 4)
    shared = {**SHARED, "pool": 3}
    detector = PatchCore(coreset_share=1.0, n_neighbours=4, **shared).fit(world.X[:3])
    bank, queries = patches_of(world.X[:3], pool=3).reshape(-1, 12), patches_of(world.X[3:], pool=3)
    expected = []
    for picture in queries:
        distances = np.linalg.norm(picture[:, None] - bank[None], axis=2) / np.sqrt(12)
        farthest = int(distances.min(axis=1).argmax())
        nearest = int(distances[farthest].argmin())
        around = np.argsort(np.linalg.norm(bank - bank[nearest], axis=1))[:4]
        terms = np.exp(distances[farthest, around])
        weight = 1 - np.exp(distances[farthest, nearest]) / terms.sum()
        expected.append(weight * distances[farthest, nearest])
    np.testing.assert_allclose(detector.decision_function(world.X[3:]), expected, rtol=1e-3)
    assert len(PatchCore(coreset_share=0.25, **shared).fit(world.X[:3]).memory_["bank"]) == 48


def test_padim_is_the_mahalanobis_distance_at_each_place():
    world = draw(1, 6, 3)
    detector = PaDiM(n_channels=12, regularisation=0.1, **SHARED).fit(world.X[:6])
    normal, queries = patches_of(world.X[:6]), patches_of(world.X[6:])
    spread = normal.std(axis=(0, 1))
    normal, queries = normal / spread, queries / spread
    scores = np.empty(queries.shape[:2])
    for place in range(normal.shape[1]):
        covariance = np.cov(normal[:, place].T) + 0.1 * np.eye(12)
        differences = queries[:, place] - normal[:, place].mean(axis=0)
        scores[:, place] = np.sqrt(np.sum(differences @ np.linalg.inv(covariance) * differences, axis=1))
    np.testing.assert_allclose(detector.decision_function(world.X[6:]), highest(scores), rtol=1e-3)
    few = PaDiM(n_channels=5, **SHARED).fit(world.X[:6])
    assert few.memory_["factors"].shape == (64, 5, 5)


def test_spade_looks_at_the_nearest_pictures_only():
    bright, dark = draw(1, 4, 0), draw(2, 4, 0, level=20.0)
    both = Spade(n_neighbours=3, **SHARED).fit(bright.X + dark.X)
    fresh = draw(3, 2, 2)
    alone = Spade(n_neighbours=3, **SHARED).fit(bright.X)
    np.testing.assert_allclose(both.decision_function(fresh.X), alone.decision_function(fresh.X), rtol=1e-5)
    means = patches_of(bright.X).mean(axis=1)
    distances = np.linalg.norm(patches_of(fresh.X).mean(axis=1)[:, None] - means, axis=2)
    expected = np.sort(distances, axis=1)[:, :3].mean(axis=1)
    np.testing.assert_allclose(alone.decision_function(fresh.X), expected, rtol=1e-3)


def test_the_pca_residual_is_what_the_subspace_leaves():
    world = draw(1, 4, 4)
    detector = PCAResidual(variance=0.9, **SHARED).fit(world.X[:4])
    directions = detector.memory_["directions"]
    np.testing.assert_allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-5)
    rows = patches_of(world.X[:4]).reshape(-1, 12)
    _, values, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    count = int(np.searchsorted(np.cumsum(values**2) / np.sum(values**2), 0.9)) + 1
    assert directions.shape == (12, count)
    centred = patches_of(world.X[4:]) - rows.mean(axis=0)
    left = centred - centred @ axes[:count].T @ axes[:count]
    expected = highest(np.sum(left**2, axis=2))
    np.testing.assert_allclose(detector.decision_function(world.X[4:]), expected, rtol=1e-3)


def test_pictures_without_any_difference_can_be_learned():
    flat = [np.full((32, 32, 3), 100, dtype=np.uint8)] * 3
    for owner in (NearestNeighbourPatches, PatchCore, PaDiM, Spade, PCAResidual):
        detector = owner(**SHARED).fit(flat)
        scores = detector.decision_function([flat[0], draw(1, 0, 1).X[0]])
        assert np.isfinite(scores).all()
        assert scores[0] < 1e-3 < scores[1]


@pytest.mark.parametrize(
    ("owner", "wrong"),
    [
        (NearestNeighbourPatches, {"score": "value"}),
        (NearestNeighbourPatches, {"thinning": "none"}),
        (NearestNeighbourPatches, {"max_patches": 0}),
        (NearestNeighbourPatches, {"search": "some"}),
        (NearestNeighbourPatches, {"rotations": 0}),
        (NearestNeighbourPatches, {"foreground": "part"}),
        (PatchCore, {"coreset_share": 0.0}),
        (PatchCore, {"n_neighbours": 0}),
        (PatchCore, {"projection": 0}),
        (PaDiM, {"n_channels": 0}),
        (PaDiM, {"regularisation": 0.0}),
        (Spade, {"n_neighbours": 0}),
        (PCAResidual, {"variance": 1.0}),
    ],
)
def test_bad_parameters_of_their_own_are_refused(owner, wrong):
    with pytest.raises(ParameterError):
        owner(**{**SHARED, **wrong}).fit(draw(1, 2, 0).X)


def test_the_state_of_torch_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    PatchCore(**SHARED).fit(draw(1, 3, 0).X)
    assert torch.equal(torch.get_rng_state(), before)
