"""Fitting one mode: rounds in which rows, domains and kinds are left out, then the fit on everything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.blocks import column_blocks
from unseen.detectors.fused.choice import (
    RESIDUAL_WEIGHTS,
    WEIGHTS,
    LeftOut,
    Strengths,
    choose_cues,
    choose_strengths,
    local_floor,
    reach_of,
    weights_of,
)
from unseen.detectors.fused.cue_choice import choose_domain_weights
from unseen.detectors.fused.drift import (
    N_DRIFTED,
    fresh_share,
    random_parts,
    regions,
    stand_in_kinds,
)
from unseen.detectors.fused.evidence import (
    Evidence,
    LabelledRows,
    evidence_of,
    learn_labels,
    log_odds_location,
)
from unseen.detectors.fused.left_out import LeftOutScores, join_scores, no_scores
from unseen.detectors.fused.likeness import JudgedLikeness, LikenessRule, choose_likeness
from unseen.detectors.fused.mode import Mode, raised_by
from unseen.detectors.fused.novelty import (
    Blocks,
    NormalModel,
    cue_names,
    cue_values,
    fit_normals,
    fresh_neighbours,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.scales import CueScales, fit_scales
from unseen.types import UNNAMED_DOMAIN, FloatArray, StrArray

N_FOLDS = 3
LEAST_NORMALS = 12
_ROUND_NORMALS = 3_000
_ROUND_TREES = 30

TaughtNormals = tuple[FloatArray, NDArray[np.float64], StrArray]


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one view to fit a mode on.

    Attributes
    ----------
    normals, anomalies : float array of shape (n_rows, n_features)
        The rows.
    normal_domains, anomaly_domains : str array of shape (n_rows,)
        Their domains.
    kinds : str array of shape (n_anomalies,)
        Kind of each anomaly.
    groups : int64 array of shape (n_normals,)
        Normals of one group are never split.
    unviewed_normals, unviewed_anomalies : float array of shape (n_rows, n_features)
        The same rows as they are before the view, if it is the detector's own; else as ``normals``.
    """

    normals: FloatArray
    anomalies: FloatArray
    normal_domains: StrArray
    anomaly_domains: StrArray
    kinds: StrArray
    groups: NDArray[np.int64]
    unviewed_normals: FloatArray
    unviewed_anomalies: FloatArray

    @property
    def by_domain(self) -> bool:
        """Whether whole domains can be left out."""
        return len(self.named_domains) >= 2

    @property
    def named_domains(self) -> StrArray:
        """The named domains of the normals, sorted."""
        names = np.unique(self.normal_domains)
        return np.asarray(names[names != UNNAMED_DOMAIN])


@dataclass(frozen=True)
class Options:
    """Settings of a fit.

    Attributes
    ----------
    n_neighbours, n_trees, seed, n_jobs : int
        As in :class:`unseen.detectors.unseen_detector.UnseenDetector`.
    labels : {"guarded", "ignore"}
        Whether labels may say anything.
    """

    n_neighbours: int
    n_trees: int
    seed: int
    n_jobs: int
    labels: str


@dataclass(frozen=True)
class _Round:
    """One fold: a fit without it, and its rows as that fit sees them."""

    held: NDArray[np.bool_]
    normals: NormalModel
    values: NDArray[np.float64]
    nearest: NDArray[np.float64]
    scales: CueScales
    drifted: bool


@dataclass(frozen=True)
class FittedMode:
    """A mode and how it came about.

    Attributes
    ----------
    mode : Mode
        Fitted.
    cues : str
        The chosen set of cues.
    strengths : Strengths
        What labels may say, where domains are named.
    likeness : LikenessRule or None
        What labels may say, where none are; None without labelled anomalies.
    left_out : LeftOutScores
        Scores of the normals by fits without their domain.
    """

    mode: Mode
    cues: str
    strengths: Strengths
    likeness: LikenessRule | None
    left_out: LeftOutScores


