"""From the cells of the role columns to kinds, 0/1 labels, domains and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unseen.data.batches import RawBatch
from unseen.data.conforming import as_text
from unseen.data.schema import ColumnRoles
from unseen.data.text import MISSING_CELLS
from unseen.errors import LabelError
from unseen.types import ANOMALY, NORMAL, NORMAL_KIND, UNLABELLED, StrArray

_LABEL_WORDS = (
    ([cell.lower() for cell in MISSING_CELLS], UNLABELLED),
    (["false"], NORMAL),
    (["true"], ANOMALY),
)

_NOT_NORMAL = " (not normal)"
"""What a kind called normal gets behind its name where other names mean normal."""


@dataclass(frozen=True)
class RowLabels:
    """What the role columns of some rows say.

    Attributes
    ----------
    kinds : str array of shape (n_rows,) or None
        ``"normal"`` for normals, ``""`` for unlabelled rows, else the kind as spelled.
    y : int8 array of shape (n_rows,) or None
        0 normal, 1 anomaly, -1 unlabelled.
    domains, groups : str array of shape (n_rows,) or None
        Names; ``""`` where the cell is empty.
    """

    kinds: StrArray | None = None
    y: NDArray[np.int8] | None = None
    domains: StrArray | None = None
    groups: StrArray | None = None


def read_labels(batch: RawBatch, roles: ColumnRoles, file: str) -> RowLabels:
    """Read the role columns that the batch has.

    Parameters
    ----------
    batch : RawBatch
        Rows with the role columns.
    roles : ColumnRoles
        Which column is what.
    file : str
        The file, for messages.

    Returns
    -------
    RowLabels

    Raises
    ------
    LabelError
        If a label cell is not 0, 1, -1 or empty, or contradicts the kind.
    """
    present = batch.frame.columns

    def names(column: str | None) -> StrArray | None:
        if column is None or column not in present:
            return None
        return as_text(batch.frame[column]).to_numpy().astype(np.str_)

    kinds, y = names(roles.kind), None
    if kinds is not None:
        kinds, y = _resolve_kinds(kinds, roles)
    if roles.label is not None and roles.label in present:
        codes = _codes(batch, roles.label, file)
        if kinds is None or y is None:
            kinds = np.where(codes == NORMAL, NORMAL_KIND, np.where(codes == ANOMALY, "anomaly", ""))
        else:
            _check_agreement(batch, roles, codes, y, file)
            kinds = np.where((codes == ANOMALY) & (kinds == ""), "anomaly", kinds)
            kinds = np.where(codes == NORMAL, NORMAL_KIND, np.where(codes == UNLABELLED, "", kinds))
        y = codes
    return RowLabels(kinds, y, names(roles.domain), names(roles.group))


def join_labels(parts: Sequence[RowLabels]) -> RowLabels:
    """Stack the labels of batches; what some batches lack is lacking in all."""

    def stacked(name: str) -> NDArray[np.generic] | None:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    return RowLabels(stacked("kinds"), stacked("y"), stacked("domains"), stacked("groups"))  # type: ignore[arg-type]


def merge_spellings(kinds: StrArray, y: NDArray[np.int8]) -> tuple[StrArray, list[str]]:
    """Give kinds that differ only in upper and lower case the most frequent spelling.

    Parameters
    ----------
    kinds : str array of shape (n_rows,)
        Kind names.
    y : int8 array of shape (n_rows,)
        Only rows with ``y`` = 1 are looked at.

    Returns
    -------
    kinds : str array of shape (n_rows,)
    notes : list of str
        Which spellings were merged.
    """
    spellings, counts = np.unique(kinds[y == ANOMALY], return_counts=True)
    by_fold: dict[str, list[tuple[int, str]]] = {}
    for spelling, count in zip(spellings.tolist(), counts.tolist(), strict=True):
        by_fold.setdefault(spelling.casefold(), []).append((-count, spelling))
    merged, notes = kinds, []
    for variants in by_fold.values():
        if len(variants) == 1:
            continue
        chosen, *others = [spelling for _, spelling in sorted(variants)]
        merged = np.where((y == ANOMALY) & np.isin(merged, others), chosen, merged)
        notes.append(f"kinds {', '.join(map(repr, others))} are spelled {chosen!r} like most of their rows.")
    return merged, notes


def explain_no_normals(kinds: StrArray, roles: ColumnRoles) -> LabelError:
    """Return the error for a table to fit on that has no normal row."""
    column = roles.kind or roles.label
    values, counts = np.unique(kinds, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:6]
    spelled = [str(value).removesuffix(_NOT_NORMAL) or "unlabelled" for value in values]
    found = ", ".join(f"{spelled[i]} ({counts[i]})" for i in order)
    wanted = " or ".join(map(repr, roles.normal)) if roles.kind else "0"
    return LabelError(f"no row is normal: column {column!r} never says {wanted}; it holds {found}.")


def _resolve_kinds(cells: StrArray, roles: ColumnRoles) -> tuple[StrArray, NDArray[np.int8]]:
    distinct, inverse = np.unique(cells, return_inverse=True)
    normal = {name.casefold() for name in roles.normal}
    missing = {cell.casefold() for cell in MISSING_CELLS if cell not in ("-", "?")}
    codes = np.full(len(distinct), ANOMALY, dtype=np.int8)
    names = distinct.astype(object)
    for position, cell in enumerate(distinct.tolist()):
        if cell.casefold() in normal:
            codes[position], names[position] = NORMAL, NORMAL_KIND
        elif cell.casefold() in missing:
            codes[position], names[position] = UNLABELLED, ""
        elif cell.casefold() == NORMAL_KIND:
            names[position] = f"{cell}{_NOT_NORMAL}"
    return names.astype(np.str_)[inverse], codes[inverse]


def _codes(batch: RawBatch, column: str, file: str) -> NDArray[np.int8]:
    text = as_text(batch.frame[column]).str.to_lowercase()
    numbers = text.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy(writable=True)
    for cells, code in _LABEL_WORDS:
        numbers[text.is_in(cells).to_numpy()] = code
    bad = ~np.isin(numbers, (NORMAL, ANOMALY, UNLABELLED))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LabelError(
            f"{file}: row {batch.record(row)}, column {column!r}: a label must be 0 (normal), 1 (anomaly), "
            f"-1 or empty (unlabelled), got {batch.frame[column][row]!r}; names belong in the kind column."
        )
    return numbers.astype(np.int8)


def _check_agreement(
    batch: RawBatch, roles: ColumnRoles, codes: NDArray[np.int8], y: NDArray[np.int8], file: str
) -> None:
    assert roles.kind is not None
    clash = ((codes == ANOMALY) & (y == NORMAL)) | ((codes == NORMAL) & (y == ANOMALY))
    if clash.any():
        row = int(np.flatnonzero(clash)[0])
        raise LabelError(
            f"{file}: row {batch.record(row)}: column {roles.label!r} says {int(codes[row])}, but column "
            f"{roles.kind!r} says {batch.frame[roles.kind][row]!r}."
        )
