"""Every layout, on small folders in exactly that form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import published_images as published
import pytest

from unseen.data.images import LAYOUTS, read_images
from unseen.errors import ParameterError, ReadError

MAKERS = {
    "mvtec": published.mvtec,
    "visa": published.visa,
    "btad": published.btad,
    "mvtec-3d": published.mvtec_3d,
    "mvtec-loco": published.mvtec_loco,
    "brats": published.brats,
    "folders": published.plain,
}


@pytest.mark.parametrize("name", MAKERS)
def test_each_layout_is_recognised_and_named(tmp_path: Path, name: str) -> None:
    images = read_images(MAKERS[name](tmp_path / "data"))
    assert images.layout == name
    assert LAYOUTS[name].title in images.notes[0]
    for i in range(len(images)):
        assert images[i].shape == (*published.SIDE, 3)
        truth = images.mask(i)
        assert truth is None or truth.shape == published.SIDE


@pytest.mark.parametrize("name", ["mvtec", "mvtec-3d", "mvtec-loco", "brats"])
def test_one_category_alone_is_recognised_too(tmp_path: Path, name: str) -> None:
    root = MAKERS[name](tmp_path / "data")
    whole = read_images(root)
    category = next(path for path in root.iterdir() if path.is_dir())
    alone = read_images(category)
    assert alone.layout == name
    assert alone.labels.kinds.tolist() == whole.labels.kinds.tolist()
    assert set(alone.labels.domains) == {category.name}


def test_mvtec_kinds_splits_and_masks(tmp_path: Path) -> None:
    images = read_images(published.mvtec(tmp_path))
    assert Counter(zip(images.splits.tolist(), images.labels.kinds.tolist(), strict=True)) == {
        ("train", "normal"): 3,
        ("test", "normal"): 1,
        ("test", "scratch_head"): 2,
        ("test", "thread_top"): 2,
    }
    assert set(images.labels.domains) == {"screw"}
    assert images.labels.groups is None
    sums = [int(truth.sum()) for truth in map(images.mask, range(len(images))) if truth is not None]
    assert sums == [0, 0, 0, 0, 24, 24, 24, 24]


def test_several_mvtec_categories_are_domains(tmp_path: Path) -> None:
    published.mvtec(tmp_path, "screw")
    published.mvtec(tmp_path, "nut")
    images = read_images(tmp_path)
    assert Counter(images.labels.domains.tolist()) == {"nut": 8, "screw": 8}


def test_a_defect_without_a_mask_is_noted(tmp_path: Path) -> None:
    published.mvtec(tmp_path)
    (tmp_path / "screw/ground_truth/thread_top/001_mask.png").unlink()
    images = read_images(tmp_path)
    bare = images.labels.kinds.tolist().index("thread_top") + 1
    assert images.mask(bare) is None
    assert any("1 anomalous pictures have no mask" in note and "001.png" in note for note in images.notes)


def test_visa_takes_kinds_from_the_annotations(tmp_path: Path) -> None:
    images = read_images(published.visa(tmp_path))
    assert images.labels.kinds.tolist() == ["normal", "normal", "weird candle wick", "combined", "melded"]
    assert images.splits.tolist() == ["train", "test", "test", "test", "test"]
    assert [int(images.mask(i).sum()) for i in (2, 3, 4)] == [24, 24, 24]  # type: ignore[union-attr]


def test_visa_without_annotations_has_one_kind_and_reads_a_named_table(tmp_path: Path) -> None:
    published.visa(tmp_path, annotated=False)
    images = read_images(tmp_path / "split_csv" / "1cls.csv")
    assert images.layout == "visa"
    assert images.labels.known_kinds == ["anomaly"]


def test_btad_masks_have_the_name_of_their_picture(tmp_path: Path) -> None:
    images = read_images(published.btad(tmp_path))
    assert images.labels.kinds.tolist() == ["normal", "ko", "normal"] * 2
    assert [item.masks[0].suffix for item in images.items if item.masks] == [".bmp", ".png"]


def test_mvtec_3d_reads_colour_pictures_only(tmp_path: Path) -> None:
    images = read_images(published.mvtec_3d(tmp_path))
    assert images.splits.tolist() == ["train", "validation", "test", "test"]
    assert all("rgb" in images.path(i).parts for i in range(len(images)))
    crack = images.labels.kinds.tolist().index("crack")
    assert images.mask(crack).sum() == 24  # type: ignore[union-attr]


def test_mvtec_loco_joins_regions_and_keeps_them(tmp_path: Path) -> None:
    images = read_images(published.mvtec_loco(tmp_path))
    logical = images.labels.kinds.tolist().index("logical_anomalies")
    regions = images.regions(logical)
    assert [int(region.sum()) for region in regions] == [24, 48]
    assert np.array_equal(images.mask(logical), regions[0] | regions[1])
    assert images.regions(0) == ()


def test_brats_slices_of_one_patient_are_one_group(tmp_path: Path) -> None:
    images = read_images(published.brats(tmp_path))
    assert images.labels.known_kinds == ["tumour"]
    groups = images.labels.groups
    assert groups is not None
    assert Counter(groups.tolist()) == {
        "BraTS2021_00000_flair": 2,
        "BraTS2021_00002_flair": 2,
        "BraTS2021_00003_flair": 2,
    }
    assert images.splits.tolist().count("validation") == 2


def test_plain_folders_have_kinds_and_no_masks(tmp_path: Path) -> None:
    images = read_images(published.plain(tmp_path))
    assert images.labels.kinds.tolist() == ["normal"] * 3 + ["bent", "dirty"]
    assert images.mask(4) is None
    assert not images.mask(0).any()  # type: ignore[union-attr]
    assert set(images.splits) == {""}


def test_loose_pictures_are_unlabelled_unless_called_normal(tmp_path: Path) -> None:
    published.picture(tmp_path / "b.png")
    published.picture(tmp_path / "a.jpg")
    images = read_images(tmp_path)
    assert (images.layout, images.labels.y.tolist()) == ("flat", [-1, -1])
    assert [images.path(i).name for i in (0, 1)] == ["a.jpg", "b.png"]
    assert images.mask(0) is None
    assert read_images(tmp_path, loose="normal").labels.normal.all()
    assert len(read_images(tmp_path / "b.png")) == 1


def test_nested_folders_are_read_when_asked_for(tmp_path: Path) -> None:
    published.picture(tmp_path / "banded" / "1.jpg")
    published.picture(tmp_path / "woven" / "deep" / "1.jpg")
    with pytest.raises(ReadError, match="no known layout"):
        read_images(tmp_path)
    images = read_images(tmp_path, layout="nested")
    assert images.labels.domains.tolist() == ["banded", "deep"]


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="layout must be one of"):
        read_images(tmp_path, layout="imagenet")


def test_pictures_of_formats_that_are_not_read_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    published.picture(folder / "a.png")
    assert len(read_images(tmp_path).notes) == 1
    for name in ("b.webp", "c.WEBP", "d.gif", ".e.gif", "notes.txt"):
        (folder / name).write_bytes(b"x")
    images = read_images(tmp_path)
    assert len(images) == 1
    said = "3 pictures of other formats (.gif, .webp) are not read; save them as PNG or JPEG."
    assert images.notes[1:] == (said,)
