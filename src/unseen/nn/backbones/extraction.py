"""From pictures to feature maps and to one grid of patch features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unseen.checks import check_int
from unseen.errors import InputError, ParameterError
from unseen.nn.backbones.frozen import check_strides
from unseen.nn.backbones.protocol import Backbone, FeatureMaps
from unseen.nn.feature_cache import FeatureCache, FeatureKey
from unseen.pixels import ImageBatch, ImageSource, Size, check_pixels, check_size, resize_image


class FeatureBatch(NamedTuple):
    """Feature maps of some pictures.

    Attributes
    ----------
    indices : int64 array of shape (n,)
        Their places in the sequence.
    maps : dict of int to float32 tensor of shape (n, channels, height / stride, width / stride)
        On the CPU.
    """

    indices: NDArray[np.int64]
    maps: FeatureMaps


def iterate_features(
    backbone: Backbone,
    images: ImageSource | Sequence[ArrayLike] | NDArray[np.uint8],
    size: Size,
    strides: Sequence[int] | None = None,
    *,
    batch_size: int = 16,
    cache: FeatureCache | None = None,
) -> Iterator[FeatureBatch]:
    """Yield the feature maps of pictures, batch by batch and in order; memory is bounded by a few batches.

    Parameters
    ----------
    backbone : Backbone
        The frozen network.
    images : ImageSource, sequence of uint8 arrays of shape (height, width, 3), or one such stack
        The pictures. Those of an ImageSource (``unseen.data.images.ImageSet``) are decoded by threads.
    size : int or (int, int)
        They are brought to this size first.
    strides : sequence of int or None
        Which maps. None: all that the backbone has.
    batch_size : int >= 1
        Pictures at once.
    cache : FeatureCache or None
        Maps found there are not computed, new ones are put there. Needs an ImageSource, whose pictures have
        keys.

    Yields
    ------
    FeatureBatch

    Raises
    ------
    ParameterError
        If the size or a stride does not suit the backbone.
    InputError
        If a picture is no such array, or a cache is given for pictures without keys.
    """
    shape = check_size(backbone.name, size, multiple=backbone.multiple)
    chosen = check_strides(backbone.name, strides, backbone.strides)
    check_int("extract", "batch_size", batch_size, minimum=1)
    if not _has_keys(images):
        if cache is not None:
            raise InputError("extract: a cache needs pictures with keys, such as an ImageSet.")
        for batch in _batches_of_arrays(images, shape, batch_size):
            yield FeatureBatch(batch.indices, _compute(backbone, batch, chosen))
    elif cache is None:
        for batch in images.iterate(batch_size, size=shape):
            yield FeatureBatch(batch.indices, _compute(backbone, batch, chosen))
    else:
        yield from _through_cache(backbone, images, shape, chosen, batch_size, cache)


def extract(
    backbone: Backbone,
    images: ImageSource | Sequence[ArrayLike] | NDArray[np.uint8],
    size: Size,
    strides: Sequence[int] | None = None,
    *,
    batch_size: int = 16,
    cache: FeatureCache | None = None,
) -> FeatureMaps:
    """Return the feature maps of all pictures at once.

    Parameters
    ----------
    backbone, images, size, strides, batch_size, cache
        As for :func:`iterate_features`, which is the one to use for many pictures.

    Returns
    -------
    dict of int to float32 tensor of shape (n_images, channels, height / stride, width / stride)
        On the CPU.

    Raises
    ------
    ParameterError
        If the size or a stride does not suit the backbone.
    InputError
        If there is no picture, or one is no such array.
    """
    if len(images) == 0:
        raise InputError("extract: at least one picture is needed.")
    maps: FeatureMaps = {}
    batches = iterate_features(backbone, images, size, strides, batch_size=batch_size, cache=cache)
    for batch in batches:
        for stride, values in batch.maps.items():
            if stride not in maps:
                maps[stride] = torch.empty(len(images), *values.shape[1:])
            maps[stride][torch.from_numpy(batch.indices)] = values
    return maps


def patch_grid(maps: FeatureMaps, *, stride: int | None = None, pool: int = 1, further: int = 0) -> Tensor:
    """Bring maps of several strides to one grid and join their channels.

    Each map is averaged over ``pool`` x ``pool`` neighbours first (at the border over those that exist), as
    PatchCore does (K. Roth et al., CVPR 2022), and then interpolated bilinearly.

    Parameters
    ----------
    maps : dict of int to tensor of shape (n, channels, height, width)
        By stride.
    stride : int or None
        Whose grid. None: the finest.
    pool : int, odd, >= 1
        Side of the neighbourhood; 1: no averaging.
    further : int >= 0
        Channels that the caller fills, behind the others.

    Returns
    -------
    tensor of shape (n, sum of channels + further, grid height, grid width)
        Channels by rising stride, and last in memory.

    Raises
    ------
    ParameterError
        If ``pool`` is even or there is no map of that stride.
    """
    check_int("patch_grid", "pool", pool, minimum=1)
    target = min(maps) if stride is None else stride
    if pool % 2 == 0:
        raise ParameterError(f"patch_grid: pool must be odd, got {pool}.")
    if target not in maps:
        raise ParameterError(f"patch_grid: stride must be among {tuple(maps)}, got {stride}.")
    shape = maps[target].shape[-2:]
    n, channels = len(maps[target]), sum(values.shape[1] for values in maps.values())
    rows = maps[target].new_empty(n, *shape, channels + further)
    grid, first = rows.permute(0, 3, 1, 2), 0
    for _, values in sorted(maps.items()):
        if pool > 1:
            values = F.avg_pool2d(values, pool, stride=1, padding=pool // 2, count_include_pad=False)
        own = slice(first, first := first + values.shape[1])
        for place in range(n):  # one at a time stays in the processor's cache
            last = values[place : place + 1].contiguous(memory_format=torch.channels_last)
            if last.shape[-2:] != shape:
                last = F.interpolate(last, size=shape, mode="bilinear", align_corners=False)
            grid[place, own] = last[0]
    return grid


def _has_keys(images: ImageSource | Sequence[ArrayLike] | NDArray[np.uint8]) -> TypeGuard[ImageSource]:
    return hasattr(images, "iterate") and hasattr(images, "key")


def _batches_of_arrays(images: Any, shape: tuple[int, int], batch_size: int) -> Iterator[ImageBatch]:
    for start in range(0, len(images), batch_size):
        indices = np.arange(start, min(start + batch_size, len(images)))
        pictures = [resize_image(check_pixels("extract", images[i]), shape) for i in indices.tolist()]
        yield ImageBatch(indices, np.stack(pictures))


def _compute(backbone: Backbone, batch: ImageBatch, strides: tuple[int, ...]) -> FeatureMaps:
    pictures = torch.from_numpy(batch.images).permute(0, 3, 1, 2)
    return {stride: values.cpu() for stride, values in backbone(pictures, strides).items()}


def _through_cache(
    backbone: Backbone,
    images: ImageSource,
    shape: tuple[int, int],
    strides: tuple[int, ...],
    batch_size: int,
    cache: FeatureCache,
) -> Iterator[FeatureBatch]:
    """Batches in order: stored maps from the cache, the others computed, batch by batch, and stored."""
    keys = [FeatureKey.of(backbone, images.key(i), shape) for i in range(len(images))]
    stored = np.array([cache.has(key, strides) for key in keys], dtype=np.bool_)

    def computed(indices: NDArray[np.int64]) -> Iterator[FeatureMaps]:
        for batch in images.iterate(batch_size, size=shape, indices=indices):
            fresh = _compute(backbone, batch, strides)
            for row, place in enumerate(batch.indices.tolist()):
                maps = {stride: values[row] for stride, values in fresh.items()}
                cache.put(keys[place], maps)
                yield maps

    fresh = computed(np.flatnonzero(~stored))
    for start in range(0, len(images), batch_size):
        indices = np.arange(start, min(start + batch_size, len(images)))
        found = []
        for place in indices.tolist():
            maps = cache.get(keys[place], strides) if stored[place] else next(fresh)
            if maps is None:  # damaged, or cleared away since
                maps = next(computed(np.array([place])))
            found.append(maps)
        yield FeatureBatch(
            indices, {stride: torch.stack([maps[stride] for maps in found]) for stride in strides}
        )
