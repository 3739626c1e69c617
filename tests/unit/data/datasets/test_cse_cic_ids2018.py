"""CSE-CIC-IDS2018: ten days, one of them with four further columns, header lines among the rows."""

import random
from pathlib import Path

import numpy as np
import pytest
from published import CSE2018, CSE2018_DAYS, CSE2018_TUESDAY, numbers, write

from unseen.data.datasets import read_dataset
from unseen.errors import ReadError, SchemaError

SUFFIX = "_TrafficForML_CICFlowMeter.csv"


def write_days(root: Path, *, repeat: int = 1) -> Path:
    generator = random.Random(5)
    for day, labels in CSE2018_DAYS.items():
        tuesday = day.startswith("Thuesday")
        before = "172.31.69.25-18.1.1.1-80-5-6,18.1.1.1,5,172.31.69.25," if tuesday else ""
        stamp = f"80,6,{day[-10:-5].replace('-', '/')}/2018 08:31:01"
        rows = [
            f"{before}{stamp},{numbers(76, generator)},{label}" for label in labels for _ in range(repeat)
        ]
        rows[0] = f"{before}{stamp},{numbers(76, generator, c13='Infinity', c14='NaN')},Benign"
        if day in ("Friday-16-02-2018", "Wednesday-28-02-2018", "Thursday-01-03-2018"):
            rows.insert(1, CSE2018)
        write(root / f"{day}{SUFFIX}", [CSE2018_TUESDAY if tuesday else CSE2018, *rows])
    return root


def test_kinds_are_those_of_the_paper(tmp_path: Path) -> None:
    table = read_dataset("cse-cic-ids2018", write_days(tmp_path)).train
    assert set(table.kinds[table.y == 1].tolist()) == {
        "BOTNET",
        "SSH-BRUTEFORCE",
        "FTP-BRUTEFORCE",
        "GOLDENEYE",
        "SLOWLORIS",
        "SLOWHTTPTEST",
        "HULK",
        "DDOS-HOIC",
        "DDOS-LOIC-HTTP",
        "DDOS-LOIC-UDP",
        "WEB",
        "INFILTRATION",
    }
    assert (table.y == 0).sum() == 10
    assert (table.kinds == "WEB").sum() == 6


def test_domains_are_the_days(tmp_path: Path) -> None:
    table = read_dataset("cse-cic-ids2018", write_days(tmp_path)).train
    days = np.unique(table.domains[table.y == 0])
    assert len(days) == 10
    assert (days[0], days[-1]) == ("2018-02-14", "2018-03-02")
    assert np.unique(table.domains[table.kinds == "BOTNET"]).tolist() == ["2018-03-02"]


def test_the_day_with_addresses_has_the_same_features(tmp_path: Path) -> None:
    table = read_dataset("cse-cic-ids2018", write_days(tmp_path)).train
    assert len(table.schema.names) == 78
    assert table.schema.names[:3] == ("Dst Port", "Protocol", "Flow Duration")
    assert not {"Flow ID", "Src IP", "Src Port", "Dst IP", "Timestamp"} & set(table.schema.names)
    tuesday = table.features.filter(table.domains == "2018-02-20")
    assert tuesday["Dst Port"].to_list() == [80.0, 80.0]


def test_repeated_header_lines_are_left_out(tmp_path: Path) -> None:
    tables = read_dataset("cse-cic-ids2018", write_days(tmp_path))
    assert sum("header row" in note for note in tables.info.notes) == 3
    assert len(tables.train) == tables.info.rows_in_files == sum(map(len, CSE2018_DAYS.values()))
    assert tables.train.features["Flow Byts/s"][0] == np.inf


def test_a_draw_from_a_file_with_repeated_headers_keeps_rows_and_labels_together(tmp_path: Path) -> None:
    """Labels and features are read in two passes: the rows of both must be the same."""
    root = write_days(tmp_path, repeat=30)
    whole = read_dataset("cse-cic-ids2018", root).train
    drawn = read_dataset("cse-cic-ids2018", root, max_rows_per_file=20, seed=3).train
    assert len(drawn) == 200
    keys = whole.schema.names[:12]
    kind_of = dict(zip(whole.features.select(keys).rows(), whole.kinds.tolist(), strict=True))
    assert len(kind_of) > 600
    assert [kind_of[row] for row in drawn.features.select(keys).rows()] == drawn.kinds.tolist()
    friday = drawn.kinds[drawn.domains == "2018-02-16"]
    assert sorted(np.unique(friday, return_counts=True)[1].tolist()) == [6, 7, 7]


def test_correctly_spelled_tuesday_is_read_too(tmp_path: Path) -> None:
    root = write_days(tmp_path)
    (root / f"Thuesday-20-02-2018{SUFFIX}").rename(root / f"Tuesday-20-02-2018{SUFFIX}")
    assert len(read_dataset("cse-cic-ids2018", root).info.files) == 10


def test_missing_day(tmp_path: Path) -> None:
    root = write_days(tmp_path)
    (root / f"Thuesday-20-02-2018{SUFFIX}").unlink()
    with pytest.raises(ReadError, match=r"Thuesday-20-02-2018.* is missing.*Canadian Institute"):
        read_dataset("cse-cic-ids2018", root)


def test_text_in_a_feature_names_file_row_and_column(tmp_path: Path) -> None:
    root = write_days(tmp_path)
    file = root / f"Friday-02-03-2018{SUFFIX}"
    row = f"80,6,02/03/2018 08:31:01,{numbers(76, random.Random(1), c3='many')},Bot"
    write(file, [CSE2018, row])
    with pytest.raises(SchemaError, match=r"Friday-02-03-2018.*row 1.*TotLen Fwd Pkts.*many"):
        read_dataset("cse-cic-ids2018", root)
