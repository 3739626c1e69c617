"""LHC Olympics 2020, research and development set: di-jet events as 14 jet features.

1,000,000 QCD di-jet events (label 0, normal) and 100,000 signal events W' -> X Y (label 1) as one pandas
frame in HDF5. Of each of the two leading jets: momentum (GeV), invariant mass (GeV) and N-subjettiness τ1,
τ2, τ3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unseen.data.datasets.assembly import schema_of, table_of
from unseen.data.datasets.description import (
    DatasetDescription,
    DatasetInfo,
    DatasetReader,
    DatasetTables,
)
from unseen.data.datasets.files import DatasetFolder
from unseen.data.datasets.sampling import sample_rows
from unseen.errors import LabelError, MissingExtraError, ReadError
from unseen.types import NORMAL_KIND

FILE = "events_anomalydetection_v2.features.h5"

FEATURES = tuple(
    f"{feature}{jet}" for jet in ("j1", "j2") for feature in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")
)

DESCRIPTION = DatasetDescription(
    name="lhco2020",
    title="LHC Olympics 2020 R&D",
    citation=(
        "G. Kasieczka, B. Nachman, D. Shih et al., The LHC Olympics 2020: a community challenge for anomaly "
        "detection in high energy physics, Reports on Progress in Physics 84, 2021"
    ),
    terms="Creative Commons Attribution 4.0.",
    source="the record 'R&D Dataset for LHC Olympics 2020 Anomaly Detection Challenge' at Zenodo",
    files=(FILE,),
    kinds=("signal",),
)


def read(
    root: Path, *, max_rows_per_file: int | None = None, seed: int = 0, fine_kinds: bool = False
) -> DatasetTables:
    """Read the feature file; see :class:`unseen.data.datasets.description.ReadFunction`.

    pandas may unpickle Python objects from an HDF5 file: read only files from the publisher.

    Parameters
    ----------
    root : Path
        Folder with the file.
    max_rows_per_file : int or None
        Most events kept, signal and background in equal shares.
    seed : int
        Seed of the draw.
    fine_kinds : bool
        No effect: there is one kind of signal.

    Returns
    -------
    DatasetTables
        Without test part and domains.

    Raises
    ------
    MissingExtraError
        Without pandas and PyTables.
    ReadError
        If the file is missing or does not hold the 14 features and the label.
    LabelError
        If a label is neither 0 nor 1.
    """
    pandas, damaged = _libraries()
    path = DatasetFolder(root, DESCRIPTION).require(FILE)
    frame = _read_frame(path, pandas, damaged)
    label = frame["label"].to_numpy()
    if not np.isin(label, (0, 1)).all():
        raise LabelError(
            f"{path}: label must be 0 (background) or 1 (signal), got {np.setdiff1d(label, (0, 1))[0]}."
        )
    kinds = np.where(label == 1, DESCRIPTION.kinds[0], NORMAL_KIND)
    rows = sample_rows(kinds, max_rows_per_file, np.random.default_rng(seed))
    matrix = frame[list(FEATURES)].to_numpy(dtype=np.float64)[rows]
    table = table_of(
        pl.from_numpy(matrix, schema=list(FEATURES), orient="row"), kinds[rows], schema_of(FEATURES)
    )
    notes = (
        ()
        if len(rows) == len(kinds)
        else (f"kept {len(rows)} of {len(kinds)} events, kinds in equal shares.",)
    )
    return DatasetTables(table, None, DatasetInfo(DESCRIPTION, (path,), len(kinds), notes))


READER = DatasetReader(DESCRIPTION, read)


def _libraries() -> tuple[Any, type[Exception]]:
    """Return pandas and the error that PyTables raises for damaged files."""
    try:
        import pandas
        from tables.exceptions import HDF5ExtError
    except ImportError as error:
        raise MissingExtraError("Reading HDF5 files (LHCO2020)", "hdf5") from error
    return pandas, HDF5ExtError


def _read_frame(path: Path, pandas: Any, damaged: type[Exception]) -> Any:
    try:
        frame = pandas.read_hdf(path)
    except (damaged, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ReadError(f"{path}: cannot be read as a pandas HDF5 table: {reason[0].strip()}") from error
    absent = [name for name in (*FEATURES, "label") if name not in frame.columns]
    if absent:
        raise ReadError(
            f"{path}: has no column {absent[0]!r}; the feature file of the R&D set holds "
            f"{len(FEATURES)} features and label."
        )
    return frame
