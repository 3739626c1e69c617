"""Which cues, where domains are named: chosen on known kinds in domains left out.

A set of cues replaces the usual one where the mean over kinds gains more than its standard error over domains
(:mod:`unseen.detectors.fused.gains`), and no kind loses. So kinds that sit in a single domain decide nothing.
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
from unseen.detectors.fused.gains import below, gain_of
from unseen.detectors.fused.novelty import CUES
from unseen.types import StrArray

LEAST_GAIN = 0.002
"""What another set of cues has to gain at least; the standard error is the higher bar as a rule."""

SMALL_BLOCKS_SHARE, RESIDUAL_SMALL_BLOCKS_SHARE = 1.0, 0.25
"""What the columns of all small blocks usually weigh, against all other cues together."""

BLOCK_SHARES = (0.5, 1.0, 3.0)
"""What the columns of a block may weigh in rows as they are, against all other cues together."""

RESIDUAL_BLOCK_SHARES = (0.25, 0.5)
"""The same in rows seen from references, which say most of it already."""


def candidate_weights(
    names: Sequence[str], *, residual: bool, small: Sequence[int] = ()
) -> dict[str, dict[str, float]]:
    """Return the sets of cues to choose from; the first is the usual one.

    Rows as they are: neighbours, since covariances differ between domains, then the other sets of
    ``WEIGHTS``. Residuals: the nearest residuals of other domains and the length of the residual, over all
    columns and, with the same weight, over each block. The usual set has the columns of small blocks beside
    these, which a distance over all columns hardly sees. Each set comes with the columns of one block beside
    it, too.

    Parameters
    ----------
    names : sequence of str
        Names of the cues, from :func:`unseen.detectors.fused.novelty.cue_names`.
    residual : bool
        Whether rows are seen from references.
    small : sequence of int
        Numbers of the small blocks, from :func:`unseen.detectors.fused.blocks.small_blocks`.

    Returns
    -------
    dict of str to dict of str to float
        Name of each set and its weights, which need not sum to 1.
    """
    of_blocks = names[len(CUES) :]
    lengths = [name for name in of_blocks if name.startswith("length")]
    if residual:
        plain = dict(RESIDUAL_WEIGHTS["residual"])
        if len(lengths) > 1:
            plain |= dict.fromkeys(lengths, 2.0 / len(lengths))
        sets = {"residual": plain}
    else:
        sets = {name: dict(WEIGHTS[name]) for name in ("near", *(n for n in WEIGHTS if n != "near"))}
    with_block = {
        f"{name}, {block} times {share:g}": {**named, block: share * sum(named.values())}
        for block in (name for name in of_blocks if name.startswith("columns"))
        for name, named in sets.items()
        for share in (RESIDUAL_BLOCK_SHARES if residual else BLOCK_SHARES)
    }
    return {**_with_small_blocks(sets, small, residual=residual), **sets, **with_block}


def _with_small_blocks(
    sets: Mapping[str, Mapping[str, float]], small: Sequence[int], *, residual: bool
) -> dict[str, dict[str, float]]:
    """The first set with the columns of the small blocks beside it; none where no block is small."""
    if not small:
        return {}
    name, plain = next(iter(sets.items()))
    share = (RESIDUAL_SMALL_BLOCKS_SHARE if residual else SMALL_BLOCKS_SHARE) / len(small)
    columns = {f"columns {block + 1}": share * sum(plain.values()) for block in small}
    return {f"{name}, small blocks": {**plain, **columns}}


def choose_domain_weights(
    rounds: Sequence[LeftOut], names: Sequence[str], *, residual: bool, small: Sequence[int] = ()
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
    small : sequence of int
        Numbers of the small blocks.

    Returns
    -------
    str and float64 array of shape (n_cues,)
        The usual set where no other gains more than chance explains.
    """
    sets = candidate_weights(names, residual=residual, small=small)
    usual = next(iter(sets))
    known = _known_rows(rounds)
    best, best_lead = usual, 0.0
    if known is not None:
        kinds, domains = known
        base = _areas(rounds, sets[usual], names)
        for name, named in sets.items():
            gains, error = gain_of(_areas(rounds, named, names) - base, kinds, domains)
            gain = float(np.mean(list(gains.values())))
            if gain <= max(LEAST_GAIN, error) or min(gains.values()) < -TOLERANCE:
                continue
            if gain - error > best_lead:
                best, best_lead = name, gain - error
    return best, weights_of(sets[best], names)


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
        found.append(below(score[~item.y], score[item.y]))
    return np.concatenate(found)
