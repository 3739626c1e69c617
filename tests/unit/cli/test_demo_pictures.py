"""The demonstration on pictures, with a quick backbone, and the embedded sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_pictures import Averages
from small_rows import Run

from unseen.data.images import read_images
from unseen.data.images.sample import image_sample_citation, sample_folder
from unseen.detectors.images import looking
from unseen.nn.backbones.frozen import FrozenBackbone


def test_the_sample_is_small_and_says_its_terms() -> None:
    images = read_images(sample_folder())
    counts = {
        (split, kind): int(((images.splits == split) & (images.labels.kinds == kind)).sum())
        for split, kind in (("train", "normal"), ("test", "normal"), ("test", "cracked"))
    }
    assert list(counts.values()) == [10, 10, 14]
    assert sum(path.stat().st_size for path in sample_folder().rglob("*") if path.is_file()) < 1_500_000
    for place in range(len(images)):
        mask = images.mask(place)
        assert mask is not None
        assert mask.shape == images[place].shape[:2]
        assert mask.any() == (images.labels.y[place] == 1)
    assert "creativecommons.org/licenses/by-sa/4.0" in image_sample_citation()


def test_demo_fits_scores_evaluates_and_reports(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = FrozenBackbone(
        Averages(), name="efficientnet-lite0", channels={8: 6, 16: 6}, mean=(0.4,) * 3, std=(0.3,) * 3,
        multiple=8,
    )  # fmt: skip
    looking._loaded.cache_clear()
    monkeypatch.setattr(looking, "load_backbone", lambda name, **_: small)
    result = run("demo", "--images", "--out", tmp_path / "demo")
    looking._loaded.cache_clear()
    assert result.exit_code == 0, result.output
    assert "good pictures: cookies 10" in result.stdout
    assert "scored 24 pictures" in result.stdout
    assert (tmp_path / "demo/evaluation/report.html").is_file()
    assert len(list((tmp_path / "demo/scores/maps").rglob("*.png"))) == 24
