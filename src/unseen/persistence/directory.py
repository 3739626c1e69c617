"""Directories that are replaced as a whole.

A new directory is written beside the old one under a hidden name, flushed to the disk, and renamed. An old
directory is renamed aside first, to ``.NAME.previous``, and removed last. A process that is killed in between
leaves one of these behind, and :func:`current` finds the directory that counts:

========================================= ==========================================
on the disk                               what counts
========================================= ==========================================
``NAME``                                  ``NAME``
``NAME`` and ``.NAME.previous``           ``NAME``, the new one
``.NAME.previous`` alone                  ``.NAME.previous``, the old one, unharmed
========================================= ==========================================

``.NAME.saving-…`` never counts. The next save clears leftovers away.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

_STALE_SECONDS = 3600.0


def current(path: Path) -> Path:
    """Return the directory that holds what was last saved under ``path``.

    Parameters
    ----------
    path : Path
        The name it was saved under.

    Returns
    -------
    Path
        ``path`` itself, or the earlier version if a replacement was interrupted between its two renames.
    """
    previous = _previous(path)
    return previous if not path.exists() and previous.is_dir() else path


def replace_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a directory, in place of what it held; all of them or none.

    Parameters
    ----------
    path : Path
        The directory; its parents are made. What it held before is lost.
    files : mapping of str to bytes
        Contents by file name.

    Raises
    ------
    OSError
        If the disk is full, or the place cannot be written to. ``path`` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    fresh = path.with_name(f".{path.name}.saving-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        fresh.mkdir()
        for name, content in files.items():
            _write(fresh / name, content)
        _flush_directory(fresh)
        _swap(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _flush_directory(path.parent)
    shutil.rmtree(_previous(path), ignore_errors=True)


def _swap(fresh: Path, path: Path) -> None:
    """Put ``fresh`` in the place of ``path``; put ``path`` back if that fails."""
    if not path.exists():
        fresh.rename(path)
        return
    previous = _previous(path)
    path.rename(previous)
    try:
        fresh.rename(path)
    except BaseException:
        previous.rename(path)
        raise


def _clear_leftovers(path: Path) -> None:
    previous = _previous(path)
    if previous.is_dir() and not path.exists():
        previous.rename(path)
    shutil.rmtree(previous, ignore_errors=True)
    for leftover in path.parent.glob(f".{_escaped(path.name)}.saving-*"):
        if leftover.is_dir() and time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