def fit_mode(view: str, rows: TrainingRows, options: Options, *, residual: bool) -> FittedMode:
    """Fit a mode.

    Parameters
    ----------
    view : str
        Name of the view the rows are in.
    rows : TrainingRows
        The rows.
    options : Options
        The settings.
    residual : bool
        Whether the view makes residuals.

    Returns
    -------
    FittedMode
    """
    spread = own_spread(rows.normals, options.n_neighbours)
    blocks = _blocks(rows, residual=residual)
    rounds = _rounds(rows, spread, blocks, options)
    judged = rounds if rows.by_domain else rounds[:1]  # without domains every round has all rows of a kind
    told = options if rows.by_domain else replace(options, labels="ignore")  # likeness is judged apart
    by_round = [_kinds_left_out(rows, found, told) for found in judged]
    left_out = [item for items in by_round for item in items]
    names = cue_names(0 if blocks is None else int(blocks.codes.max()) + 1)
    if blocks is None:
        cues = choose_cues(left_out, residual=residual)
        weights = weights_of((RESIDUAL_WEIGHTS if residual else WEIGHTS)[cues], names)
    else:
        cues, weights = choose_domain_weights(left_out, names, residual=residual)
    normals = fit_normals(rows.normals, spread, options.n_neighbours, blocks)
    placed_normals, scales = _placed_normals(rows, normals, rounds)
    novelty = placed_normals @ weights
    strengths = choose_strengths(
        [item for item in left_out if item.local.any() or item.log_odds.any()],
        weights,
        wide_allowed=rows.by_domain,
    )
    labelled, rule = None, None
    wanted = bool(strengths.local or strengths.wide)
    if options.labels == "guarded" and len(rows.anomalies) and not rows.by_domain:
        rule = choose_likeness(_judged_likeness(rows, rounds, spread, options), weights)
        wanted = rule.strength > 0
    if options.labels == "guarded" and len(rows.anomalies) and wanted:
        labelled = _learn(rows, normals, scales, rounds, placed_normals, options)
    odds_centre, odds_spread, floor = _normal_evidence(left_out)
    unit = float(np.quantile(novelty, 0.99) - np.median(novelty))
    mode = Mode(
        view=view,
        normals=normals,
        scales=scales,
        weights=weights,
        labelled=labelled,
        local_strength=strengths.local if labelled is not None and rule is None else 0.0,
        wide_strength=strengths.wide if labelled is not None and rule is None else 0.0,
        likeness_strength=0.0 if rule is None else rule.strength,
        likeness_level=0.0 if rule is None else rule.level,
        floor=floor,
        reach=max(reach_of(novelty), 1e-3),
        unit=max(unit, 1e-3),
        odds_centre=odds_centre,
        odds_spread=odds_spread,
    )
    scores = no_scores()
    if rows.by_domain and rounds:
        scores = join_scores(
            [_left_out_scores(mode, rows, *pair, options) for pair in zip(rounds, by_round, strict=True)]
        )
    return FittedMode(mode, cues, strengths, rule, scores)


def _left_out_scores(
    mode: Mode, rows: TrainingRows, found: _Round, items: list[LeftOut], options: Options
) -> LeftOutScores:
    """Scores of a round's normals; what labels add is the mean over the kinds left out there."""
    held, at = _thinned_held(found, options)
    scores = mode.scales.place(found.values[at]) @ mode.weights / mode.unit
    for item in items if mode.labelled is not None else []:
        scores = scores + raised_by(mode, item.local[~item.y], item.log_odds[~item.y], None) / len(items)
    return LeftOutScores(scores, rows.normal_domains[held])


def _thinned_held(found: _Round, options: Options) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the round that are judged, by their numbers among all rows and among the round's."""
    every = np.flatnonzero(found.held)
    held = _thinned(every, _ROUND_NORMALS, options.seed)
    return held, np.searchsorted(every, held)


def _judged_likeness(
    rows: TrainingRows, rounds: list[_Round], spread: NDArray[np.float64], options: Options
) -> list[JudgedLikeness]:
    """Leave out kinds (or groups), parts and nothing, with and without a region of the normals."""
    sorts = {"kind": rows.kinds}
    if len(np.unique(rows.kinds)) < 2:
        sorts = {"group": stand_in_kinds(rows.anomalies, options.seed)}
    none = np.zeros(len(rows.kinds), dtype=np.bool_)
    judged = []
    for found in rounds[:1] + _drifted_rounds(rows, spread, options):
        here = sorts if found.drifted else {**sorts, "part": random_parts(rows.kinds, options.seed)}
        asked = [
            (sort, str(name), names == name) for sort, names in here.items() for name in np.unique(names)
        ]
        normals = _normals_of_round(rows, found, options)
        for sort, name, mine in [("nothing", "", none), *asked]:
            if not mine.all():
                y, placed, evidence = _asked(rows, found, mine, ~mine, options, normals)
                assert evidence is not None
                judged.append(
                    JudgedLikeness(sort, name, found.drifted, y, placed, evidence.likeness, rows.kinds[mine])
                )
    return judged


