"""Exit codes, one-line messages, and a quick start."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from small_rows import Run

from unseen import __version__
from unseen.cli.app import outcome_of
from unseen.errors import MissingExtraError, ParameterError

COMMANDS = ("demo", "fit", "score", "adapt", "evaluate", "report", "detectors", "export")


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"unseen {__version__}\n"
    shown = run("--help")
    assert shown.exit_code == 0
    assert all(f"  {command} " in shown.stdout for command in COMMANDS)
    assert run().stdout == shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"Usage: unseen {command}" in shown.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fitt"], "Did you mean 'fit'?"),
        (["fit", "x.csv"], "Missing option '--out'"),
        (["fit", "x.csv", "--out", "m", "--seed", "-1"], "--seed"),
        (["fit", "x.csv", "--out", "m", "--nosuch"], "--nosuch"),
        (["fit", "nosuch.csv", "--out", "m"], "nosuch.csv"),
        (["fit", "x.csv", "--out", "m", "--detector", "knn"], "no detector is called 'knn'"),
        (["fit", "x.csv", "--out", "m", "--set", "n_neighbors=3"], "did you mean 'n_neighbours'?"),
        (["fit", "x.csv", "--out", "m", "--set", "seed=3"], "give --seed instead"),
        (["fit", "x.csv", "--out", "m", "--set", "n_neighbours"], "write key=value"),
        (["fit", "x.csv", "--out", "m", "--view", "auto"], "name --domain-column"),
        (["fit", "x.csv", "--out", "m", "--view", "raww"], "--view must be one of raw"),
        (["score", "nosuch", "x.csv", "--out", "s.parquet"], "nosuch"),
        (["evaluate", "x.csv", "--out", "d", "--detectors", "forest"], "no detector is called 'forest'"),
        (["evaluate", "x.csv", "--out", "d", "--shots", "ten"], "--shots must be whole numbers"),
        (["evaluate", "x.csv", "--out", "d", "--contamination", "2"], "--contamination must be numbers in"),
        (["evaluate", "x.csv", "--out", "d", "--set", "trees=3"], "write detector.key=value"),
        (["report", "nosuch"], "nosuch"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(run: Run, words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("unseen: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ParameterError("what\n  where"), 2, "what where"),
        (MissingExtraError("Reading HDF5", "hdf5"), 2, "pip install 'unseen[hdf5]'"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 2, "x.csv: No such file or directory."),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied."),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("division by zero"), 1, "internal error, ZeroDivisionError: division by zero"),
    ],
)
def test_what_errors_become(error: Exception, code: int, words: str) -> None:
    got, line = outcome_of(error)
    assert got == code
    assert words in line
    assert "\n" not in line


def break_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("unseen.cli.detectors.catalogue_rows", broken)


def test_our_fault_is_exit_code_1_without_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSEEN_DEBUG", raising=False)
    break_detectors(monkeypatch)
    result = run("detectors")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "ZeroDivisionError: ours" in result.stderr


@pytest.mark.parametrize("words", [("--debug", "detectors"), ("detectors", "--debug")])
def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    break_detectors(monkeypatch)
    result = run(*words)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_the_debug_variable_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSEEN_DEBUG", "1")
    break_detectors(monkeypatch)
    assert "Traceback" in run("detectors").stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; import unseen.cli\n"
        "heavy = ('torch', 'sklearn', 'polars', 'matplotlib', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_installed_command_starts_quickly() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from unseen.cli import main; main()", "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        times.append(time.perf_counter() - start)
        assert "Usage: unseen" in done.stdout
    assert min(times) < 2.0  # 0.1 s on an idle machine


def test_errors_of_a_real_process_end_with_the_code() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from unseen.cli import main; main()", "fit", "nosuch.csv", "--out", "m"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("unseen: ")
    assert done.stderr.count("\n") == 1


def test_the_package_is_a_program() -> None:
    found = subprocess.run([sys.executable, "-m", "unseen", "--version"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, f"unseen {__version__}\n")


def test_an_interrupt_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unseen.reports.write_report", interrupted)
    result = run("report", "anything")
    assert result.exit_code == 130
    assert result.stderr.strip() == "unseen: interrupted."
