"""MIT-BIH Arrhythmia Database: single heartbeats with their AAMI class, patient by patient.

Every annotated beat becomes one row: 187 samples of lead MLII at 360 Hz (90 before the R annotation, 97 from
it on), z-scored by itself, and the two RR intervals to its neighbours in seconds. Classes follow ANSI/AAMI
EC57, the split between patients is that of de Chazal, O'Dwyer, Reilly, "Automatic classification of
heartbeats using ECG morphology and heartbeat interval features", IEEE Trans. Biomed. Eng. 51(7), 2004: DS1 to
train on, DS2 to test on, paced records (102, 104, 107, 217) left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.data.datasets.assembly import schema_of, table_of
from unseen.data.datasets.description import (
    DatasetDescription,
    DatasetInfo,
    DatasetReader,
    DatasetTables,
)
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.kinds import NORMAL_LABEL, Kind
from unseen.data.datasets.sampling import sample_rows
from unseen.data.tables import Table
from unseen.errors import MissingExtraError, ReadError
from unseen.types import IntArray, StrArray

_DS1_RECORDS = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230"
DS1 = tuple(_DS1_RECORDS.split())
"""Records to train on."""

_DS2_RECORDS = "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234"
DS2 = tuple(_DS2_RECORDS.split())
"""Records to test on."""

SAMPLES_BEFORE, SAMPLES_AFTER = 90, 97
"""Samples before the R annotation, and from it on; 187 in all, the R annotation at index 90."""

SAMPLING_RATE = 360.0
LEAD = "MLII"

BEAT_KINDS: dict[str, Kind] = {
    "N": NORMAL_LABEL,
    "L": NORMAL_LABEL,
    "R": NORMAL_LABEL,
    "e": NORMAL_LABEL,
    "j": NORMAL_LABEL,
    "A": Kind("S", "atrial-premature"),
    "a": Kind("S", "aberrated-atrial-premature"),
    "J": Kind("S", "junctional-premature"),
    "S": Kind("S", "supraventricular-premature"),
    "V": Kind("V", "ventricular-premature"),
    "E": Kind("V", "ventricular-escape"),
    "F": Kind("F", "fusion"),
    "Q": Kind("Q", "unclassifiable"),
}
"""PhysioNet beat code -> AAMI class and beat type. Bundle branch blocks (L, R) and escape beats of the atria
and the junction (e, j) sit in AAMI class N and count as normal."""

FEATURES = (
    *(f"t{index:03d}" for index in range(SAMPLES_BEFORE + SAMPLES_AFTER)),
    "rr_prev_s",
    "rr_next_s",
)

DESCRIPTION = DatasetDescription(
    name="mit-bih",
    title="MIT-BIH Arrhythmia Database",
    citation=(
        "G. B. Moody, R. G. Mark, The impact of the MIT-BIH Arrhythmia Database, IEEE Engineering in "
        "Medicine and Biology 20(3), 2001; A. L. Goldberger et al., PhysioBank, PhysioToolkit, and "
        "PhysioNet, Circulation 101(23), 2000"
    ),
    terms="Open Data Commons Attribution License v1.0.",
    source="the page of the MIT-BIH Arrhythmia Database (mitdb 1.0.0) at PhysioNet",
    files=("<record>.hea", "<record>.dat", "<record>.atr for the 44 records of DS1 and DS2"),
    kinds=("S", "V", "F", "Q"),
    domains="record (one patient; 201 and 202 are the same patient, one in DS1, one in DS2)",
)


@dataclass(frozen=True)
class Beats:
    """The beats of one record.

    Attributes
    ----------
    features : float64 array of shape (n_beats, 189)
        Columns as in ``FEATURES``; an RR interval that does not exist is NaN.
    symbols : str array of shape (n_beats,)
        PhysioNet beat codes.
    """

    features: NDArray[np.float64]
    symbols: StrArray


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read DS1 as ``train`` and DS2 as ``test``; see :class:`unseen.data.datasets.description.ReadFunction`.

    Parameters
    ----------
    root : Path
        Folder with the records.
    max_rows_per_file : int or None
        Most beats kept of each record.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        Name beat types instead of AAMI classes.

    Returns
    -------
    DatasetTables
        Domains are the records.

    Raises
    ------
    MissingExtraError
        Without the package ``wfdb``.
    ReadError
        If a record is missing, damaged, or has no lead MLII.
    """
    wfdb = _wfdb()
    folder = DatasetFolder(root, DESCRIPTION)
    headers = {record: _record_files(folder, record) for record in DS1 + DS2}
    generator = np.random.default_rng(seed)
    tables, total = [], 0
    for records in (DS1, DS2):
        parts: list[tuple[NDArray[np.float64], StrArray, StrArray]] = []
        for record in records:
            beats = read_record(wfdb, headers[record])
            total += len(beats.symbols)
            kinds = _kinds(beats.symbols, fine=fine_kinds)
            rows = sample_rows(kinds, max_rows_per_file, generator)
            parts.append((beats.features[rows], kinds[rows], np.full(len(rows), record)))
        tables.append(_table(parts))
    notes = ["records 201 (DS1) and 202 (DS2) are of one patient, as in the usual split."]
    if max_rows_per_file is not None:
        notes.append(f"kept at most {max_rows_per_file} beats a record, kinds in equal shares.")
    files = tuple(headers[record] for record in DS1 + DS2)
    return DatasetTables(tables[0], tables[1], DatasetInfo(DESCRIPTION, files, total, tuple(notes)))


