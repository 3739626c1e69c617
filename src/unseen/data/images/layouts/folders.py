"""Looking into folders of pictures: what all layouts share."""

from __future__ import annotations

from pathlib import Path

from unseen.data.images.decoding import IMAGE_SUFFIXES
from unseen.types import NORMAL_KIND

NORMAL_FOLDERS = ("good", "normal", "ok")
"""Names of folders that hold normal pictures, whatever their case."""


def kind_of_folder(name: str) -> str:
    """Return the kind of the pictures in a folder: ``"normal"`` for good, normal, ok, else its own name."""
    return NORMAL_KIND if name.lower() in NORMAL_FOLDERS else name


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files directly in a folder, by name; none if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def folders_in(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, by name, without hidden ones; none if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    )


def category_folders(root: Path, *, marks: tuple[str, ...] = ("train", "test")) -> list[Path]:
    """Return the categories of a data set.

    Parameters
    ----------
    root : Path
        A category itself, or a folder of categories.
    marks : tuple of str
        A folder is a category if it has a folder of one of these names.

    Returns
    -------
    list of Path
        ``[root]``, or the categories in it, by name; empty if there are none.
    """
    if any((root / mark).is_dir() for mark in marks):
        return [root]
    return [folder for folder in folders_in(root) if any((folder / mark).is_dir() for mark in marks)]


def domain_of(category: Path) -> str:
    """Return the name of a category's folder, also where the path is relative, such as ``.``."""
    return category.name or category.resolve().name


def same_stem(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by the name without its ending."""
    return {path.stem: path for path in pictures_in(folder)}
