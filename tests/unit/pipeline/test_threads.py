"""Reading ahead and writing behind keep order, bounds and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from unseen.pipeline.threads import WriteBehind, read_ahead


def test_items_come_in_order() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))


def test_only_so_many_items_are_read_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    items = read_ahead(source(), depth=2)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # one taken, two waiting, one in hand
    assert list(items) == list(range(1, 50))


def test_an_error_of_the_source_is_raised_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = read_ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_leaving_early_ends_the_thread() -> None:
    items = read_ahead(iter(range(1000)))
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "unseen-read-ahead"]


def test_writes_happen_in_order_and_before_the_block_ends() -> None:
    written: list[int] = []
    with WriteBehind(written.append) as behind:
        for number in range(20):
            behind.put(number)
    assert written == list(range(20))


def fail(item: int) -> None:
    raise OSError("disk full")


def put_all(n_items: int) -> None:
    with WriteBehind(fail) as behind:
        for number in range(n_items):
            behind.put(number)


@pytest.mark.parametrize("n_items", [1, 100])
def test_an_error_of_a_write_reaches_the_caller(n_items: int) -> None:
    with pytest.raises(OSError, match="disk full"):
        put_all(n_items)


def test_an_error_of_the_caller_wins() -> None:
    def stop() -> None:
        with WriteBehind(fail) as behind:
            behind.put(1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        stop()
