"""Tables turned into numbers once per set of training normals, and shared between processes as files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.data import Table
from unseen.data.preprocessing import TablePreprocessor
from unseen.evaluation.settings import Settings
from unseen.protocols import Split
from unseen.types import FloatArray

_WORK_PREFIX = ".work-"


@dataclass(frozen=True)
class Prepared:
    """A preprocessed matrix on disk.

    Attributes
    ----------
    file : Path
        A float32 ``.npy`` file of shape (n_rows_used, n_features).
    rows : int64 array of shape (n_rows_used,)
        The table row of each row of the matrix, ascending.
    n_features : int
        Columns of the matrix.
    """

    file: Path
    rows: NDArray[np.int64]
    n_features: int

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """Return the features of some table rows.

        Parameters
        ----------
        rows : int64 array of shape (n,)
            Row numbers of the table.

        Returns
        -------
        float32 array of shape (n, n_features)
        """
        matrix: FloatArray = np.load(self.file, mmap_mode="r", allow_pickle=False)
        return np.asarray(matrix[np.searchsorted(self.rows, rows)])


def used_rows(split: Split) -> NDArray[np.int64]:
    """Return every table row that a split uses, ascending, without repetition."""
    parts = (
        split.train,
        split.labelled,
        split.validation,
        split.calibration,
        split.calibration_references,
        split.references,
        split.test,
    )
    return np.unique(np.concatenate(parts)).astype(np.int64)


def fit_preprocessor(table: Table, split: Split, settings: Settings) -> TablePreprocessor:
    """Fit the preprocessing on the training normals of a split, and on nothing else.

    Parameters
    ----------
    table : Table
        All rows.
    split : Split
        Its ``train`` rows count as normal, contaminants too: in use nobody would know about those.
    settings : Settings
        Holds the preprocessor's parameters.

    Returns
    -------
    TablePreprocessor
    """
    parameters: dict[str, Any] = dict(settings.preprocessing)
    return TablePreprocessor(**parameters).fit(
        table.take(split.train), np.zeros(len(split.train), dtype=np.int8)
    )


def prepare(table: Table, splits: Sequence[Split], settings: Settings, file: Path) -> Prepared:
    """Fit the preprocessing of splits that share their training normals and write what they use.

    Parameters
    ----------
    table : Table
        All rows.
    splits : sequence of Split
        All with the same ``normals_key``.
    settings : Settings
        Holds the preprocessor's parameters.
    file : Path
        Where to write the matrix.

    Returns
    -------
    Prepared
    """
    preprocessor = fit_preprocessor(table, splits[0], settings)
    rows = np.unique(np.concatenate([used_rows(split) for split in splits]))
    matrix = preprocessor.transform(table if len(rows) == len(table) else table.take(rows))
    np.save(file, matrix, allow_pickle=False)
    return Prepared(file, rows, matrix.shape[1])


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Yield a folder for matrices under ``out``, removed at the end; also removes those of killed runs.

    Parameters
    ----------
    out : Path
        The folder of the evaluation; must exist.

    Yields
    ------
    Path
    """
    for left_over in out.glob(f"{_WORK_PREFIX}*"):
        owner = left_over.name.removeprefix(_WORK_PREFIX)
        if not (owner.isdigit() and _is_running(int(owner))):
            shutil.rmtree(left_over, ignore_errors=True)
    folder = out / f"{_WORK_PREFIX}{os.getpid()}"
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
