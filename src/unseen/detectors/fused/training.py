"""Fitting one mode: rounds in which rows, domains and kinds are left out, then the fit on everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.cell_search import build_index, in_order_of_cells, near_rows
from unseen.detectors.fused.blocks import column_blocks, small_blocks
from unseen.detectors.fused.choice import (
    LEAST_ROWS,
    PLAIN_WEIGHTS,
    RESIDUAL_WEIGHTS,
    LeftOut,
    Strengths,
    choose_cues,
    choose_strengths,
    local_floor,
    reach_of,
    weights_of,
)
from unseen.detectors.fused.common_signs import CommonSigns, SeenRows, learn_signs
from unseen.detectors.fused.cue_choice import choose_domain_weights
from unseen.detectors.fused.drift import (
    random_parts,
    stand_in_kinds,
)
from unseen.detectors.fused.evidence import (
    Evidence,
    LabelledRows,
    evidence_of,
    learn_labels,
    log_odds_location,
)
from unseen.detectors.fused.known import known_scores
from unseen.detectors.fused.left_out import LeftOutScores, join_scores, no_scores, ratio_of_thresholds
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
    without_itself,
)
from unseen.detectors.fused.rounds import Options, Round, TrainingRows, drifted_rounds, rounds_of, thinned
from unseen.detectors.fused.scales import CueScales, fit_scales
from unseen.detectors.fused.taught import (
    LEARNT_NORMALS,
    ROUND_NORMALS,
    TaughtNormals,
    cues_of_round,
    few_columns,
    normals_of_round,
    placed_anomalies,
    signs_of_round,
)
from unseen.detectors.fused.together import judged_apart, left_out_together
from unseen.types import FloatArray

EXACT_ROWS = 20_000
"""So many normals are searched exactly; larger banks in the cells around a row."""

N_PROBES = 8
_ROUND_TREES = 30


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
    known : LeftOutScores
        Scores of normals by fits without them that know their domain.
    """

    mode: Mode
    cues: str
    strengths: Strengths
    likeness: LikenessRule | None
    left_out: LeftOutScores
    known: LeftOutScores


@dataclass(frozen=True)
class LargeBank:
    """More normals than everything is fitted on, to search neighbours in.

    Attributes
    ----------
    rows : float array of shape (n_bank, n_features)
        The normals of the fit, and more.
    own : int64 array of shape (n_normals,)
        Positions of the normals of the fit among them.
    """

    rows: FloatArray
    own: NDArray[np.int64]


