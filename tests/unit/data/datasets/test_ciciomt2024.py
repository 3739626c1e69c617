"""CICIoMT2024: kind and part in the name of each capture."""

import random
from pathlib import Path

import pytest
from published import IOMT2024, numbers, write

from unseen.data.datasets import read_dataset
from unseen.data.datasets.ciciomt2024 import GROUPS
from unseen.errors import LabelError, ReadError

TRAIN = {
    "Benign": "normal",
    "ARP_Spoofing": "Spoofing",
    "MQTT-DDoS-Connect_Flood": "MQTT",
    "MQTT-Malformed_Data": "MQTT",
    "Recon-Ping_Sweep": "Recon",
    "TCP_IP-DDoS-ICMP1": "DDoS",
    "TCP_IP-DDoS-ICMP8": "DDoS",
    "TCP_IP-DoS-SYN4": "DoS",
}
TEST = {"Benign": "normal", "TCP_IP-DDoS-ICMP2": "DDoS", "TCP_IP-DoS-SYN": "DoS", "Recon-VulScan": "Recon"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    generator = random.Random(11)
    for part, names in (("train", TRAIN), ("test", TEST)):
        for name in names:
            rows = [numbers(45, generator) for _ in range(3)]
            write(tmp_path / "attacks" / "CSV" / part / f"{name}_{part}.pcap.csv", [IOMT2024, *rows])
    return tmp_path


def test_kinds_and_parts_come_from_the_names(root: Path) -> None:
    tables = read_dataset("ciciomt2024", root)
    assert tables.test is not None
    for table, names in ((tables.train, TRAIN), (tables.test, TEST)):
        assert len(table) == 3 * len(names)
        assert set(table.kinds.tolist()) == set(names.values())
        assert (table.kinds == "normal").sum() == 3
    assert len(tables.train.schema.names) == 45
    assert tables.train.domains is None


def test_fine_kinds_are_the_eighteen_attacks(root: Path) -> None:
    table = read_dataset("ciciomt2024", root, fine_kinds=True).train
    assert (table.kinds == "DDoS-ICMP").sum() == 6
    assert {"DoS-SYN", "ARP_Spoofing", "MQTT-Malformed_Data"} <= set(table.kinds.tolist())
    assert sum(map(len, GROUPS.values())) == 18


def test_a_draw_takes_that_many_rows_of_each_capture(root: Path) -> None:
    tables = read_dataset("ciciomt2024", root, max_rows_per_file=2)
    assert len(tables.train) == 2 * len(TRAIN)
    assert tables.info.rows_in_files == 3 * (len(TRAIN) + len(TEST))


def test_missing_benign_capture(root: Path) -> None:
    (root / "attacks" / "CSV" / "test" / "Benign_test.pcap.csv").unlink()
    with pytest.raises(ReadError, match=r"Benign_test.pcap.csv is missing.*IoMT dataset 2024 page"):
        read_dataset("ciciomt2024", root)


def test_missing_attacks(root: Path) -> None:
    for name in TEST:
        if name != "Benign":
            (root / "attacks" / "CSV" / "test" / f"{name}_test.pcap.csv").unlink()
    with pytest.raises(ReadError, match=r"_test.pcap.csv is missing"):
        read_dataset("ciciomt2024", root)


def test_capture_of_no_known_attack(root: Path) -> None:
    write(root / "Bluetooth_DoS_train.pcap.csv", [IOMT2024, numbers(45, random.Random(1))])
    with pytest.raises(LabelError, match="Bluetooth_DoS"):
        read_dataset("ciciomt2024", root)
