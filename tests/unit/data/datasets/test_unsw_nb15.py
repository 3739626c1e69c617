"""UNSW-NB15: the train/test pair and the four raw files."""

from pathlib import Path

import numpy as np
import pytest
from published import UNSW_PAIR, UNSW_PAIR_ROW, UNSW_RAW_ROW, write

from unseen.data.datasets import read_dataset
from unseen.errors import ReadError

JANUARY, FEBRUARY = 1421927414, 1424242190


def pair_row(number: int, kind: str, proto: str = "tcp", service: str = "-") -> str:
    return UNSW_PAIR_ROW.format(
        number=number, kind=kind, label=int(kind != "Normal"), proto=proto, service=service
    )


def write_pair(root: Path) -> Path:
    train = [pair_row(1, "Normal"), pair_row(2, "Backdoor", "unas"), pair_row(3, "Worms", service="http")]
    write(root / "UNSW_NB15_training-set.csv", ["\ufeff" + UNSW_PAIR, *train], end="\r\n")
    write(
        root / "UNSW_NB15_testing-set.csv", ["\ufeff" + UNSW_PAIR, pair_row(1, "Normal"), pair_row(2, "DoS")]
    )
    return root


def raw_row(kind: str, start: int = JANUARY, **cells: str) -> str:
    given = {"sport": "1390", "dsport": "53", "methods": "0", "login": "0", "commands": "0"} | cells
    return UNSW_RAW_ROW.format(kind=kind, label=int(bool(kind)), start=start, **given)


def write_raw(root: Path) -> Path:
    rows = [raw_row(""), raw_row(" Fuzzers "), raw_row(" Fuzzers"), raw_row("Exploits", sport="0x000b")]
    write(root / "UNSW-NB15_1.csv", ["\ufeff" + rows[0], *rows[1:]])
    write(root / "UNSW-NB15_2.csv", [raw_row(" Shellcode "), raw_row("", FEBRUARY, dsport="-")])
    blank = raw_row("Backdoors", FEBRUARY, methods="", login="", commands=" ")
    write(root / "UNSW-NB15_3.csv", [blank, raw_row("", FEBRUARY)])
    write(root / "UNSW-NB15_4.csv", [raw_row(" Reconnaissance ", FEBRUARY), raw_row("Generic", FEBRUARY)])
    return root


def test_pair(tmp_path: Path) -> None:
    tables = read_dataset("unsw-nb15", write_pair(tmp_path))
    assert tables.test is not None
    assert tables.train.kinds.tolist() == ["normal", "Backdoor", "Worms"]
    assert tables.test.kinds.tolist() == ["normal", "DoS"]
    assert len(tables.train.schema.names) == 42
    assert tables.train.schema.of_type("categorical") == ("proto", "service", "state")
    assert tables.train.features["proto"].to_list() == ["tcp", "unas", "tcp"]
    assert tables.train.features["service"].to_list() == ["-", "-", "http"]
    assert tables.train.schema == tables.test.schema


def test_exchanged_names_are_noticed(tmp_path: Path) -> None:
    root = write_pair(tmp_path)
    write(root / "UNSW_NB15_testing-set.csv", [UNSW_PAIR, *(pair_row(i, "Normal") for i in range(9))])
    assert any("exchanged" in note for note in read_dataset("unsw-nb15", root).info.notes)


def test_raw_files_without_header(tmp_path: Path) -> None:
    tables = read_dataset("unsw-nb15", write_raw(tmp_path))
    table = tables.train
    assert tables.test is None
    assert table.kinds.tolist() == [
        "normal",
        "Fuzzers",
        "Fuzzers",
        "Exploits",
        "Shellcode",
        "normal",
        "Backdoor",
        "normal",
        "Reconnaissance",
        "Generic",
    ]
    assert table.domains.tolist() == ["2015-01-22"] * 5 + ["2015-02-17"] * 5
    assert len(table.schema.names) == 41
    assert table.features["dur"].to_list() == [0.001055] * 10
    assert table.features["ct_dst_src_ltm"].to_list() == [1.0] * 10
    assert not {"srcip", "sport", "Stime", "Label"} & set(table.schema.names)


def test_blank_cells_of_raw_files_are_missing(tmp_path: Path) -> None:
    features = read_dataset("unsw-nb15", write_raw(tmp_path)).train.features
    for column in ("ct_ftp_cmd", "is_ftp_login", "ct_flw_http_mthd"):
        values = features[column].to_numpy().astype(float)
        assert np.flatnonzero(np.isnan(values)).tolist() == [6]


def test_the_pair_is_taken_where_both_are_there(tmp_path: Path) -> None:
    write_raw(tmp_path)
    write_pair(tmp_path / "a part of training and testing set")
    assert read_dataset("unsw-nb15", tmp_path).test is not None


def test_incomplete_raw_files_and_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"UNSW_NB15_training-set.csv is missing.*UNSW Canberra"):
        read_dataset("unsw-nb15", tmp_path)
    write_raw(tmp_path)
    (tmp_path / "UNSW-NB15_3.csv").unlink()
    with pytest.raises(ReadError, match=r"UNSW-NB15_3.csv is missing"):
        read_dataset("unsw-nb15", tmp_path)
