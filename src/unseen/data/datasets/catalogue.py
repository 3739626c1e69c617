"""The data sets that can be read, by name."""

from __future__ import annotations

from pathlib import Path

from unseen.checks import check_choice
from unseen.data.datasets import (
    cic_ids2017,
    ciciomt2024,
    ciciot2023,
    cse_cic_ids2018,
    lhco2020,
    mitbih,
    nsl_kdd,
    unsw_nb15,
)
from unseen.data.datasets.description import DatasetReader, DatasetTables

DATASETS: dict[str, DatasetReader] = {
    "nsl-kdd": nsl_kdd.READER,
    "cic-ids2017": cic_ids2017.READER,
    "cse-cic-ids2018": cse_cic_ids2018.READER,
    "ciciot2023": ciciot2023.READER,
    "ciciomt2024": ciciomt2024.READER,
    "unsw-nb15": unsw_nb15.READER,
    "mit-bih": mitbih.READER,
    "lhco2020": lhco2020.READER,
}
"""Name -> reader."""


def read_dataset(
    name: str,
    root: str | Path,
    *,
    max_rows_per_file: int | None = None,
    seed: int = 0,
    fine_kinds: bool = False,
) -> DatasetTables:
    """Read a published data set from the publisher's files.

    Parameters
    ----------
    name : str
        A name of :data:`DATASETS`.
    root : str or Path
        Folder that holds the published files, at any depth.
    max_rows_per_file : int or None
        Keep at most so many rows of each file, drawn by ``seed``; kinds share them equally, and what a rare
        kind leaves over goes to the others. None keeps every row.
    seed : int
        Seed of the draw, >= 0.
    fine_kinds : bool
        Name the single attacks (or beat types) instead of the groups that the papers use.

    Returns
    -------
    DatasetTables
        ``train``, ``test`` (or None) and ``info``.

    Raises
    ------
    ParameterError
        If the name is unknown or a number is out of range.
    ReadError
        If a file is missing: which, where to put it, where to get it; or if it is damaged.
    SchemaError, LabelError
        If a file is not what was published.
    MissingExtraError
        If an optional package is needed and not installed.
    """
    reader = DATASETS[check_choice("read_dataset", "name", name, DATASETS)]
    return reader.read(root, max_rows_per_file=max_rows_per_file, seed=seed, fine_kinds=fine_kinds)
