"""How much the likeness to labelled anomalies may add, where no domains are named.

::

    raised(x) = b · log(1 + exp(likeness(x) − c))

Likeness is in log-odds (:mod:`unseen.detectors.fused.evidence`). Below the level c it adds next to nothing,
above it b for each unit. Two levels are in question:

- *careful*: as much like labelled anomalies as the typical labelled anomaly that a fit has not met (the
  median of the kind with the lowest), and more than 99 % of normals even where they have **drifted**. Drift is
  made from the training normals: whole regions of them (cells of k-means) are left out of the fit, and what
  labels then say of these regions is what they will say of normals that no one has seen.
- *bold*: what 80 % of fresh normals of the usual sort do not exceed.

The careful one is taken if no kind left out loses by it, neither against fresh normals nor against those of
regions left out. The bold one has to gain clearly more than that. With two or more known kinds, kinds left
out have to gain, and none may lose. With one kind there is no other to ask for: labelled rows left out have to
gain, and of groups of labelled anomalies (again cells) that are left out none may lose against fresh normals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.metrics.ranking import auroc
from unseen.types import StrArray

CAREFUL_QUANTILE = 0.99
BOLD_QUANTILE = 0.80
STRENGTH = 2.0
EVEN = 0.0
"""Even odds: the level where nothing could be left out."""
TOLERANCE = 0.005
SHARE_OF_MISSES = 0.05
CLEAR_SHARE = 0.1
LEAST_ROWS = 3


@dataclass(frozen=True)
class JudgedLikeness:
    """Rows that a fit has not met, with what it says about them.

    Attributes
    ----------
    left_out : {"nothing", "kind", "group", "part"}
        Which labels the fit had not met: a kind, a group that stands for one, or a random part of each kind.
    kind : str
        Name of the kind, group or part; empty where nothing was left out.
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


@dataclass(frozen=True)
class LikenessRule:
    """What likeness may add, and what it did to kinds left out.

    Attributes
    ----------
    name : {"off", "careful", "bold"}
        Which level.
    level, strength : float
        c and b.
    kinds : tuple of str
        Kinds left out in turn.
    novelty, fused : float64 array of shape (n_kinds,)
        AUROC of the normals-only and of the fused score on each, against fresh normals.
    """

    name: str
    level: float
    strength: float
    kinds: tuple[str, ...]
    novelty: NDArray[np.float64]
    fused: NDArray[np.float64]


def raised_by_likeness(likeness: NDArray[np.float64], level: float, strength: float) -> NDArray[np.float64]:
    """Return ``strength · log(1 + exp(likeness − level))``, shape (n_rows,).

    Parameters
    ----------
    likeness : float64 array of shape (n_rows,)
        Log-odds.
    level : float
        Below it hardly anything is added.
    strength : float
        What a unit above it adds.
    """
    return np.asarray(strength * np.logaddexp(0, likeness - level))


def choose_likeness(judged: Sequence[JudgedLikeness], weights: NDArray[np.float64]) -> LikenessRule:
    """Choose level and strength.

    Parameters
    ----------
    judged : sequence of JudgedLikeness
        Fits that left out kinds (or groups that stand for them), parts and nothing, with and without regions
        of the normals left out.
    weights : float64 array of shape (n_cues,)
        Of the cues.

    Returns
    -------
    LikenessRule
        The careful one where nothing could be left out.
    """
    careful = max(
        _level([item for item in judged if item.drifted], CAREFUL_QUANTILE),
        typical_likeness([item for item in judged if item.left_out == "part"]),
    )
    careful = careful if np.isfinite(careful) else EVEN
    bold = _level([item for item in judged if not item.drifted], BOLD_QUANTILE)
    rules = {
        "bold": (min(bold, careful), STRENGTH),
        "careful": (careful, STRENGTH),
        "off": (careful, 0.0),
    }
    asked = [item for item in judged if item.y.sum() >= LEAST_ROWS]
    found = {name: np.array([area(item, weights, *rule) for item in asked]) for name, rule in rules.items()}
    name = _chosen(asked, found)
    shown = [i for i, item in enumerate(asked) if not item.drifted and item.left_out in ("kind", "group")]
    return LikenessRule(
        name, *rules[name], tuple(asked[i].kind for i in shown), found["off"][shown], found[name][shown]
    )


def typical_likeness(parts: Sequence[JudgedLikeness]) -> float:
    """Return the median likeness of labelled rows that a fit has not met, the lowest over their kinds.

    Parameters
    ----------
    parts : sequence of JudgedLikeness
        Fits without a part of the labelled rows.
    """
    likeness = np.concatenate([np.zeros(0), *(item.likeness[item.y] for item in parts)])
    kinds = np.concatenate([np.zeros(0, dtype=np.str_), *(item.kinds for item in parts)])
    medians = [float(np.median(likeness[kinds == kind])) for kind in np.unique(kinds)]
    return min(medians, default=-np.inf)


def _chosen(asked: Sequence[JudgedLikeness], found: dict[str, NDArray[np.float64]]) -> str:
    """Name of the bold rule if it costs nothing and pays, else of the careful one if it costs nothing."""
    sort = np.array([item.left_out for item in asked], dtype=np.str_)
    drifted = np.array([item.drifted for item in asked], dtype=np.bool_)
    limits = np.array([allowed_loss(value) for value in found["off"]])

    def harmless(name: str, rows: NDArray[np.bool_]) -> bool:
        excess = found["off"] - found[name] - limits
        keys = {(item.kind, item.drifted) for item, taken in zip(asked, rows, strict=True) if taken}
        at = [[(item.kind, item.drifted) == key for item in asked] & rows for key in keys]
        return all(excess[mine].mean() <= 0 for mine in at)

    def pays(rows: NDArray[np.bool_]) -> bool:
        if not rows.any():
            return False
        careful, bold = (float(found[name][rows].mean()) for name in ("careful", "bold"))
        return bold - careful > max(TOLERANCE, CLEAR_SHARE * (1 - careful))

    kinds, groups, parts = sort == "kind", sort == "group", (sort == "part") & ~drifted
    if kinds.any() and pays(kinds & ~drifted) and harmless("bold", kinds):
        return "bold"
    if not kinds.any() and pays(parts) and harmless("bold", groups & ~drifted):
        return "bold"
    return "careful" if harmless("careful", kinds | groups) else "off"


def allowed_loss(novelty: float) -> float:
    """Return how much AUROC a kind left out may lose: .005, or a twentieth of what novelty misses.

    Parameters
    ----------
    novelty : float
        AUROC of the normals-only score.
    """
    return max(TOLERANCE, SHARE_OF_MISSES * (1 - novelty))


def area(item: JudgedLikeness, weights: NDArray[np.float64], level: float, strength: float) -> float:
    """Return the AUROC of novelty and likeness together on the rows of a fit.

    Parameters
    ----------
    item : JudgedLikeness
        The rows.
    weights : float64 array of shape (n_cues,)
        Of the cues.
    level, strength : float
        c and b.
    """
    return float(auroc(item.y, item.placed @ weights + raised_by_likeness(item.likeness, level, strength)))


def _level(judged: Sequence[JudgedLikeness], quantile: float) -> float:
    """Quantile of the normals' likeness; the highest of all fits, since which kinds will be known is open."""
    values = [float(np.quantile(item.likeness[~item.y], quantile)) for item in judged if (~item.y).any()]
    return max(values, default=-np.inf)
