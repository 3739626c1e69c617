"""How much the likeness to labelled anomalies may add, where no domains are named.

Likeness is in log-odds (:mod:`unseen.detectors.fused.evidence`). It is either

- *careful*: it **lifts** rows (:mod:`unseen.detectors.fused.lift`), with a share w of the false alarms;
- *bold*: it is **added** to novelty, above a level c::

      raised(x) = m (1 − exp(−r(x) / m)),   r(x) = b · log(1 + exp(likeness(x) − c))

- *off*: or neither.

Labels that show only what novelty finds anyway are not heard: it has to miss more than .005 (of 1 − AUROC) of
the labelled rows that are left out, in random parts, and by a rule these may lose .005 at most. (They are too
few to ask for a gain.) A single row, which cannot be left out, is heard.

**Careful**: the first of these lifts that costs no more than is allowed; else labels are off. The share w is
.05 or .025; or, with p_l the largest of the shares of fresh normals and of normals of each region left out,
.3 or .1. (*Drift*: cells of k-means are left out of the fit, and what labels then say of these normals is
what they will say of normals that no one has seen.)

- *Several kinds*: no kind left out may lose, neither against fresh normals nor against those of regions left
  out.
- *One name*: there is no other kind to ask for; groups of labelled anomalies (cells of k-means) stand for
  kinds that the one name may hide. They may lose .005 in the mean against fresh normals, and drift may not
  look anomalous: normals of regions left out stand out from fresh ones by no more than .02 of AUROC above
  what novelty makes of them.

**Bold**: for one name, if labelled rows left out gain clearly more than by the lift with the larger share
(.005, and a tenth of what that misses), and more than groups that are left out lose in the mean, against
fresh normals or against those of regions left out, whichever is more; and if drift does not look anomalous,
or the groups gain clearly against both sorts of normals.

Bold labels of one name start at the median of the normals' likeness and end at m = 16 t, with t the distance
from the median of the normals' novelty to its 99.5 % quantile, so that what is like labelled anomalies comes
before all else. Instead the strength is held back, so that novel rows stay ahead of normals: b is the
largest, up to 4, by which 99.5 % of fresh normals are raised by no more than 2 t.

Trusted labels are bold whatever is lost where kinds, or groups that stand for them, are left out; for several
kinds c is what 80 % of fresh normals do not exceed, m = 2 t and b = 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.choice import reach_of
from unseen.detectors.fused.lift import (
    SHORTEST_LIKENESS_TAIL,
    SHORTEST_NOVELTY_TAIL,
    Exceedance,
    Lift,
    Raise,
    exceedance_of,
    shallowest,
)
from unseen.detectors.fused.together import judged_apart
from unseen.metrics.ranking import auroc
from unseen.types import StrArray

SHARES = (0.05, 0.025)
SHARES_OVER_DRIFT = (0.3, 0.1)
OVER_DRIFT = "over drift "
LIFTS = (*(str(w) for w in SHARES), *(f"{OVER_DRIFT}{w}" for w in SHARES_OVER_DRIFT))
"""Names of the lifts in the order in which they are asked."""
BOLD_QUANTILE = 0.80
STRENGTH = 2.0
MOST_REACHES = 2.0
QUANTILE_OF_ONE_NAME = 0.50
QUANTILE_OF_REACH = 0.995
STRENGTH_OF_ONE_NAME = 4.0
MOST_REACHES_OF_ONE_NAME = 16.0
EVEN = 0.0
"""Even odds: the level where no normals could be left out."""
TOLERANCE = 0.005
SHARE_OF_MISSES = 0.05
CLEAR_SHARE = 0.1
DRIFT_TOLERANCE = 0.02
LEAST_ROWS = 3
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
    """

    left_out: str
    kind: str
    drifted: bool
    y: NDArray[np.bool_]
    placed: NDArray[np.float64]
    likeness: NDArray[np.float64]
    kinds: StrArray

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


Rule = Lift | Raise | None
"""What labels add; None: nothing."""


@dataclass(frozen=True)
class _Asked:
    """Rows that are judged by themselves: what was left out, and how many anomalies they are."""

    left_out: str
    kind: str
    drifted: bool
    n_rows: int


