"""The layouts that can be read, by name, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unseen.data.images.items import ImageItem
from unseen.data.images.layouts import brats, btad, mvtec, mvtec_3d, mvtec_loco, plain, visa


@dataclass(frozen=True)
class Layout:
    """How one sort of folder is recognised and read.

    Attributes
    ----------
    title : str
        Its name for people.
    recognise : function (Path) -> bool
        Whether a folder is laid out so.
    read : function (Path) -> iterator of ImageItem
        The pictures of such a folder.
    """

    title: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], Iterator[ImageItem]]


LAYOUTS: dict[str, Layout] = {
    "visa": Layout("VisA (split CSV)", visa.recognise, visa.read),
    "mvtec-3d": Layout("MVTec 3D-AD (colour pictures)", mvtec_3d.recognise, mvtec_3d.read),
    "brats": Layout("BraTS slices", brats.recognise, brats.read),
    "btad": Layout("BTAD", btad.recognise, btad.read),
    "mvtec-loco": Layout("MVTec LOCO AD", mvtec_loco.recognise, mvtec_loco.read),
    "mvtec": Layout("MVTec AD", mvtec.recognise, mvtec.read),
    "folders": Layout("a folder of good pictures beside others", plain.recognise_folders, plain.read_folders),
    "flat": Layout("pictures without folders or labels", plain.recognise_flat, plain.read_flat),
    "nested": Layout("pictures in folders without labels", plain.recognise_nested, plain.read_nested),
}