def _drifted_rounds(rows: TrainingRows, spread: NDArray[np.float64], options: Options) -> list[_Round]:
    """Leave out a region of the normals in turn, and a few others that show the scales of the cues."""
    if len(rows.normals) < LEAST_NORMALS:
        return []
    part, fresh = regions(rows.normals, options.seed), fresh_share(len(rows.normals), options.seed)
    found = []
    for number in range(N_DRIFTED):
        held = (part == number) | fresh
        if (part == number).any() and (fresh & (part != number)).any() and (~held).sum() > 1:
            found.append(_left_out(rows, held, fresh & (part != number), spread, None, options))
    return found


def _normal_evidence(left_out: list[LeftOut]) -> tuple[float, float, float]:
    """Return centre and spread of the held-back normals' log-odds, and what 99 % of them do not exceed."""
    told = [item for item in left_out if item.local.any() or item.log_odds.any()]
    if not told:
        return 0.0, 1.0, 0.0
    floor = max(local_floor(item.local[~item.y]) for item in told)
    return *log_odds_location(np.concatenate([item.log_odds[~item.y] for item in told])), floor


def _blocks(rows: TrainingRows, *, residual: bool) -> Blocks | None:
    """Blocks of columns, where whole domains left out can tell which of them serve."""
    if not rows.by_domain:
        return None
    codes = column_blocks(rows.unviewed_normals, rows.normal_domains)
    return Blocks(codes, rows.unviewed_normals, ranked=not residual)


def _rounds(
    rows: TrainingRows, spread: NDArray[np.float64], blocks: Blocks | None, options: Options
) -> list[_Round]:
    """Leave out a third of the domains (groups, rows) in turn."""
    keys = rows.normal_domains if rows.by_domain else rows.groups
    names, codes = np.unique(keys, return_inverse=True)
    n_folds = min(N_FOLDS, len(names))
    if len(rows.normals) < LEAST_NORMALS or n_folds < 2:
        return []
    order = np.random.default_rng(options.seed).permutation(len(names))
    fold = (order % n_folds)[codes]
    found = []
    for number in range(n_folds):
        held = fold == number
        if not held.any() or held.all():
            continue
        found.append(_left_out(rows, held, held, spread, blocks, options))
    return found


def _left_out(
    rows: TrainingRows,
    held: NDArray[np.bool_],
    usual: NDArray[np.bool_],
    spread: NDArray[np.float64],
    blocks: Blocks | None,
    options: Options,
) -> _Round:
    """Fit without some normals; the scales of the cues are those of the usual ones among them."""
    own_blocks = None if blocks is None else blocks.take(~held)
    normals = fit_normals(rows.normals[~held], spread[~held], options.n_neighbours, own_blocks)
    neighbours = nearest_normals(normals, rows.normals[held], None)
    values = cue_values(normals, rows.normals[held], neighbours, None, rows.unviewed_normals[held])
    scales = fit_scales(values[usual[held]])
    return _Round(held, normals, values, neighbours[0][:, 0], scales, not usual[held].all())


def _kinds_left_out(rows: TrainingRows, found: _Round, options: Options) -> list[LeftOut]:
    """Leave each kind out of the labels of a round; with domains the kind's rows are of its domains."""
    kinds = np.unique(rows.kinds)
    here = np.isin(rows.anomaly_domains, rows.normal_domains[found.held])
    results = []
    for kind in kinds:
        judged = (rows.kinds == kind) & (here if rows.by_domain else True)
        taught = (rows.kinds != kind) & (~here if rows.by_domain else True)
        if judged.any():
            results.append(_one_left_out(rows, found, str(kind), judged, taught, options))
    return results


def _one_left_out(
    rows: TrainingRows,
    found: _Round,
    kind: str,
    judged: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    options: Options,
) -> LeftOut:
    y, placed, evidence = _asked(rows, found, judged, taught, options)
    local, log_odds = np.zeros(len(y)), np.zeros(len(y))
    if evidence is not None:
        local, log_odds = evidence.local, evidence.log_odds()
    held, _at = _thinned_held(found, options)
    domains = np.concatenate([rows.normal_domains[held], rows.anomaly_domains[judged]])
    return LeftOut(kind, y, placed, local, log_odds, domains)


def _asked(
    rows: TrainingRows,
    found: _Round,
    judged: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    options: Options,
    taught_normals: TaughtNormals | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], Evidence | None]:
    """Held-back normals and judged anomalies: which are which, their cues, and what the taught ones say."""
    held, at = _thinned_held(found, options)
    V = np.concatenate([rows.normals[held], rows.anomalies[judged]])
    neighbours = nearest_normals(found.normals, rows.anomalies[judged], None)
    values = cue_values(
        found.normals, rows.anomalies[judged], neighbours, None, rows.unviewed_anomalies[judged]
    )
    placed = found.scales.place(np.concatenate([found.values[at], values]))
    nearest = np.concatenate([found.nearest[at], neighbours[0][:, 0]])
    y = np.arange(len(V)) >= len(held)
    if not taught.any() or options.labels != "guarded":
        return y, placed, None
    labelled = _learn_in_round(rows, found, taught, options, taught_normals)
    return y, placed, evidence_of(labelled, V, placed, nearest, found.normals.usual)


