"""Pictures as arrays: what a size means, and how a picture or a mask is brought to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unseen.checks import check_int
from unseen.errors import InputError, ParameterError
from unseen.types import BoolArray

Pixels: TypeAlias = NDArray[np.uint8]
"""A picture, uint8 of shape (height, width, 3), red-green-blue; or a stack of them."""

Size: TypeAlias = "int | tuple[int, int]"
"""One side of a square, or (height, width), in pixels."""

_LARGEST_SIDE = 16_384


class ImageBatch(NamedTuple):
    """Some pictures of one size.

    Attributes
    ----------
    indices : int64 array of shape (n,)
        Their places in the sequence that they come from.
    images : uint8 array of shape (n, height, width, 3)
        Red, green, blue.
    """

    indices: NDArray[np.int64]
    images: Pixels


class ImageSource(Protocol):
    """A sequence of pictures, decoded when they are asked for.

    ``unseen.data.images.ImageSet`` is one.
    """

    def __len__(self) -> int:
        """Return the number of pictures."""
        ...

    def __getitem__(self, index: int, /) -> Pixels:
        """Return one picture in its own size."""
        ...

    def key(self, index: int) -> str:
        """Return a name that two pictures share only if their content is the same."""
        ...

    def iterate(
        self, batch: int = ..., *, size: Size, indices: NDArray[Any] | None = ...
    ) -> Iterator[ImageBatch]:
        """Yield pictures in order, brought to one size."""
        ...


def check_size(owner: object, size: object, *, name: str = "size", multiple: int = 1) -> tuple[int, int]:
    """Return a size as (height, width).

    Parameters
    ----------
    owner : object
        Who asks, for the message.
    size : int or (int, int)
        One side of a square, or (height, width).
    name : str
        The argument's name for the message.
    multiple : int
        Both sides must be a multiple of this.

    Returns
    -------
    tuple of (int, int)

    Raises
    ------
    ParameterError
        If it is no such size.
    """
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise ParameterError(f"{name} must be one side or (height, width), got {size!r}.")
    height, width = (check_int(owner, name, side, minimum=1, maximum=_LARGEST_SIDE) for side in sides)
    if height % multiple or width % multiple:
        nearest = tuple(max(multiple, round(side / multiple) * multiple) for side in (height, width))
        raise ParameterError(
            f"{name} must be a multiple of {multiple} pixels for {owner}, got {size!r}; "
            f"the nearest is {nearest[0] if nearest[0] == nearest[1] else nearest}."
        )
    return height, width


def check_pixels(owner: str, image: object) -> Pixels:
    """Return a picture as a uint8 array of shape (height, width, 3).

    Parameters
    ----------
    owner : str
        Who asks, for the message.
    image : array-like
        uint8 of shape (height, width, 3), or grey of shape (height, width).

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    InputError
        If it is no such array.
    """
    array = np.asarray(image)
    if array.ndim == 2 and array.dtype == np.uint8:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(
            f"{owner}: a picture must be a uint8 array of shape (height, width, 3), "
            f"got {array.dtype} of shape {array.shape}."
        )
    return array


def resize_image(image: Pixels, size: Size) -> Pixels:
    """Bring a picture to a size, without regard to its proportions.

    Bilinear over the whole area that a new pixel covers, so that shrinking does not make false patterns.

    Parameters
    ----------
    image : uint8 array of shape (height, width, 3)
        Red, green, blue.
    size : int or (int, int)
        One side of a square, or (height, width).

    Returns
    -------
    uint8 array of shape (new height, new width, 3)
    """
    height, width = check_size("resize_image", size)
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def resize_mask(mask: BoolArray, size: Size) -> BoolArray:
    """Bring a mask to a size: each new pixel takes the nearest old one.

    Parameters
    ----------
    mask : bool array of shape (height, width)
        True on the defect.
    size : int or (int, int)
        One side of a square, or (height, width).

    Returns
    -------
    bool array of shape (new height, new width)
        A defect of a few pixels can vanish when the mask shrinks much.
    """
    height, width = check_size("resize_mask", size)
    if mask.shape == (height, width):
        return mask
    picture = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST)).astype(np.bool_)
