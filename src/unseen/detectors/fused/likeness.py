"""How much the likeness to labelled anomalies may add, where no domains are named.

::

    raised(x) = m (1 − exp(−r(x) / m)),   r(x) = b · log(1 + exp(likeness(x) − c_k)),   m = 2 t

k is the kind of the nearest labelled anomaly, t the distance from the median of the normals' novelty to its
99.5 % quantile. Likeness is in log-odds (:mod:`unseen.detectors.fused.evidence`). Below the level c it adds
next to nothing, above it b for each unit, and never more than m: labels overtake no row that is so much more
novel than normals are. Two levels are in question:

- *careful*: four fifths of the way from what 99 % of normals do not exceed even where they have **drifted**
  to the likeness of the typical labelled anomaly of the kind that a fit has not met (the median). Drift is
  made from the training normals: whole regions of them (cells of k-means) are left out of the fit, and what
  labels then say of these regions is what they will say of normals that no one has seen.
- *bold*: what 80 % of fresh normals of the usual sort do not exceed.

The careful one is taken if no kind left out loses by it, neither against fresh normals nor against those of
regions left out. The bold one has to gain clearly more than that. With two or more known kinds, kinds left
out have to gain, none may lose, and there have to be five of them: that none of k lost by it says of the next
one only that it will not, either, k times out of k + 1.

With one name there is no other kind to ask for: labelled rows left out, in random parts, have to gain
clearly, and half as much again as groups of labelled anomalies that are left out (cells of k-means; they
stand for kinds that the one name may hide) lose in the mean, against fresh normals or against those of
regions left out, whichever is more. And drift must not look anomalous: either normals of regions left out
stand out from fresh ones no more than by novelty (AUROC, up to .02), or the groups gain clearly against both.

Bold labels of one name start lower, at the median of the normals' likeness, and end farther off, m = 16 t, so
that what is like labelled anomalies comes before all else. Instead the strength is held back, so that novel
rows stay ahead of normals: b is the largest, up to 4, by which 99.5 % of fresh normals are raised by no more
than 2 t.

Trusted labels are bold whatever is lost where kinds, or groups that stand for them, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.choice import reach_of
from unseen.detectors.fused.together import judged_apart
from unseen.metrics.ranking import auroc
from unseen.types import StrArray

CAREFUL_QUANTILE = 0.99
BOLD_QUANTILE = 0.80
WAY = 0.8
STRENGTH = 2.0
MOST_REACHES = 2.0
QUANTILE_OF_ONE_NAME = 0.50
QUANTILE_OF_REACH = 0.995
STRENGTH_OF_ONE_NAME = 4.0
MOST_REACHES_OF_ONE_NAME = 16.0
EVEN = 0.0
"""Even odds: what normals do not exceed, where no region of them could be left out."""
TOLERANCE = 0.005
SHARE_OF_MISSES = 0.05
CLEAR_SHARE = 0.1
GAIN_FOR_LOSS = 1.5
DRIFT_TOLERANCE = 0.02
LEAST_ROWS = 3
KINDS_FOR_BOLD = 5
"""Fewer kinds left out say too little about the next one."""
SHORTEST_REACH = 1e-3


@dataclass(frozen=True)
class JudgedLikeness:
    """Rows that a fit has not met, with what it says about them.

    Attributes
    ----------
    left_out : {"nothing", "kind", "group", "part"}
        Which labels the fit had not met: a kind, a group that stands for one, or a random part of each kind.
    kind : str
        Name of the kind, group or part; empty where nothing, or several kinds, were left out.
    drifted : bool
        Whether whole regions of the normals were left out.
    y : bool array of shape (n_rows,)
        False for held-back normals, True for rows of the kind.
    placed : float64 array of shape (n_rows, n_cues)
        Cues on the scale of normals.
    likeness : float64 array of shape (n_rows,)
        To the labelled anomalies of that fit.
    kinds : str array of shape (n_anomalies,)
        Kind of each row where ``y`` is true.
    nearest : str array of shape (n_rows,)
        Kind of the labelled anomaly of that fit that is nearest to each row.
    """

    left_out: str
    kind: str
    drifted: bool
    y: NDArray[np.bool_]
    placed: NDArray[np.float64]
    likeness: NDArray[np.float64]
    kinds: StrArray
    nearest: StrArray

    def apart(self) -> list[tuple[str, NDArray[np.bool_]]]:
        """Return what is judged by itself: a name and its rows, shape (n_rows,), the normals among them."""
        if self.left_out != "kind":
            return [(self.kind, np.ones(len(self.y), dtype=np.bool_))]
        found = []
        for name, own in judged_apart(self.kinds, LEAST_ROWS):
            rows = ~self.y
            rows[self.y] = own
            found.append((name, rows))
        return found


@dataclass(frozen=True)
class _Asked:
    """Rows that are judged by themselves: what was left out, and how many anomalies they are."""

    left_out: str
    kind: str
    drifted: bool
    n_rows: int


@dataclass(frozen=True)
class Level:
    """c of kinds that have none of their own, and of those that have; b; and m in reaches."""

    level: float
    levels: dict[str, float]
    strength: float
    most: float

    def of(self, kinds: StrArray) -> NDArray[np.float64]:
        """Return c of each kind, shape (n_rows,).

        Parameters
        ----------
        kinds : str array of shape (n_rows,)
            Names.
        """
        names, codes = np.unique(kinds, return_inverse=True)
        return np.array([self.levels.get(str(name), self.level) for name in names])[codes]


@dataclass(frozen=True)
class LikenessRule(Level):
    """What likeness may add, and what it did to kinds left out.

    Attributes
    ----------
    name : {"off", "careful", "bold"}
        Which level.
    level : float
        c of kinds that are not in ``levels``.
    levels : dict of str to float
        c of each kind.
    strength : float
        b.
    most : float
        m, in reaches.
    kinds : tuple of str
        Kinds left out in turn.
    novelty, fused : float64 array of shape (n_kinds,)
        AUROC of the normals-only and of the fused score on each, against fresh normals.
    """

    name: str
    kinds: tuple[str, ...]
    novelty: NDArray[np.float64]
    fused: NDArray[np.float64]


def raised_by_likeness(
    likeness: NDArray[np.float64], level: NDArray[np.float64] | float, strength: float, most: float
) -> NDArray[np.float64]:
    """Return what likeness adds to novelty, shape (n_rows,), from 0 to ``most``.

    Parameters
    ----------
    likeness : float64 array of shape (n_rows,)
        Log-odds.
    level : float or float64 array of shape (n_rows,)
        c. Below it hardly anything is added.
    strength : float
        b.
    most : float > 0
        m.
    """
    return np.asarray(most * -np.expm1(-strength / most * np.logaddexp(0, likeness - level)))


def choose_likeness(
    judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], *, trusted: bool = False
) -> LikenessRule:
    """Choose level and strength.

    Parameters
    ----------
    judged : sequence of JudgedLikeness
        Fits that left out kinds (or groups that stand for them), parts and nothing, with and without regions
        of the normals left out.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    trusted : bool
        Take the bold level whatever kinds left out lose.

    Returns
    -------
    LikenessRule
        The careful one where nothing could be left out.
    """
    drifted = _level([item for item in judged if item.drifted], CAREFUL_QUANTILE)
    drifted = drifted if np.isfinite(drifted) else EVEN
    one_name = not any(item.left_out == "kind" for item in judged)
    quantile = QUANTILE_OF_ONE_NAME if one_name else BOLD_QUANTILE
    fresh = [item for item in judged if not item.drifted]
    level = _level(fresh, quantile)
    typical = typical_likeness([item for item in judged if item.left_out == "part"])
    careful = {kind: drifted + WAY * max(0.0, value - drifted) for kind, value in typical.items()}
    default = max([drifted, *careful.values()])
    level, bold = min(level, default), (STRENGTH, MOST_REACHES)
    if one_name and fresh:
        bold = (strength_of_one_name(fresh, weights, level), MOST_REACHES_OF_ONE_NAME)
    rules = {
        "bold": Level(level, {}, *bold),
        "careful": Level(default, careful, STRENGTH, MOST_REACHES),
        "off": Level(default, careful, 0.0, MOST_REACHES),
    }
    asked, found = _areas(judged, weights, rules)
    pushed = one_name and drift_stands_out(judged, weights, rules["bold"], rules["off"]) > DRIFT_TOLERANCE
    name = "bold" if trusted and fresh else _chosen(asked, found, pushed)
    shown = [i for i, item in enumerate(asked) if not item.drifted and item.left_out in ("kind", "group")]
    rule = rules[name]
    return LikenessRule(
        rule.level,
        rule.levels,
        rule.strength,
        rule.most,
        name,
        tuple(asked[i].kind for i in shown),
        found["off"][shown],
        found[name][shown],
    )


def strength_of_one_name(
    fresh: Sequence[JudgedLikeness], weights: NDArray[np.float64], level: float
) -> float:
    """Return the strength by which 99.5 % of normals are raised by two reaches at most, or 4 if that is less.

    Parameters
    ----------
    fresh : sequence of JudgedLikeness
        Fits that left out no regions of the normals, all with the same normals held back.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    level : float
        c.
    """
    novelty = (fresh[0].placed @ weights)[~fresh[0].y]
    steps = float(np.logaddexp(0, _level(fresh, QUANTILE_OF_REACH) - level))
    return min(STRENGTH_OF_ONE_NAME, MOST_REACHES * max(reach_of(novelty), SHORTEST_REACH) / steps)


def typical_likeness(parts: Sequence[JudgedLikeness]) -> dict[str, float]:
    """Return, for each kind, the median likeness of its labelled rows to fits that have not met them.

    Parameters
    ----------
    parts : sequence of JudgedLikeness
        Fits without a part of the labelled rows.
    """
    likeness = np.concatenate([np.zeros(0), *(item.likeness[item.y] for item in parts)])
    kinds = np.concatenate([np.zeros(0, dtype=np.str_), *(item.kinds for item in parts)])
    return {str(kind): float(np.median(likeness[kinds == kind])) for kind in np.unique(kinds)}


def _areas(
    judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], rules: Mapping[str, Level]
) -> tuple[list[_Asked], dict[str, NDArray[np.float64]]]:
    """What is judged by itself and has rows enough for it, and its AUROC by each rule."""
    asked: list[_Asked] = []
    found: dict[str, list[float]] = {name: [] for name in rules}
    for item in judged:
        least = 1 if item.left_out == "part" else LEAST_ROWS
        scores = {name: _fused(item, weights, rule) for name, rule in rules.items()}
        for kind, rows in item.apart():
            y = item.y[rows]
            if y.sum() >= least:
                asked.append(_Asked(item.left_out, kind, item.drifted, int(y.sum())))
                for name, score in scores.items():
                    found[name].append(float(auroc(y, score[rows])))
    return asked, {name: np.array(values) for name, values in found.items()}


def drift_stands_out(
    judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], rule: Level, off: Level
) -> float:
    """Return by how much more normals of regions left out stand out from fresh ones, in AUROC.

    Parameters
    ----------
    judged : sequence of JudgedLikeness
        Of those that left no label out there is one with fresh normals, and some with regions left out.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    rule, off : Level
        What likeness adds, and the same with nothing added.

    Returns
    -------
    float
        Mean over the regions; 0 where there are none.
    """
    told = [item for item in judged if item.left_out == "nothing"]
    fresh = [item for item in told if not item.drifted][:1]
    rises = []
    for item in [item for item in told if item.drifted and fresh]:
        y = np.repeat([False, True], [len(fresh[0].y), len(item.y)])
        areas = [
            float(auroc(y, np.concatenate([_fused(one, weights, level) for one in (fresh[0], item)])))
            for level in (off, rule)
        ]
        rises.append(areas[1] - areas[0])
    return float(np.mean(rises)) if rises else 0.0


def _chosen(asked: Sequence[_Asked], found: dict[str, NDArray[np.float64]], pushed: bool) -> str:
    """Name of the bold rule if it pays and costs little enough, else of the careful one, else "off"."""
    kinds = [i for i, item in enumerate(asked) if item.left_out == "kind"]
    groups = [i for i, item in enumerate(asked) if item.left_out == "group"]
    parts = [i for i, item in enumerate(asked) if item.left_out == "part"]
    n_rows = np.array([item.n_rows for item in asked])

    def gain(better: str, worse: str, rows: list[int]) -> float:
        return float(np.average((found[better] - found[worse])[rows], weights=n_rows[rows])) if rows else 0.0

    def clear(won: float, rows: list[int]) -> bool:
        """Whether a gain is more than chance, and a tenth of what the careful rule misses."""
        missed = 1 - float(np.average(found["careful"][rows], weights=n_rows[rows])) if rows else 0.0
        return won > max(TOLERANCE, CLEAR_SHARE * missed)

    def harmless(name: str) -> bool:
        allowed = np.full(len(asked), TOLERANCE)
        if name == "careful":
            allowed = np.array([allowed_loss(value) for value in found["off"]])
        excess = [found["off"][i] - found[name][i] - allowed[i] for i in kinds]
        keys = [(asked[i].kind, asked[i].drifted) for i in kinds]
        each = [[e for e, own in zip(excess, keys, strict=True) if own == key] for key in set(keys)]
        return all(float(np.mean(values)) <= 0 for values in each)

    if kinds:
        enough = len({asked[i].kind for i in kinds}) >= KINDS_FOR_BOLD
        fresh = [i for i in kinds if not asked[i].drifted]
        if enough and clear(gain("bold", "careful", fresh), fresh) and harmless("bold"):
            return "bold"
        return "careful" if harmless("careful") else "off"
    sorts = [[i for i in groups if asked[i].drifted == drifted] for drifted in (False, True)]
    gained = bool(groups) and all(gain("bold", "off", rows) > TOLERANCE for rows in sorts)
    won, lost = gain("bold", "careful", parts), max(0.0, *(gain("off", "bold", rows) for rows in sorts))
    if clear(won, parts) and won > GAIN_FOR_LOSS * lost and (gained or not pushed):
        return "bold"
    return "careful" if gain("off", "careful", groups) <= TOLERANCE else "off"


def allowed_loss(novelty: float) -> float:
    """Return how much AUROC a kind may lose by the careful rule: .005, or a twentieth of what novelty misses.

    By the bold rule no kind may lose more than .005.

    Parameters
    ----------
    novelty : float
        AUROC of the normals-only score.
    """
    return max(TOLERANCE, SHARE_OF_MISSES * (1 - novelty))


def area(item: JudgedLikeness, weights: NDArray[np.float64], rule: Level) -> float:
    """Return the AUROC of novelty and likeness together on the rows of a fit.

    Parameters
    ----------
    item : JudgedLikeness
        The rows.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    rule : Level
        What likeness adds.
    """
    return float(auroc(item.y, _fused(item, weights, rule)))


def _fused(item: JudgedLikeness, weights: NDArray[np.float64], rule: Level) -> NDArray[np.float64]:
    """Novelty and likeness together, shape (n_rows,)."""
    novelty = item.placed @ weights
    reach = max(reach_of(novelty[~item.y]), SHORTEST_REACH)
    level = rule.of(item.nearest)
    raised = raised_by_likeness(item.likeness, level, rule.strength, rule.most * reach)
    return np.asarray(novelty + raised)


def _level(judged: Sequence[JudgedLikeness], quantile: float) -> float:
    """Quantile of the normals' likeness; the highest of all fits, since which kinds will be known is open."""
    values = [float(np.quantile(item.likeness[~item.y], quantile)) for item in judged if (~item.y).any()]
    return max(values, default=-np.inf)
