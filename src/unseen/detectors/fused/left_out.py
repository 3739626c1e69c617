"""Scores of training normals by fits that had not met their domain: what new domains may score like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.types import StrArray

LEAST_DOMAINS = 5
"""Domains from which on scores of domains left out stand for new ones."""


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
