"""Reading, scoring and writing at the same time, with a bounded number of batches in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End:
    """Marks the end of a stream."""


def read_ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Iterate over ``items`` in a thread of their own, at most ``depth`` of them ahead.

    Parameters
    ----------
    items : iterable
        Where the work is; it runs in the other thread.
    depth : int
        How many finished items may wait.

    Yields
    ------
    object
        The items in order. An exception of ``items`` is raised here.
    """
    waiting: queue.Queue[T | _End | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def work() -> None:
        try:
            for item in items:
                if not _put(waiting, item, stop):
                    return
            _put(waiting, _End(), stop)
        except BaseException as error:
            _put(waiting, error, stop)

    thread = threading.Thread(target=work, name="unseen-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


class WriteBehind(Generic[T]):
    """Hand items to ``write`` in a thread of their own, at most ``depth`` of them behind.

    Use it as a context manager; leaving the block waits for all writes. An exception of ``write`` is raised
    by the next ``put`` or when the block ends.

    Parameters
    ----------
    write : callable
        Takes one item.
    depth : int
        How many items may wait.
    """

    def __init__(self, write: Callable[[T], None], depth: int = 2) -> None:
        self._write = write
        self._waiting: queue.Queue[T | _End] = queue.Queue(depth)
        self._failed = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="unseen-write-behind", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._failed.set()
        _put(self._waiting, _End(), self._failed)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Queue one item; waits while ``depth`` items are waiting."""
        if not _put(self._waiting, item, self._failed) and self._error is not None:
            raise self._error

    def _work(self) -> None:
        while not self._failed.is_set():
            try:
                item = self._waiting.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                return
            try:
                self._write(item)
            except BaseException as error:
                self._error = error
                self._failed.set()


def _put(waiting: queue.Queue[T], item: T, stop: threading.Event) -> bool:
    """Put an item unless ``stop`` is set; return whether it went in."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
