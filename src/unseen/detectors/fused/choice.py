"""Which cues, and how much labels may say: chosen on known kinds left out, inside the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.gains import below, gain_of
from unseen.detectors.fused.novelty import CUES
from unseen.metrics.ranking import auroc
from unseen.types import StrArray

WEIGHTS: dict[str, dict[str, float]] = {
    "all": {"neighbours": 1.0, "local": 0.25, "covariance": 0.5, "ranks": 0.5},
    "near": {"neighbours": 1.0, "local": 0.25},
    "neighbours": {"neighbours": 1.0},
    "far": {"covariance": 1.0, "ranks": 1.0},
}
"""Sets of cues for rows as they are."""

PLAIN_WEIGHTS = {**WEIGHTS, "local": {"local": 1.0}}
"""Those where no domains are named; the first is used unless another one is clearly better."""

RESIDUAL_WEIGHTS: dict[str, dict[str, float]] = {
    "residual": {"neighbours": 1.0, "length": 1.0},
    "length": {"length": 1.0},
    "residual and all": {"neighbours": 1.0, "length": 1.0, "local": 0.25, "covariance": 0.5, "ranks": 0.5},
}
"""Sets of cues for rows seen from references."""

CLEARLY_BETTER = 0.03
TOLERANCE = 0.005
LOCAL_STRENGTHS = (0.0, 0.25, 0.5)
WIDE_STRENGTHS = (0.1, 0.25, 0.5)
UNTESTED_STRENGTH = 0.5
LEAST_ROWS = 3


@dataclass(frozen=True)
class LeftOut:
    """Rows of a round in which one kind was left out, with what a fit without it says about them.

    Attributes
    ----------
    kind : str
        The kind left out.
    y : bool array of shape (n_rows,)
        False for held-back normals, True for rows of the kind.
    placed : float64 array of shape (n_rows, n_cues)
        Cues on the scale of normals.
    local, log_odds : float64 array of shape (n_rows,)
        What the labels of the other kinds say, P · g and O; zeros where there are none.
    domains : str array of shape (n_rows,)
        Domain of each row; empty where no domain is named.
    """

    kind: str
    y: NDArray[np.bool_]
    placed: NDArray[np.float64]
    local: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    domains: StrArray = field(default_factory=lambda: np.zeros(0, dtype=np.str_))


def weights_of(named: Mapping[str, float], names: Sequence[str] = CUES) -> NDArray[np.float64]:
    """Return weights in the order of the names of the cues, summing to 1."""
    weights = np.array([named.get(cue, 0.0) for cue in names])
    return np.asarray(weights / weights.sum())


def choose_cues(rounds: list[LeftOut], *, residual: bool) -> str:
    """Return the set of cues that is best on known kinds; the usual one unless another is clearly better.

    Clearly better is a gain of ``CLEARLY_BETTER`` in the mean by which no kind loses more than ``TOLERANCE``:
    a handful of rows of one kind may gain much by what costs the others.

    Parameters
    ----------
    rounds : list of LeftOut
        May be empty.
    residual : bool
        Whether rows are seen from references.

    Returns
    -------
    str
        A key of ``PLAIN_WEIGHTS`` or ``RESIDUAL_WEIGHTS``.
    """
    sets = RESIDUAL_WEIGHTS if residual else PLAIN_WEIGHTS
    usual = next(iter(sets))
    judged = [item for item in rounds if item.y.sum() >= LEAST_ROWS]
    if not judged:
        return usual
    values = {
        name: np.array([auroc(item.y, item.placed @ weights_of(named)) for item in judged])
        for name, named in sets.items()
    }
    gains = {name: found - values[usual] for name, found in values.items()}
    allowed = [name for name in sets if gains[name].min() >= -TOLERANCE]
    best = max(allowed, key=lambda name: float(gains[name].mean()))
    return best if gains[best].mean() > CLEARLY_BETTER else usual


@dataclass(frozen=True)
class Strengths:
    """How much labels may say, and what it did to kinds left out.

    Attributes
    ----------
    local, wide : float
        The strengths.
    kinds : tuple of str
        Kinds left out in turn.
    novelty, fused : float64 array of shape (n_kinds,)
        AUROC of the normals-only and of the fused score on each.
    """

    local: float
    wide: float
    kinds: tuple[str, ...]
    novelty: NDArray[np.float64]
    fused: NDArray[np.float64]


def choose_strengths(
    rounds: list[LeftOut],
    weights: NDArray[np.float64],
    *,
    deciding: StrArray | None,
) -> Strengths:
    """Choose how much labels may say.

    The wide strength is the usual one, which is the largest, or the largest by which kinds left out lose no
    more than chance explains: in the mean its standard error over domains, and none of them two of its own
    (or, if that is more, ``TOLERANCE``). Kinds of few rows or on few domains do not decide it. Then the
    largest local strength is taken by which no kind ends more than ``TOLERANCE`` below novelty, or below
    novelty and the wide term, if that is less.

    Parameters
    ----------
    rounds : list of LeftOut
        Those in which other kinds were labelled.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    deciding : str array of shape (n_kinds,) or None
        Kinds that decide the wide strength; None: there is no wide term, since no domains were left out.

    Returns
    -------
    Strengths
        ``UNTESTED_STRENGTH`` and no wide term where no round can tell.
    """
    judged = [item for item in rounds if item.y.sum() >= LEAST_ROWS]
    if not judged:
        return Strengths(UNTESTED_STRENGTH, 0.0, (), np.zeros(0), np.zeros(0))
    names = tuple(dict.fromkeys(item.kind for item in judged))
    base = _by_kind(judged, weights, 0.0, 0.0)
    common = np.isin(names, () if deciding is None else deciding)
    asked = [item for item in judged if item.kind in np.array(names)[common] and item.log_odds.any()]
    wide = _largest_harmless(asked, weights) if asked else 0.0
    local, fused = 0.0, _by_kind(judged, weights, 0.0, wide)
    least = np.minimum(base, fused) - TOLERANCE
    for strength in LOCAL_STRENGTHS[1:]:
        found = _by_kind(judged, weights, strength, wide)
        if np.all(found >= least):
            local, fused = strength, found
    return Strengths(local, wide, names, base, fused)


def _largest_harmless(judged: list[LeftOut], weights: NDArray[np.float64]) -> float:
    """Return the largest wide strength by which kinds lose no more than chance explains."""
    kinds = np.concatenate([np.full(int(item.y.sum()), item.kind) for item in judged])
    domains = np.concatenate([item.domains[item.y] for item in judged])
    plain, chosen = _areas(judged, weights, 0.0), 0.0
    for wide in WIDE_STRENGTHS:
        gains = _areas(judged, weights, wide) - plain
        groups = [(np.ones(len(kinds), dtype=np.bool_), 1.0), *((kinds == kind, 2.0) for kind in set(kinds))]
        if all(_no_loss(gains[mine], kinds[mine], domains[mine], errors) for mine, errors in groups):
            chosen = wide
    return chosen


def _no_loss(gains: NDArray[np.float64], kinds: StrArray, domains: StrArray, errors: float) -> bool:
    """Whether kinds lose, in the mean, no more than so many standard errors, or the tolerance."""
    means, error = gain_of(gains, kinds, domains)
    allowed = errors * error if np.isfinite(error) else 0.0  # one domain says nothing of chance
    return float(np.mean(list(means.values()))) >= -max(TOLERANCE, allowed)


def _areas(judged: list[LeftOut], weights: NDArray[np.float64], wide: float) -> NDArray[np.float64]:
    """Share of the normals of its round below each row."""
    found = []
    for item in judged:
        score = item.placed @ weights + _wide_term(item, wide)
        found.append(below(score[~item.y], score[item.y]))
    return np.concatenate(found)


def _wide_term(item: LeftOut, wide: float) -> NDArray[np.float64]:
    """What common signs add to rows of a round."""
    normal = item.log_odds[~item.y]
    spread = max(1.4826 * float(np.median(np.abs(normal - np.median(normal)))), 0.5)
    return np.asarray(wide * np.logaddexp(0, (item.log_odds - np.median(normal)) / spread))


def local_floor(local: NDArray[np.float64]) -> float:
    """Return the evidence that 99 % of the normals do not exceed, so that hardly any of them is raised.

    Parameters
    ----------
    local : float64 array of shape (n_normals,)
        P · g of held-back normals.
    """
    return float(np.quantile(local, 0.99))


def reach_of(novelty: NDArray[np.float64]) -> float:
    """Return the distance from the median of the normals' novelty to its 99.5 % quantile."""
    return float(np.quantile(novelty, 0.995) - np.median(novelty))


def _by_kind(
    rounds: list[LeftOut],
    weights: NDArray[np.float64],
    local: float,
    wide: float,
) -> NDArray[np.float64]:
    """AUROC of each kind, its rounds weighed by their number of anomalies."""
    found: dict[str, list[tuple[float, int]]] = {}
    for item in rounds:
        novelty = item.placed @ weights
        raised = np.maximum(item.local - local_floor(item.local[~item.y]), 0)
        score = novelty + local * reach_of(novelty[~item.y]) * raised
        if wide:
            score = score + _wide_term(item, wide)
        found.setdefault(item.kind, []).append((auroc(item.y, score), int(item.y.sum())))
    return np.array([np.average([a for a, _ in v], weights=[n for _, n in v]) for v in found.values()])
