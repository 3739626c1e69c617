"""Read a folder of pictures in any known layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unseen.checks import check_choice
from unseen.data.images.decoding import FULL_WHITE, IMAGE_SUFFIXES, MAX_PIXELS
from unseen.data.images.image_set import ImageSet
from unseen.data.images.items import ImageItem
from unseen.data.images.layouts.catalogue import LAYOUTS
from unseen.errors import ReadError
from unseen.types import NORMAL_KIND

_SHOWN = 3
_OTHER_FORMATS = frozenset(
    (".webp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".tga", ".dng", ".cr2", ".nef")
)
"""Endings of pictures that are not read."""


def read_images(
    path: str | Path,
    layout: str = "auto",
    *,
    loose: str = "unlabelled",
    white_level: int = FULL_WHITE,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Find the pictures below a folder, with kinds, categories, splits and masks. Nothing is decoded yet.

    Parameters
    ----------
    path : str or Path
        A data set, one of its categories, a plain folder, or one picture.
    layout : str
        ``"auto"``: recognise it (``ImageSet.layout`` says which it was). Else one of
        ``unseen.data.images.LAYOUTS``: visa, mvtec-3d, brats, btad, mvtec-loco, mvtec, folders, flat, nested.
    loose : "unlabelled" or "normal"
        What pictures without labels are (layouts flat and nested).
    white_level : int >= 1
        The value of 16-bit files that becomes 255.
    max_pixels : int >= 1
        Larger pictures are refused when they are decoded.

    Returns
    -------
    ImageSet

    Raises
    ------
    ReadError
        If the folder does not exist, holds no picture, or its layout is not known.
    ParameterError
        If ``layout`` or ``loose`` is none of the above.
    """
    root = Path(path)
    check_choice("read_images", "layout", layout, ["auto", *LAYOUTS])
    check_choice("read_images", "loose", loose, ["unlabelled", "normal"])
    if not root.exists():
        raise ReadError(f"{root} does not exist.")
    name = _recognised(root) if layout == "auto" else layout
    items = list(LAYOUTS[name].read(root))
    if not items:
        raise ReadError(f"{root} has no pictures in the layout {name!r} ({LAYOUTS[name].title}).")
    if name in ("flat", "nested") and loose == "normal":
        items = [replace(item, kind=NORMAL_KIND) for item in items]
    notes = [f"Layout: {LAYOUTS[name].title}.", *_notes(items), *_other_formats(items)]
    return ImageSet(items, layout=name, notes=notes, white_level=white_level, max_pixels=max_pixels)


def _recognised(root: Path) -> str:
    for name, layout in LAYOUTS.items():
        if layout.recognise(root):
            return name
    if root.is_file():
        raise ReadError(f"{root} is no picture ({', '.join(IMAGE_SUFFIXES)}) and no split table of VisA.")
    if not any(root.iterdir()):
        raise ReadError(f"{root} is empty.")
    raise ReadError(
        f"{root} has no known layout of pictures: expected {' or '.join(IMAGE_SUFFIXES[:3])} files in it, "
        f"a folder 'good' beside other folders, or one of the layouts {', '.join(LAYOUTS)}."
    )


def _notes(items: list[ImageItem]) -> list[str]:
    """Say how many defects have no mask, by category, where others have one."""
    masked = {item.domain for item in items if item.masks}
    bare = [item for item in items if item.kind not in (NORMAL_KIND, "") and not item.masks]
    bare = [item for item in bare if item.domain in masked]
    if not bare:
        return []
    shown = ", ".join(str(item.path) for item in bare[:_SHOWN]) + (", …" if len(bare) > _SHOWN else "")
    return [f"{len(bare)} anomalous pictures have no mask and are left out of pixel figures: {shown}."]


def _other_formats(items: list[ImageItem]) -> list[str]:
    """Say how many pictures beside those that are read are of a format that is not."""
    folders = {item.path.parent for item in items}
    left_out = [
        path
        for folder in sorted(folders)
        for path in folder.iterdir()
        if path.suffix.lower() in _OTHER_FORMATS and not path.name.startswith(".")
    ]
    if not left_out:
        return []
    endings = ", ".join(sorted({path.suffix.lower() for path in left_out}))
    return [f"{len(left_out)} pictures of other formats ({endings}) are not read; save them as PNG or JPEG."]
