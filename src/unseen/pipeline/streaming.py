"""Scoring files of any size: read, score and write at the same time, in bounded memory.

The result appears under its final name only when it is complete (:mod:`unseen.pipeline.staging`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unseen.checks import check_int, check_real
from unseen.data import TableBatch, TableSchema, scan_table
from unseen.data.sources import PARQUET_SUFFIXES, find_files
from unseen.errors import InputError, ParameterError, ReadError
from unseen.pipeline.discovery import PValueCounts
from unseen.pipeline.score_writer import ScoreEncoder, ScoreFile, check_output_name, refuse_own_input
from unseen.pipeline.staging import scratch, staged
from unseen.pipeline.table_model import TableModel
from unseen.pipeline.threads import WriteBehind, read_ahead
from unseen.scoring.calibration_sets import threshold_of
from unseen.types import UNNAMED_DOMAIN

BATCH_ROWS = 65_536

_P_BINS = 1_000

Progress = Callable[[int], None]
"""Called with the number of rows that have been scored since the last call."""


@dataclass(frozen=True)
class ScoreSummary:
    """What came out of scoring a file.

    Attributes
    ----------
    out : str
        The file written.
    n_rows, n_flagged : int
        Rows scored and rows flagged.
    rule : str
        How rows were flagged, in words.
    threshold : float or None
        Score above which rows are flagged; None where the rule is a false discovery rate.
    p_limit : float or None
        Largest p-value that is flagged under a false discovery rate; None if no row is.
    smallest_p : float
        Smallest p-value that the model's calibration normals allow.
    n_without_references : int or None
        Rows whose domain has no references; None if the model has none at all.
    other_categories : dict of str to int
        For each categorical column, how many rows have a category without a feature of its own: unknown
        to the training normals, or rare among them. Columns without such rows are left out.
    median_p, p_distance : float
        Median of the p-values, and their largest distance from uniform ones (Kolmogorov-Smirnov), both to a
        thousandth. Rows of which most are normals like those of the fit have a median of about 0.5; see
        :mod:`unseen.scoring.drift`.
    seconds, rows_per_second : float
        Time and speed, reading and writing included.
    n_of_known_domains : int
        Rows of domains that the fit knows, which are compared with normals of these.
    known_threshold : float or None
        Score above which such rows are flagged; None where there are none, or as for ``threshold``.
    """

    out: str
    n_rows: int
    n_flagged: int
    rule: str
    threshold: float | None
    p_limit: float | None
    smallest_p: float
    n_without_references: int | None
    other_categories: dict[str, int]
    median_p: float
    p_distance: float
    seconds: float
    rows_per_second: float
    n_of_known_domains: int = 0
    known_threshold: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the summary as values that JSON can hold."""
        return asdict(self)


@dataclass
class _Tally:
    n_rows: int = 0
    n_flagged: int = 0
    n_without_references: int = 0
    n_of_known_domains: int = 0
    other_categories: Counter[str] = field(default_factory=Counter)
    p_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_P_BINS, dtype=np.int64))

    @property
    def p_shares(self) -> NDArray[np.float64]:
        """Share of the rows with a p-value up to each thousandth."""
        return np.asarray(np.cumsum(self.p_counts) / max(1, self.n_rows))


def score_file(
    model: TableModel,
    source: str | Path,
    out: str | Path,
    *,
    schema: TableSchema | None = None,
    keep: Sequence[str] = (),
    top_features: int = 3,
    false_alarm_rate: float | None = None,
    false_discovery_rate: float | None = None,
    batch_rows: int = BATCH_ROWS,
    encoding: str = "utf-8",
    progress: Progress | None = None,
) -> ScoreSummary:
    """Score the rows of a file, a folder or a glob and write one row of scores for each.

    Parameters
    ----------
    model : TableModel
        A fitted model.
    source : str or Path
        What to score; see :func:`unseen.data.scan_table`.
    out : str or Path
        File to write; ``.parquet`` or ``.csv``. See :class:`unseen.pipeline.score_writer.ScoreEncoder` for
        its columns.
    schema : TableSchema or None
        The model's schema with other roles (a domain column of this file, say). None: the model's own.
    keep : sequence of str
        Input columns to carry through; ``("*",)`` for all.
    top_features : int
        How many columns to name a row, with their shares of the score; 0 for none.
    false_alarm_rate : float in (0, 1) or None
        Flag at this share of normals instead of the model's own.
    false_discovery_rate : float in (0, 1) or None
        Flag by Benjamini and Hochberg over the whole file instead.
    batch_rows : int
        Rows that are in memory together; about five such batches are.
    encoding : str
        Character encoding of text files.
    progress : callable or None
        Told how many rows were scored.

    Returns
    -------
    ScoreSummary

    Raises
    ------
    InputError
        If the file cannot be read or does not fit the model, an argument is not allowed, or ``out`` is a file
        of ``source``.
    """
    started = time.perf_counter()
    target = Path(out)
    suffix = check_output_name(target)
    refuse_own_input(target, source)
    check_int("score", "top_features", top_features, minimum=0)
    if false_alarm_rate is not None and false_discovery_rate is not None:
        raise ParameterError("score: give a false-alarm rate or a false discovery rate, not both.")
    if false_discovery_rate is not None:
        check_real(
            "score", "fdr", false_discovery_rate, minimum=0, maximum=1, open_minimum=True, open_maximum=True
        )
    sets = model.detector.calibrations_
    threshold = threshold_of(sets.usual, false_alarm_rate)
    counts = None if false_discovery_rate is None else PValueCounts()
    tally = _Tally()
    encoder = ScoreEncoder(model.columns, top_features=top_features, with_file=not Path(source).is_file())
    batches = scan_table(source, schema or model.schema, batch_rows=batch_rows, keep=keep, encoding=encoding)
    scored = _scored(model, batches, encoder, false_alarm_rate, counts, tally, progress)
    p_limit: float | None = None
    with staged(target) as path:
        if counts is None or false_discovery_rate is None:
            _write(path, suffix, scored)
        else:
            with scratch(target) as first_pass:
                _write(first_pass, ".parquet", scored)
                p_limit = counts.limit(false_discovery_rate)
                _write(path, suffix, _flagged_at(first_pass, p_limit, tally))
        if tally.n_rows == 0:
            raise ReadError(f"{source}: no rows to score.")
    seconds = time.perf_counter() - started
    return ScoreSummary(
        out=str(target),
        n_rows=tally.n_rows,
        n_flagged=tally.n_flagged,
        rule=_rule(model, false_alarm_rate, false_discovery_rate),
        threshold=threshold if counts is None else None,
        p_limit=p_limit,
        smallest_p=float(model.calibration.smallest_p),
        n_without_references=tally.n_without_references if len(model.detector.references_.domains) else None,
        other_categories=dict(tally.other_categories),
        median_p=float((np.searchsorted(tally.p_shares, 0.5) + 1) / _P_BINS),
        p_distance=float(np.abs(tally.p_shares - np.arange(1, _P_BINS + 1) / _P_BINS).max()),
        seconds=seconds,
        rows_per_second=tally.n_rows / seconds,
        n_of_known_domains=tally.n_of_known_domains,
        known_threshold=(
            threshold_of(sets.known, false_alarm_rate)
            if sets.known is not None and tally.n_of_known_domains and counts is None
            else None
        ),
    )


