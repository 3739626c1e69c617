"""Pictures in memory, and some of the pictures of a source, as sources themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.errors import InputError
from unseen.pixels import ImageBatch, ImageSource, Pixels, Size, check_pixels, check_size, resize_image


class ArrayPictures:
    """Arrays as an :class:`~unseen.pixels.ImageSource`.

    Parameters
    ----------
    owner : object
        Who asks, for messages.
    images : sequence of uint8 arrays of shape (height, width, 3) or (height, width)
        The pictures; their sizes may differ.

    Raises
    ------
    InputError
        If one of them is no such array.
    """

    def __init__(self, owner: object, images: Sequence[ArrayLike] | NDArray[np.uint8]) -> None:
        who = owner if isinstance(owner, str) else type(owner).__name__
        self._images = [check_pixels(who, image) for image in images]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Pixels:
        """Return one picture in its own size."""
        return self._images[index]

    def key(self, index: int) -> str:
        """Return a hash of a picture's shape and values.

        Parameters
        ----------
        index : int
            Which picture.

        Returns
        -------
        str
        """
        image = np.ascontiguousarray(self._images[index])
        digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16, person=b"unseen array 1")
        digest.update(image.data)
        return digest.hexdigest()

    def iterate(
        self, batch: int = 32, *, size: Size, indices: NDArray[Any] | None = None
    ) -> Iterator[ImageBatch]:
        """Yield pictures in order, brought to one size.

        Parameters
        ----------
        batch : int >= 1
            Pictures a batch.
        size : int or (int, int)
            One side of a square, or (height, width).
        indices : int array or None
            Which pictures, in which order. None: all.

        Yields
        ------
        ImageBatch
        """
        shape = check_size(self, size)
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        for start in range(0, len(chosen), batch):
            places = chosen[start : start + batch]
            yield ImageBatch(places, np.stack([resize_image(self[i], shape) for i in places.tolist()]))


class SomePictures:
    """Some of the pictures of a source, in a given order.

    Parameters
    ----------
    source : ImageSource
        All pictures.
    places : int array of shape (n,)
        Which of them.
    """

    def __init__(self, source: ImageSource, places: NDArray[np.int64]) -> None:
        self._source, self._places = source, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Pixels:
        """Return one picture in its own size."""
        return self._source[int(self._places[index])]

    def key(self, index: int) -> str:
        """Return the source's key of a picture.

        Parameters
        ----------
        index : int
            Which picture of these.

        Returns
        -------
        str
        """
        return self._source.key(int(self._places[index]))

    def iterate(
        self, batch: int = 32, *, size: Size, indices: NDArray[Any] | None = None
    ) -> Iterator[ImageBatch]:
        """Yield pictures in order, brought to one size.

        Parameters
        ----------
        batch : int >= 1
            Pictures a batch.
        size : int or (int, int)
            One side of a square, or (height, width).
        indices : int array or None
            Which of these pictures, in which order. None: all.

        Yields
        ------
        ImageBatch
        """
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        start = 0
        for found in self._source.iterate(batch, size=size, indices=self._places[chosen]):
            yield ImageBatch(chosen[start : start + len(found.images)], found.images)
            start += len(found.images)


def as_source(owner: object, X: object, *, name: str = "X") -> ImageSource:
    """Return pictures as an ImageSource.

    Parameters
    ----------
    owner : object
        Who asks, for messages.
    X : ImageSource, sequence of uint8 arrays of shape (height, width, 3), or one such stack
        The pictures.
    name : str
        The argument's name for messages.

    Returns
    -------
    ImageSource

    Raises
    ------
    InputError
        If there is no picture, or something is none.
    """
    who = owner if isinstance(owner, str) else type(owner).__name__
    if hasattr(X, "iterate") and hasattr(X, "key"):
        source = cast(ImageSource, X)
    else:
        if isinstance(X, np.ndarray) and X.ndim == 3:
            raise InputError(f"{who}: {name} must be a sequence of pictures; put a single picture in a list.")
        if isinstance(X, np.ndarray) and (X.ndim != 4 or X.dtype != np.uint8):
            raise InputError(
                f"{who}: {name} must be uint8 pictures of shape (n, height, width, 3), got {X.dtype} of "
                f"shape {X.shape}."
            )
        if not isinstance(X, np.ndarray | Sequence) or isinstance(X, str | bytes):
            raise InputError(
                f"{who}: {name} must be a sequence of uint8 pictures (unseen.data.images.read_images reads "
                f"files), got {type(X).__name__}."
            )
        source = ArrayPictures(who, X)
    if len(source) == 0:
        raise InputError(f"{who}: {name} must hold at least one picture, got none.")
    return source
