"""Rows of domains that a fit knows, from a table to the scores of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unseen.cli.fit import describe as describe_fit
from unseen.cli.score import describe as describe_scores
from unseen.data import Table
from unseen.detectors import UnseenDetector
from unseen.persistence import load, save
from unseen.pipeline import TableModel, score_file
from unseen.pipeline.fit_summary import FitSummary
from unseen.scoring.thresholds import false_alarm_threshold

N_DOMAINS = 8


def named(table: Table) -> Table:
    """The table, its rows in eight domains that lie apart."""
    codes = np.arange(len(table)) % N_DOMAINS
    moved = {name: table.features[name].to_numpy() + 3 * codes for name in ("a", "b")}
    features = table.features.with_columns(**{name: pl.Series(value) for name, value in moved.items()})
    return replace(table, features=features, domains=np.array([f"place {i}" for i in codes]))


@pytest.fixture
def fitted(make_table: Callable[..., Table]) -> TableModel:
    detector = UnseenDetector(n_trees=5, n_jobs=1, false_alarm_rate=0.05)
    return TableModel.fit(named(make_table(0, 800, 16)), detector)


@pytest.fixture
def fresh(make_table: Callable[..., Table]) -> Table:
    table = named(make_table(1, 400, 8))
    names = table.labels.domains.copy()
    names[names == "place 1"] = "never seen"
    names[names == "place 2"] = ""
    return replace(table, domains=names)


def test_the_summary_of_a_fit_tells_both_thresholds(fitted: TableModel) -> None:
    sets = fitted.detector.calibrations_
    summary = fitted.summary
    assert sets.known is not None
    assert 0 < summary.n_known_domains < N_DOMAINS  # some were held back whole
    assert summary.known_threshold == sets.known.threshold
    assert summary.n_known_calibration == len(sets.known.normal_scores)
    line = f"rows of {summary.n_known_domains} domains that the fit knows, where they are named: threshold "
    assert any(said.startswith(line) for said in describe_fit(summary))
    before = {key: value for key, value in summary.to_json().items() if "known_" not in key}
    assert FitSummary.from_json(before).known_threshold is None


@pytest.mark.parametrize("rate", [None, 0.1])
def test_a_file_with_rows_of_known_and_new_domains(
    fitted: TableModel, fresh: Table, tmp_path: Path, rate: float | None
) -> None:
    file, out = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    fresh.features.with_columns(place=pl.Series(fresh.labels.domains)).write_parquet(file)
    schema = replace(fitted.schema, roles=replace(fitted.schema.roles, domain="place"))
    summary = score_file(fitted, file, out, schema=schema, false_alarm_rate=rate, batch_rows=97)
    found = pl.read_parquet(out)
    sets = fitted.detector.calibrations_
    known = sets.is_known(fresh.labels.domains)
    assert 0 < known.sum() < len(fresh)
    assert summary.n_of_known_domains == known.sum()
    assert sets.known is not None
    asked = 0.05 if rate is None else rate
    limits = [false_alarm_threshold(item.normal_scores, asked)[0] for item in (sets.usual, sets.known)]
    assert (summary.threshold, summary.known_threshold) == tuple(limits)
    flagged = found["flagged"].to_numpy()
    np.testing.assert_array_equal(flagged, found["score"].to_numpy() > np.where(known, limits[1], limits[0]))
    np.testing.assert_array_equal(flagged, found["p_value"].to_numpy() <= asked)
    said = f"note: {known.sum():,} rows are of domains that the fit knows; they are compared with its own"
    assert any(line.startswith(said) for line in describe_scores(summary))


def test_files_without_known_domains_say_nothing_of_them(
    fitted: TableModel, fresh: Table, tmp_path: Path
) -> None:
    file = tmp_path / "rows.parquet"
    fresh.features.write_parquet(file)
    summary = score_file(fitted, file, tmp_path / "scores.csv")
    assert (summary.n_of_known_domains, summary.known_threshold) == (0, None)
    assert not any("the fit knows" in line for line in describe_scores(summary))


def test_a_saved_model_keeps_both_sets(fitted: TableModel, fresh: Table, tmp_path: Path) -> None:
    save(fitted, tmp_path / "model")
    again = load(tmp_path / "model")
    assert isinstance(again, TableModel)
    assert again.summary == fitted.summary
    before, after = fitted.score_table(fresh), again.score_table(fresh)
    np.testing.assert_array_equal(after.p_value, before.p_value)
    np.testing.assert_array_equal(after.flagged, before.flagged)


def test_a_view_of_references_keeps_what_was_held_back(make_table: Callable[..., Table]) -> None:
    """Held-back rows are scored by an adapted copy; its second set is the model's."""
    table = named(make_table(0, 800, 16))
    groups = np.array([f"{name} {i % 40}" for i, name in enumerate(table.labels.domains)])
    detector = UnseenDetector(n_trees=5, n_jobs=1, view="residual-nearest", false_alarm_rate=0.05)
    model = TableModel.fit(replace(table, groups=groups), detector)
    known = model.detector.calibrations_.known
    assert known is not None
    crossed = model.detector.known_scores_.scores  # type: ignore[attr-defined]
    assert len(known.normal_scores) > len(crossed)  # with rows held back of the same domains
