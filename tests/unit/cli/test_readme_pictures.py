"""The commands of the readme about pictures, run in order in a folder that has what they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_pictures import Averages, category, part, write
from small_rows import Run

from unseen.detectors.images import looking
from unseen.nn.backbones.frozen import FrozenBackbone

README = Path(__file__).parents[3] / "README.md"


def commands() -> list[list[str]]:
    section = README.read_text(encoding="utf-8").split("\n## Your own pictures")[1].split("\n## ")[0]
    block = section.split("```")[1]
    return [line.split()[1:] for line in block.splitlines() if line.startswith("unseen ")]


def test_every_command_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    looking._loaded.cache_clear()
    torch.manual_seed(0)
    small = FrozenBackbone(
        Averages(), name="efficientnet-lite0", channels={8: 6, 16: 6}, mean=(0.4,) * 3, std=(0.3,) * 3,
        multiple=8,
    )  # fmt: skip
    monkeypatch.setattr(looking, "load_backbone", lambda name, **_: small)
    category(tmp_path / "plate")
    for place in range(4):
        write(tmp_path / "photos" / f"{place}.png", part(500 + place, defect=place == 3)[0])
        write(tmp_path / "lid/good" / f"{place}.png", part(600 + place, level=150.0)[0])
    given = commands()
    assert [words[0] for words in given] == ["fit", "score", "adapt", "evaluate"]
    for words in given:
        result = run(*words)
        assert result.exit_code == 0, result.output
    looking._loaded.cache_clear()
    for name in ("scored/scores.parquet", "scored/maps/3.png.png", "scored/overlays/3.png.jpg"):
        assert (tmp_path / name).is_file()
    assert (tmp_path / "results/report.html").is_file()
