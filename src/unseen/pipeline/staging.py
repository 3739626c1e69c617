"""Output that appears under its final name whole or not at all.

A file is written as ``NAME.<random>.partial`` in the directory of the result, flushed to disk and then
renamed. A process that is killed leaves only the partial file, which the next run for the same result removes
(it knows by a lock that nobody is writing there any more).
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unseen.errors import ReadError

if sys.platform != "win32":
    import fcntl

PARTIAL_SUFFIX = ".partial"


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` and rename it to ``target`` when the block ends well.

    Parameters
    ----------
    target : Path
        The final name. Its directory is made if it is missing.

    Yields
    ------
    Path
        The file to write to; it exists and is empty. It is removed if the block raises.

    Raises
    ------
    ReadError
        If ``target`` is a directory.
    """
    if target.is_dir():
        raise ReadError(f"{target} is a directory; give the name of a file to write.")
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    with scratch(target) as path:
        yield path
        _flush_to_disk(path)
        path.replace(target)
        _flush_to_disk(target.parent)


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that is gone when the block ends.

    Parameters
    ----------
    target : Path
        The result that the scratch file helps to make; its directory exists.

    Yields
    ------
    Path
        An empty file.
    """
    path = target.with_name(f"{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    with path.open("xb") as guard:
        _lock(guard)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def remove_abandoned(target: Path) -> int:
    """Remove partial files of ``target`` that no running process holds, and return how many.

    Parameters
    ----------
    target : Path
        The final name.

    Returns
    -------
    int
    """
    removed = 0
    prefix = f"{target.name}."
    for path in target.parent.iterdir():
        token = path.name[len(prefix) : -len(PARTIAL_SUFFIX)]
        ours = path.name.startswith(prefix) and path.name.endswith(PARTIAL_SUFFIX) and len(token) == 8
        if not ours:
            continue
        with path.open("rb") as handle:
            if _lock(handle):
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _lock(handle: IO[bytes]) -> bool:
    """Take the lock of an open file if nobody has it; return whether we got it."""
    if sys.platform == "win32":  # partial files of killed runs then stay until removed by hand
        return False
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _flush_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
