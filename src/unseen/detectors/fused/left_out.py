"""Scores of training normals by fits that had not met their domain: what new domains may score like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.scoring.domains import balanced_over_domains
from unseen.types import StrArray

LEAST_DOMAINS = 5
"""Domains from which on scores of domains left out stand for new ones."""

_COMMON_RATE = 0.01


@dataclass(frozen=True)
class LeftOutScores:
    """Scores of training normals.

    Attributes
    ----------
    scores : float64 array of shape (n_rows,)
        On the scale of the fitted mode.
    domains : str array of shape (n_rows,)
        Domain of each.
    """

    scores: NDArray[np.float64]
    domains: StrArray

    @property
    def enough(self) -> bool:
        """Whether they are of enough domains to stand for new ones."""
        return len(np.unique(self.domains)) >= LEAST_DOMAINS


def no_scores() -> LeftOutScores:
    """Return no scores, where no domains are named."""
    return LeftOutScores(np.zeros(0), np.zeros(0, dtype=np.str_))


def join_scores(parts: Sequence[LeftOutScores]) -> LeftOutScores:
    """Put scores of rounds together.

    Parameters
    ----------
    parts : sequence of LeftOutScores
        At least one.

    Returns
    -------
    LeftOutScores
    """
    return LeftOutScores(
        np.concatenate([part.scores for part in parts]), np.concatenate([part.domains for part in parts])
    )


def ratio_of_thresholds(plain: LeftOutScores, other: LeftOutScores) -> float:
    """Return how much higher a second mode's normals score than the first one's, where 1 % lie above.

    Parameters
    ----------
    plain, other : LeftOutScores
        Of both modes.

    Returns
    -------
    float
        Ratio of what 1 % of the normals exceed, every domain with the same say; 1 where there are too few
        domains to tell, or either is not positive.
    """
    if not (plain.enough and other.enough):
        return 1.0
    low, high = (
        float(np.quantile(balanced_over_domains(item.scores, item.domains), 1 - _COMMON_RATE))
        for item in (plain, other)
    )
    return high / low if low > 0 and high > 0 else 1.0
