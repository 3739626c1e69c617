"""The small real table that comes with the package: an extract of NSL-KDD.

Network connections with 41 features and the family of each attack. Citation: M. Tavallaee, E. Bagheri,
W. Lu, A. Ghorbani, "A Detailed Analysis of the KDD CUP 99 Data Set", IEEE Symposium on Computational
Intelligence for Security and Defense Applications (CISDA), 2009.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from unseen.checks import check_choice
from unseen.data.reading import read_table
from unseen.data.schema import ColumnRoles, TableSchema
from unseen.data.tables import Table

SAMPLE_ROLES = ColumnRoles(kind="family")
"""Roles of the sample's columns: ``family`` is ``normal``, ``dos``, ``probe``, ``r2l`` or ``u2r``."""

CITATION_FILE = "CITATION.txt"


def sample_path(part: Literal["train", "test"] = "train") -> Path:
    """Return the path of one of the two sample files.

    Parameters
    ----------
    part : {"train", "test"}
        ``train``: from the publisher's training file; ``test``: from the publisher's test file, with
        attacks that the training file does not have and normals that have drifted.

    Returns
    -------
    Path
    """
    check_choice("sample_path", "part", part, ("train", "test"))
    return Path(str(files("unseen.data") / "samples" / f"nsl_kdd_{part}.parquet"))


def load_sample(part: Literal["train", "test"] = "train", *, schema: TableSchema | None = None) -> Table:
    """Return one of the two sample tables.

    Parameters
    ----------
    part : {"train", "test"}
        See :func:`sample_path`.
    schema : TableSchema or None
        Schema to bring it to; give the training table's for ``test``.

    Returns
    -------
    Table
        With kinds and labels.
    """
    return read_table(sample_path(part), SAMPLE_ROLES, schema=schema)


def sample_citation() -> str:
    """Return what to cite when the sample is used."""
    return (files("unseen.data") / "samples" / CITATION_FILE).read_text(encoding="utf-8")
