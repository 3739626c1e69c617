"""The catalogue, what every description says, and the parts that readers share."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.data.datasets import DATASETS, read_dataset
from unseen.data.datasets.files import natural_order
from unseen.data.datasets.kinds import grouped, label_key, name_kinds
from unseen.data.datasets.sampling import equal_shares, sample_rows
from unseen.data.sources import open_source
from unseen.errors import LabelError, ParameterError, ReadError

NAMES = [
    "nsl-kdd",
    "cic-ids2017",
    "cse-cic-ids2018",
    "ciciot2023",
    "ciciomt2024",
    "unsw-nb15",
    "mit-bih",
    "lhco2020",
]


def test_names() -> None:
    assert list(DATASETS) == NAMES
    assert all(reader.description.name == name for name, reader in DATASETS.items())


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_are_complete(name: str) -> None:
    description = DATASETS[name].description
    for text in (description.title, description.citation, description.terms, description.source):
        assert text.strip() == text != ""
    assert description.files
    assert description.kinds
    assert "normal" not in description.kinds
    page = Path(__file__).parents[4] / "docs" / "datasets.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_root_that_is_no_folder(name: str, tmp_path: Path) -> None:
    if name == "mit-bih":
        pytest.importorskip("wfdb")
    if name == "lhco2020":
        pytest.importorskip("tables")
    with pytest.raises(ReadError, match="is not a folder"):
        read_dataset(name, tmp_path / "absent")
    with pytest.raises(ReadError, match=r"is missing; put it into .*; get it from "):
        read_dataset(name, tmp_path)


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="one of 'nsl-kdd'"):
        read_dataset("kdd", tmp_path)
    with pytest.raises(ParameterError, match="max_rows_per_file"):
        read_dataset("nsl-kdd", tmp_path, max_rows_per_file=0)
    with pytest.raises(ParameterError, match="seed"):
        read_dataset("nsl-kdd", tmp_path, seed=-1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 200))
def test_shares_are_fair(counts: list[int], total: int) -> None:
    shares = equal_shares(np.array(counts), total)
    assert shares.sum() == min(total, sum(counts))
    assert (shares <= counts).all()
    assert (shares >= 0).all()
    wanting = shares[shares < counts]
    if len(wanting):
        assert wanting.max() - wanting.min() <= 1
        assert shares.max() <= wanting.max() + 1 or (shares[shares == counts] <= wanting.max() + 1).all()


def test_a_draw_is_without_replacement_and_ascending() -> None:
    kinds = np.repeat(["normal", "rare"], [500, 7])
    rows = sample_rows(kinds, 100, np.random.default_rng(0))
    assert len(rows) == 100
    assert (np.diff(rows) > 0).all()
    assert (kinds[rows] == "rare").sum() == 7
    assert sample_rows(kinds, None, np.random.default_rng(0)).tolist() == list(range(507))


@pytest.mark.parametrize("dash", ["–", "�", "\x96", "-", "â€“"])
def test_label_keys_do_not_depend_on_the_dash(dash: str) -> None:
    assert label_key(f"Web Attack {dash} XSS ") == "web attack xss"


def test_kind_names() -> None:
    kinds = grouped({"flood": ("SYN-Flood",)}, normal=("Benign",), other_spellings={"synflod": "SYN-Flood"})
    labels = np.array(["BENIGN", "syn flood", "", "SynFlod"])
    assert name_kinds(labels, kinds, fine=False, where="f").tolist() == ["normal", "flood", "", "flood"]
    assert name_kinds(labels, kinds, fine=True, where="f").tolist() == [
        "normal",
        "SYN-Flood",
        "",
        "SYN-Flood",
    ]
    with pytest.raises(LabelError, match="f: the label 'worm'"):
        name_kinds(np.array(["worm"]), kinds, fine=False, where="f")


def test_natural_order() -> None:
    assert sorted(["a10.csv", "a2.csv", "a.csv", "B1.csv"], key=natural_order) == [
        "a.csv",
        "a2.csv",
        "a10.csv",
        "B1.csv",
    ]


def test_a_text_file_without_header(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"\xef\xbb\xbf1,x,Infinity\n2,y,\n")
    source = open_source(path, column_names=("number", "name", "rate"))
    (batch,) = source.batches(["number", "rate"], ["number", "rate"], 10)
    assert batch.frame.rows() == [(1.0, np.inf), (2.0, None)]
    assert batch.record(0) == 1
