"""Running commands in this process, and the files they need."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_rows import Run, make_rows
from typer.testing import CliRunner

from unseen.cli import app


@pytest.fixture
def run() -> Run:
    """Takes the words of a command line; returns exit_code, stdout and stderr."""
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    make_rows(0).write_csv(path)
    return path


@pytest.fixture
def new_file(tmp_path: Path) -> Path:
    """Rows of the same sort as those of ``rows_file``."""
    path = tmp_path / "new.parquet"
    make_rows(1).write_parquet(path)
    return path


@pytest.fixture
def model(run: Run, rows_file: Path, tmp_path: Path) -> Path:
    out = tmp_path / "model"
    result = run(
        "fit", rows_file, "--kind-column", "kind", "--normal", "benign", "--ignore", "place",
        "--false-alarm-rate", ".05", "--out", out, "--no-estimate",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out