@dataclass(frozen=True)
class LikenessRule:
    """What likeness may add, and what it did to kinds left out.

    Attributes
    ----------
    name : {"off", "careful", "bold"}
        Which rule.
    rule : Lift, Raise or None
        It itself.
    reach : float
        t of the normals that it was made with.
    kinds : tuple of str
        Kinds left out in turn.
    novelty, fused : float64 array of shape (n_kinds,)
        AUROC of the normals-only and of the fused score on each, against fresh normals.
    """

    name: str
    rule: Rule
    reach: float
    kinds: tuple[str, ...]
    novelty: NDArray[np.float64]
    fused: NDArray[np.float64]

    def for_normals(self, novelty: NDArray[np.float64]) -> Rule:
        """Return the rule on the scale of all normals.

        Parameters
        ----------
        novelty : float64 array of shape (n_normals,)
            Of all normals, by fits that have not met them.
        """
        if isinstance(self.rule, Lift):
            return replace(self.rule, novelty=exceedance_of(novelty, SHORTEST_NOVELTY_TAIL))
        if isinstance(self.rule, Raise):
            return replace(self.rule, most=self.rule.most * _reach(novelty) / self.reach)
        return None


def choose_likeness(
    judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], *, trusted: bool = False
) -> LikenessRule:
    """Choose what likeness adds.

    Parameters
    ----------
    judged : sequence of JudgedLikeness
        Fits that left out kinds (or groups that stand for them), parts and nothing, with and without regions
        of the normals left out.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    trusted : bool
        Take the bold rule whatever kinds left out lose.

    Returns
    -------
    LikenessRule
        Where no normals could be left out it is added above even odds, as a careful rule.
    """
    nothing = [item for item in judged if item.left_out == "nothing" and not item.drifted]
    if not nothing:
        none = np.zeros(0)
        return LikenessRule("careful", Raise(EVEN, STRENGTH, MOST_REACHES), 1.0, (), none, none)
    one_name = not any(item.left_out == "kind" for item in judged)
    novelty = np.concatenate([item.placed for item in nothing]) @ weights
    first = [item for item in judged if item.left_out != "nothing" and not item.drifted] + nothing[:1]
    rules: dict[str, Rule] = {"off": None, "bold": _bold(first, weights, one_name, _reach(novelty))}
    rules |= _lifts(judged, exceedance_of(novelty, SHORTEST_NOVELTY_TAIL))
    asked, areas = _areas(judged, weights, rules)
    chosen = "bold"
    if not trusted:
        drift = {name: drift_stands_out(judged, weights, rule) for name, rule in rules.items()}
        chosen = _for_one_name(asked, areas, drift) if one_name else _for_kinds(asked, areas)
    shown = [i for i, item in enumerate(asked) if not item.drifted and item.left_out in ("kind", "group")]
    name = chosen if chosen in ("off", "bold") else "careful"
    kinds = tuple(asked[i].kind for i in shown)
    return LikenessRule(
        name, rules[chosen], _reach(novelty), kinds, areas["off"][shown], areas[chosen][shown]
    )


def _lifts(judged: Sequence[JudgedLikeness], novelty: Exceedance) -> dict[str, Lift]:
    """Lifts by how like fresh normals are, and by how like any are, those of regions left out among them."""
    told = [item for item in judged if item.left_out == "nothing"]
    sorts = [np.concatenate([item.likeness for item in told if not item.drifted])]
    sorts += [item.likeness for item in told if item.drifted]
    every = [exceedance_of(likeness, SHORTEST_LIKENESS_TAIL) for likeness in sorts]
    lifts = {str(w): Lift(w, novelty, every[0]) for w in SHARES}
    return lifts | {f"{OVER_DRIFT}{w}": Lift(w, novelty, shallowest(every)) for w in SHARES_OVER_DRIFT}


def _bold(
    fresh: Sequence[JudgedLikeness], weights: NDArray[np.float64], one_name: bool, reach: float
) -> Raise:
    """Level, strength and end of the bold rule, from fits with one fold of the normals held back."""
    if not one_name:
        return Raise(_level(fresh, BOLD_QUANTILE), STRENGTH, MOST_REACHES * reach)
    level = _level(fresh, QUANTILE_OF_ONE_NAME)
    return Raise(level, strength_of_one_name(fresh, weights, level), MOST_REACHES_OF_ONE_NAME * reach)


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
    return min(STRENGTH_OF_ONE_NAME, MOST_REACHES * _reach(novelty) / steps)


def _areas(
    judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], rules: Mapping[str, Rule]
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


