"""UNSW-NB15: network flows with nine kinds of attack, as the publisher's train/test pair or as the four raw
files.

The pair has a header line; the raw files ``UNSW-NB15_1.csv`` … ``_4.csv`` have none, their kinds are spelled
in several ways (``' Fuzzers '``, ``Backdoors``) and empty for normal rows, and blank cells stand for zero or
unknown. In some copies the two files of the pair carry each other's name: the larger, 175,341 rows, is the
training set.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from unseen.data.datasets.assembly import schema_of
from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables
from unseen.data.datasets.file_rows import Layout, read_rows
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import grouped, name_kinds
from unseen.data.datasets.parts import FilePart, LabelNames, read_parts, shared_schema, stack
from unseen.types import StrArray

TRAIN_FILE = "UNSW_NB15_training-set.csv"
TEST_FILE = "UNSW_NB15_testing-set.csv"
RAW_FILES = tuple(f"UNSW-NB15_{number}.csv" for number in range(1, 5))

_RAW_NAMES = """
    srcip sport dstip dsport proto state dur sbytes dbytes sttl dttl sloss dloss service Sload Dload Spkts
    Dpkts swin dwin stcpb dtcpb smeansz dmeansz trans_depth res_bdy_len Sjit Djit Stime Ltime Sintpkt Dintpkt
    tcprtt synack ackdat is_sm_ips_ports ct_state_ttl ct_flw_http_mthd is_ftp_login ct_ftp_cmd ct_srv_src
    ct_srv_dst ct_dst_ltm ct_src_ltm ct_src_dport_ltm ct_dst_sport_ltm ct_dst_src_ltm attack_cat Label
"""
RAW_COLUMNS = tuple(_RAW_NAMES.split())

KIND_COLUMN, LABEL_COLUMN, TIME_COLUMN = "attack_cat", "Label", "Stime"
_NAMES = ("proto", "state", "service")

LAYOUT = Layout(ignore=("id", KIND_COLUMN, "label"), categorical=_NAMES)
RAW_LAYOUT = Layout(
    ignore=("srcip", "sport", "dstip", "dsport", TIME_COLUMN, "Ltime", KIND_COLUMN, LABEL_COLUMN),
    categorical=_NAMES,
    column_names=RAW_COLUMNS,
)

GROUPS: dict[str, tuple[str, ...]] = {
    "Analysis": ("Analysis",),
    "Backdoor": ("Backdoor",),
    "DoS": ("DoS",),
    "Exploits": ("Exploits",),
    "Fuzzers": ("Fuzzers",),
    "Generic": ("Generic",),
    "Reconnaissance": ("Reconnaissance",),
    "Shellcode": ("Shellcode",),
    "Worms": ("Worms",),
}

KINDS = grouped(GROUPS, normal=("Normal",), other_spellings={"Backdoors": "Backdoor"})

SECOND_CAPTURE = 1_422_748_800
"""Start times from here on (1 February 2015, seconds since 1970) are of the second capture."""

CAPTURES = ("2015-01-22", "2015-02-17")

DESCRIPTION = DatasetDescription(
    name="unsw-nb15",
    title="UNSW-NB15",
    citation=(
        "N. Moustafa, J. Slay, UNSW-NB15: a comprehensive data set for network intrusion detection systems, "
        "Military Communications and Information Systems Conference (MilCIS), 2015"
    ),
    terms="Free for academic research, citation required; commercial use needs the authors' approval.",
    source="the UNSW-NB15 page of UNSW Canberra",
    files=(TRAIN_FILE, TEST_FILE, "or " + ", ".join(RAW_FILES)),
    kinds=tuple(GROUPS),
    domains="capture day (raw files only)",
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read the train/test pair or, where it is absent, the four raw files.

    See :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder with the files.
    max_rows_per_file : int or None
        Most rows kept of each file.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        No effect on the groups: the publisher names nine kinds and nothing finer.

    Returns
    -------
    DatasetTables
        From the raw files without test part, and with the day of the capture as domain.

    Raises
    ------
    ReadError
        If neither the pair nor the raw files are there.
    """
    folder = DatasetFolder(root, DESCRIPTION)
    generator = np.random.default_rng(seed)
    if folder.find(TRAIN_FILE) is None and folder.find(TEST_FILE) is None and folder.find(*RAW_FILES):
        return _read_raw(folder, max_rows_per_file, generator)
    train, test = (FilePart(folder.require(name), LAYOUT) for name in (TRAIN_FILE, TEST_FILE))
    schema, labels = shared_schema([train]), LabelNames(KINDS, fine=False, column=KIND_COLUMN)
    train_table, in_train = read_parts(
        [train], schema, labels, max_rows=max_rows_per_file, generator=generator
    )
    test_table, in_test = read_parts([test], schema, labels, max_rows=max_rows_per_file, generator=generator)
    notes = (*train_table.notes, *test_table.notes)
    if in_train < in_test:
        notes += (
            f"{train.path.name} ({in_train} rows) is smaller than {test.path.name} ({in_test}): in this copy "
            "the two names may have been exchanged.",
        )
    info = DatasetInfo(DESCRIPTION, (train.path, test.path), in_train + in_test, notes)
    return DatasetTables(train_table, test_table, info)


READER = DatasetReader(DESCRIPTION, read)


def _read_raw(folder: DatasetFolder, max_rows: int | None, generator: np.random.Generator) -> DatasetTables:
    paths = [folder.require(name) for name in RAW_FILES]
    features = tuple(name for name in RAW_COLUMNS if name not in RAW_LAYOUT.ignore)
    schema = schema_of(features, categorical=_NAMES, domains=True)
    read_files = [
        read_rows(
            path,
            RAW_LAYOUT,
            schema,
            lambda rows, path=path: _raw_kinds(rows, path),  # type: ignore[misc]
            keep=(KIND_COLUMN, LABEL_COLUMN, TIME_COLUMN),
            max_rows=max_rows,
            generator=generator,
        )
        for path in paths
    ]
    domains = np.concatenate([_capture(rows.kept) for rows in read_files])
    table = stack(read_files, schema, domains)
    total = sum(rows.rows_in_file for rows in read_files)
    return DatasetTables(table, None, DatasetInfo(DESCRIPTION, tuple(paths), total, table.notes))


def _raw_kinds(rows: pl.DataFrame, path: Path) -> StrArray:
    """Return the kind of each row; an empty kind means normal where the label is 0."""
    named = rows[KIND_COLUMN].cast(pl.String).fill_null("").str.strip_chars()
    normal = rows[LABEL_COLUMN].cast(pl.String).str.strip_chars() == "0"
    labels = np.where(normal.fill_null(False).to_numpy(), "Normal", named.to_numpy().astype(np.str_))
    return name_kinds(labels, KINDS, fine=False, where=str(path))


def _capture(rows: pl.DataFrame) -> StrArray:
    """Return the capture of each row by its start time."""
    started = (
        rows[TIME_COLUMN].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).fill_null(0.0)
    )
    return np.where(started.to_numpy() >= SECOND_CAPTURE, CAPTURES[1], CAPTURES[0])
