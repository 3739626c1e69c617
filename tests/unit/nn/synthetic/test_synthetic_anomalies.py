"""Perlin noise, textures, augmentations and the defects made of them."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InputError, ParameterError
from unseen.nn.synthetic import (
    AUGMENTATIONS,
    DRAWINGS,
    DrawnTextures,
    PictureTextures,
    SyntheticAnomalies,
    augment,
    estimate_foreground,
    perlin_masks,
    perlin_noise,
)

PART = np.full((48, 64, 3), 128, dtype=np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain_noise(size: int, cells: int, seed: int) -> np.ndarray:
    """One pixel after the other, from the same gradients."""
    lattice = int(np.floor(cells * (size - 1) / size)) + 2
    angles = rng(seed).uniform(0, 2 * np.pi, size=(lattice, lattice))
    noise = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i / size * cells, j / size * cells
            for a in (int(y), int(y) + 1):
                for b in (int(x), int(x) + 1):
                    slope = np.sin(angles[a, b]) * (y - a) + np.cos(angles[a, b]) * (x - b)
                    t, u = 1 - abs(y - a), 1 - abs(x - b)
                    fade = (6 * t**5 - 15 * t**4 + 10 * t**3) * (6 * u**5 - 15 * u**4 + 10 * u**3)
                    noise[i, j] += slope * fade
    return noise * np.sqrt(2)


def test_noise_equals_the_definition_pixel_by_pixel() -> None:
    assert np.allclose(perlin_noise(16, [[4, 4]], rng(3))[0], plain_noise(16, 4, 3), atol=1e-6)


def test_noise_is_bounded_and_finer_with_more_cells() -> None:
    fields = perlin_noise((64, 96), [[2, 2], [16, 16]], rng(), angles=[0.3, -1.0])
    assert fields.shape == (2, 64, 96)
    assert np.abs(fields).max() <= 1.0
    change = [np.abs(np.diff(field, axis=1)).mean() for field in fields]
    assert change[1] > 3 * change[0]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_masks_cover_the_share_asked_for(share: float) -> None:
    masks = perlin_masks(8, (64, 80), rng(), share=share)
    assert np.allclose(masks.mean(axis=(1, 2)), share, atol=0.001)
    assert len({mask.tobytes() for mask in masks}) == 8


def test_a_fixed_threshold_lets_the_share_vary() -> None:
    shares = perlin_masks(12, 64, rng(), threshold=0.3, exponents=(2, 4)).mean(axis=(1, 2))
    assert shares.std() > 0.005


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_drawn_textures_vary_within_and_between_draws(name: str) -> None:
    generator = rng(1)
    first, second = (DrawnTextures.draw(name, (40, 56), generator) for _ in range(2))
    assert first.shape == (40, 56, 3)
    assert first.dtype == np.uint8
    assert first.std() > 0.5
    assert not np.array_equal(first, second)


def test_pictures_as_textures_take_the_size() -> None:
    textures = PictureTextures([PART, np.zeros((8, 8, 3), dtype=np.uint8)])
    seen = {int(textures(16, rng(seed)).mean()) for seed in range(10)}
    assert seen == {0, 128}
    with pytest.raises(InputError, match="at least one"):
        PictureTextures([])


def test_there_are_seven_augmentations_and_each_does_something() -> None:
    assert len(AUGMENTATIONS) == 7
    texture = DrawnTextures.draw("marble", 32, rng(2))
    narrow = (texture // 2 + 40).astype(np.uint8)
    assert np.array_equal(augment(narrow, rng(), n=0), narrow)
    changed = {augment(narrow, rng(seed), n=1).tobytes() for seed in range(40)}
    assert narrow.tobytes() not in changed
    assert len(changed) > 7


def test_the_same_seed_makes_the_same_defect_and_the_picture_stays() -> None:
    before = PART.copy()
    first, second = (SyntheticAnomalies()(PART, rng(5)) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert np.array_equal(PART, before)
    assert not np.array_equal(first.image, SyntheticAnomalies()(PART, rng(6)).image)


def test_only_the_mask_changes_and_by_the_opacity() -> None:
    white = PictureTextures([np.full((4, 4, 3), 255, dtype=np.uint8)])
    made = SyntheticAnomalies(white, n_augmentations=0)(PART, rng(1))
    assert np.array_equal(made.image[~made.mask], PART[~made.mask])
    expected = round(made.opacity * 255 + (1 - made.opacity) * 128)
    assert np.all(made.image[made.mask] == expected)
    assert made.mask.mean() == pytest.approx(0.2, abs=0.001)


def test_opacity_is_spread_over_its_range() -> None:
    values = [made.opacity for made in SyntheticAnomalies().each([PART] * 40, rng())]
    assert 0.1 <= min(values) < 0.3
    assert 0.8 < max(values) <= 1.0


def test_defects_stay_on_the_foreground() -> None:
    allowed = np.zeros(PART.shape[:2], dtype=np.bool_)
    allowed[10:30, 20:40] = True
    for seed in range(5):
        made = SyntheticAnomalies()(PART, rng(seed), foreground=allowed)
        assert made.mask.any()
        assert not (made.mask & ~allowed).any()
    speck = np.zeros_like(allowed)
    speck[0, 0] = True
    assert SyntheticAnomalies(exponents=(0, 0))(PART, rng(), foreground=speck).mask.sum() == 1


def test_a_part_on_plain_ground_is_told_apart_and_a_surface_counts_whole() -> None:
    rows, columns = np.mgrid[:80, :100]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 20**2
    scene = np.where(disc[:, :, None], 60, 200).astype(np.uint8).repeat(3, axis=2)
    noisy = np.clip(scene + rng().normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
    found = estimate_foreground(noisy)
    assert np.mean(found == disc) > 0.98
    made = SyntheticAnomalies(foreground="estimate")(noisy, rng())
    assert not (made.mask & ~found).any()
    assert estimate_foreground(DrawnTextures.draw("grain", 64, rng())).all()
    assert estimate_foreground(PART).all()


def test_a_gap_in_a_part_belongs_to_its_hull() -> None:
    rows, columns = np.mgrid[:80, :100]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 25**2
    broken = disc & (np.abs(columns - 50) > 5)
    scene = np.where(broken[:, :, None], 60, 200).astype(np.uint8).repeat(3, axis=2)
    assert not estimate_foreground(scene)[40, 50]
    found = estimate_foreground(scene, hull=True)
    assert found[40, 50]
    assert np.mean(found == disc) > 0.97
    assert estimate_foreground(PART, hull=True).all()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="uint8 array"):
        SyntheticAnomalies()(PART.astype(np.float32), rng())
    with pytest.raises(InputError, match="foreground"):
        SyntheticAnomalies()(PART, rng(), foreground=np.zeros(PART.shape[:2], dtype=np.bool_))
    with pytest.raises(ParameterError, match="opacity"):
        SyntheticAnomalies(opacity=(0.9, 0.2))
    with pytest.raises(ParameterError, match="share"):
        SyntheticAnomalies(share=0.0)
    with pytest.raises(ParameterError, match="cells"):
        perlin_noise(8, [[0, 2]], rng())
    with pytest.raises(InputError, match="name must be one of"):
        DrawnTextures.draw("plaid", 8, rng())
