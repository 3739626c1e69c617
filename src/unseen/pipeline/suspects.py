"""Training rows that were taken for normal and look anomalous: how many, and which to look at first.

1. Rows taken for normal are divided into two halves, groups whole.
2. Concentration (:mod:`unseen.detectors.concentration`) finds the most normal share of each half.
3. An isolation forest is grown on that share of one half and scores the other half; where domains are named,
   the median score of its domain is taken from each score.
4. :func:`unseen.scoring.contamination.estimate_contamination` says from these scores how many are anomalous.
5. Another detector can do the ranking. It is fitted and its scores are centred as in step 3; if it can use
   labelled anomalies it is given them. The number stays that of the forest: distances have long tails, in
   which the rule of step 4 sees heaps that are none.

The ranking is a reading list for a person, and no verdict: rare normals are on it, and contaminants that look
like normals are at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.data import Table, TablePreprocessor
from unseen.detectors.base import BaseDetector
from unseen.detectors.baselines.isolation_forest import IsolationForest
from unseen.detectors.concentration import centred_by_domain, concentrated_scores, core_of
from unseen.errors import LabelError
from unseen.pipeline.attribution import top_columns
from unseen.pipeline.fit_summary import detector_name
from unseen.pipeline.score_writer import write_frame
from unseen.scoring.contamination import estimate_contamination
from unseen.scoring.holding_back import group_codes
from unseen.types import BoolArray, FloatArray, Labels

_FEWEST_NORMALS = 20
_SHOWN = 5
_TREES = 300


@dataclass(frozen=True)
class SuspectRows:
    """Rows taken for normal, the most suspicious one first.

    Attributes
    ----------
    rows : int64 array of shape (n_checked,)
        Row of the table, from 0.
    scores : float64 array of shape (n_checked,)
        Scores by a model that did not see the row; falling.
    n_believed : int
        How many of them, from the first on, are believed to be anomalous.
    heap : bool
        Whether the scores show a second heap; False: only outliers are counted.
    detector : str
        What scored them.
    columns : tuple of str
        Columns of the table, for ``top_codes``.
    top_codes : int32 array of shape (n_checked, k)
        The columns that speak most for an anomaly; -1 where there are fewer.
    top_shares : float32 array of shape (n_checked, k)
        Their shares; see :func:`unseen.pipeline.attribution.top_columns`.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    n_believed: int
    heap: bool
    detector: str
    columns: tuple[str, ...]
    top_codes: NDArray[np.int32]
    top_shares: NDArray[np.float32]

    def frame(self, n_rows: int | None = None) -> pl.DataFrame:
        """Return the list as a data frame.

        Parameters
        ----------
        n_rows : int or None
            How many, from the first on. None: all.

        Returns
        -------
        polars.DataFrame
            Columns ``rank`` (from 1), ``row``, ``score``, ``believed`` and for each k ``top_k`` and
            ``top_k_share``.
        """
        n = len(self.rows) if n_rows is None else min(n_rows, len(self.rows))
        names = np.array([*self.columns, None], dtype=object)
        values: dict[str, Any] = {
            "rank": np.arange(1, n + 1),
            "row": self.rows[:n],
            "score": self.scores[:n],
            "believed": np.arange(n) < self.n_believed,
        }
        for place in range(self.top_codes.shape[1]):
            values[f"top_{place + 1}"] = pl.Series(names[self.top_codes[:n, place]].tolist(), dtype=pl.String)
            values[f"top_{place + 1}_share"] = pl.Series(self.top_shares[:n, place]).fill_nan(None)
        return pl.DataFrame(values)

    def write(self, file: Path, n_rows: int | None = None) -> None:
        """Write the list to a Parquet or CSV file, atomically.

        Parameters
        ----------
        file : Path
            Its name ends in ``.parquet`` or ``.csv``.
        n_rows : int or None
            How many, from the first on. None: all.

        Raises
        ------
        ParameterError
            If the name ends otherwise.
        """
        write_frame(self.frame(n_rows), file)

    def to_json(self) -> dict[str, Any]:
        """Return the count and the first few rows as values that JSON can hold."""
        return {
            "n_checked": len(self.rows),
            "n_believed": self.n_believed,
            "share": self.n_believed / len(self.rows),
            "heap": self.heap,
            "detector": self.detector,
            "first_rows": self.rows[:_SHOWN].tolist(),
        }


