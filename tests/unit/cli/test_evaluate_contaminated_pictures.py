"""evaluate --contamination on folders of pictures: who is replaced, who is judged, what a fit is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pictures import averages_instead_of_a_network, category
from small_rows import Run

from unseen.data.images import read_images
from unseen.errors import LabelError, ParameterError
from unseen.evaluation import ImageProtocol, Results
from unseen.evaluation.image_material import gather_images
from unseen.evaluation.image_splits import image_splits

OPTIONS = (
    "--image-size", "32", "--detectors", "nearest-neighbour-patches",
    *(f"--set=nearest-neighbour-patches.{text}"
      for text in ("backbone=averages", "strides=(4,8)", "device=cpu")),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quick_backbone() -> Iterator[None]:
    with averages_instead_of_a_network():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return category(tmp_path / "plate")


def splits_of(folder: Path, **protocol: Any) -> tuple[Any, list[Any]]:
    material = gather_images([read_images(folder)])
    return material, image_splits(material, ImageProtocol(**protocol))


def test_levels_are_nested_and_share_their_test_pictures(folder: Path) -> None:
    material, splits = splits_of(folder, seeds=2, contamination=(0.0, 0.2, 0.4))
    n_good = int((material.labels.normal & (material.images.splits == "train")).sum())
    for seed in (0, 1):
        mine = {s.contamination: s for s in splits if s.seed == seed and s.held_out_kind == "dent"}
        for level, split in mine.items():
            hidden = split.contaminants
            assert len(hidden) == round(level * n_good)
            assert len(split.references) == n_good
            assert np.isin(hidden, split.train).all()
            assert not np.isin(split.train, split.test).any()
            np.testing.assert_array_equal(split.test, mine[0.0].test)
            assert (material.labels.y[hidden] == 1).all()
        assert set(mine[0.2].contaminants) < set(mine[0.4].contaminants)
        assert set(mine[0.4].references) & set(mine[0.0].references) <= set(mine[0.2].references)
    first, second = (s.contaminants for s in splits if s.contamination == 0.4 and s.held_out_kind == "dent")
    assert not np.array_equal(first, second)


def test_a_fit_is_told_that_contaminants_are_normal(folder: Path) -> None:
    material, splits = splits_of(folder, contamination=(0.4,), shots=(1,))
    split = splits[0]
    told = split.fit_labels(material.labels)
    hidden = np.isin(split.fit_rows, split.contaminants)
    assert hidden.any()
    assert (told.y[hidden] == 0).all()
    assert set(told.kinds[hidden]) == {"normal"}
    assert set(told.kinds[told.y == 1]) == set(split.known_kinds)


def test_rows_and_the_page_show_the_levels(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "e"
    result = run("evaluate", folder, "--out", out, "--contamination", "0,.4", "--seeds", 2, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = Results.read(out).rows
    assert {(row["contamination"], row["seed"]) for row in rows} == {(c, s) for c in (0, 0.4) for s in (0, 1)}
    assert {(row["n_normal"], row["n_anomaly"]) for row in rows} == {(6, 3)}
    first = {row["contamination"]: row["threshold"] for row in rows if row["seed"] == 0}
    assert first[0.4] != first[0]  # the fit has met other pictures
    assert "40 %" in (out / "report.html").read_text(encoding="utf-8")


def test_too_few_anomalies_and_sources_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="can be spared; lower it"):
        splits_of(folder, contamination=(0.95,))
    other = category(tmp_path / "lid", seed=1, level=140.0)
    material = gather_images([read_images(folder)], [read_images(other)])
    with pytest.raises(ParameterError, match="leave out one of the two"):
        image_splits(material, ImageProtocol(contamination=(0.1,)))


def test_the_other_option_of_tables_stays_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run("evaluate", folder, "--out", tmp_path / "e", "--contaminants", "known", *OPTIONS)
    assert result.exit_code == 2
    assert "--contaminants" in result.output
