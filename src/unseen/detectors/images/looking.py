"""Pictures through the backbone: patch features, what lies on the part, what is known to be defective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from unseen.nn.backbones import Backbone, iterate_features, load_backbone, patch_grid
from unseen.nn.feature_cache import FeatureCache
from unseen.nn.patches.pictures import ArrayPictures
from unseen.nn.synthetic import estimate_foreground
from unseen.pixels import ImageSource, Pixels, Size, check_size, resize_mask
from unseen.types import BoolArray


class Look(NamedTuple):
    """Changed copies of some pictures.

    Attributes
    ----------
    images : uint8 array of shape (n, height, width, 3)
        The copies.
    defects : bool array of shape (n, height, width) or None
        Where a defect was put in; None: nowhere.
    """

    images: Pixels
    defects: BoolArray | None


LookMaker: TypeAlias = Callable[[Pixels, BoolArray], list[Look]]


@dataclass(frozen=True)
class Seeing:
    """How pictures are seen; the parameters are those of the detector.

    Attributes
    ----------
    name : str
        Name or folder of the backbone.
    size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Maps that are joined.
    pool : int
        Side of the neighbourhood that is averaged.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        Folder of the features.
    device : str
        Where the backbone runs.
    foreground : str
        ``"all"``, ``"estimate"`` or ``"hull"``.
    tuned : Backbone or None
        Used in place of the named one: with its network after fine-tuning.
    """

    name: str
    size: Size
    strides: tuple[int, ...]
    pool: int
    batch_size: int
    cache_dir: str | None
    device: str
    foreground: str
    tuned: Backbone | None = None

    @property
    def backbone(self) -> Backbone:
        """The backbone; one that is not fine-tuned is loaded once a process."""
        return _loaded(self.name, self.device) if self.tuned is None else self.tuned

    def looks(self, pictures: ImageSource) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield places and V of one look, batch by batch."""
        shape = check_size(self.name, self.size)
        cache = None if self.cache_dir is None else _cache(self.cache_dir)
        batches = iterate_features(
            self.backbone, pictures, shape, self.strides, batch_size=self.batch_size, cache=cache
        )
        decoded = pictures.iterate(self.batch_size, size=shape) if self.foreground != "all" else None
        for batch in batches:
            grid = patch_grid(batch.maps, stride=min(self.strides), pool=self.pool, further=2)
            grid[:, -2], grid[:, -1] = 1.0, 0.0
            V = grid.numpy()[:, None]  # channels last in memory: patches are rows
            height, width = V.shape[-2:]
            if decoded is not None:
                hull = self.foreground == "hull"
                parts = np.stack([estimate_foreground(image, hull=hull) for image in next(decoded).images])
                V[:, 0, -2] = _shares(parts, (height, width))
            yield batch.indices, V

    def all_looks(
        self,
        pictures: ImageSource,
        further: LookMaker,
        normal: BoolArray,
        masks: Sequence[BoolArray | None] | None,
    ) -> NDArray[np.float32]:
        """Return V of pictures that are to be remembered or learned from, with all their looks.

        Parameters
        ----------
        pictures : ImageSource
            The pictures.
        further : callable
            Makes changed copies from pictures at the size of the detector and whether they are normal.
        normal : bool array of shape (n_pictures,)
            Which are normal.
        masks : sequence of bool arrays or None
            Where defects are.

        Returns
        -------
        float32 array of shape (n_pictures, n_looks, channels + 2, grid height, grid width)
            The last channel is NaN where a defect is not masked.
        """
        shape = check_size(self.name, self.size)
        V = np.concatenate([part for _, part in self.looks(pictures)])
        grid = (V.shape[3], V.shape[4])
        for row in np.flatnonzero(~normal).tolist():
            mask = None if masks is None else masks[row]
            V[row, 0, -1] = np.nan if mask is None else _shares(resize_mask(mask, shape)[None], grid)[0]
        if not further(np.zeros((0, *shape, 3), dtype=np.uint8), normal[:0]):
            return V
        blocks = []
        for batch in pictures.iterate(self.batch_size, size=shape):
            made = further(batch.images, normal[batch.indices])
            blocks.append(np.concatenate([V[batch.indices], *(self._look(look) for look in made)], axis=1))
        return np.concatenate(blocks)

    def _look(self, look: Look) -> NDArray[np.float32]:
        V = np.concatenate([part for _, part in self.looks(ArrayPictures(self.name, look.images))])
        if look.defects is not None:
            V[:, 0, -1] = _shares(look.defects, (V.shape[3], V.shape[4]))
        return V


def rotated(images: Pixels, degrees: float) -> Pixels:
    """Return pictures turned about their centres, what comes in from outside repeating their borders.

    Parameters
    ----------
    images : uint8 array of shape (n, height, width, 3)
        The pictures.
    degrees : float
        Anticlockwise.

    Returns
    -------
    uint8 array of the same shape
    """
    if len(images) == 0:
        return images
    quarters, rest = divmod(degrees, 90.0)
    if rest == 0 and (images.shape[1] == images.shape[2] or quarters % 2 == 0):
        return np.ascontiguousarray(np.rot90(images, int(quarters), axes=(1, 2)))  # the same, and quicker
    turned = ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1, mode="nearest")
    return np.asarray(turned, dtype=np.uint8)


def _shares(masks: BoolArray, grid: tuple[int, int]) -> NDArray[np.float32]:
    """How much of each patch is True."""
    values = torch.from_numpy(masks.astype(np.float32))[:, None]
    return np.asarray(F.adaptive_avg_pool2d(values, grid)[:, 0].numpy())


@lru_cache(maxsize=4)
def _loaded(name: str, device: str) -> Backbone:
    return load_backbone(name, device=device)


@lru_cache(maxsize=4)
def _cache(folder: str) -> FeatureCache:
    return FeatureCache(folder)
