"""A few test pictures of a trial, small enough to be kept beside its scores, for the report's galleries."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unseen.data.images import ImageSet
from unseen.pipeline.heat_maps import fitted_size, resize_levels
from unseen.pixels import resize_image, resize_mask
from unseen.types import BoolArray

Group = Literal["miss", "false alarm", "hit"]

GROUPS: tuple[Group, ...] = get_args(Group)

LONGEST_SIDE = 176
"""Longest side of a kept picture, in pixels."""

EACH = 6
"""Pictures of a group that are kept of each trial."""


@dataclass(frozen=True)
class GalleryPicture:
    """One kept picture.

    Attributes
    ----------
    place : int
        Its place among the test rows of the trial.
    group : {"miss", "false alarm", "hit"}
        Why it was kept.
    name : str
        Its file, as folder and name.
    image : bytes
        The picture, a JPEG file.
    mask : bytes
        Where the defect is, a PNG file; empty if that is not known.
    levels : bytes
        Its map on the one scale of the trial, a grey PNG file.
    """

    place: int
    group: Group
    name: str
    image: bytes
    mask: bytes
    levels: bytes


def choose_pictures(
    scores: NDArray[np.float64], normal: BoolArray, held_out: BoolArray, *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the worst misses, the worst false alarms and random other anomalies.

    Parameters
    ----------
    scores : float64 array of shape (n_test,)
        Higher = more anomalous.
    normal, held_out : bool array of shape (n_test,)
        Normals, and anomalies of the kind that the trial is about.
    seed : int
        Draws the random ones.

    Returns
    -------
    places : int64 array of shape (n,)
        Places among the test rows; misses from the lowest score, false alarms from the highest.
    groups : int64 array of shape (n,)
        Position of each in ``GROUPS``.
    """
    order = np.argsort(scores, kind="stable")
    missed = [int(i) for i in order if held_out[i]]
    alarms = [int(i) for i in order[::-1] if normal[i]][:EACH]
    n_missed = min(EACH, (len(missed) + 1) // 2)
    others = np.random.default_rng([seed, len(scores)]).permutation(missed[n_missed:])[:EACH]
    chosen: tuple[list[int], ...] = (missed[:n_missed], alarms, [int(i) for i in others])
    places = np.array([place for group in chosen for place in group], dtype=np.int64)
    groups = np.array([number for number, group in enumerate(chosen) for _ in group], dtype=np.int64)
    return places, groups


def pack_pictures(
    images: ImageSet, levels: NDArray[np.float32], places: NDArray[np.int64], groups: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return pictures with masks and maps as arrays that a part can hold.

    Parameters
    ----------
    images : ImageSet
        The n pictures.
    levels : float32 array of shape (n, height, width)
        Their maps on one scale, in [0, 1].
    places, groups : int64 array of shape (n,)
        As :func:`choose_pictures` gives them.

    Returns
    -------
    dict of str to array
        ``gallery_places``, ``gallery_groups``, ``gallery_names``, and ``gallery_bytes``, which ends of files
        (three a picture) divide at ``gallery_ends``.
    """
    files: list[bytes] = []
    for place in range(len(images)):
        image = images[place]
        size = fitted_size(image.shape[0], image.shape[1], LONGEST_SIDE)
        mask = images.mask(place)
        files.append(_encoded(resize_image(image, size), "JPEG", quality=82))
        files.append(b"" if mask is None else _encoded(resize_mask(mask, size).astype(np.uint8) * 255, "PNG"))
        small = resize_levels(levels[place], size)
        files.append(_encoded(np.rint(small * 255).astype(np.uint8), "PNG"))
    names = [f"{images.path(i).parent.name}/{images.path(i).name}" for i in range(len(images))]
    return {
        "gallery_places": places,
        "gallery_groups": groups,
        "gallery_names": np.array(names, dtype=np.str_),
        "gallery_bytes": np.frombuffer(b"".join(files), dtype=np.uint8),
        "gallery_ends": np.cumsum([len(file) for file in files]).astype(np.int64),
    }


def unpack_pictures(arrays: Mapping[str, NDArray[Any]]) -> list[GalleryPicture]:
    """Return the pictures that :func:`pack_pictures` put into a part.

    Parameters
    ----------
    arrays : mapping of str to array
        Of the part.

    Returns
    -------
    list of GalleryPicture
        Empty if the part has none.

    Raises
    ------
    KeyError or ValueError
        If the arrays are damaged.
    """
    if "gallery_ends" not in arrays:
        return []
    content, ends = arrays["gallery_bytes"].tobytes(), arrays["gallery_ends"].tolist()
    files = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [
        GalleryPicture(int(place), GROUPS[int(group)], str(name), *files[3 * i : 3 * i + 3])
        for i, (place, group, name) in enumerate(
            zip(arrays["gallery_places"], arrays["gallery_groups"], arrays["gallery_names"], strict=True)
        )
    ]


def _encoded(pixels: NDArray[np.uint8], form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, optimize=True, **options)
    return buffer.getvalue()
