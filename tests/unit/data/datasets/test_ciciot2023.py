"""CICIoT2023: captures, merged files and parts."""

import random
from pathlib import Path

import pytest
from published import IOT2023_CAPTURES, IOT2023_MERGED, IOT2023_PARTS, numbers, write

from unseen.data.datasets import read_dataset
from unseen.data.datasets.ciciot2023 import GROUPS
from unseen.errors import LabelError, ReadError

CAPTURES = {
    "Benign_Final/BenignTraffic.pcap.csv": "normal",
    "Benign_Final/BenignTraffic2.pcap.csv": "normal",
    "DDoS-HTTP_Flood/DDoS-HTTP_Flood-.pcap.csv": "DDoS",
    "DDoS-SYN_Flood/DDoS-SYN_Flood12.pcap.csv": "DDoS",
    "DoS-UDP_Flood/DoS-UDP_Flood.pcap.csv": "DoS",
    "Mirai-greip_flood/Mirai-greip_flood3.pcap.csv": "Mirai",
    "DNS_Spoofing/DNS_Spoofing.pcap.csv": "Spoofing",
    "VulnerabilityScan/VulnerabilityScan.pcap.csv": "Recon",
    "XSS/XSS.pcap.csv": "Web",
    "DictionaryBruteForce/DictionaryBruteForce.pcap.csv": "BruteForce",
}


def write_captures(root: Path) -> Path:
    generator = random.Random(7)
    for file in CAPTURES:
        write(root / file, [IOT2023_CAPTURES, numbers(39, generator), numbers(39, generator, c3="inf")])
    return root


def test_captures_are_named_by_their_files(tmp_path: Path) -> None:
    table = read_dataset("ciciot2023", write_captures(tmp_path)).train
    expected = {kind for kind in CAPTURES.values() if kind != "normal"}
    assert set(table.kinds[table.y == 1].tolist()) == expected
    assert (table.kinds == "DDoS").sum() == 4
    assert len(table.schema.names) == 39


def test_domain_is_the_benign_capture(tmp_path: Path) -> None:
    table = read_dataset("ciciot2023", write_captures(tmp_path)).train
    assert set(table.domains[table.y == 0].tolist()) == {"BenignTraffic", "BenignTraffic2"}
    assert set(table.domains[table.y == 1].tolist()) == {""}


def test_fine_kinds_have_no_numbers(tmp_path: Path) -> None:
    table = read_dataset("ciciot2023", write_captures(tmp_path), fine_kinds=True).train
    assert {"DDoS-SYN_Flood", "DDoS-HTTP_Flood", "Mirai-greip_flood"} <= set(table.kinds.tolist())


def test_merged_files_in_capitals(tmp_path: Path) -> None:
    generator = random.Random(8)
    labels = ["BENIGN", "DDOS-ACK_FRAGMENTATION", "MITM-ARPSPOOFING", "RECON-OSSCAN", "UPLOADING_ATTACK"]
    for number in (1, 2):
        rows = [f"{numbers(39, generator)},{label}" for label in labels]
        write(tmp_path / "MERGED_CSV" / f"Merged{number:02d}.csv", [IOT2023_MERGED, *rows])
    table = read_dataset("ciciot2023", tmp_path).train
    assert table.kinds.tolist() == ["normal", "DDoS", "Spoofing", "Recon", "Web"] * 2
    assert table.domains is None


def test_parts_of_the_first_publication(tmp_path: Path) -> None:
    generator = random.Random(9)
    labels = ["DDoS-RSTFINFlood", "BenignTraffic", "Mirai-udpplain", "DictionaryBruteForce"]
    rows = [f"{numbers(46, generator)},{label}" for label in labels]
    name = "part-00000-363d1ba3-8ab5-4f96-bc25-4d5862db7cb9-c000.csv"
    write(tmp_path / name, [IOT2023_PARTS, *rows])
    table = read_dataset("ciciot2023", tmp_path).train
    assert table.kinds.tolist() == ["DDoS", "normal", "Mirai", "BruteForce"]
    assert len(table.schema.names) == 46


def test_thirty_three_attacks() -> None:
    assert sum(map(len, GROUPS.values())) == 33


def test_publications_are_not_mixed(tmp_path: Path) -> None:
    write_captures(tmp_path)
    write(tmp_path / "Merged01.csv", [IOT2023_MERGED, f"{numbers(39, random.Random(1))},BENIGN"])
    with pytest.raises(ReadError, match="several publications"):
        read_dataset("ciciot2023", tmp_path)


def test_attacks_alone_are_not_enough(tmp_path: Path) -> None:
    write(tmp_path / "XSS.pcap.csv", [IOT2023_CAPTURES, numbers(39, random.Random(1))])
    with pytest.raises(ReadError, match=r"BenignTraffic.pcap.csv is missing"):
        read_dataset("ciciot2023", tmp_path)


def test_empty_folder_and_foreign_capture(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"is missing.*IoT dataset 2023 page"):
        read_dataset("ciciot2023", tmp_path)
    write_captures(tmp_path)
    write(tmp_path / "Ransomware.pcap.csv", [IOT2023_CAPTURES, numbers(39, random.Random(1))])
    with pytest.raises(LabelError, match="Ransomware"):
        read_dataset("ciciot2023", tmp_path)
