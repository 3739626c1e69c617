"""``unseen export``: what it hands on and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_pictures import QUICK, averages_instead_of_a_network, category
from small_rows import Run

from unseen.detectors.images import looking
from unseen.persistence import onnx_export


@pytest.fixture(autouse=True)
def _quick_backbone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with averages_instead_of_a_network():
        monkeypatch.setattr(onnx_export, "load_backbone", lambda name, **_: looking.load_backbone(name))
        yield


def test_a_model_of_pictures_is_exported(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    folder = category(tmp_path / "plate")
    plain = ("--set", "foreground=all", "--set", "rotations=1")
    result = run("fit", folder, "--out", tmp_path / "m", *QUICK, *plain)
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(onnx_export, "_write", lambda graph, given, path: path.write_text(str(given)))
    out = tmp_path / "m.onnx"
    assert run("export", tmp_path / "m", "--out", out, "--input-size", "48x64").exit_code == 0
    assert out.read_text() == "(48, 64)"
    for words, said in (
        (("--input-size", "48"), "HEIGHTxWIDTH"),
        (("--domain", "other"), "--domain must be one of"),
    ):
        refused = run("export", tmp_path / "m", "--out", out, *words)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_a_model_of_tables_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    result = run("export", model, "--out", tmp_path / "m.onnx")
    assert result.exit_code == 2
    assert "only detectors of pictures" in result.stderr