def fit_mode(
    view: str,
    rows: TrainingRows,
    options: Options,
    *,
    residual: bool,
    bank: LargeBank | None = None,
    names_known: bool = False,
) -> FittedMode:
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
    bank : LargeBank or None
        Normals to search neighbours in; None: those of the rows.
    names_known : bool
        Whether rows of the domains of the fit are scored in this mode, if they are named.

    Returns
    -------
    FittedMode
    """
    spread = own_spread(rows.normals, options.n_neighbours)
    blocks = _blocks(rows, residual=residual)
    rounds = rounds_of(rows, spread, blocks, options)
    judged = rounds if rows.by_domain else rounds[:1]  # without domains every round has all rows of a kind
    told = options if rows.by_domain else replace(options, labels="ignore")  # likeness is judged apart
    by_round = [_kinds_left_out(rows, found, told) for found in judged]
    left_out = [item for items in by_round for item in items]
    cues, weights = _choose_cues(left_out, blocks, residual=residual)
    normals = fit_normals(rows.normals, spread, options.n_neighbours, blocks)
    placed_normals, scales = _placed_normals(rows, normals, rounds)
    if bank is not None:
        normals, placed_normals, scales = _in_large_bank(rows, bank, options)
    novelty = placed_normals @ weights
    strengths = choose_strengths(
        [item for item in left_out if item.local.any() or item.log_odds.any()],
        weights,
        deciding=rows.common_kinds if rows.by_domain else None,
    )
    labelled, signs, rule, grow = None, None, None, _no_labels
    wanted = bool(strengths.local or strengths.wide)
    if options.labels != "ignore" and len(rows.anomalies) and not rows.by_domain:
        found = _judged_likeness(rows, rounds, spread, options)
        rule = choose_likeness(found, weights, trusted=options.labels == "trusted")
        wanted = True  # also where labels add nothing: reasons name the known kind that a row is like
    if options.labels != "ignore" and len(rows.anomalies) and wanted:
        placed = placed_normals, placed_anomalies(rows, normals, scales, rounds)
        columns = few_columns(normals) if strengths.wide else None
        grow = partial(_learn, rows, placed, options, columns)
        labelled, signs = grow(np.ones(len(rows.normals), dtype=np.bool_))
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
        likeness=None if rule is None else rule.for_normals(novelty),
        floor=floor,
        reach=max(reach_of(novelty), 1e-3),
        unit=max(unit, 1e-3),
        odds_centre=odds_centre,
        odds_spread=odds_spread,
        signs=signs,
    )
    scores, known = no_scores(), no_scores()
    if rows.by_domain and rounds:
        scores = join_scores(
            [_left_out_scores(mode, rows, *pair, options) for pair in zip(rounds, by_round, strict=True)]
        )
    if scores.enough and names_known:
        known = known_scores(mode, rows, spread, blocks, options.seed, grow)
    return FittedMode(mode, cues, strengths, rule, scores, known)


def _choose_cues(
    left_out: list[LeftOut], blocks: Blocks | None, *, residual: bool
) -> tuple[str, NDArray[np.float64]]:
    """Return the name of the set of cues, and their weights."""
    if blocks is None:
        cues = choose_cues(left_out, residual=residual)
        return cues, weights_of((RESIDUAL_WEIGHTS if residual else PLAIN_WEIGHTS)[cues], cue_names(0))
    names = cue_names(int(blocks.codes.max()) + 1)
    return choose_domain_weights(left_out, names, residual=residual, small=small_blocks(blocks.codes))


def in_unit_of(plain: FittedMode, other: FittedMode) -> FittedMode:
    """Return a second mode in a unit in which normals of new domains reach as far as in the first.

    Parameters
    ----------
    plain, other : FittedMode
        The modes.

    Returns
    -------
    FittedMode
        The second one; its scores are divided by one number.
    """
    ratio = ratio_of_thresholds(plain.left_out, other.left_out)
    return replace(
        other,
        mode=replace(other.mode, unit=other.mode.unit * ratio),
        left_out=replace(other.left_out, scores=other.left_out.scores / ratio),
        known=replace(other.known, scores=other.known.scores / ratio),
    )


def _left_out_scores(
    mode: Mode, rows: TrainingRows, found: Round, items: list[LeftOut], options: Options
) -> LeftOutScores:
    """Scores of a round's normals; what labels add is the mean over the kinds left out there."""
    held, at = _thinned_held(found, options)
    scores = mode.scales.place(found.values[at]) @ mode.weights / mode.unit
    for item in items if mode.labelled is not None else []:
        scores = scores + raised_by(mode, item.local[~item.y], item.log_odds[~item.y]) / len(items)
    return LeftOutScores(scores, rows.normal_domains[held])


def _thinned_held(found: Round, options: Options) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the round that are judged, by their numbers among all rows and among the round's."""
    every = np.flatnonzero(found.held)
    held = thinned(every, ROUND_NORMALS, options.seed)
    return held, np.searchsorted(every, held)


def _judged_likeness(
    rows: TrainingRows, rounds: list[Round], spread: NDArray[np.float64], options: Options
) -> list[JudgedLikeness]:
    """Leave out kinds (or groups), parts and nothing, with and without a region of the normals."""
    sorts: dict[str, NDArray[Any]] = {"kind": left_out_together(rows.kinds, options.seed)}
    if len(np.unique(rows.kinds)) < 2:
        sorts = {"group": stand_in_kinds(rows.anomalies, options.seed)}
    none = np.zeros(len(rows.kinds), dtype=np.bool_)
    judged = []
    for number, found in enumerate(rounds + drifted_rounds(rows, spread, options)):
        here = sorts if found.drifted else {}
        if number == 0 and not found.drifted:  # the other folds only show what normals are like
            here = {**sorts, "part": random_parts(rows.kinds, options.seed)}
        asked = [
            (sort, str(name), names == name) for sort, names in here.items() for name in np.unique(names)
        ]
        normals = normals_of_round(rows, found, options)
        for sort, name, mine in [("nothing", "", none), *asked]:
            if not mine.all():
                y, placed, evidence = _asked(rows, found, mine, ~mine, options, normals)
                assert evidence is not None
                name = name if sort != "kind" else ""
                told = (evidence.likeness, rows.kinds[mine])
                judged.append(JudgedLikeness(sort, name, found.drifted, y, placed, *told))
    return judged


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


def _kinds_left_out(rows: TrainingRows, found: Round, options: Options) -> list[LeftOut]:
    """Leave each kind out of the labels of a round; with domains the kind's rows are of its domains."""
    together = left_out_together(rows.kinds, options.seed)
    here = np.isin(rows.anomaly_domains, rows.normal_domains[found.held])
    told = rows.by_domain and options.labels != "ignore" and len(rows.anomalies) > 0
    normals = normals_of_round(rows, found, options) if told else None
    results: list[LeftOut] = []
    for number in np.unique(together):
        judged = (together == number) & (here if rows.by_domain else True)
        taught = (together != number) & (~here if rows.by_domain else True)
        if judged.any():
            results += _some_left_out(rows, found, judged, taught, options, normals)
    return results


