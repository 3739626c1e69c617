"""Rows to learn labels from, with cues as if they were new, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.blocks import small_blocks
from unseen.detectors.fused.common_signs import MOST_COLUMNS, CommonSigns, SeenRows, learn_signs
from unseen.detectors.fused.novelty import (
    NormalModel,
    cue_names,
    cue_values,
    fresh_neighbours,
    nearest_normals,
)
from unseen.detectors.fused.rounds import Options, Round, TrainingRows, thinned
from unseen.detectors.fused.scales import CueScales
from unseen.types import StrArray

ROUND_NORMALS, LEARNT_NORMALS = 3_000, 10_000
"""Normals that are learnt from at most, in a round and in the final fit."""


@dataclass(frozen=True)
class TaughtNormals:
    """Normals that stayed in a round, some of them to learn from, with cues as if they were new.

    Attributes
    ----------
    rows : int64 array of shape (n_rows,)
        Their numbers among the normals.
    placed : float64 array of shape (n_rows, n_cues)
        Their cues.
    bank_domains : str array of shape (n_bank,)
        Domains of all that stayed.
    """

    rows: NDArray[np.int64]
    placed: NDArray[np.float64]
    bank_domains: StrArray


def normals_of_round(rows: TrainingRows, found: Round, options: Options) -> TaughtNormals:
    """Some of the normals that stayed, with cues as if they were new, and the domains of all that stayed."""
    stayed = np.flatnonzero(~found.held)
    chosen = thinned(np.arange(len(stayed)), ROUND_NORMALS, options.seed)
    bank_domains = rows.normal_domains[stayed]
    normals = rows.normals[stayed[chosen]]
    fresh = fresh_neighbours(found.normals, normals, bank_domains[chosen], bank_domains, chosen)
    values = cue_values(found.normals, normals, fresh, None, rows.unviewed_normals[stayed[chosen]])
    return TaughtNormals(stayed[chosen], found.scales.place(values), bank_domains)


def cues_of_round(
    rows: TrainingRows, found: Round, taught: NDArray[np.bool_], normals: TaughtNormals
) -> NDArray[np.float64]:
    """Cues of anomalies that teach in a round, as if they were new."""
    anomalies, domains = rows.anomalies[taught], rows.anomaly_domains[taught]
    nowhere = np.full(len(anomalies), -1)
    own = fresh_neighbours(found.normals, anomalies, domains, normals.bank_domains, nowhere)
    values = cue_values(found.normals, anomalies, own, None, rows.unviewed_anomalies[taught])
    return found.scales.place(values)


def signs_of_round(
    rows: TrainingRows, found: Round, taught: NDArray[np.bool_], normals: TaughtNormals, options: Options
) -> CommonSigns:
    """Learn what anomalies have in common from the rows that stayed."""
    return learn_signs(
        SeenRows(rows.unviewed_normals[normals.rows], normals.placed),
        SeenRows(
            rows.unviewed_anomalies[taught],
            cues_of_round(rows, found, taught, normals),
        ),
        rows.kinds[taught],
        few_columns(found.normals),
        options.seed,
    )


def few_columns(normals: NormalModel) -> NDArray[np.int64]:
    """Columns of small blocks; none without blocks, or where they are many."""
    columns = np.flatnonzero(np.isin(normals.blocks, small_blocks(normals.blocks)))
    return columns if len(columns) <= MOST_COLUMNS else columns[:0]


def placed_anomalies(
    rows: TrainingRows, normals: NormalModel, scales: CueScales, rounds: list[Round]
) -> NDArray[np.float64]:
    """Cues of the labelled anomalies; with domains from a fit that did not see their domain."""
    placed = np.empty((len(rows.anomalies), len(cue_names(len(normals.of_blocks)))))
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
    return placed
