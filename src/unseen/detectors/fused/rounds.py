"""Rounds in which normals are left out: folds, whole domains, or whole regions of the normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.common_signs import common_kinds
from unseen.detectors.fused.drift import N_DRIFTED, fresh_share, regions
from unseen.detectors.fused.novelty import Blocks, NormalModel, cue_values, fit_normals, nearest_normals
from unseen.detectors.fused.scales import CueScales, fit_scales
from unseen.types import UNNAMED_DOMAIN, FloatArray, StrArray

N_FOLDS = 3
LEAST_NORMALS = 12


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
    def one_name(self) -> bool:
        """Whether labels only say *anomaly*, and no domains are named."""
        return not self.by_domain and len(np.unique(self.kinds)) == 1

    @property
    def named_domains(self) -> StrArray:
        """The named domains of the normals, sorted."""
        names = np.unique(self.normal_domains)
        return np.asarray(names[names != UNNAMED_DOMAIN])

    @property
    def common_kinds(self) -> StrArray:
        """The kinds that are on enough of them to say what anomalies of other domains are like."""
        return common_kinds(self.kinds, self.anomaly_domains, len(self.named_domains))


@dataclass(frozen=True)
class Options:
    """Settings of a fit.

    Attributes
    ----------
    n_neighbours, n_trees, seed, n_jobs : int
        As in :class:`unseen.detectors.unseen_detector.UnseenDetector`.
    labels : {"guarded", "trusted", "ignore"}
        Whether labels may say anything, and whether kinds left out are asked first.
    """

    n_neighbours: int
    n_trees: int
    seed: int
    n_jobs: int
    labels: str


@dataclass(frozen=True)
class Round:
    """One fold: a fit without it, and its rows as that fit sees them."""

    held: NDArray[np.bool_]
    normals: NormalModel
    values: NDArray[np.float64]
    nearest: NDArray[np.float64]
    scales: CueScales
    drifted: bool


def rounds_of(
    rows: TrainingRows, spread: NDArray[np.float64], blocks: Blocks | None, options: Options
) -> list[Round]:
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
) -> Round:
    """Fit without some normals; the scales of the cues are those of the usual ones among them."""
    own_blocks = None if blocks is None else blocks.take(~held)
    normals = fit_normals(rows.normals[~held], spread[~held], options.n_neighbours, own_blocks)
    neighbours = nearest_normals(normals, rows.normals[held], None)
    values = cue_values(normals, rows.normals[held], neighbours, None, rows.unviewed_normals[held])
    scales = fit_scales(values[usual[held]])
    return Round(held, normals, values, neighbours[0][:, 0], scales, not usual[held].all())


def drifted_rounds(rows: TrainingRows, spread: NDArray[np.float64], options: Options) -> list[Round]:
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


def thinned(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
