"""The lazy set: keys, masks, choosing, joining, and decoding by threads."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import published_images as published
import pytest

from unseen.data.images import ImageSet, concat_images, read_images
from unseen.errors import InputError, ReadError
from unseen.pixels import resize_image, resize_mask


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return read_images(published.mvtec(tmp_path))


def test_keys_follow_content_not_names(tmp_path: Path, images: ImageSet) -> None:
    shutil.copy(images.path(0), tmp_path / "copy.png")
    copy = read_images(tmp_path / "copy.png")
    assert copy.key(0) == images.key(0)
    assert len({images.key(i) for i in range(3)}) == 3
    deep = read_images(tmp_path / "copy.png", white_level=4095)
    assert deep.key(0) != copy.key(0)


def test_take_slices_splits_and_order(images: ImageSet) -> None:
    taken = images.take([5, 0])
    assert taken.path(0) == images.path(5)
    assert taken.labels.kinds.tolist() == ["scratch_head", "normal"]
    assert len(images.take(images.labels.anomaly)) == 4
    assert len(images.split("train")) == len(images[:3]) == 3
    assert len(images.take([])) == 0
    assert "4 normal, 4 anomalous" in repr(images)


def test_joining(images: ImageSet) -> None:
    joined = concat_images([images.take([0]), images.take([7])])
    assert joined.labels.kinds.tolist() == ["normal", "thread_top"]
    assert joined.layout == "mvtec"
    with pytest.raises(InputError, match="at least one"):
        concat_images([])
    with pytest.raises(InputError, match="white_level"):
        concat_images([images, ImageSet(images.items, white_level=4095)])


@pytest.mark.parametrize("threads", [1, 3])
def test_iterating_gives_resized_pictures_in_order(images: ImageSet, threads: int) -> None:
    batches = list(images.iterate(3, size=(10, 12), threads=threads))
    assert [batch.indices.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    stacked = np.concatenate([batch.images for batch in batches])
    expected = np.stack([resize_image(picture, (10, 12)) for picture in images])
    assert np.array_equal(stacked, expected)
    chosen = next(images.iterate(2, size=8, indices=np.array([6, 1])))
    assert chosen.indices.tolist() == [6, 1]
    assert np.array_equal(chosen.images[1], resize_image(images[1], 8))


def test_iterating_holds_a_few_pictures_only(tmp_path: Path) -> None:
    for number in range(60):
        published.picture(tmp_path / f"{number:02}.png", size=(300, 300))
    images = read_images(tmp_path)
    tracemalloc.start()
    count = sum(len(batch.images) for batch in images.iterate(4, size=300, threads=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60
    assert peak < 30 * 300 * 300 * 3


def test_a_broken_picture_is_named_when_it_is_reached(images: ImageSet) -> None:
    images.path(4).write_bytes(images.path(4).read_bytes()[:60])
    batches = images.iterate(2, size=8)
    assert next(batches).indices.tolist() == [0, 1]
    assert next(batches).indices.tolist() == [2, 3]
    with pytest.raises(ReadError, match=r"000\.png is cut off or damaged"):
        next(batches)


def test_masks_at_a_size(images: ImageSet) -> None:
    small = images.mask(5, size=12)
    assert small is not None
    full = images.mask(5)
    assert full is not None
    assert np.array_equal(small, resize_mask(full, 12))
    assert small.any()
    assert images.mask(0, size=12).shape == (12, 12)  # type: ignore[union-attr]
