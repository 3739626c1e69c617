"""Progress of work whose length is not known."""

import sys
import time

import pytest

from unseen.cli import console


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.02)


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_work_that_takes_long_says_how_long_it_has_taken(monkeypatch):
    lines = []
    monkeypatch.setattr(console.typer, "echo", lambda text, err: lines.append((text, err)))
    with console.waiting("fitting"):
        wait_for(lambda: len(lines) > 1)
    told = len(lines)
    time.sleep(0.1)
    assert len(lines) == told
    assert lines[0] == ("fitting: 0 s so far", True)


def test_an_error_of_the_work_comes_out_and_ends_the_lines(monkeypatch):
    lines = []
    monkeypatch.setattr(console.typer, "echo", lambda text, err: lines.append(text))
    with pytest.raises(ValueError, match="broken"), console.waiting("fitting"):
        raise ValueError("broken")
    told = len(lines)
    time.sleep(0.1)
    assert len(lines) == told


def test_a_terminal_shows_the_work_while_it_lasts(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.waiting("fitting"):
        pass
    printed = capsys.readouterr()
    assert "fitting" in printed.err
    assert printed.out == ""