def _normals_of_round(rows: TrainingRows, found: _Round, options: Options) -> TaughtNormals:
    """Some of the normals that stayed, with cues as if they were new, and the domains of all that stayed."""
    stayed = np.flatnonzero(~found.held)
    chosen = _thinned(np.arange(len(stayed)), _ROUND_NORMALS, options.seed)
    bank_domains = rows.normal_domains[stayed]
    normals = rows.normals[stayed[chosen]]
    fresh = fresh_neighbours(found.normals, normals, bank_domains[chosen], bank_domains, chosen)
    values = cue_values(found.normals, normals, fresh, None, rows.unviewed_normals[stayed[chosen]])
    return normals, found.scales.place(values), bank_domains


def _learn_in_round(
    rows: TrainingRows,
    found: _Round,
    taught: NDArray[np.bool_],
    options: Options,
    taught_normals: TaughtNormals | None = None,
) -> LabelledRows:
    """Grow a few trees on the rows that stayed, with cues as if they were new."""
    normals, placed, bank_domains = taught_normals or _normals_of_round(rows, found, options)
    anomalies, domains = rows.anomalies[taught], rows.anomaly_domains[taught]
    nowhere = np.full(len(anomalies), -1)
    own = fresh_neighbours(found.normals, anomalies, domains, bank_domains, nowhere)
    values = cue_values(found.normals, anomalies, own, None, rows.unviewed_anomalies[taught])
    return learn_labels(
        (normals, placed),
        (anomalies, found.scales.place(values)),
        rows.kinds[taught],
        n_trees=min(_ROUND_TREES, options.n_trees),
        seed=options.seed,
        n_jobs=options.n_jobs,
        boosted=not rows.by_domain,
    )


def _placed_normals(
    rows: TrainingRows, normals: NormalModel, rounds: list[_Round]
) -> tuple[NDArray[np.float64], CueScales]:
    """Cues of all normals from fits without them, placed by their own round; and the pooled scales."""
    values = np.empty((len(rows.normals), len(cue_names(len(normals.of_blocks)))))
    placed = np.empty_like(values)
    if not rounds:
        own = np.arange(len(rows.normals))
        fresh = fresh_neighbours(normals, rows.normals, rows.normal_domains, rows.normal_domains, own)
        values = cue_values(normals, rows.normals, fresh, None, rows.unviewed_normals)
        scales = fit_scales(values)
        return scales.place(values), scales
    for found in rounds:
        values[found.held] = found.values
        placed[found.held] = found.scales.place(found.values)
    return placed, fit_scales(values)


def _learn(
    rows: TrainingRows,
    normals: NormalModel,
    scales: CueScales,
    rounds: list[_Round],
    placed_normals: NDArray[np.float64],
    options: Options,
) -> LabelledRows:
    """Grow the trees of the final fit; every row has cues from a fit that did not see its domain."""
    placed = np.empty((len(rows.anomalies), placed_normals.shape[1]))
    done = np.zeros(len(rows.anomalies), dtype=np.bool_)
    if rows.by_domain:
        for found in rounds:
            here = np.isin(rows.anomaly_domains, rows.normal_domains[found.held]) & ~done
            if here.any():
                V, unviewed = rows.anomalies[here], rows.unviewed_anomalies[here]
                neighbours = nearest_normals(found.normals, V, None)
                values = cue_values(found.normals, V, neighbours, None, unviewed)
                placed[here] = found.scales.place(values)
                done |= here
    if not done.all():
        V, unviewed = rows.anomalies[~done], rows.unviewed_anomalies[~done]
        neighbours = nearest_normals(normals, V, None)
        placed[~done] = scales.place(cue_values(normals, V, neighbours, None, unviewed))
    chosen = _thinned(np.arange(len(rows.normals)), 10_000, options.seed)
    return learn_labels(
        (rows.normals[chosen], placed_normals[chosen]),
        (rows.anomalies, placed),
        rows.kinds,
        n_trees=options.n_trees,
        seed=options.seed,
        n_jobs=options.n_jobs,
        boosted=not rows.by_domain,
    )


def _thinned(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
