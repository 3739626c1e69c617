"""Array types and small records that every part of the package shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""A float32 or float64 array."""

IntArray: TypeAlias = NDArray[np.signedinteger[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
StrArray: TypeAlias = NDArray[np.str_]
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | dict[str, Json] | None"

NORMAL = 0
ANOMALY = 1
UNLABELLED = -1

NORMAL_KIND = "normal"
"""The kind name that normal rows carry once labels are resolved."""

UNNAMED_DOMAIN = ""
"""The domain of rows whose domain was not given."""


@dataclass(frozen=True)
class Labels:
    """What is known about each row.

    Attributes
    ----------
    y : int8 array of shape (n_rows,)
        0 normal, 1 anomaly, -1 unlabelled.
    kinds : str array of shape (n_rows,)
        Kind of each anomaly; ``"normal"`` where ``y`` is 0, ``""`` where ``y`` is -1.
    domains : str array of shape (n_rows,)
        Named sort of normal of each row; ``""`` where none was given.
    groups : str array of shape (n_rows,) or None
        Rows with the same group must not be split.
    """

    y: NDArray[np.int8]
    kinds: StrArray
    domains: StrArray
    groups: StrArray | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def normal(self) -> BoolArray:
        """Rows labelled normal, shape (n_rows,)."""
        return np.asarray(self.y == NORMAL)

    @property
    def anomaly(self) -> BoolArray:
        """Rows labelled anomalous, shape (n_rows,)."""
        return np.asarray(self.y == ANOMALY)

    @property
    def known_kinds(self) -> list[str]:
        """The kinds that have at least one labelled anomaly, sorted."""
        return [str(kind) for kind in np.unique(self.kinds[self.anomaly])]

    def take(self, rows: NDArray[Any]) -> Labels:
        """Return the labels of some rows.

        Parameters
        ----------
        rows : int or bool array
            Index array or mask over the rows.

        Returns
        -------
        Labels
            The labels of those rows, in that order.
        """
        groups = None if self.groups is None else self.groups[rows]
        return Labels(self.y[rows], self.kinds[rows], self.domains[rows], groups)
