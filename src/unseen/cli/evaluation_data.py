"""The rows that ``unseen evaluate`` runs on: the user's table, or a public data set by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unseen.data import ColumnRoles, Table


@dataclass(frozen=True)
class EvaluationData:
    """Rows to evaluate on.

    Attributes
    ----------
    table : Table
        Labelled rows.
    test : Table or None
        Rows of an official test part.
    about : dict of str to str
        What to say of them in the results.
    """

    table: Table
    test: Table | None
    about: dict[str, str]


def check_source(
    file: str | None, test: str | None, roles: ColumnRoles, dataset: str | None, root: Path | None
) -> None:
    """Raise ParameterError unless there is a FILE, or ``--dataset`` with ``--root`` and nothing of a FILE.

    Parameters
    ----------
    file, test : str or None
        The table arguments.
    roles : ColumnRoles
        From the column options.
    dataset : str or None
        Name of a public data set.
    root : Path or None
        Its folder.
    """
    from unseen.data import ColumnRoles
    from unseen.errors import ParameterError

    if dataset is None:
        if root is not None:
            raise ParameterError("--root is the folder of a --dataset; name the data set, too.")
        if file is None:
            raise ParameterError("give a FILE, or --dataset NAME with --root DIR.")
        return
    if root is None:
        raise ParameterError(f"--dataset {dataset} needs --root DIR, the folder with the publisher's files.")
    if file is not None or test is not None or roles != ColumnRoles():
        raise ParameterError(
            f"--dataset {dataset} brings its own table, test part and columns; leave FILE, --test and the "
            "column options out."
        )


def from_files(file: str, test: str | None, roles: ColumnRoles, encoding: str) -> EvaluationData:
    """Read the user's table and, if given, the official test table.

    Parameters
    ----------
    file : str
        Path, folder or glob.
    test : str or None
        The same for the test table.
    roles : ColumnRoles
        Which columns are what.
    encoding : str
        Character encoding of text files.

    Returns
    -------
    EvaluationData
    """
    from unseen.data import read_table
    from unseen.errors import ParameterError

    if test is not None and Path(test).exists() and Path(file).exists() and Path(test).samefile(file):
        raise ParameterError(
            f"--test {test} is FILE itself, so training rows would be tested; leave it out, and rows are "
            "held back for the test."
        )
    table = read_table(file, roles, encoding=encoding)
    test_table = None if test is None else read_table(test, schema=table.schema, encoding=encoding)
    about = {"name": Path(file).stem, "file": file}
    return EvaluationData(table, test_table, about if test is None else {**about, "test_file": test})


def from_dataset(name: str, root: Path, *, max_rows_per_file: int | None, fine_kinds: bool) -> EvaluationData:
    """Read a public data set from the publisher's files.

    Parameters
    ----------
    name : str
        Name in :data:`unseen.data.datasets.DATASETS`.
    root : Path
        Folder with the files.
    max_rows_per_file : int or None
        Most rows kept of each file.
    fine_kinds : bool
        Name single attacks instead of groups.

    Returns
    -------
    EvaluationData
    """
    from unseen.data.datasets import read_dataset

    tables = read_dataset(name, root, max_rows_per_file=max_rows_per_file, fine_kinds=fine_kinds)
    description = tables.info.description
    about = {
        "name": description.title,
        "dataset": name,
        "citation": description.citation,
        "terms": description.terms,
        "notes": " ".join(tables.info.notes),
    }
    return EvaluationData(tables.train, tables.test, about)
