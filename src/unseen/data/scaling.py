"""Numeric columns to float32: impute, log1p where skewed, standardise, clip.

Statistics come from the rows given to :meth:`NumericScaling.learn`, which are normals alone. With finite
values of a column ``x``, their median ``m`` and skewness ``g = mean((x − mean x)³) / std(x)³``:

    x' = x, or m where x is missing or ±inf
    u  = log(1 + max(x', 0)) if g > threshold, else x'
    z  = (u − mean u) / std u

Taking the logarithm sets negative values to 0, which is meant for placeholders such as −1 in a column of
counts. Where negatives hold more than a twentieth of a column's absolute sum (a signed signal, say), they are
content, and the column stays as it is.

Columns with ``std u = 0`` carry nothing about normals and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.types import BoolArray, IntArray

LARGEST = 1e15
"""Largest absolute value that comes out; its square times a thousand still fits float32."""

_HUGE = 1e300
"""Values beyond it are cut to it when learning, so that no sum of two overflows."""

_NEGATIVE_MASS = 0.05
"""Largest share of Σ|x| that negative values may hold in a column whose logarithm is taken."""

_CHUNK_ROWS = 4096
_FINE_SPREAD = 1e-3


@dataclass(frozen=True)
class NumericScaling:
    """What was learned of the numeric columns that are kept.

    Attributes
    ----------
    columns : int array of shape (d,)
        Position of each kept column among the numeric columns given.
    medians : float64 array of shape (d,)
        What missing values become.
    logged : bool array of shape (d,)
        Whether log1p is taken.
    centres, spreads : float64 array of shape (d,)
        Subtracted, then divided by.
    indicators : int array of shape (k,)
        Columns that get one more feature, 1 where the value is missing.
    limit : float
        Absolute values beyond it are cut to it.
    """

    columns: IntArray
    medians: NDArray[np.float64]
    logged: BoolArray
    centres: NDArray[np.float64]
    spreads: NDArray[np.float64]
    indicators: IntArray
    limit: float

    @classmethod
    def learn(
        cls,
        columns: Sequence[NDArray[np.generic]],
        *,
        log_skewed: bool,
        skewness_threshold: float,
        standardise: bool,
        clip: float | None,
        missing_indicator: bool,
    ) -> NumericScaling:
        """Learn from normals.

        Parameters
        ----------
        columns : sequence of arrays of shape (n_rows,)
            Numbers or booleans, NaN and ±inf allowed.
        log_skewed, skewness_threshold, standardise, clip, missing_indicator
            As in :class:`unseen.data.preprocessing.TablePreprocessor`.

        Returns
        -------
        NumericScaling
        """
        kept: list[tuple[int, float, bool, float, float]] = []
        indicators: list[int] = []
        for position, column in enumerate(columns):
            values = np.asarray(column, dtype=np.float64)
            finite = np.clip(values[np.isfinite(values)], -_HUGE, _HUGE)
            if missing_indicator and 0 < len(finite) < len(values):
                indicators.append(position)
            if len(finite) == 0 or finite.min() == finite.max():
                continue
            median = float(np.median(finite))
            filled = np.clip(np.where(np.isfinite(values), values, median), -_HUGE, _HUGE)
            logged = log_skewed and skewness(finite) > skewness_threshold and _mostly_positive(finite)
            used = np.log1p(np.maximum(filled, 0.0)) if logged else filled
            centre, spread = _centre_and_spread(used)
            if spread == 0.0:
                continue
            kept.append((position, median, logged, *((centre, spread) if standardise else (0.0, 1.0))))
        return cls(
            np.array([item[0] for item in kept], dtype=np.int64),
            np.array([item[1] for item in kept], dtype=np.float64),
            np.array([item[2] for item in kept], dtype=np.bool_),
            np.array([item[3] for item in kept], dtype=np.float64),
            np.array([item[4] for item in kept], dtype=np.float64),
            np.array(indicators, dtype=np.int64),
            LARGEST if clip is None else float(clip),
        )

    @property
    def n_features(self) -> int:
        """Number of features that come out."""
        return len(self.columns) + len(self.indicators)

    def apply(self, columns: Sequence[NDArray[np.generic]], out: NDArray[np.float32]) -> None:
        """Write the features of some rows.

        Works through the rows in chunks that stay in the processor's cache: per column a few fused
        operations on contiguous memory, then one transposed copy per chunk.

        Parameters
        ----------
        columns : sequence of arrays of shape (n_rows,)
            All numeric columns, as in ``learn``.
        out : float32 array of shape (n_rows, n_features)
            Filled; may be a slice of a wider array.
        """
        n_rows, d = len(out), len(self.columns)
        chunk = min(_CHUNK_ROWS, n_rows)
        wide = np.empty(chunk, dtype=np.float64)
        tall = np.empty((d, chunk), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a sum of inf - inf; what overflows is cut
            for start in range(0, n_rows, chunk):
                stop = min(start + chunk, n_rows)
                size = stop - start
                for feature, position in enumerate(self.columns):
                    self._feature(feature, columns[position][start:stop], wide[:size], tall[feature, :size])
                out[start:stop, :d] = tall[:, :size].T
        for feature, position in enumerate(self.indicators, start=d):
            out[:, feature] = ~np.isfinite(np.asarray(columns[position], dtype=np.float64))

    def _feature(
        self,
        feature: int,
        x: NDArray[np.generic],
        wide: NDArray[np.float64],
        row: NDArray[np.float32],
    ) -> None:
        """One feature of one chunk: ``x`` to ``row``, with ``wide`` as scratch."""
        centre, spread = self.centres[feature], self.spreads[feature]
        np.copyto(wide, x, casting="unsafe")
        if x.dtype.kind == "f" and not np.isfinite(np.add.reduce(wide)):
            wide[~np.isfinite(wide)] = self.medians[feature]
        if self.logged[feature]:
            np.maximum(wide, 0.0, out=wide)
            if spread > _FINE_SPREAD:
                np.add(wide, 1.0, out=wide)
                np.minimum(wide, 1e38, out=row, casting="same_kind")
                np.log(row, out=row)
                np.subtract(row, np.float32(centre), out=row)
                np.multiply(row, np.float32(1.0 / spread), out=row)
                np.clip(row, -self.limit, self.limit, out=row)
                return
            np.log1p(wide, out=wide)
        np.subtract(wide, centre, out=wide)
        np.divide(wide, spread, out=wide)
        np.clip(wide, -self.limit, self.limit, out=row, casting="same_kind")


def skewness(values: NDArray[np.float64]) -> float:
    """Return mean((x − mean)³) / std³ of finite values; 0 if they are all equal.

    Parameters
    ----------
    values : float64 array of shape (n,)
        Finite numbers; scaled by the largest one first, so that cubes do not overflow.

    Returns
    -------
    float
    """
    largest = np.abs(values).max()
    if largest == 0.0:
        return 0.0
    scaled = values / largest
    centred = scaled - scaled.mean()
    variance = float(np.mean(centred**2))
    if variance <= np.finfo(np.float64).tiny:
        return 0.0
    return float(np.mean(centred**3) / variance**1.5)


def _mostly_positive(finite: NDArray[np.float64]) -> bool:
    """Whether there is a positive value, and negatives hold at most ``_NEGATIVE_MASS`` of Σ|x|."""
    top = float(np.abs(finite).max())
    scaled = finite / top if top > 0 else finite
    negative = -float(scaled[scaled < 0].sum())
    return bool(finite.max() > 0 and negative <= _NEGATIVE_MASS * float(np.abs(scaled).sum()))


def _centre_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation without overflow; a spread within rounding of the mean is 0."""
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return 0.0, 0.0
    scaled = values / largest
    centre, spread = float(scaled.mean()), float(scaled.std())
    if spread <= 1e-13:
        return centre * largest, 0.0
    return centre * largest, spread * largest
