"""Categorical columns to one-hot features, with one more column for rare and unknown categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

CategoryScale: TypeAlias = Literal["standardise", "balanced", "none"]
"""How one-hot features are scaled; see :class:`unseen.data.preprocessing.TablePreprocessor`."""

CATEGORY_SCALES: tuple[CategoryScale, ...] = get_args(CategoryScale)

OTHER = "other"


@dataclass(frozen=True)
class CategoryCoding:
    """What was learned of one categorical column.

    Attributes
    ----------
    categories : tuple of str
        Categories with a feature of their own, most frequent first; every other one is "other".
    rows : float32 array of shape (len(categories) + 1, len(categories) + 1)
        The features of each category; "other" is the last.
    """

    categories: tuple[str, ...]
    rows: NDArray[np.float32]

    @classmethod
    def learn(
        cls, column: pl.Series, *, scale: CategoryScale, max_categories: int, min_count: int
    ) -> CategoryCoding | None:
        """Learn from normals.

        Parameters
        ----------
        column : polars.Series of String
            Cells of normal rows.
        scale : {"standardise", "balanced", "none"}
            How features are scaled.
        max_categories : int
            Most categories that get a feature of their own.
        min_count : int
            Least number of rows for that.

        Returns
        -------
        CategoryCoding or None
            None if no category is frequent enough.
        """
        counts = (
            column.fill_null("")
            .value_counts(name="rows")
            .sort(["rows", column.name], descending=[True, False])
        )
        frequent = counts.filter(pl.col("rows") >= min_count).head(max_categories)
        if frequent.height == 0:
            return None
        n_rows = len(column)
        own = frequent["rows"].to_numpy().astype(np.float64)
        shares = np.append(own, n_rows - own.sum()) / n_rows
        return cls(tuple(frequent[column.name].to_list()), _scaled_rows(shares, n_rows, scale))

    @property
    def n_features(self) -> int:
        """Number of features that come out."""
        return len(self.rows)

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """Return the row of ``rows`` that each cell gets, shape (n_rows,)."""
        other = len(self.categories)
        codes = column.fill_null("").replace_strict(
            list(self.categories), list(range(other)), default=other, return_dtype=pl.Int64
        )
        return codes.to_numpy().astype(np.int64, copy=False)

    def apply(self, column: pl.Series, out: NDArray[np.float32]) -> None:
        """Write the features of some rows into ``out`` of shape (n_rows, n_features)."""
        out[...] = self.rows[self.codes(column)]


def _scaled_rows(shares: NDArray[np.float64], n_rows: int, scale: CategoryScale) -> NDArray[np.float32]:
    """Features of each category from the shares of all categories, "other" last."""
    one_hot = np.eye(len(shares))
    if scale == "none":
        return one_hot.astype(np.float32)
    if scale == "balanced":
        spreads = np.full(len(shares), np.sqrt(max(1.0 - float(np.sum(shares**2)), 1.0 / n_rows)))
    else:
        smoothed = (shares * n_rows + 0.5) / (n_rows + 1.0)
        spreads = np.sqrt(smoothed * (1.0 - smoothed))
    scaled: NDArray[np.float64] = np.divide(one_hot - shares, spreads)
    return scaled.astype(np.float32)
