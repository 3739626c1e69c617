"""From the labels in published files to kind names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unseen.errors import LabelError
from unseen.types import NORMAL_KIND, StrArray


@dataclass(frozen=True)
class Kind:
    """One published label.

    Attributes
    ----------
    group : str
        The kind that the papers put it into; ``"normal"`` for normals.
    name : str
        The name of the single attack; ``"normal"`` for normals.
    """

    group: str
    name: str


NORMAL_LABEL = Kind(NORMAL_KIND, NORMAL_KIND)


def label_key(label: str) -> str:
    """Return a label reduced to its ASCII letters and digits, lower case, one space between words.

    Published labels differ from file to file in case, in blanks, in hyphens, and in one dash that is cp1252
    in one release and a replacement character in another; their letters do not.

    Examples
    --------
    >>> label_key("Web Attack \\u2013 Brute Force"), label_key(" DDOS attack-HOIC")
    ('web attack brute force', 'ddos attack hoic')
    """
    return re.sub(r"[^a-z0-9]+", " ", label.lower()).strip()


def grouped(
    groups: Mapping[str, tuple[str, ...]],
    *,
    normal: tuple[str, ...],
    other_spellings: Mapping[str, str] | None = None,
) -> dict[str, Kind]:
    """Return label key -> kind from groups of attack names.

    Parameters
    ----------
    groups : mapping
        Kind -> the names of the attacks that belong to it.
    normal : tuple of str
        The spellings that mean normal.
    other_spellings : mapping or None
        Further spelling in the files -> the name of the attack in ``groups``.

    Returns
    -------
    dict
        Keys as :func:`label_key` makes them.
    """
    kinds = {label_key(label): Kind(group, label) for group, labels in groups.items() for label in labels}
    for spelling, name in (other_spellings or {}).items():
        kinds[label_key(spelling)] = kinds[label_key(name)]
    kinds.update({label_key(label): NORMAL_LABEL for label in normal})
    return kinds


def name_kinds(labels: StrArray, kinds: Mapping[str, Kind], *, fine: bool, where: str) -> StrArray:
    """Return the kind name of each label; the empty label stays empty.

    Parameters
    ----------
    labels : str array of shape (n_rows,)
        Labels as published.
    kinds : mapping
        Label key -> kind.
    fine : bool
        Name single attacks instead of groups.
    where : str
        File name for the message.

    Returns
    -------
    str array of shape (n_rows,)

    Raises
    ------
    LabelError
        If a label is none of the published ones.
    """
    distinct, inverse = np.unique(labels, return_inverse=True)
    names = [_name(str(label), kinds, fine=fine, where=where) for label in distinct]
    return np.asarray(names, dtype=np.str_)[inverse] if len(names) else labels


def _name(label: str, kinds: Mapping[str, Kind], *, fine: bool, where: str) -> str:
    key = label_key(label)
    if not key:
        return ""
    kind = kinds.get(key)
    if kind is None:
        raise LabelError(
            f"{where}: the label {label!r} is not one of this data set's; "
            f"known are {', '.join(sorted({known.name for known in kinds.values()}))}."
        )
    return kind.name if fine else kind.group
