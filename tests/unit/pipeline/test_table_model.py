"""Fitting a table: what is held back, what the summary says, what scoring gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from unseen.data import Table, TablePreprocessor, TableSchema
from unseen.detectors import KNearestNeighbours, Mahalanobis, UnseenDetector
from unseen.errors import LabelError, ParameterError
from unseen.pipeline import FitSummary, TableModel
from unseen.scoring.calibration import hold_back


def test_preprocessing_sees_only_normals_that_are_not_held_back(table: Table) -> None:
    detector = Mahalanobis(seed=3, calibration_fraction=0.3)
    model = TableModel.fit(table, detector)
    held = hold_back(table.labels, 0.3, 3)
    expected = TablePreprocessor().fit(table.features.filter(~held), table.labels.y[~held])
    np.testing.assert_array_equal(
        model.preprocessor.transform(table.features), expected.transform(table.features)
    )


def test_calibration_rows_do_not_move_the_scores(table: Table) -> None:
    """Changing what is held back changes p-values, but neither preprocessing nor fit."""
    detector = KNearestNeighbours(seed=3)
    held = np.flatnonzero(hold_back(table.labels, detector.calibration_fraction, 3))
    a = table.features["a"].to_numpy().copy()
    a[held] += 100
    moved = Table(
        table.features.with_columns(a=a), table.schema, table.kinds, table.y, table.domains, table.groups
    )
    fresh = table.features[:20]
    before, after = TableModel.fit(table, detector), TableModel.fit(moved, detector)
    np.testing.assert_array_equal(before.score_batch(fresh).score, after.score_batch(fresh).score)
    assert before.summary.threshold < after.summary.threshold


def test_the_false_alarm_rate_holds_for_fresh_normals(make_table: Callable[..., Table]) -> None:
    """On average over tables; a single one with 80 calibration normals spreads by about .035."""
    rates = []
    for seed in range(25):
        model = TableModel.fit(make_table(seed), Mahalanobis(false_alarm_rate=0.1, seed=seed))
        scored = model.score_table(make_table(1000 + seed, 500, 0))
        np.testing.assert_array_equal(scored.flagged, scored.p_value <= 0.1)
        rates.append(scored.flagged.mean())
    assert 0.07 < np.mean(rates) < 0.13


def test_the_summary_counts(table: Table) -> None:
    summary = TableModel.fit(table, KNearestNeighbours()).summary
    assert summary.detector == "k-nearest-neighbours"
    assert (summary.n_rows, summary.n_normals, summary.n_unlabelled) == (480, 400, 0)
    assert summary.kinds == {"high": 40, "odd": 40}
    assert summary.domains == {"north": 240, "south": 240}
    assert summary.n_calibration == 80
    assert summary.smallest_p == pytest.approx(1 / 81)
    assert (summary.n_columns, summary.n_features) == (4, 6)
    assert any("calibration normals cannot promise" in note for note in summary.notes)
    assert FitSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_contributions_are_folded_to_columns_and_point_at_the_cause(table: Table) -> None:
    model = TableModel.fit(table, Mahalanobis())
    high = table.take(table.labels.kinds == "high")
    scored = model.score_batch(high.features, high.domains)
    assert scored.contributions is not None
    assert scored.contributions.shape == (40, 4)
    assert model.columns == ("a", "b", "c", "colour")
    assert (scored.contributions.argmax(axis=1) == 0).mean() > 0.9


def test_scoring_without_explanation_gives_the_same_scores(table: Table) -> None:
    model = TableModel.fit(table, KNearestNeighbours())
    with_why = model.score_batch(table.features, table.domains)
    without = model.score_batch(table.features, table.domains, explain=False)
    np.testing.assert_array_equal(with_why.score, without.score)
    assert without.contributions is None


def test_adapting_changes_the_domain_and_leaves_the_model(table: Table) -> None:
    model = TableModel.fit(table, KNearestNeighbours())
    far = table.take(table.labels.kinds == "high")
    references = Table(far.features, far.schema, domains=np.full(len(far), "new"))
    adapted = model.adapt(references)
    before = model.score_batch(far.features, references.domains).score
    after = adapted.score_batch(far.features, references.domains).score
    assert after.mean() < before.mean() / 2
    np.testing.assert_array_equal(model.score_batch(far.features, references.domains).score, before)


def test_anomalies_among_references_are_refused(table: Table) -> None:
    with pytest.raises(LabelError, match="references must be normal, but row"):
        TableModel.fit(table, KNearestNeighbours()).adapt(table)


def test_the_state_makes_an_equal_model(table: Table) -> None:
    model = TableModel.fit(table, Mahalanobis())
    values, arrays = model.to_state()
    again = TableModel.from_state(json.loads(json.dumps(values)), arrays, model.detector)
    np.testing.assert_array_equal(again.score_table(table).score, model.score_table(table).score)
    assert again.summary == model.summary


def test_a_table_without_labels_is_all_normal(table: Table) -> None:
    summary = TableModel.fit(Table(table.features, table.schema), KNearestNeighbours()).summary
    assert summary.n_normals == 480
    assert any("all rows are taken as normal" in note for note in summary.notes)


def test_too_few_normals_and_no_calibration_are_refused(table: Table) -> None:
    first = int(np.flatnonzero(table.labels.normal)[0])
    rows = np.append(np.flatnonzero(table.labels.anomaly), first)
    with pytest.raises(LabelError, match="at least 2 normal rows"):
        TableModel.fit(table.take(rows), KNearestNeighbours())
    with pytest.raises(ParameterError, match="calibration_fraction must be > 0"):
        TableModel.fit(table, KNearestNeighbours(calibration_fraction=0.0))


def test_the_given_detector_stays_unfitted_and_its_parameters_stay(table: Table) -> None:
    detector = KNearestNeighbours(calibration_fraction=0.3)
    model = TableModel.fit(table, detector)
    assert not hasattr(detector, "references_")
    assert model.detector.get_params() == detector.get_params()


def test_the_summary_says_what_was_trimmed_and_what_labels_do(table: Table) -> None:
    trimmed = UnseenDetector(n_trees=5, n_jobs=1, trim=0.1, labels="ignore")
    model = TableModel.fit(table, trimmed)
    assert model.detector.n_trimmed_ > 0
    said = [note for note in model.summary.notes if note.startswith(("trim", "labels"))]
    assert len(said) == 1
    assert f"the {model.detector.n_trimmed_} most unusual normals were left out of the fit;" in said[0]
    assert "held back for the threshold are not trimmed" in said[0]
    for some in (table, replace(table, domains=None)):
        guarded = TableModel.fit(some, UnseenDetector(n_trees=5, n_jobs=1))
        chosen = guarded.detector.choices_["plain"]
        silent = chosen["likeness"] == "off" if "likeness" in chosen else not chosen["local"] + chosen["wide"]
        said = [note for note in guarded.summary.notes if note.startswith(("trim", "labels"))]
        assert len(said) == 1
        assert ("change no score" in said[0]) == silent
        assert ("in new domains" in said[0]) == ("likeness" not in chosen and not silent)


def test_fit_says_that_labels_are_trusted_and_how_to_trust_them(make_table: Callable[..., Table]) -> None:
    table = replace(make_table(0), domains=None)
    told = {}
    for labels in ("guarded", "trusted"):
        model = TableModel.fit(table, UnseenDetector(n_trees=5, n_jobs=1, labels=labels))
        (told[labels],) = [note for note in model.summary.notes if note.startswith("labels")]
        chosen = model.detector.choices_["plain"]["likeness"]
        assert labels == "guarded" or chosen == "bold"
        assert ("--set labels=trusted" in told[labels]) == (chosen == "careful")
    assert told["trusted"].startswith("labels are trusted")
    assert "kinds that nobody labelled" in told["trusted"]


@pytest.mark.parametrize("step", [1, -3])
def test_row_numbers_among_the_features_are_named(table, step):
    numbered = table.features.with_columns(number=step * pl.int_range(len(table)).cast(pl.Float64))
    schema = TableSchema((*table.schema.names, "number"), (*table.schema.types, "numeric"))
    model = TableModel.fit(Table(numbered, schema, table.kinds, table.y), Mahalanobis())
    (said,) = [note for note in model.summary.notes if "row numbers" in note]
    assert said.startswith("'number': every row has more (or less)")
    plain = TableModel.fit(table, Mahalanobis())
    assert not any("row numbers" in note for note in plain.summary.notes)


def test_no_flagged_row_is_called_usual(make_table: Callable[..., Table]) -> None:
    """A threshold that flags two thirds of the normals flags some in their midst."""
    model = TableModel.fit(make_table(0), UnseenDetector(n_trees=5, n_jobs=1, labels="ignore"))
    rows = make_table(1, 200, 10)
    plain = model.score_table(rows, explain=True)
    assert plain.reason is not None
    assert (plain.reason == "usual").sum() > 100
    bold = model.score_batch(rows.features, rows.domains, false_alarm_rate=0.7)
    assert (bold.flagged & (plain.reason == "usual")).sum() > 20
    assert bold.reason is not None
    assert set(bold.reason[bold.flagged]) == {"novel"}
    assert set(bold.reason[~bold.flagged]) == {"usual"}
