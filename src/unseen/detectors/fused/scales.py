"""A common scale for cues: the logarithm of a score, in robust standard deviations of normals.

The formula is that of :func:`unseen.scoring.fusion.log_scaled_robust_z`; here its numbers are kept, so that a
row can be placed without the normals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.scoring.logistic import robust_location


@dataclass(frozen=True)
class CueScales:
    """What places each cue on the scale of held-back normals.

    Attributes
    ----------
    lowest : float64 array of shape (n_cues,)
        Smallest score of the normals.
    unit : float64 array of shape (n_cues,)
        Distance of their median from it; positive.
    centre, spread : float64 array of shape (n_cues,)
        Median and robust standard deviation of the signed log scores.
    """

    lowest: NDArray[np.float64]
    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    def place(self, cues: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cues on the common scale.

        Parameters
        ----------
        cues : float64 array of shape (n_rows, n_cues)
            Scores; higher = more unusual.

        Returns
        -------
        float64 array of shape (n_rows, n_cues)
            0 at the median of the normals.
        """
        return np.asarray((_signed_log(cues, self.lowest, self.unit) - self.centre) / self.spread)


def fit_scales(cues: NDArray[np.float64]) -> CueScales:
    """Read the scales off normals that no cue was fitted on.

    Parameters
    ----------
    cues : float64 array of shape (n_normals, n_cues)
        Finite scores, at least one row.

    Returns
    -------
    CueScales
    """
    lowest = cues.min(axis=0)
    unit = np.median(cues, axis=0) - lowest
    for j in np.flatnonzero(unit <= 1e-12 * np.maximum(np.abs(lowest), 1e-288)):
        unit[j] = robust_location(cues[:, j])[1]
    logs = _signed_log(cues, lowest, unit)
    found = [robust_location(column) for column in logs.T]
    return CueScales(lowest, unit, np.array([c for c, _ in found]), np.array([s for _, s in found]))


def _signed_log(
    cues: NDArray[np.float64], lowest: NDArray[np.float64], unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    shifted = (cues - lowest) / unit
    return np.asarray(np.sign(shifted) * np.log1p(np.abs(shifted)), dtype=np.float64)