def find_suspects(
    table: Table,
    detector: BaseDetector | None = None,
    *,
    n_columns: int = 3,
    max_rows: int | None = None,
    seed: int = 0,
) -> SuspectRows | None:
    """Rank the rows taken for normal by how anomalous they look to a model that did not see them.

    Parameters
    ----------
    table : Table
        The training table; a table without labels is taken as all normal.
    detector : BaseDetector or None
        What ranks the rows; unfitted, it is cloned. None: the isolation forest that counts them.
    n_columns : int
        How many columns to name for each row.
    max_rows : int or None
        If more rows are taken for normal, so many are drawn and checked. None: all.
    seed : int
        Divides and draws rows.

    Returns
    -------
    SuspectRows or None
        None with fewer than 20 rows that are taken for normal, or where they are all in one group.

    Raises
    ------
    InputError
        If the detector cannot be fitted on a half.
    """
    labels = table.labels
    normal = np.flatnonzero(labels.normal)
    if max_rows is not None and len(normal) > max_rows:
        normal = np.sort(np.random.default_rng(seed).choice(normal, max_rows, replace=False))
    halves = _halves(labels.take(normal), seed)
    if len(normal) < _FEWEST_NORMALS or halves.all() or not halves.any():
        return None
    preprocessor = TablePreprocessor().fit(table.features[normal], np.zeros(len(normal), dtype=np.int8))
    X = preprocessor.transform(table.features[normal])
    domains = labels.domains[normal]
    core = core_of(concentrated_scores(X, seed, domains=domains, halves=halves, rounds=2))
    rows = _Rows(normal, X, halves, core, labels, preprocessor)
    forest = IsolationForest(n_trees=_TREES, seed=seed)
    ranked = _rank(rows, forest, table, n_columns)
    found = estimate_contamination(ranked.scores)
    if detector is not None:
        ranked = _rank(rows, detector, table, n_columns)
    order = np.argsort(-ranked.scores, kind="stable")
    return SuspectRows(
        rows=normal[order],
        scores=ranked.scores[order],
        n_believed=found.count,
        heap=found.heap,
        detector=detector_name(forest if detector is None else detector),
        columns=table.schema.names,
        top_codes=ranked.codes[order],
        top_shares=ranked.shares[order],
    )


@dataclass(frozen=True)
class _Rows:
    """Rows taken for normal (positions in the table, features, half, core), and labels of the whole table."""

    normal: NDArray[np.int64]
    X: FloatArray
    halves: BoolArray
    core: BoolArray
    labels: Labels
    preprocessor: TablePreprocessor


@dataclass(frozen=True)
class _Ranked:
    scores: NDArray[np.float64]
    codes: NDArray[np.int32]
    shares: NDArray[np.float32]


def _rank(rows: _Rows, detector: BaseDetector, table: Table, n_columns: int) -> _Ranked:
    """Score each half by a detector that was fitted on the core of the other one."""
    labels, n_rows = rows.labels, len(rows.normal)
    anomalous = np.flatnonzero(labels.anomaly) if detector.uses_labels else rows.normal[:0]
    known = rows.preprocessor.transform(table.features[anomalous]) if len(anomalous) else rows.X[:0]
    domains = labels.domains[rows.normal]
    scores = np.empty(n_rows)
    codes = np.empty((n_rows, n_columns), dtype=np.int32)
    shares = np.empty((n_rows, n_columns), dtype=np.float32)
    for half in (rows.halves, ~rows.halves):
        usual = rows.core & ~half
        if not usual.any():
            raise LabelError(
                "find_suspects: half of the normals has no usual rows; there are too few groups."
            )
        taught = labels.take(np.concatenate([rows.normal[usual], anomalous]))
        fitted = _fitted(detector, np.concatenate([rows.X[usual], known]), taught)
        scores[half], contributions = fitted.score_and_explain(rows.X[half], domains=domains[half])
        codes[half], shares[half] = top_columns(rows.preprocessor.fold(contributions), n_columns)
    return _Ranked(centred_by_domain(scores, domains), codes, shares)


def suspects_sentence(suspects: dict[str, Any]) -> str:
    """Say in a sentence how many training rows are believed to be anomalous.

    Parameters
    ----------
    suspects : dict
        What :meth:`SuspectRows.to_json` gave.

    Returns
    -------
    str
    """
    n, checked = suspects["n_believed"], suspects["n_checked"]
    first = f"{', '.join(map(str, suspects['first_rows']))} (the first row is 0)"
    if n == 0:
        return (
            f"no heap of anomalies among {checked:,} rows taken for normal; look at these first: rows {first}"
        )
    return (
        f"about {n:,} of {checked:,} rows taken for normal look anomalous ({suspects['share']:.1%}), or "
        f"are of a rarer sort of normal; look at these first: rows {first}"
    )


def _halves(labels: Labels, seed: int) -> BoolArray:
    """Divide rows into two halves of whole groups."""
    if len(labels) == 0:
        return np.zeros(0, dtype=np.bool_)
    codes = group_codes(labels.groups, len(labels))
    order = np.random.default_rng(seed).permutation(int(codes.max()) + 1)
    first = np.zeros(len(order), dtype=np.bool_)
    first[order[: len(order) // 2]] = True
    return np.asarray(first[codes], dtype=np.bool_)


def _fitted(detector: BaseDetector, X: FloatArray, labels: Labels) -> BaseDetector:
    fitted: BaseDetector = clone(detector).set_params(calibration_fraction=0.0)
    return fitted.fit(X, labels.y, kinds=labels.kinds, domains=labels.domains, groups=labels.groups)
