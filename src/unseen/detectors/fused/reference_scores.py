"""Scores of references, each by a detector that does not have it: what normals of their place score like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.mode import Mode, score_parts
from unseen.detectors.fused.novelty import add_references
from unseen.types import FloatArray

N_PARTS = 10
"""In so many parts references are left out."""


def left_out_reference_scores(mode: Mode, references: FloatArray, prior: float) -> NDArray[np.float64]:
    """Score references of one domain, a part of them at a time without it.

    Parameters
    ----------
    mode : Mode
        How rows are scored.
    references : float array of shape (n_references, n_features)
        Normals of the domain, at least one. Parts are of neighbouring rows.
    prior : float > 0
        How many references weigh as much as the pooled moments.

    Returns
    -------
    float64 array of shape (n_references,)
    """
    scores = np.empty(len(references), dtype=np.float64)
    for part in np.array_split(np.arange(len(references)), min(N_PARTS, len(references))):
        others = np.delete(references, part, axis=0)
        own = add_references(mode.normals, others, prior) if len(others) else None
        scores[part] = score_parts(mode, references[part], own).score
    return scores
