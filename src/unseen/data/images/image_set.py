"""A lazy sequence of pictures with what is known about them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from unseen.checks import check_int
from unseen.data.images.decoding import FULL_WHITE, MAX_PIXELS, decode_image, decode_mask, picture_size
from unseen.data.images.items import ImageItem
from unseen.errors import InputError, ReadError
from unseen.pixels import ImageBatch, Pixels, Size, check_size, resize_image, resize_mask
from unseen.types import ANOMALY, NORMAL, NORMAL_KIND, UNLABELLED, BoolArray, Labels, StrArray

_KEY_VERSION = b"unseen picture 1"


class ImageSet:
    """Pictures of a folder, decoded when they are asked for.

    ``images[i]`` is a uint8 array of shape (height, width, 3). Nothing is kept once it is returned, so a
    set of any length needs the memory of its file names alone.

    Parameters
    ----------
    items : sequence of ImageItem
        The pictures.
    layout : str
        The name of the folder layout that they were found by.
    notes : sequence of str
        What a reader should know, such as defects without masks.
    white_level : int >= 1
        The value of 16-bit files that becomes 255 (see :mod:`unseen.data.images.decoding`).
    max_pixels : int >= 1
        Larger pictures are refused.

    Attributes
    ----------
    items : tuple of ImageItem
        The pictures.
    labels : Labels
        Kinds are defect folders, domains are categories.
    splits : str array of shape (n_images,)
        ``"train"``, ``"validation"``, ``"test"`` or ``""``.
    layout, notes, white_level, max_pixels
        As given.
    """

    def __init__(
        self,
        items: Sequence[ImageItem],
        *,
        layout: str = "",
        notes: Sequence[str] = (),
        white_level: int = FULL_WHITE,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.items = tuple(items)
        self.layout = layout
        self.notes = tuple(notes)
        self.white_level = check_int(self, "white_level", white_level, minimum=1)
        self.max_pixels = check_int(self, "max_pixels", max_pixels, minimum=1)
        self.labels = _labels_of(self.items)
        self.splits: StrArray = np.array([item.split for item in self.items], dtype=np.str_)
        self._keys: dict[Path, str] = {}

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSet: ...
    def __getitem__(self, index: int | slice) -> Pixels | ImageSet:
        """Return one picture in its own size, or the set of a slice."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self._decode(self.items[index])

    def __iter__(self) -> Iterator[Pixels]:
        return (self._decode(item) for item in self.items)

    def __repr__(self) -> str:
        y = self.labels.y
        counts = f"{np.sum(y == NORMAL)} normal, {np.sum(y == ANOMALY)} anomalous"
        unknown = int(np.sum(y == UNLABELLED))
        return f"ImageSet({len(self)} images: {counts}{f', {unknown} unlabelled' if unknown else ''})"

    def path(self, index: int) -> Path:
        """Return the file of a picture.

        Parameters
        ----------
        index : int
            Which picture.

        Returns
        -------
        Path
        """
        return self.items[index].path

    def key(self, index: int) -> str:
        """Return a hash of a picture's file content and of how it is decoded, 32 hexadecimal digits.

        Parameters
        ----------
        index : int
            Which picture.

        Returns
        -------
        str
            The same for copies of a file under other names. The file is read once; a file that changes
            while the set is in use keeps its first key.
        """
        path = self.items[index].path
        if path not in self._keys:
            digest = hashlib.blake2b(digest_size=16, person=_KEY_VERSION)
            digest.update(str(self.white_level).encode())
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise ReadError(f"{path} cannot be read ({error.strerror}).") from error
            self._keys[path] = digest.hexdigest()
        return self._keys[path]

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a picture without decoding it.

        Parameters
        ----------
        index : int
            Which picture.

        Returns
        -------
        tuple of (int, int)

        Raises
        ------
        ReadError
            If the head of its file cannot be read.
        """
        return picture_size(self.items[index].path, max_pixels=self.max_pixels)

    def mask(self, index: int, *, size: Size | None = None) -> BoolArray | None:
        """Return where a picture's defect is.

        Parameters
        ----------
        index : int
            Which picture.
        size : int, (int, int) or None
            Bring the mask to this size (nearest pixel). None: the picture's own size.

        Returns
        -------
        bool array of shape (height, width) or None
            All False for a normal picture; the union of a defect's regions; None where the defect is not
            masked or the picture is not labelled.

        Raises
        ------
        ReadError
            If a mask cannot be read or has another size than its picture.
        """
        item = self.items[index]
        if item.kind != NORMAL_KIND and not item.masks:
            return None
        if item.kind == NORMAL_KIND:
            return np.zeros(check_size(self, size) if size is not None else self.size(index), dtype=np.bool_)
        union = np.logical_or.reduce(self.regions(index))
        return union if size is None else resize_mask(union, size)

    def regions(self, index: int) -> tuple[BoolArray, ...]:
        """Return a picture's masks one by one, as MVTec LOCO has them.

        Parameters
        ----------
        index : int
            Which picture.

        Returns
        -------
        tuple of bool arrays of shape (height, width)
            Empty if it is normal or not masked.

        Raises
        ------
        ReadError
            If a mask cannot be read or has another size than its picture.
        """
        item = self.items[index]
        if not item.masks:
            return ()
        expected = self.size(index)
        return tuple(self._checked_mask(path, expected, item.path) for path in item.masks)

    def take(self, indices: NDArray[Any] | Sequence[int]) -> ImageSet:
        """Return the set of some pictures.

        Parameters
        ----------
        indices : int array-like or bool array
            Places in this set, in the order wanted, or a mask over it.

        Returns
        -------
        ImageSet
        """
        places = np.asarray(indices)
        if places.size == 0:
            places = places.astype(np.int64)
        chosen = np.arange(len(self))[places]
        taken = ImageSet(
            [self.items[i] for i in chosen],
            layout=self.layout,
            notes=self.notes,
            white_level=self.white_level,
            max_pixels=self.max_pixels,
        )
        taken._keys = self._keys
        return taken

    def split(self, name: str) -> ImageSet:
        """Return the pictures of one split.

        Parameters
        ----------
        name : str
            ``"train"``, ``"validation"`` or ``"test"``.

        Returns
        -------
        ImageSet
            Maybe empty.
        """
        return self.take(self.splits == name)

    def iterate(
        self,
        batch: int = 32,
        *,
        size: Size,
        indices: NDArray[Any] | None = None,
        threads: int | None = None,
    ) -> Iterator[ImageBatch]:
        """Yield pictures in order, brought to one size, decoded by several threads.

        At most a batch and four pictures a thread are in memory.

        Parameters
        ----------
        batch : int >= 1
            Pictures a batch; the last one may be smaller.
        size : int or (int, int)
            One side of a square, or (height, width).
        indices : int array or None
            Which pictures, in which order. None: all.
        threads : int or None
            Threads that decode. None: one a processor, at most 8.

        Yields
        ------
        ImageBatch

        Raises
        ------
        ReadError
            When a picture that cannot be decoded is reached.
        """
        check_int(self, "batch", batch, minimum=1)
        shape = check_size(self, size)
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        workers = (
            min(8, cpu_count() or 1) if threads is None else check_int(self, "threads", threads, minimum=1)
        )

        def load(place: int) -> Pixels:
            return resize_image(self._decode(self.items[place]), shape)

        with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
            pending: deque[Future[Pixels]] = deque()
            ahead = iter(chosen.tolist())
            try:
                for start in range(0, len(chosen), batch):
                    places = chosen[start : start + batch]
                    images = np.empty((len(places), *shape, 3), dtype=np.uint8)
                    for slot in range(len(places)):
                        while len(pending) < 4 * workers and (place := next(ahead, None)) is not None:
                            pending.append(pool.submit(load, place))
                        images[slot] = pending.popleft().result()
                    yield ImageBatch(places, images)
            finally:
                for future in pending:
                    future.cancel()

    def _decode(self, item: ImageItem) -> Pixels:
        return decode_image(item.path, white_level=self.white_level, max_pixels=self.max_pixels)

    def _checked_mask(self, path: Path, expected: tuple[int, int], image: Path) -> BoolArray:
        mask = decode_mask(path, max_pixels=self.max_pixels)
        if mask.shape != expected:
            raise ReadError(
                f"{path} has {mask.shape[1]} x {mask.shape[0]} pixels, but its picture {image} has "
                f"{expected[1]} x {expected[0]}; a mask must be as large as its picture."
            )
        return mask


def concat_images(sets: Sequence[ImageSet]) -> ImageSet:
    """Join sets of pictures.

    Parameters
    ----------
    sets : sequence of ImageSet
        At least one, all decoded alike (``white_level``, ``max_pixels``).

    Returns
    -------
    ImageSet
        The pictures in that order; its layout is the sets' own if they share one, else ``"several"``.

    Raises
    ------
    InputError
        If there is none, or they are not decoded alike.
    """
    if not sets:
        raise InputError("concat_images: at least one set of pictures is needed.")
    first = sets[0]
    if any((s.white_level, s.max_pixels) != (first.white_level, first.max_pixels) for s in sets):
        raise InputError("concat_images: the sets differ in white_level or max_pixels; read them alike.")
    layouts = {images.layout for images in sets}
    joined = ImageSet(
        [item for images in sets for item in images.items],
        layout=first.layout if len(layouts) == 1 else "several",
        notes=list(dict.fromkeys(note for images in sets for note in images.notes)),
        white_level=first.white_level,
        max_pixels=first.max_pixels,
    )
    for images in sets:
        joined._keys.update(images._keys)
    return joined


def _labels_of(items: Sequence[ImageItem]) -> Labels:
    kinds = np.array([item.kind for item in items], dtype=np.str_)
    y = np.full(len(items), ANOMALY, dtype=np.int8)
    y[kinds == NORMAL_KIND] = NORMAL
    y[kinds == ""] = UNLABELLED
    groups = None
    if any(item.group for item in items):
        groups = np.array([item.group or str(item.path) for item in items], dtype=np.str_)
    return Labels(y, kinds, np.array([item.domain for item in items], dtype=np.str_), groups)
