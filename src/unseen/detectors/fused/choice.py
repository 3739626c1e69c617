"""Which cues, and how much labels may say: chosen on known kinds left out, inside the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
WIDE_STRENGTHS = (0.0, 0.05, 0.1, 0.25)
USUAL_WIDE_STRENGTH = 0.1
SOURCES = ("randomised", "boosted")
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
        What the labels of the other kinds say, P · g and logit P; zeros where there are none.
    domains : str array of shape (n_rows,)
        Domain of each row; empty where no domain is named.
    boosted : float64 array of shape (n_rows,)
        What boosted trees say, B; empty where none were grown.
    """

    kind: str
    y: NDArray[np.bool_]
    placed: NDArray[np.float64]
    local: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    domains: StrArray = field(default_factory=lambda: np.zeros(0, dtype=np.str_))
    boosted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def odds(self, source: str) -> NDArray[np.float64]:
        """Return the log-odds that the trees of a source ("randomised" or "boosted") give each row."""
        return self.boosted if source == "boosted" else self.log_odds


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
    source : {"randomised", "boosted"}
        Whose log-odds the wide term takes.
    kinds : tuple of str
        Kinds left out in turn.
    novelty, fused : float64 array of shape (n_kinds,)
        AUROC of the normals-only and of the fused score on each.
    """

    local: float
    wide: float
    source: str
    kinds: tuple[str, ...]
    novelty: NDArray[np.float64]
    fused: NDArray[np.float64]


def choose_strengths(rounds: list[LeftOut], weights: NDArray[np.float64], *, wide_allowed: bool) -> Strengths:
    """Choose how much labels may say.

    A strength is refused if a kind left out loses more than ``TOLERANCE`` by it. Of the others the largest
    local strength is taken: what it does to kinds left out is little, and known kinds gain by it. The wide
    strength is the largest up to ``USUAL_WIDE_STRENGTH`` that costs no kind half the tolerance; another one
    of randomised trees is taken if it gains more than the tolerance in the mean, and boosted trees are asked
    instead if kinds left out gain more than the tolerance by that, in the mean.

    Parameters
    ----------
    rounds : list of LeftOut
        Those in which other kinds were labelled.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    wide_allowed : bool
        Whether the rows of the rounds are of domains left out.

    Returns
    -------
    Strengths
        ``UNTESTED_STRENGTH`` and no wide term where no round can tell.
    """
    judged = [item for item in rounds if item.y.sum() >= LEAST_ROWS]
    if not judged:
        return Strengths(UNTESTED_STRENGTH, 0.0, SOURCES[0], (), np.zeros(0), np.zeros(0))
    names = tuple(dict.fromkeys(item.kind for item in judged))
    base = _by_kind(judged, weights, 0.0, 0.0)
    wide, source = 0.0, SOURCES[0]
    if wide_allowed:
        wide, source = _choose_wide(judged, weights, base)
    local, fused = 0.0, _by_kind(judged, weights, 0.0, wide, source)
    for strength in LOCAL_STRENGTHS[1:]:
        found = _by_kind(judged, weights, strength, wide, source)
        if np.all(found >= base - TOLERANCE):
            local, fused = strength, found
    return Strengths(local, wide, source, names, base, fused)


def _choose_wide(
    judged: list[LeftOut], weights: NDArray[np.float64], base: NDArray[np.float64]
) -> tuple[float, str]:
    """Return the wide strength, and whose log-odds it takes."""
    tried = {w: _by_kind(judged, weights, 0.0, w) for w in WIDE_STRENGTHS}
    wide, source = _largest_harmless(tried, base), SOURCES[0]
    fit = [w for w, found in tried.items() if np.all(found >= base - TOLERANCE)]
    gaining = max(fit, key=lambda w: float(tried[w].mean()))
    wide = gaining if tried[gaining].mean() > tried[wide].mean() + TOLERANCE else wide
    if all(len(item.boosted) == len(item.y) for item in judged):
        asked = {w: _by_kind(judged, weights, 0.0, w, SOURCES[1]) for w in WIDE_STRENGTHS}
        other = _largest_harmless(asked, base)
        if asked[other].mean() > tried[wide].mean() + TOLERANCE:
            wide, source = other, SOURCES[1]
    return wide, source


def _largest_harmless(tried: Mapping[float, NDArray[np.float64]], base: NDArray[np.float64]) -> float:
    """Return the largest usual strength that costs no kind half the tolerance."""
    usual = [w for w in tried if w <= USUAL_WIDE_STRENGTH]
    return max(w for w in usual if np.all(tried[w] >= base - TOLERANCE / 2))


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
    source: str = "randomised",
) -> NDArray[np.float64]:
    """AUROC of each kind, its rounds weighed by their number of anomalies."""
    found: dict[str, list[tuple[float, int]]] = {}
    for item in rounds:
        novelty = item.placed @ weights
        raised = np.maximum(item.local - local_floor(item.local[~item.y]), 0)
        score = novelty + local * reach_of(novelty[~item.y]) * raised
        if wide:
            odds = item.odds(source)
            normal = odds[~item.y]
            spread = max(1.4826 * float(np.median(np.abs(normal - np.median(normal)))), 0.5)
            score = score + wide * np.logaddexp(0, (odds - np.median(normal)) / spread)
        found.setdefault(item.kind, []).append((auroc(item.y, score), int(item.y.sum())))
    return np.array([np.average([a for a, _ in v], weights=[n for _, n in v]) for v in found.values()])
