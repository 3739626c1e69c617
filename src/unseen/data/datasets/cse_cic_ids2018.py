"""CSE-CIC-IDS2018: ten days of network flows, as the publisher's processed CSV files.

Known faults that are dealt with: header lines repeated among the rows, ``Infinity`` and ``NaN`` cells, four
further columns (flow and addresses) on 20 February, that day's file name (``Thuesday``), and labels in mixed
case.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import grouped
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema

_SUFFIX = "_TrafficForML_CICFlowMeter.csv"

DAYS: dict[str, tuple[str, ...]] = {
    "2018-02-14": ("Wednesday-14-02-2018",),
    "2018-02-15": ("Thursday-15-02-2018",),
    "2018-02-16": ("Friday-16-02-2018",),
    "2018-02-20": ("Thuesday-20-02-2018", "Tuesday-20-02-2018"),
    "2018-02-21": ("Wednesday-21-02-2018",),
    "2018-02-22": ("Thursday-22-02-2018",),
    "2018-02-23": ("Friday-23-02-2018",),
    "2018-02-28": ("Wednesday-28-02-2018",),
    "2018-03-01": ("Thursday-01-03-2018",),
    "2018-03-02": ("Friday-02-03-2018",),
}
"""Day, which is the domain of its rows -> beginnings of its file's name."""

LABEL = "Label"

LAYOUT = Layout(ignore=(LABEL, "Timestamp", "Flow ID", "Src IP", "Src Port", "Dst IP"))
"""What is left are 78 features; ``Dst Port`` and ``Protocol`` are read as numbers."""

GROUPS: dict[str, tuple[str, ...]] = {
    "BOTNET": ("Bot",),
    "SSH-BRUTEFORCE": ("SSH-Bruteforce",),
    "FTP-BRUTEFORCE": ("FTP-BruteForce",),
    "GOLDENEYE": ("DoS attacks-GoldenEye",),
    "SLOWLORIS": ("DoS attacks-Slowloris",),
    "SLOWHTTPTEST": ("DoS attacks-SlowHTTPTest",),
    "HULK": ("DoS attacks-Hulk",),
    "DDOS-HOIC": ("DDOS attack-HOIC",),
    "DDOS-LOIC-HTTP": ("DDoS attacks-LOIC-HTTP",),
    "DDOS-LOIC-UDP": ("DDOS attack-LOIC-UDP",),
    "WEB": ("Brute Force -Web", "Brute Force -XSS", "SQL Injection"),
    "INFILTRATION": ("Infiltration",),
}
"""Named as in the paper on multi-directional meta-learning, which tells the tools apart (six of these
kinds)."""

KINDS = grouped(GROUPS, normal=("Benign",), other_spellings={"Infilteration": "Infiltration"})

DESCRIPTION = DatasetDescription(
    name="cse-cic-ids2018",
    title="CSE-CIC-IDS2018",
    citation=(
        "I. Sharafaldin, A. H. Lashkari, A. A. Ghorbani, Toward generating a new intrusion detection dataset "
        "and intrusion traffic characterization, ICISSP 2018; a collaborative project of the Communications "
        "Security Establishment and the Canadian Institute for Cybersecurity"
    ),
    terms="May be redistributed and mirrored; any use or redistribution must cite the data set and its page.",
    source=(
        "the IDS 2018 page of the Canadian Institute for Cybersecurity, University of New Brunswick "
        "(folder 'Processed Traffic Data for ML Algorithms')"
    ),
    files=tuple(names[0] + _SUFFIX for names in DAYS.values()),
    kinds=tuple(GROUPS),
    domains="day",
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read the ten days; see :class:`unseen.data.datasets.description.ReadFunction`.

    The whole set has 16 million rows (about 10 GB in memory); ``max_rows_per_file`` reads a draw in bounded
    memory.

    Parameters
    ----------
    root : Path
        Folder with the processed CSV files.
    max_rows_per_file : int or None
        Most rows kept of each day, kinds in equal shares.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name the 14 attacks as published; apart from the three web attacks these are the groups.

    Returns
    -------
    DatasetTables
        Without test part; domains are the days.

    Raises
    ------
    ReadError
        If a file is missing or damaged.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    parts = [
        FilePart(folder.require(*(name + _SUFFIX for name in names)), LAYOUT, day)
        for day, names in DAYS.items()
    ]
    table, total = read_parts(
        parts,
        shared_schema(parts),
        LabelNames(KINDS, fine_kinds, LABEL),
        max_rows=max_rows_per_file,
        generator=np.random.default_rng(seed),
    )
    info = DatasetInfo(DESCRIPTION, tuple(part.path for part in parts), total, table.notes)
    return DatasetTables(table, None, info)


READER = DatasetReader(DESCRIPTION, read)
