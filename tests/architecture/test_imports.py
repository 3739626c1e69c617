"""The import directions that pyproject.toml lays down, held by import-linter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.application.use_cases import read_user_options
from importlinter.cli import lint_imports

from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS

ROOT = Path(__file__).parents[2]


def test_imports_go_down_only(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_a_detector_is_independent_of_the_others_by_contract():
    """A new file of a detector must be added to the contract, or nothing holds it."""
    options = read_user_options(config_filename=str(ROOT / "pyproject.toml"))
    independent = next(
        contract for contract in options.contracts_options if contract["type"] == "independence"
    )
    all_of_them = [*DETECTORS.values(), *IMAGE_DETECTORS.values()]
    assert {owner.__module__ for owner in all_of_them} <= set(independent["modules"])


@pytest.mark.parametrize(
    "package",
    ["unseen", "unseen.data", "unseen.metrics", "unseen.scoring", "unseen.protocols", "unseen.references"],
)
def test_numpy_only_packages_do_not_load_torch(package):
    program = (
        f"import sys, {package}; raise SystemExit(any(n in sys.modules for n in ('torch', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