def count_rows(source: str | Path) -> int | None:
    """Return how many rows Parquet files have by their footers, or None for other formats.

    Parameters
    ----------
    source : str or Path
        A file, a folder or a glob.

    Returns
    -------
    int or None
        None too where a file is missing or damaged; reading it will say so.
    """
    try:
        files = find_files(source)
        if any(file.suffix.lower() not in PARQUET_SUFFIXES for file in files):
            return None
        return sum(int(pq.read_metadata(file).num_rows) for file in files)
    except (InputError, OSError, pa.ArrowInvalid):
        return None


def _scored(
    model: TableModel,
    batches: Iterator[TableBatch],
    encoder: ScoreEncoder,
    false_alarm_rate: float | None,
    counts: PValueCounts | None,
    tally: _Tally,
    progress: Progress | None,
) -> Iterator[pa.RecordBatch]:
    """Score batch by batch; the next ones are read meanwhile."""
    for batch in read_ahead(batches):
        scored = model.score_batch(
            batch.features,
            batch.domains,
            false_alarm_rate=false_alarm_rate,
            explain=encoder.top_features > 0,
        )
        tally.n_rows += len(scored)
        tally.n_flagged += int(np.count_nonzero(scored.flagged))
        tally.other_categories.update(model.preprocessor.other_counts(batch.features))
        names = np.full(len(scored), UNNAMED_DOMAIN) if batch.domains is None else batch.domains
        tally.n_of_known_domains += int(np.count_nonzero(model.detector.calibrations_.is_known(names)))
        tally.n_without_references += int(np.count_nonzero(~model.detector.references_.knows(names)))
        tally.p_counts += np.histogram(scored.p_value, bins=_P_BINS, range=(0.0, 1.0))[0]
        if counts is not None:
            counts.add(scored.p_value)
        yield encoder.encode(scored, first_row=batch.first_row, file=str(batch.file), kept=batch.kept)
        if progress is not None:
            progress(len(scored))


def _write(path: Path, suffix: str, batches: Iterator[pa.RecordBatch]) -> None:
    """Write the batches while the next ones are made."""
    file = ScoreFile(path, suffix)
    try:
        with WriteBehind(file.write) as behind:
            for batch in batches:
                behind.put(batch)
    finally:
        file.close()


def _flagged_at(first_pass: Path, p_limit: float | None, tally: _Tally) -> Iterator[pa.RecordBatch]:
    """Read the scores again and flag the rows up to a p-value."""
    tally.n_flagged = 0
    with pq.ParquetFile(first_pass) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            p_value = batch.column("p_value").to_numpy()
            flagged = np.zeros(len(p_value), dtype=np.bool_) if p_limit is None else p_value <= p_limit
            tally.n_flagged += int(np.count_nonzero(flagged))
            place = batch.schema.get_field_index("flagged")
            yield batch.set_column(place, "flagged", pa.array(flagged))


def _rule(model: TableModel, false_alarm_rate: float | None, false_discovery_rate: float | None) -> str:
    if false_discovery_rate is not None:
        return f"at most {false_discovery_rate:g} of the flagged rows normal (Benjamini-Hochberg)"
    rate = model.calibration.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
    if model.calibration.n_domains:
        said = f"aims at {rate:g} of the normals of a new domain"
        if false_alarm_rate is not None:
            return said
        promised = float(model.calibration.guaranteed_false_alarm_rate)
        n_domains = int(model.calibration.n_domains)
        return f"{said} ({n_domains} domains can promise at most {promised:.3g})"
    smallest = float(model.calibration.smallest_p)
    if smallest > rate:
        return (
            f"above every calibration normal: at most {smallest:.3g} of the normals "
            f"(there are too few for {rate:g})"
        )
    return f"at most {rate:g} of the normals"
