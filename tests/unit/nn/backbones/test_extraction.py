"""Extraction in batches, the cache on disk, and the patch grid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unseen.data.images import read_images
from unseen.errors import InputError, ParameterError
from unseen.nn.backbones import extract, iterate_features, patch_grid
from unseen.nn.backbones.frozen import FrozenBackbone
from unseen.nn.feature_cache import FeatureCache, FeatureKey
from unseen.pixels import resize_image


class Averages(torch.nn.Module):
    """Mean colours of cells of 4 and of 8 pixels; counts the pictures that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, strides: tuple[int, ...]) -> dict[int, Tensor]:
        self.seen += len(x)
        return {s: torch.nn.functional.avg_pool2d(x, s) * self.scale for s in strides}


def averages(name: str = "averages") -> FrozenBackbone:
    return FrozenBackbone(
        Averages(), name=name, channels={4: 3, 8: 3}, mean=(0.0,) * 3, std=(1.0,) * 3, multiple=8
    )


def pictures(n: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=(n, 20, 28, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, picture in enumerate(pictures()):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    return tmp_path


def test_files_arrays_and_lists_give_the_same_maps(folder: Path) -> None:
    of_files = extract(averages(), read_images(folder), (16, 24), (8, 4), batch_size=2)
    of_arrays = extract(averages(), pictures(), (16, 24), (8, 4), batch_size=3)
    of_list = extract(averages(), list(pictures()), (16, 24), (8, 4))
    assert tuple(of_files[8].shape) == (5, 3, 2, 3)
    for stride in (4, 8):
        assert torch.equal(of_files[stride], of_arrays[stride])
        assert torch.equal(of_files[stride], of_list[stride])
    small = resize_image(pictures()[3], (16, 24))[:8, :8].astype(np.float64).mean(axis=(0, 1)) / 255
    assert np.allclose(of_files[8][3, :, 0, 0].numpy(), small, atol=1e-6)


def test_batches_come_in_order_and_bounded(folder: Path) -> None:
    batches = list(iterate_features(averages(), read_images(folder), 16, batch_size=2))
    assert [batch.indices.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert all(tuple(batch.maps) == (4, 8) for batch in batches)


def test_the_cache_saves_the_second_run_and_keeps_the_values(folder: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache")
    backbone, images = averages(), read_images(folder)
    fresh = extract(backbone, images, 16, cache=cache)
    assert len(cache) == 10
    seen = backbone.network.seen
    again = extract(backbone, images.take([4, 0]), 16, (8,), cache=FeatureCache(tmp_path / "cache"))
    assert backbone.network.seen == seen
    assert torch.equal(again[8], fresh[8][[4, 0]])
    assert torch.equal(extract(averages(), images, 16)[4], fresh[4])


def test_another_size_weight_or_content_is_another_entry(folder: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache")
    images = read_images(folder)
    extract(averages(), images, 16, (8,), cache=cache)
    extract(averages(), images, 24, (8,), cache=cache)
    assert len(cache) == 10
    other = Averages()
    torch.nn.init.constant_(other.scale, 2.0)
    doubled = FrozenBackbone(other, name="averages", channels={8: 3}, mean=(0.0,) * 3, std=(1.0,) * 3)
    maps = extract(doubled, images, 16, (8,), cache=cache)
    assert torch.allclose(maps[8], 2 * extract(averages(), images, 16, (8,))[8])
    assert len(cache) == 15
    Image.fromarray(255 - pictures()[0]).save(folder / "0.png")
    changed = extract(averages(), read_images(folder), 16, (8,), cache=cache)
    assert not torch.equal(changed[8][0], maps[8][0])
    assert len(cache) == 16


def test_a_cache_too_small_for_the_set_gives_the_same_maps(folder: Path, tmp_path: Path) -> None:
    images = read_images(folder)
    small = FeatureCache(tmp_path / "cache", max_bytes=400)
    expected = extract(averages(), images, 16)
    for _ in range(3):
        maps = extract(averages(), images, 16, batch_size=2, cache=small)
        assert all(torch.equal(maps[stride], expected[stride]) for stride in expected)
    assert small.used_bytes <= 1200


def key(name: str = "p") -> FeatureKey:
    return FeatureKey(name, "backbone", (16, 16))


def test_a_damaged_entry_is_computed_anew(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    maps = {8: torch.rand(3, 2, 2)}
    cache.put(key(), maps)
    path = next(tmp_path.glob("*/*.npy"))
    path.write_bytes(path.read_bytes()[:-8])
    assert cache.get(key(), (8,)) is None
    assert not path.exists()
    cache.put(key(), maps)
    found = cache.get(key(), (8,))
    assert found is not None
    assert torch.equal(found[8], maps[8])
    assert cache.get(key(), (8, 16)) is None


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.put(key(), {8: torch.rand(3, 2, 2)})
    path = next(tmp_path.glob("*/*.npy"))
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cache.get(key(), (8,)) is None


def test_the_longest_unused_goes_first_when_the_limit_is_passed(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=10_000)
    for number in range(6):
        cache.put(key(str(number)), {8: torch.rand(3, 10, 10)})
        for path in tmp_path.glob("*/*.npy"):
            if path.name.startswith(key(str(number)).at(8)):
                os.utime(path, (number, number))
    assert cache.get(key("0"), (8,)) is not None
    for number in range(6, 9):
        cache.put(key(str(number)), {8: torch.rand(3, 10, 10)})
    assert cache.used_bytes <= 10_000
    assert cache.get(key("0"), (8,)) is not None
    assert cache.get(key("1"), (8,)) is None
    cache.clear()
    assert len(cache) == 0


def test_half_the_space_at_a_small_error(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, dtype="float16")
    values = torch.randn(3, 20, 20)
    cache.put(key(), {8: values})
    found = cache.get(key(), (8,))
    assert found is not None
    assert found[8].dtype == torch.float32
    assert float((found[8] - values).norm() / values.norm()) < 5e-4
    cache.put(key("large"), {8: torch.full((3, 2, 2), 1e6)})
    assert cache.get(key("large"), (8,)) is None


def test_the_grid_joins_strides_on_the_finest(folder: Path) -> None:
    maps = extract(averages(), read_images(folder), 32)
    grid = patch_grid(maps)
    assert tuple(grid.shape) == (5, 6, 8, 8)
    assert torch.equal(grid[:, :3], maps[4])
    coarse = patch_grid(maps, stride=8)
    assert tuple(coarse.shape) == (5, 6, 4, 4)
    assert torch.equal(coarse[:, 3:], maps[8])


def test_pooling_averages_the_neighbours_that_exist() -> None:
    values = torch.arange(9.0).view(1, 1, 3, 3)
    pooled = patch_grid({8: values}, pool=3)
    assert pooled[0, 0, 1, 1] == 4.0
    assert pooled[0, 0, 0, 0] == (0 + 1 + 3 + 4) / 4


def test_bad_arguments_are_refused(folder: Path, tmp_path: Path) -> None:
    images = read_images(folder)
    with pytest.raises(ParameterError, match="multiple of 8"):
        extract(averages(), images, 20)
    with pytest.raises(ParameterError, match="strides must be among"):
        extract(averages(), images, 16, (32,))
    with pytest.raises(InputError, match="at least one picture"):
        extract(averages(), images.take([]), 16)
    with pytest.raises(InputError, match="cache needs pictures with keys"):
        extract(averages(), pictures(), 16, cache=FeatureCache(tmp_path / "cache"))
    with pytest.raises(InputError, match="uint8 array"):
        extract(averages(), pictures().astype(np.float32), 16)
    with pytest.raises(ParameterError, match="pool must be odd"):
        patch_grid({8: torch.zeros(1, 1, 2, 2)}, pool=2)
    with pytest.raises(InputError, match="cannot be made"):
        FeatureCache(folder / "0.png" / "cache")
