"""CIC-IDS2017: five days of network flows, as the publisher's eight CSV files.

Both publications are read: ``MachineLearningCVE`` (79 columns) and ``GeneratedLabelledFlows`` (folder
``TrafficLabelling``, 85 columns with addresses and times, which are no features). Known faults that are dealt
with: blanks before column names, ``Fwd Header Length`` twice, ``Infinity`` and ``NaN`` cells, the dash of the
three web attacks (cp1252 in one publication, a replacement character in the other), and some 288,000 rows of
commas alone at the end of Thursday morning's labelled flows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import grouped
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema

FILES: dict[str, str] = {
    "Monday-WorkingHours.pcap_ISCX.csv": "monday",
    "Tuesday-WorkingHours.pcap_ISCX.csv": "tuesday",
    "Wednesday-workingHours.pcap_ISCX.csv": "wednesday",
    "Thursday-WorkingHours-Morning-WebAttacks.pcap_ISCX.csv": "thursday-morning",
    "Thursday-WorkingHours-Afternoon-Infilteration.pcap_ISCX.csv": "thursday-afternoon",
    "Friday-WorkingHours-Morning.pcap_ISCX.csv": "friday-morning",
    "Friday-WorkingHours-Afternoon-PortScan.pcap_ISCX.csv": "friday-afternoon-1",
    "Friday-WorkingHours-Afternoon-DDos.pcap_ISCX.csv": "friday-afternoon-2",
}
"""File -> capture, which is the domain of its rows."""

LABEL = "Label"

LAYOUT = Layout(
    ignore=(
        LABEL,
        "Flow ID",
        "Source IP",
        "Source Port",
        "Destination IP",
        "Protocol",
        "Timestamp",
        "External IP",
        "Fwd Header Length.1",
        "Fwd Header Length_2",
    )
)
"""What is left are the 77 features that both publications have."""

GROUPS: dict[str, tuple[str, ...]] = {
    "BruteForce": ("FTP-Patator", "SSH-Patator"),
    "DoS": ("DoS Hulk", "DoS GoldenEye", "DoS slowloris", "DoS Slowhttptest"),
    "Heartbleed": ("Heartbleed",),
    "WebAttack": ("Web Attack Brute Force", "Web Attack XSS", "Web Attack Sql Injection"),
    "Infiltration": ("Infiltration",),
    "Bot": ("Bot",),
    "PortScan": ("PortScan",),
    "DDoS": ("DDoS",),
}

KINDS = grouped(GROUPS, normal=("BENIGN",))

DESCRIPTION = DatasetDescription(
    name="cic-ids2017",
    title="CIC-IDS2017",
    citation=(
        "I. Sharafaldin, A. H. Lashkari, A. A. Ghorbani, Toward generating a new intrusion detection dataset "
        "and intrusion traffic characterization, ICISSP 2018"
    ),
    terms="Publicly available for researchers, citation required.",
    source="the IDS 2017 page of the Canadian Institute for Cybersecurity, University of New Brunswick",
    files=tuple(FILES),
    kinds=tuple(GROUPS),
    domains="capture (a day, Thursday and Friday in parts)",
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read the eight files; see :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder with one of the two publications.
    max_rows_per_file : int or None
        Most rows kept of each file, kinds in equal shares.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name the 14 attacks instead of their groups.

    Returns
    -------
    DatasetTables
        Without test part; domains are the captures.

    Raises
    ------
    ReadError
        If a file is missing, or there in several copies, or damaged.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    paths = {folder.require(name): domain for name, domain in FILES.items()}
    parts = [
        FilePart(path, replace(LAYOUT, encoding=text_encoding(path)), domain)
        for path, domain in paths.items()
    ]
    table, total = read_parts(
        parts,
        shared_schema(parts),
        LabelNames(KINDS, fine_kinds, LABEL),
        max_rows=max_rows_per_file,
        generator=np.random.default_rng(seed),
    )
    return DatasetTables(table, None, DatasetInfo(DESCRIPTION, tuple(paths), total, table.notes))


READER = DatasetReader(DESCRIPTION, read)


def text_encoding(path: Path) -> str:
    """Return ``"utf-8"`` if every line of the file is that, else ``"cp1252"``.

    Parameters
    ----------
    path : Path
        A text file.

    Returns
    -------
    str
    """
    with path.open("rb") as stream:
        while lines := stream.readlines(1 << 22):
            try:
                b"".join(lines).decode("utf-8")
            except UnicodeDecodeError:
                return "cp1252"
    return "utf-8"
