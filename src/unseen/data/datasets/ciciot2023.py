"""CICIoT2023: windows of traffic in a network of 105 devices, 33 attacks in seven families.

Three publications are read: one CSV file (or several, numbered) a capture (``DDoS-SYN_Flood12.pcap.csv``, the
kind in the file's name), ``Merged01.csv`` … (column ``Label``, capitals), and the earlier
``part-00000-….csv`` (column ``label``). Their features differ, so they are not mixed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import NORMAL_LABEL, grouped, label_key
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema
from unseen.errors import ReadError

_CAPTURE_ENDING = ".pcap.csv"
PUBLICATIONS: dict[str, str | None] = {
    "*" + _CAPTURE_ENDING: None,
    "Merged*.csv": "Label",
    "part-*.csv": "label",
}
"""File pattern -> label column (None: the kind is in the file's name)."""

LAYOUT = Layout(ignore=("label", "Label"))

GROUPS: dict[str, tuple[str, ...]] = {
    "DDoS": (
        "DDoS-ACK_Fragmentation",
        "DDoS-HTTP_Flood",
        "DDoS-ICMP_Flood",
        "DDoS-ICMP_Fragmentation",
        "DDoS-PSHACK_Flood",
        "DDoS-RSTFINFlood",
        "DDoS-SYN_Flood",
        "DDoS-SlowLoris",
        "DDoS-SynonymousIP_Flood",
        "DDoS-TCP_Flood",
        "DDoS-UDP_Flood",
        "DDoS-UDP_Fragmentation",
    ),
    "DoS": ("DoS-HTTP_Flood", "DoS-SYN_Flood", "DoS-TCP_Flood", "DoS-UDP_Flood"),
    "Mirai": ("Mirai-greeth_flood", "Mirai-greip_flood", "Mirai-udpplain"),
    "Recon": (
        "Recon-HostDiscovery",
        "Recon-OSScan",
        "Recon-PingSweep",
        "Recon-PortScan",
        "VulnerabilityScan",
    ),
    "Spoofing": ("DNS_Spoofing", "MITM-ArpSpoofing"),
    "Web": (
        "Backdoor_Malware",
        "BrowserHijacking",
        "CommandInjection",
        "SqlInjection",
        "Uploading_Attack",
        "XSS",
    ),
    "BruteForce": ("DictionaryBruteForce",),
}

KINDS = grouped(GROUPS, normal=("BenignTraffic", "Benign"))

DESCRIPTION = DatasetDescription(
    name="ciciot2023",
    title="CICIoT2023",
    citation=(
        "E. C. P. Neto, S. Dadkhah, R. Ferreira, A. Zohourian, R. Lu, A. A. Ghorbani, CICIoT2023: a "
        "real-time dataset and benchmark for large-scale attacks in IoT environment, Sensors 23(13), 2023"
    ),
    terms="Publicly available for researchers, citation required.",
    source=(
        "the IoT dataset 2023 page of the Canadian Institute for Cybersecurity, University of New Brunswick"
    ),
    files=(
        "<attack><number>.pcap.csv and BenignTraffic<number>.pcap.csv",
        "Merged<number>.csv",
        "part-*.csv",
    ),
    kinds=tuple(GROUPS),
    domains="benign capture (only where there is one file a capture); attacks have none",
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read one of the three publications; see :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder with the CSV files; those that are there are read, benign ones must be among them.
    max_rows_per_file : int or None
        Most rows kept of each file.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name the 33 attacks instead of their families.

    Returns
    -------
    DatasetTables
        Without test part. Where there is one file a capture, the domain of a benign row is its capture and
        that of an attack is empty: attacks were recorded without benign traffic beside them.

    Raises
    ------
    ReadError
        If there are no files, none with benign rows, or those of several publications.
    LabelError
        If a file or a row is named by none of the 33 attacks.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    paths, label = _publication(folder, root)
    parts = [_part(path, by_name=label is None) for path in paths]
    labels = LabelNames(KINDS, fine_kinds, label)
    if label is None and not any(part.domain for part in parts):
        raise folder.missing(["BenignTraffic.pcap.csv"])
    table, total = read_parts(
        parts,
        shared_schema(parts),
        labels,
        max_rows=max_rows_per_file,
        generator=np.random.default_rng(seed),
    )
    return DatasetTables(table, None, DatasetInfo(DESCRIPTION, tuple(paths), total, table.notes))


READER = DatasetReader(DESCRIPTION, read)


def capture_label(path: Path) -> str:
    """Return the label in a capture's file name, without its number.

    Examples
    --------
    >>> capture_label(Path("DDoS-ICMP_Flood12.pcap.csv")), capture_label(Path("DDoS-HTTP_Flood-.pcap.csv"))
    ('DDoS-ICMP_Flood', 'DDoS-HTTP_Flood')
    """
    return re.sub(r"\d*$", "", path.name[: -len(_CAPTURE_ENDING)]).rstrip("-_ ")


def _publication(folder: DatasetFolder, root: Path) -> tuple[list[Path], str | None]:
    found = {pattern: folder.matching(pattern) for pattern in PUBLICATIONS}
    present = [pattern for pattern, paths in found.items() if paths]
    if not present:
        raise folder.missing(DESCRIPTION.files)
    if len(present) > 1:
        raise ReadError(
            f"{DESCRIPTION.title}: {root} holds files of several publications ({', '.join(present)}), whose "
            "features differ; name the folder of one."
        )
    return found[present[0]], PUBLICATIONS[present[0]]


def _part(path: Path, *, by_name: bool) -> FilePart:
    if not by_name:
        return FilePart(path, LAYOUT)
    label = capture_label(path)
    benign = KINDS.get(label_key(label)) == NORMAL_LABEL
    return FilePart(path, LAYOUT, path.name[: -len(_CAPTURE_ENDING)] if benign else "", label)
