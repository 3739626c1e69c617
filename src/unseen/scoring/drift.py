"""How far normals have drifted from those that a model was calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from unseen.checks import check_real
from unseen.errors import InputError
from unseen.scoring.conformal import check_scores


@dataclass(frozen=True)
class Drift:
    """What the p-values of rows say about drift. P-values of undrifted normals are uniform.

    Attributes
    ----------
    distance : float
        Largest difference between the p-values' distribution function and the uniform one
        (Kolmogorov-Smirnov), in [0, 1].
    critical : float
        The distance that undrifted normals exceed in one of twenty samples of this size.
    median_p : float
        Median p-value; 0.5 without drift, smaller where rows score higher than the calibration normals.
    flagged : float
        Share of the rows with a p-value of at most ``rate``.
    rate : float
        The false-alarm rate that was asked for.
    """

    distance: float
    critical: float
    median_p: float
    flagged: float
    rate: float

    @property
    def drifted(self) -> bool:
        """Whether the distance is above what chance explains."""
        return self.distance > self.critical


def measure_drift(p_values: ArrayLike, *, n_calibration: int, rate: float = 0.01) -> Drift:
    r"""Measure how far the p-values of normals are from uniform.

    Give it rows that are normal, or new rows of which most are: then anomalies among them count as drift,
    in the flagged share above all, while the median hardly moves.

    The critical distance is :math:`1.36 \sqrt{1/n + 1/m}` for n rows and m calibration normals (two-sample
    Kolmogorov-Smirnov at 5 %).

    Parameters
    ----------
    p_values : array-like of shape (n_rows,)
        Conformal p-values in [0, 1]; at least one.
    n_calibration : int
        Calibration normals that the p-values rest on, at least 1.
    rate : float in (0, 1)
        The false-alarm rate.

    Returns
    -------
    Drift

    Raises
    ------
    InputError
        If there is no p-value, or one is NaN or outside [0, 1].
    """
    level = check_real(
        "measure_drift", "rate", rate, minimum=0, maximum=1, open_minimum=True, open_maximum=True
    )
    p = np.sort(check_scores("measure_drift", p_values, name="p_values"))
    if len(p) == 0 or p[0] < 0 or p[-1] > 1:
        raise InputError("measure_drift: p_values must hold at least one number, all in [0, 1].")
    n_rows = len(p)
    above = np.arange(1, n_rows + 1) / n_rows - p
    below = p - np.arange(n_rows) / n_rows
    return Drift(
        distance=float(max(above.max(), below.max())),
        critical=float(1.36 * np.sqrt(1 / n_rows + 1 / max(1, n_calibration))),
        median_p=float(np.median(p)),
        flagged=float(np.mean(p <= level)),
        rate=level,
    )