def drift_stands_out(judged: Sequence[JudgedLikeness], weights: NDArray[np.float64], rule: Rule) -> float:
    """Return by how much more normals of regions left out stand out from fresh ones, in AUROC.

    Parameters
    ----------
    judged : sequence of JudgedLikeness
        Of those that left no label out there is one with fresh normals, and some with regions left out.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    rule : Lift, Raise or None
        What likeness adds.

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
            float(auroc(y, np.concatenate([_fused(one, weights, own) for one in (fresh[0], item)])))
            for own in (None, rule)
        ]
        rises.append(areas[1] - areas[0])
    return float(np.mean(rises)) if rises else 0.0


def _for_kinds(asked: Sequence[_Asked], areas: Mapping[str, NDArray[np.float64]]) -> str:
    """Name of the first lift that is heard and by which no kind left out loses, else "off"."""
    kinds = [i for i, item in enumerate(asked) if item.left_out == "kind"]
    keys = [(asked[i].kind, asked[i].drifted) for i in kinds]
    allowed = np.array([allowed_loss(value) for value in areas["off"][kinds]])

    def harmless(name: str) -> bool:
        excess = areas["off"][kinds] - areas[name][kinds] - allowed
        return all(np.mean(excess[[own == key for own in keys]]) <= 0 for key in set(keys))

    return next((name for name in LIFTS if _heard(asked, areas, name) and harmless(name)), "off")


def _for_one_name(
    asked: Sequence[_Asked], areas: Mapping[str, NDArray[np.float64]], drift: Mapping[str, float]
) -> str:
    """Name of the bold rule if it pays and costs little enough, else of a lift, else "off"."""
    groups = {
        name: [_gain(asked, areas, name, "group", drifted) for drifted in (False, True)] for name in areas
    }
    lost = max(0.0, *(-gain for gain in groups["bold"]))
    lift = _gain(asked, areas, LIFTS[0], "part")
    more = _gain(asked, areas, "bold", "part") - lift
    clear = max(TOLERANCE, CLEAR_SHARE * (_missed(asked, areas) - lift))
    calm = drift["bold"] <= DRIFT_TOLERANCE or min(groups["bold"]) > TOLERANCE
    if more > max(clear, lost) and calm:
        return "bold"
    for name in LIFTS:
        calm = drift[name] <= DRIFT_TOLERANCE and -groups[name][0] <= TOLERANCE
        if calm and _heard(asked, areas, name):
            return name
    return "off"


def _gain(
    asked: Sequence[_Asked],
    areas: Mapping[str, NDArray[np.float64]],
    name: str,
    left_out: str,
    drifted: bool = False,
) -> float:
    """What a rule gains over novelty on rows left out, each row with the same say; 0 where there are none."""
    rows = [i for i, item in enumerate(asked) if (item.left_out, item.drifted) == (left_out, drifted)]
    weights = [asked[i].n_rows for i in rows]
    return float(np.average((areas[name] - areas["off"])[rows], weights=weights)) if rows else 0.0


def _missed(asked: Sequence[_Asked], areas: Mapping[str, NDArray[np.float64]]) -> float:
    """What novelty misses of labelled rows left out."""
    ones = {"off": areas["off"], "all": np.ones_like(areas["off"])}
    return _gain(asked, ones, "all", "part")


def _heard(asked: Sequence[_Asked], areas: Mapping[str, NDArray[np.float64]], name: str) -> bool:
    """Whether novelty misses some of the labelled rows left out, and they do not lose by a rule.

    Where none could be left out, since there is a single one, or one of each kind, they are heard.
    """
    if not any(item.left_out == "part" for item in asked):
        return True
    return _missed(asked, areas) > TOLERANCE and _gain(asked, areas, name, "part") >= -TOLERANCE


def allowed_loss(novelty: float) -> float:
    """Return how much AUROC a kind may lose: .005, or a twentieth of what novelty misses.

    Parameters
    ----------
    novelty : float
        AUROC of the normals-only score.
    """
    return max(TOLERANCE, SHARE_OF_MISSES * (1 - novelty))


def area(item: JudgedLikeness, weights: NDArray[np.float64], rule: Rule) -> float:
    """Return the AUROC of novelty and likeness together on the rows of a fit.

    Parameters
    ----------
    item : JudgedLikeness
        The rows.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    rule : Lift, Raise or None
        What likeness adds.
    """
    return float(auroc(item.y, _fused(item, weights, rule)))


def _fused(item: JudgedLikeness, weights: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """Novelty and likeness together, shape (n_rows,)."""
    novelty = np.asarray(item.placed @ weights)
    return novelty if rule is None else novelty + rule.raised(novelty, item.likeness)


def _reach(novelty: NDArray[np.float64]) -> float:
    """Distance from the median to the 99.5 % quantile, not 0."""
    return max(reach_of(novelty), SHORTEST_REACH)


def _level(judged: Sequence[JudgedLikeness], quantile: float) -> float:
    """Quantile of the normals' likeness; the highest of all fits, since which kinds will be known is open."""
    return max(float(np.quantile(item.likeness[~item.y], quantile)) for item in judged if (~item.y).any())