READER = DatasetReader(DESCRIPTION, read)


def read_record(wfdb: Any, header: Path) -> Beats:
    """Read the beats of one record.

    Parameters
    ----------
    wfdb : module
        The package ``wfdb``.
    header : Path
        The record's ``.hea`` file; ``.dat`` and ``.atr`` lie beside it.

    Returns
    -------
    Beats

    Raises
    ------
    ReadError
        If the record is damaged, has no lead MLII, or another sampling rate.
    """
    name = str(header.with_suffix(""))
    try:
        signal = wfdb.rdrecord(name, channel_names=[LEAD])
        annotation = wfdb.rdann(name, "atr")
    except (ValueError, OSError, IndexError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ReadError(f"{header}: cannot be read as a WFDB record: {reason}") from error
    if not signal.sig_name:
        raise ReadError(f"{header}: has no lead {LEAD}; read the records as PhysioNet publishes them.")
    if signal.fs != SAMPLING_RATE:
        raise ReadError(f"{header}: is sampled at {signal.fs} Hz, expected {SAMPLING_RATE:g} Hz.")
    symbols = np.asarray(annotation.symbol, dtype=np.str_)
    beat = np.isin(symbols, list(BEAT_KINDS))
    return cut_beats(signal.p_signal[:, 0], np.asarray(annotation.sample)[beat], symbols[beat])


def cut_beats(signal: NDArray[np.float64], r_samples: IntArray, symbols: StrArray) -> Beats:
    """Cut windows around the R annotations and z-score each by itself.

    Parameters
    ----------
    signal : float64 array of shape (n_samples,)
        One lead of one record, in mV.
    r_samples : int array of shape (n_annotations,)
        Positions of the beat annotations, ascending.
    symbols : str array of shape (n_annotations,)
        Their beat codes.

    Returns
    -------
    Beats
        Windows that cross an end of the record are left out; a flat window is all zeros. RR intervals are to
        the neighbouring annotated beats of the whole record, in seconds; NaN at its ends.
    """
    rr = np.diff(r_samples) / SAMPLING_RATE
    previous, following = np.append(np.nan, rr), np.append(rr, np.nan)
    inside = (r_samples >= SAMPLES_BEFORE) & (r_samples + SAMPLES_AFTER <= len(signal))
    offsets = np.arange(-SAMPLES_BEFORE, SAMPLES_AFTER)
    windows = signal[r_samples[inside, None] + offsets]
    centred = windows - windows.mean(axis=1, keepdims=True)
    spread = windows.std(axis=1, keepdims=True)
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    features = np.column_stack([scaled, previous[: len(inside)][inside], following[: len(inside)][inside]])
    return Beats(features, symbols[inside])


def _kinds(symbols: StrArray, *, fine: bool) -> StrArray:
    names = [BEAT_KINDS[str(symbol)].name if fine else BEAT_KINDS[str(symbol)].group for symbol in symbols]
    return np.asarray(names, dtype=np.str_)


def _table(parts: list[tuple[NDArray[np.float64], StrArray, StrArray]]) -> Table:
    matrix = np.concatenate([part[0] for part in parts])
    frame = pl.from_numpy(matrix, schema=list(FEATURES), orient="row")
    frame = frame.with_columns(pl.col(FEATURES[:-2]).cast(pl.Float32))
    kinds = np.concatenate([part[1] for part in parts])
    domains = np.concatenate([part[2] for part in parts])
    return table_of(frame, kinds, schema_of(FEATURES, domains=True), domains=domains)


def _record_files(folder: DatasetFolder, record: str) -> Path:
    header = folder.require(f"{record}.hea")
    for suffix in (".dat", ".atr"):
        if not header.with_suffix(suffix).is_file():
            raise folder.missing([f"{record}{suffix} (beside {record}.hea)"])
    return header


def _wfdb() -> Any:
    try:
        import wfdb
    except ImportError as error:
        raise MissingExtraError("Reading WFDB records (MIT-BIH)", "ecg") from error
    return wfdb
