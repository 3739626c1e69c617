"""CIC-IDS2017: eight files in two publications."""

import random
from pathlib import Path

import numpy as np
import pytest
from published import CIC2017_FILES, CIC2017_LABELLED, CIC2017_MACHINE_LEARNING, numbers, write

from unseen.data.datasets import read_dataset
from unseen.errors import LabelError, ReadError

LABELS = {
    "Tuesday": ("FTP-Patator", "SSH-Patator"),
    "Wednesday": ("DoS Hulk", "DoS GoldenEye", "DoS slowloris", "DoS Slowhttptest", "Heartbleed"),
    "Morning-WebAttacks": (
        "Web Attack {dash} Brute Force",
        "Web Attack {dash} XSS",
        "Web Attack {dash} Sql Injection",
    ),
    "Infilteration": ("Infiltration",),
    "Friday-WorkingHours-Morning": ("Bot",),
    "PortScan": ("PortScan",),
    "DDos": ("DDoS",),
}


def labels_of(file: str, dash: str) -> list[str]:
    attacks = next((names for part, names in LABELS.items() if part in file), ())
    return ["BENIGN", *(name.format(dash=dash) for name in attacks), "BENIGN"]


def write_machine_learning(root: Path) -> Path:
    """The publication of 79 columns, the dash of the web attacks as a UTF-8 replacement character."""
    generator = random.Random(1)
    for file in CIC2017_FILES:
        rows = [f"{numbers(78, generator)},{label}" for label in labels_of(file, "�")]
        rows[0] = f"{numbers(78, generator, c14='Infinity', c15='NaN')},BENIGN"
        write(root / "MachineLearningCVE" / file, [CIC2017_MACHINE_LEARNING, *rows], end="\r\n")
    return root


def write_labelled(root: Path) -> Path:
    """The publication of 85 columns in cp1252, rows of commas at the end of Thursday morning."""
    generator = random.Random(2)
    for file in CIC2017_FILES:
        rows = [
            f"10.0.0.5-8.8.8.8,10.0.0.5,53,8.8.8.8,80,6,7/7/2017 3:30,{numbers(77, generator)},{label}"
            for label in labels_of(file, "–")
        ]
        if "WebAttacks" in file:
            rows += ["," * 84] * 3
        write(root / "TrafficLabelling" / file, [CIC2017_LABELLED, *rows], encoding="cp1252")
    return root


@pytest.mark.parametrize("publication", [write_machine_learning, write_labelled])
def test_kinds_domains_and_features_of_both_publications(tmp_path: Path, publication) -> None:
    tables = read_dataset("cic-ids2017", publication(tmp_path))
    table = tables.train
    assert tables.test is None
    assert len(table.schema.names) == 77
    assert table.schema.names[0] == "Destination Port"
    assert len(set(table.schema.names)) == 77
    kinds, counts = np.unique(table.kinds[table.y == 1], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == {
        "Bot": 1,
        "BruteForce": 2,
        "DDoS": 1,
        "DoS": 4,
        "Heartbleed": 1,
        "Infiltration": 1,
        "PortScan": 1,
        "WebAttack": 3,
    }
    assert (table.y == 0).sum() == 16
    web = np.unique(table.domains[table.kinds == "WebAttack"])
    assert web.tolist() == ["thursday-morning"]
    assert len(np.unique(table.domains)) == 8


def test_both_publications_have_the_same_columns(tmp_path: Path) -> None:
    first = read_dataset("cic-ids2017", write_machine_learning(tmp_path / "a")).train
    second = read_dataset("cic-ids2017", write_labelled(tmp_path / "b")).train
    assert first.schema == second.schema


def test_infinity_and_nan_stay_in_the_table(tmp_path: Path) -> None:
    features = read_dataset("cic-ids2017", write_machine_learning(tmp_path)).train.features
    assert features["Flow Bytes/s"][0] == np.inf
    packets = features["Flow Packets/s"][0]
    assert packets is None or np.isnan(packets)
    assert np.isfinite(features["Flow IAT Mean"].to_numpy()).all()


def test_rows_of_commas_are_left_out_and_counted(tmp_path: Path) -> None:
    info = read_dataset("cic-ids2017", write_labelled(tmp_path)).info
    assert any("left out 3 row(s) without a label" in note for note in info.notes)


def test_fine_kinds_name_the_tools(tmp_path: Path) -> None:
    table = read_dataset("cic-ids2017", write_labelled(tmp_path), fine_kinds=True).train
    assert {"DoS Hulk", "FTP-Patator", "Web Attack XSS"} <= set(table.kinds.tolist())


def test_two_copies_below_one_folder_are_refused(tmp_path: Path) -> None:
    write_machine_learning(tmp_path)
    write_labelled(tmp_path)
    with pytest.raises(ReadError, match="occurs 2 times"):
        read_dataset("cic-ids2017", tmp_path)


def test_unpublished_label_is_refused(tmp_path: Path) -> None:
    root = write_machine_learning(tmp_path)
    bad = [CIC2017_MACHINE_LEARNING, f"{numbers(78, random.Random(3))},DoS Hulk - Attempted"]
    write(root / "MachineLearningCVE" / CIC2017_FILES[0], bad)
    with pytest.raises(LabelError, match=r"Monday.*Attempted"):
        read_dataset("cic-ids2017", root)
