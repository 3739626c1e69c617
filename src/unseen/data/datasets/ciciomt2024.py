"""CICIoMT2024: windows of traffic of 40 medical devices (Wi-Fi and MQTT), 18 attacks in five families.

One CSV file a capture, the kind and the part in its name (``TCP_IP-DDoS-ICMP1_train.pcap.csv``,
``Benign_test.pcap.csv``); the files hold no label.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import grouped
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema

LAYOUT = Layout(ignore=("label", "Label"))

GROUPS: dict[str, tuple[str, ...]] = {
    "DDoS": ("DDoS-ICMP", "DDoS-SYN", "DDoS-TCP", "DDoS-UDP"),
    "DoS": ("DoS-ICMP", "DoS-SYN", "DoS-TCP", "DoS-UDP"),
    "MQTT": (
        "MQTT-DDoS-Connect_Flood",
        "MQTT-DDoS-Publish_Flood",
        "MQTT-DoS-Connect_Flood",
        "MQTT-DoS-Publish_Flood",
        "MQTT-Malformed_Data",
    ),
    "Recon": ("Recon-OS_Scan", "Recon-Ping_Sweep", "Recon-Port_Scan", "Recon-VulScan"),
    "Spoofing": ("ARP_Spoofing",),
}

KINDS = grouped(GROUPS, normal=("Benign",))

DESCRIPTION = DatasetDescription(
    name="ciciomt2024",
    title="CICIoMT2024",
    citation=(
        "S. Dadkhah, E. C. P. Neto, R. Ferreira, R. C. Molokwu, S. Sadeghi, A. A. Ghorbani, CICIoMT2024: a "
        "benchmark dataset for multi-protocol security assessment in IoMT, Internet of Things 28, 2024"
    ),
    terms="Publicly available for researchers, citation required.",
    source=(
        "the IoMT dataset 2024 page of the Canadian Institute for Cybersecurity, University of New Brunswick"
    ),
    files=(
        "Benign_train.pcap.csv",
        "Benign_test.pcap.csv",
        "<attack><number>_train.pcap.csv",
        "<attack><number>_test.pcap.csv",
    ),
    kinds=tuple(GROUPS),
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read the ``_train`` and ``_test`` captures; see :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder of the Wi-Fi and MQTT attacks' CSV files; those that are there are read, the benign ones must
        be.
    max_rows_per_file : int or None
        Most rows kept of each file.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name the 18 attacks instead of their families.

    Returns
    -------
    DatasetTables
        No domains: there is one benign capture.

    Raises
    ------
    ReadError
        If a benign file or all attacks of a part are missing.
    LabelError
        If a file is named by none of the 18 attacks.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    train, test = (_parts(folder, part) for part in ("train", "test"))
    schema, labels = shared_schema(train), LabelNames(KINDS, fine_kinds)
    generator = np.random.default_rng(seed)
    train_table, in_train = read_parts(train, schema, labels, max_rows=max_rows_per_file, generator=generator)
    test_table, in_test = read_parts(test, schema, labels, max_rows=max_rows_per_file, generator=generator)
    files = tuple(part.path for part in (*train, *test))
    notes = (*train_table.notes, *test_table.notes)
    return DatasetTables(train_table, test_table, DatasetInfo(DESCRIPTION, files, in_train + in_test, notes))


READER = DatasetReader(DESCRIPTION, read)


def capture_label(path: Path) -> str:
    """Return the label in a capture's file name, without its part, its number and the ``TCP_IP`` before it.

    Examples
    --------
    >>> capture_label(Path("TCP_IP-DDoS-ICMP1_train.pcap.csv")), capture_label(Path("Benign_test.pcap.csv"))
    ('DDoS-ICMP', 'Benign')
    """
    stem = re.sub(r"_(train|test)\.pcap\.csv$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"\d+$", "", stem).removeprefix("TCP_IP-")


def _parts(folder: DatasetFolder, part: str) -> list[FilePart]:
    folder.require(f"Benign_{part}.pcap.csv")
    paths = folder.matching(f"*_{part}.pcap.csv")
    if len(paths) == 1:
        raise folder.missing([f"<attack><number>_{part}.pcap.csv"])
    return [FilePart(path, LAYOUT, label=capture_label(path)) for path in paths]
