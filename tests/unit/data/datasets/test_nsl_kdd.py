"""NSL-KDD: text files without a header line, 43 cells a row."""

from pathlib import Path

import numpy as np
import pytest
from published import NSL_NEPTUNE, NSL_NORMAL, write

from unseen.data.datasets import read_dataset
from unseen.data.datasets.nsl_kdd import FEATURES, GROUPS
from unseen.errors import LabelError, ReadError

TRAIN = [
    f"{NSL_NORMAL},normal,20",
    f"{NSL_NEPTUNE},neptune,19",
    f"{NSL_NORMAL},guess_passwd,3",
    f"{NSL_NORMAL},normal,15",
]
TEST = [f"{NSL_NEPTUNE},mscan,11", f"{NSL_NORMAL},normal,21", f"{NSL_NORMAL},sqlattack,2"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "NSL-KDD" / "KDDTrain+.txt", TRAIN)
    write(tmp_path / "NSL-KDD" / "KDDTest+.txt", TEST)
    return tmp_path


def test_families_and_features(root: Path) -> None:
    tables = read_dataset("nsl-kdd", root)
    assert tables.test is not None
    assert tables.train.kinds.tolist() == ["normal", "dos", "r2l", "normal"]
    assert tables.train.y.tolist() == [0, 1, 1, 0]
    assert tables.test.kinds.tolist() == ["probe", "normal", "u2r"]
    assert tables.train.schema == tables.test.schema
    assert tuple(tables.train.features.columns) == FEATURES
    assert tables.train.domains is None
    assert tables.info.rows_in_files == 7


def test_cells_land_in_their_columns(root: Path) -> None:
    features = read_dataset("nsl-kdd", root).train.features
    first = features.row(1, named=True)
    assert (first["protocol_type"], first["service"], first["flag"]) == ("tcp", "private", "S0")
    assert (first["count"], first["srv_count"], first["dst_host_count"]) == (123, 6, 255)
    assert (first["diff_srv_rate"], first["dst_host_srv_rerror_rate"]) == (0.07, 0.0)
    assert features["src_bytes"].to_list() == [491.0, 0.0, 491.0, 491.0]


def test_fine_kinds_are_the_attacks(root: Path) -> None:
    tables = read_dataset("nsl-kdd", root, fine_kinds=True)
    assert tables.train.kinds.tolist() == ["normal", "neptune", "guess_passwd", "normal"]


def test_thirty_nine_attacks_in_four_families() -> None:
    assert {family: len(names) for family, names in GROUPS.items()} == {
        "dos": 11,
        "probe": 6,
        "r2l": 15,
        "u2r": 7,
    }


def test_the_publishers_twenty_per_cent_stand_in_for_the_whole(root: Path) -> None:
    (root / "NSL-KDD" / "KDDTrain+.txt").rename(root / "NSL-KDD" / "KDDTrain+_20Percent.txt")
    tables = read_dataset("nsl-kdd", root)
    assert len(tables.train) == 4
    assert "20 %" in tables.info.notes[0]


def test_missing_file_says_which_where_and_whence(root: Path) -> None:
    (root / "NSL-KDD" / "KDDTest+.txt").unlink()
    with pytest.raises(ReadError) as caught:
        read_dataset("nsl-kdd", root)
    message = str(caught.value)
    assert "KDDTest+.txt is missing" in message
    assert str(root) in message
    assert "Canadian Institute for Cybersecurity" in message
    assert "\n" not in message


def test_unknown_attack_names_file_and_label(root: Path) -> None:
    write(root / "NSL-KDD" / "KDDTest+.txt", [f"{NSL_NORMAL},teleport,2"])
    with pytest.raises(LabelError, match=r"KDDTest\+\.txt.*'teleport'"):
        read_dataset("nsl-kdd", root)


def test_a_draw_shares_rows_among_kinds_and_follows_the_seed(tmp_path: Path) -> None:
    normals = [NSL_NORMAL.replace("491", str(index)) for index in range(300)]
    write(tmp_path / "KDDTrain+.txt", [f"{row},normal,20" for row in normals] + TRAIN[1:3])
    write(tmp_path / "KDDTest+.txt", TEST)
    first, again, other = (
        read_dataset("nsl-kdd", tmp_path, max_rows_per_file=40, seed=seed).train for seed in (0, 0, 1)
    )
    names, counts = np.unique(first.kinds, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"dos": 1, "normal": 38, "r2l": 1}
    assert first.features.equals(again.features)
    assert not first.features.equals(other.features)
    assert any("kept 40 of 302" in note for note in first.notes)
