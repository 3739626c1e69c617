r"""Which cues, where domains are named: chosen on known kinds in domains left out.

Every row of a known kind was scored by a fit that had not met its domain; its *area* is the share of
held-back normals below it, whose mean over a kind is the AUROC. A set of cues replaces the usual one where
the mean over kinds gains more than its standard error, and no kind loses. Rows of one domain speak with one
voice: with the gain :math:`d_r` of a row, weights :math:`w_r` that give each kind the same say, and sums
over domains,

.. math:: SE^2 = \frac{m}{m - 1} \sum_D \Big( \sum_{r \in D} w_r (d_r - \bar d_{kind(r)}) \Big)^2,
    \qquad m = 1 / \sum_D \Big( \sum_{r \in D} w_r \Big)^2,

so that kinds which sit in a single domain decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.choice import (
    LEAST_ROWS,
    RESIDUAL_WEIGHTS,
    TOLERANCE,
    WEIGHTS,
    LeftOut,
    weights_of,
)
from unseen.detectors.fused.novelty import CUES
from unseen.types import StrArray

BLOCK_SHARES = (0.5, 1.0, 3.0)
"""What the cue of a block may weigh, against all others together."""


def candidate_weights(names: Sequence[str], *, residual: bool) -> dict[str, dict[str, float]]:
    """Return the sets of cues to choose from; the first is the usual one.

    Parameters
    ----------
    names : sequence of str
        Names of the cues, from :func:`unseen.detectors.fused.novelty.cue_names`.
    residual : bool
        Whether rows are seen from references.

    Returns
    -------
    dict of str to dict of str to float
        Sets as they are without blocks, with the lengths of the blocks instead of the one over all columns
        (of residuals), and each with the columns of one block beside them.
    """
    sets: dict[str, dict[str, float]] = {
        name: dict(named) for name, named in (RESIDUAL_WEIGHTS if residual else WEIGHTS).items()
    }
    lengths = [name for name in names[len(CUES) :] if name.startswith("length")]
    if residual and len(lengths) > 1:
        each = dict.fromkeys(lengths, 2.0 / len(lengths))
        sets["lengths of blocks"] = each
        sets["neighbours and lengths of blocks"] = {"neighbours": 1.0, **each}
    with_block = {}
    for block in (name for name in names[len(CUES) :] if name.startswith("columns")):
        for name, named in sets.items():
            for share in BLOCK_SHARES:
                with_block[f"{name}, {block} times {share:g}"] = {**named, block: share * sum(named.values())}
    return {**sets, **with_block}


def choose_domain_weights(
    rounds: Sequence[LeftOut], names: Sequence[str], *, residual: bool
) -> tuple[str, NDArray[np.float64]]:
    """Return the set of cues to use and its weights.

    Parameters
    ----------
    rounds : sequence of LeftOut
        Rows of domains left out.
    names : sequence of str
        Names of the cues.
    residual : bool
        Whether rows are seen from references.

    Returns
    -------
    str and float64 array of shape (n_cues,)
        The usual set where no other gains more than chance explains.
    """
    sets = candidate_weights(names, residual=residual)
    usual = next(iter(sets))
    known = _known_rows(rounds)
    best, best_lead = usual, 0.0
    if known is not None:
        kinds, domains = known
        base = _areas(rounds, sets[usual], names)
        for name, named in sets.items():
            gains, error = gain_of(_areas(rounds, named, names) - base, kinds, domains)
            gain = float(np.mean(list(gains.values())))
            if gain <= max(TOLERANCE, error) or min(gains.values()) < -TOLERANCE:
                continue
            if gain - error > best_lead:
                best, best_lead = name, gain - error
    return best, weights_of(sets[best], names)


def gain_of(
    gains: NDArray[np.float64], kinds: StrArray, domains: StrArray
) -> tuple[Mapping[str, float], float]:
    """Return the mean gain of each kind, and the standard error of their mean over domains.

    Parameters
    ----------
    gains : float64 array of shape (n_rows,)
        What each row gained.
    kinds, domains : str array of shape (n_rows,)
        Kind and domain of each row.

    Returns
    -------
    dict of str to float, and float
        The error is inf where all rows are of one domain.
    """
    names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    means = np.bincount(codes, gains) / counts
    weights = 1.0 / (len(names) * counts[codes])
    _domains, of_domain = np.unique(domains, return_inverse=True)
    effective = 1.0 / float(np.sum(np.bincount(of_domain, weights) ** 2))
    if effective <= 1.0 + 1e-9:
        return dict(zip(names.tolist(), means.tolist(), strict=True)), float("inf")
    apart = np.bincount(of_domain, weights * (gains - means[codes]))
    error = float(np.sqrt(effective / (effective - 1.0) * np.sum(apart**2)))
    return dict(zip(names.tolist(), means.tolist(), strict=True)), error


def _known_rows(rounds: Sequence[LeftOut]) -> tuple[StrArray, StrArray] | None:
    """Kind and domain of every row that is judged; None where no kind has enough rows."""
    kinds = [np.full(int(item.y.sum()), item.kind) for item in rounds]
    if not kinds or sum(len(part) for part in kinds) < LEAST_ROWS:
        return None
    return np.concatenate(kinds), np.concatenate([item.domains[item.y] for item in rounds])


def _areas(
    rounds: Sequence[LeftOut], named: Mapping[str, float], names: Sequence[str]
) -> NDArray[np.float64]:
    """Share of the normals of its round below each row, ties counted half."""
    weights = weights_of(named, names)
    found = []
    for item in rounds:
        score = item.placed @ weights
        normals, rows = np.sort(score[~item.y]), score[item.y]
        below = np.searchsorted(normals, rows, side="left") + np.searchsorted(normals, rows, side="right")
        found.append(below / (2 * len(normals)))
    return np.concatenate(found)
