"""The rows of an evaluation: one table (with the official test table appended), its labels and its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.data import Table, concat
from unseen.errors import LabelError
from unseen.types import NORMAL, UNNAMED_DOMAIN, BoolArray, Json, Labels

TEST_DOMAIN = "test"
"""The domain of an official test table whose rows name none: one new place as a whole."""


@dataclass(frozen=True)
class Material:
    """The rows of an evaluation.

    Attributes
    ----------
    table : Table
        All rows; those of the official test table last.
    labels : Labels
        Their labels.
    test_rows : bool array of shape (n_rows,) or None
        Rows of the official test table, if there is one.
    """

    table: Table
    labels: Labels
    test_rows: BoolArray | None


def gather(table: Table, test: Table | None = None) -> Material:
    """Append the official test table, if there is one, and bring the labels to one form.

    Parameters
    ----------
    table : Table
        Labelled rows.
    test : Table or None
        Rows to test on, with the same columns. If it names no domains it becomes one domain of its own.

    Returns
    -------
    Material

    Raises
    ------
    LabelError
        If the rows have no labels, or none is normal.
    """
    if test is None:
        _check_labels(table)
        return Material(table, table.labels, None)
    together = concat([table, test])
    _check_labels(together)
    test_rows = np.arange(len(together)) >= len(table)
    labels = together.labels
    if together.domains is None:
        labels = replace(labels, domains=np.where(test_rows, TEST_DOMAIN, UNNAMED_DOMAIN))
    return Material(together, labels, test_rows)


def fingerprint(material: Material) -> str:
    """Return a hash of every value, label, kind, domain and group.

    Parameters
    ----------
    material : Material
        The rows.

    Returns
    -------
    str
        Stable for one version of polars; another version at worst runs finished trials again.
    """
    digest = hashlib.blake2b(digest_size=16)
    features = material.table.features
    digest.update(repr([(name, str(dtype)) for name, dtype in features.schema.items()]).encode())
    digest.update(features.hash_rows(seed=0).to_numpy().tobytes())
    labels = material.labels
    names = [labels.kinds, labels.domains] + ([] if labels.groups is None else [labels.groups])
    digest.update(np.ascontiguousarray(labels.y).tobytes())
    for array in names:
        values, codes = np.unique(array, return_inverse=True)
        digest.update("\x1f".join(values.tolist()).encode() + b"\x1e")
        digest.update(codes.astype(np.int64).tobytes())
    return digest.hexdigest()


def describe(material: Material, digest: str) -> dict[str, Json]:
    """Return what the results say about the data.

    Parameters
    ----------
    material : Material
        The rows.
    digest : str
        Their fingerprint.

    Returns
    -------
    dict
        ``n_rows``, ``n_test_rows`` (of the official test table, or None), ``n_columns``, ``columns``,
        ``kinds`` (rows of each, by falling number, for training and official test rows), ``n_unlabelled``,
        ``n_domains`` (0 without such a column), ``notes``, ``fingerprint``.
    """
    labels, test = material.labels, material.test_rows
    train = np.ones(len(labels), dtype=np.bool_) if test is None else ~test
    domains = () if material.table.domains is None else np.unique(material.table.domains)
    return {
        "n_rows": len(labels),
        "n_test_rows": None if test is None else int(test.sum()),
        "n_columns": material.table.features.width,
        "columns": list(material.table.features.columns),
        "kinds": _counts(labels, train),
        "test_kinds": None if test is None else _counts(labels, test),
        "n_unlabelled": int(np.sum(labels.y < NORMAL)),
        "n_domains": len(domains),
        "notes": list(material.table.notes),
        "fingerprint": digest,
    }


def _counts(labels: Labels, rows: NDArray[np.bool_]) -> dict[str, Json]:
    names, counts = np.unique(labels.kinds[rows & (labels.y >= NORMAL)], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[i]): int(counts[i]) for i in order}


def _check_labels(table: Table) -> None:
    if table.y is None or table.kinds is None:
        raise LabelError("evaluate: the table has no labels; name its kind column or its 0/1 label column.")
    if not table.labels.normal.any():
        raise LabelError("evaluate: no row is normal; check the normal value(s) of the kind column.")
    if not table.labels.anomaly.any():
        raise LabelError("evaluate: no row is an anomaly, so there is nothing to measure detection on.")
