"""Worker processes that do not outlive the run that they work for."""

from __future__ import annotations

import os
import threading
import time

LOOK_EVERY = 0.5
"""Seconds between two looks at the parent."""

_watched: set[int] = set()


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent has gone, however it went; once asked, every time.

    A run that is killed cannot tell its workers. They would finish their trials, which the next run may have
    begun again. Systems that keep the number of a parent that has gone (Windows) are left alone by this.

    Parameters
    ----------
    parent : int
        Process number of the run. Nothing is done if it is not this process's parent: the run itself, or a
        worker behind another process.
    """
    if parent in _watched or os.getppid() != parent:
        return
    _watched.add(parent)
    threading.Thread(target=_watch, args=(parent,), name="end with parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os._exit(1)  # nobody is left to tell; parts are written whole or not at all