def _some_left_out(
    rows: TrainingRows,
    found: Round,
    judged: NDArray[np.bool_],
    taught: NDArray[np.bool_],
    options: Options,
    normals: TaughtNormals | None,
) -> list[LeftOut]:
    """Judge kinds by a fit that was taught none of them."""
    y, placed, evidence = _asked(rows, found, judged, taught, options, normals)
    held, _at = _thinned_held(found, options)
    local, log_odds = np.zeros((2, len(y)))
    if evidence is not None:
        local = evidence.local
    signs = taught & np.isin(rows.kinds, rows.common_kinds)
    if evidence is not None and normals is not None and signs.any():
        unviewed = np.concatenate([rows.unviewed_normals[held], rows.unviewed_anomalies[judged]])
        log_odds = signs_of_round(rows, found, signs, normals, options).log_odds(unviewed, placed)
    domains = np.concatenate([rows.normal_domains[held], rows.anomaly_domains[judged]])
    results = []
    for kind, own in judged_apart(rows.kinds[judged], LEAST_ROWS):
        mine = ~y
        mine[y] = own
        results.append(LeftOut(kind, y[mine], placed[mine], local[mine], log_odds[mine], domains[mine]))
    return results


def _asked(
    rows: TrainingRows,
    found: Round,
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
    if not taught.any() or options.labels == "ignore":
        return y, placed, None
    labelled = _learn_in_round(rows, found, taught, options, taught_normals)
    return y, placed, evidence_of(labelled, V, placed, nearest, found.normals.usual)


def _learn_in_round(
    rows: TrainingRows,
    found: Round,
    taught: NDArray[np.bool_],
    options: Options,
    taught_normals: TaughtNormals | None = None,
) -> LabelledRows:
    """Grow a few trees on the rows that stayed, with cues as if they were new."""
    normals = taught_normals or normals_of_round(rows, found, options)
    return learn_labels(
        (rows.normals[normals.rows], normals.placed),
        (rows.anomalies[taught], cues_of_round(rows, found, taught, normals)),
        rows.kinds[taught],
        n_trees=min(_ROUND_TREES, options.n_trees),
        seed=options.seed,
        n_jobs=options.n_jobs,
        boosted=not rows.by_domain,
        one_name=rows.one_name,
    )


def _placed_normals(
    rows: TrainingRows, normals: NormalModel, rounds: list[Round]
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


def _in_large_bank(
    rows: TrainingRows, bank: LargeBank, options: Options
) -> tuple[NormalModel, NDArray[np.float64], CueScales]:
    """Normals in a bank that is searched by cells; the cues of those of the fit as if they were new."""
    index = build_index(bank.rows, N_PROBES, options.seed)
    everything, index, places = in_order_of_cells(bank.rows, index)
    found = near_rows(everything, everything, index, options.n_neighbours + 1)
    distances, positions = without_itself(*found, np.arange(len(everything)))
    normals = fit_normals(everything, distances.mean(axis=1), options.n_neighbours, index=index)
    own = places[bank.own]
    values = cue_values(normals, rows.normals, (distances[own], positions[own]))
    scales = fit_scales(values)
    return normals, scales.place(values), scales


def _learn(
    rows: TrainingRows,
    placed: tuple[NDArray[np.float64], NDArray[np.float64]],
    options: Options,
    columns: NDArray[np.int64] | None,
    stays: NDArray[np.bool_],
) -> tuple[LabelledRows | None, CommonSigns | None]:
    """Learn from the labelled rows and some of the normals, with their cues; signs if there are columns."""
    chosen = thinned(np.flatnonzero(stays), LEARNT_NORMALS, options.seed)
    labelled = learn_labels(
        (rows.normals[chosen], placed[0][chosen]),
        (rows.anomalies, placed[1]),
        rows.kinds,
        n_trees=options.n_trees,
        seed=options.seed,
        n_jobs=options.n_jobs,
        boosted=not rows.by_domain,
        one_name=rows.one_name,
    )
    if columns is None:
        return labelled, None
    common = np.isin(rows.kinds, rows.common_kinds)
    normals = SeenRows(rows.unviewed_normals[chosen], placed[0][chosen])
    anomalies = SeenRows(rows.unviewed_anomalies[common], placed[1][common])
    return labelled, learn_signs(normals, anomalies, rows.kinds[common], columns, options.seed)


def _no_labels(_stays: NDArray[np.bool_]) -> tuple[LabelledRows | None, CommonSigns | None]:
    return None, None
