"""NSL-KDD: network connections with 41 features, the KDD Cup 1999 records without their duplicates.

The text files have no header line: 41 features, the attack name, and a difficulty from 0 to 21 which says how
many of 21 classifiers got the row right, and which is therefore not a feature.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import grouped
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema

TRAIN_FILES = ("KDDTrain+.txt", "KDDTrain+_20Percent.txt")
TEST_FILE = "KDDTest+.txt"
_PART_READ = "the training rows are the publisher's first 20 %; KDDTrain+.txt is not there."

_FEATURE_NAMES = """
    duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot num_failed_logins
    logged_in num_compromised root_shell su_attempted num_root num_file_creations num_shells num_access_files
    num_outbound_cmds is_host_login is_guest_login count srv_count serror_rate srv_serror_rate rerror_rate
    srv_rerror_rate same_srv_rate diff_srv_rate srv_diff_host_rate dst_host_count dst_host_srv_count
    dst_host_same_srv_rate dst_host_diff_srv_rate dst_host_same_src_port_rate dst_host_srv_diff_host_rate
    dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate
"""
FEATURES = tuple(_FEATURE_NAMES.split())

LABEL = "attack"

LAYOUT = Layout(
    ignore=(LABEL, "difficulty"),
    categorical=("protocol_type", "service", "flag"),
    column_names=(*FEATURES, LABEL, "difficulty"),
)

_DOS = "apache2 back land mailbomb neptune pod processtable smurf teardrop udpstorm worm"
_PROBE = "ipsweep mscan nmap portsweep saint satan"
_R2L = (
    "ftp_write guess_passwd httptunnel imap multihop named phf sendmail snmpgetattack snmpguess spy "
    "warezclient warezmaster xlock xsnoop"
)
_U2R = "buffer_overflow loadmodule perl ps rootkit sqlattack xterm"

GROUPS: dict[str, tuple[str, ...]] = {
    "dos": tuple(_DOS.split()),
    "probe": tuple(_PROBE.split()),
    "r2l": tuple(_R2L.split()),
    "u2r": tuple(_U2R.split()),
}
"""The four usual families of the 39 attacks; 17 attacks occur in the test file only."""

KINDS = grouped(GROUPS, normal=("normal",))

DESCRIPTION = DatasetDescription(
    name="nsl-kdd",
    title="NSL-KDD",
    citation=(
        "M. Tavallaee, E. Bagheri, W. Lu, A. A. Ghorbani, A detailed analysis of the KDD CUP 99 data set, "
        "IEEE Symposium on Computational Intelligence for Security and Defense Applications, 2009"
    ),
    terms="Free for research, citation asked for; no formal licence text.",
    source="the NSL-KDD page of the Canadian Institute for Cybersecurity, University of New Brunswick",
    files=("KDDTrain+.txt (or KDDTrain+_20Percent.txt)", TEST_FILE),
    kinds=tuple(GROUPS),
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read KDDTrain+ as ``train``, KDDTest+ as ``test``; see
    :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder with the text files. The publisher's first 20 % of the training file is read where the whole
        is not there.
    max_rows_per_file : int or None
        Most rows kept of each file.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name the 39 attacks instead of their four families.

    Returns
    -------
    DatasetTables
        No domains.

    Raises
    ------
    ReadError
        If a file is missing or damaged.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    train, test = (
        FilePart(path, LAYOUT) for path in (folder.require(*TRAIN_FILES), folder.require(TEST_FILE))
    )
    schema, labels = shared_schema([train]), LabelNames(KINDS, fine_kinds, LABEL)
    generator = np.random.default_rng(seed)
    train_table, in_train = read_parts(
        [train], schema, labels, max_rows=max_rows_per_file, generator=generator
    )
    test_table, in_test = read_parts([test], schema, labels, max_rows=max_rows_per_file, generator=generator)
    whole = train.path.name.lower() == TRAIN_FILES[0].lower()
    notes: tuple[str, ...] = () if whole else (_PART_READ,)
    notes += (*train_table.notes, *test_table.notes)
    info = DatasetInfo(DESCRIPTION, (train.path, test.path), in_train + in_test, notes)
    return DatasetTables(train_table, test_table, info)


READER = DatasetReader(DESCRIPTION, read)
