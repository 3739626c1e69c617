"""Calibration and estimate where domains are named: whole domains are left out. Reasons in the scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from unseen.cli.fit import describe, fit_and_estimate
from unseen.data import Table
from unseen.detectors import BaseDetector, KNearestNeighbours, UnseenDetector
from unseen.metrics.ranking import auroc
from unseen.pipeline import TableModel, score_file
from unseen.pipeline.estimate import (
    estimate_sentence,
    estimate_unlabelled_kinds,
    kind_sentences,
    references_sentence,
)
from unseen.pipeline.score_writer import ScoreEncoder
from unseen.pipeline.table_model import by_whole_domains
from unseen.scoring.calibration import hold_back

N_DOMAINS, N_EACH = 18, 60


def places(make_table: Callable[..., Table], seed: int, n_domains: int = N_DOMAINS) -> Table:
    """Normals whose centre differs from domain to domain, and two kinds in all of them."""
    random = np.random.default_rng(seed)
    base = make_table(seed, n_domains * (N_EACH - 10), n_domains * 5)
    names = np.array([f"{seed} {i}" for i in range(n_domains)])
    codes = np.empty(len(base), dtype=np.int64)
    for kind in np.unique(base.labels.kinds):
        rows = np.flatnonzero(base.labels.kinds == kind)
        codes[rows] = np.arange(len(rows)) % n_domains
    centres = random.normal(size=(n_domains, 3)) * 3
    moved = {
        name: base.features[name].to_numpy() + centres[codes, i] for i, name in enumerate(("a", "b", "c"))
    }
    features = base.features.with_columns(**{name: pl.Series(value) for name, value in moved.items()})
    return Table(features, base.schema, base.kinds, base.y, names[codes])


def test_domains_are_held_back_whole_where_enough_are_named(make_table):
    table = places(make_table, 0)
    labels = by_whole_domains(table.labels)
    held = hold_back(labels, 0.2, 0)
    assert not set(table.labels.domains[held]) & set(table.labels.domains[~held])
    few = places(make_table, 0, n_domains=3)
    assert by_whole_domains(few.labels).groups is None


def test_rows_are_held_back_where_no_domain_can_be_spared(make_table):
    """A kind in each domain: all of them have to stay in the fit."""
    table = places(make_table, 0, n_domains=6)
    rows = table.labels.anomaly
    kinds = np.where(rows, np.char.add("kind of ", table.labels.domains), "normal")
    many = Table(table.features, table.schema, kinds, table.y, table.domains)
    assert not hold_back(by_whole_domains(many.labels), 0.2, 0).any()
    model = TableModel.fit(many, KNearestNeighbours())
    assert model.summary.n_calibration == int(0.2 * table.labels.normal.sum())


@pytest.mark.parametrize("domain_of_anomalies", ["", "elsewhere", "each its own"])
def test_kinds_of_domains_without_normals_are_estimated_too(make_table, domain_of_anomalies):
    """Attacks are often recorded apart from benign traffic, or in no domain at all."""
    table = places(make_table, 0)
    domains = table.labels.domains.astype("<U20")
    rows = np.flatnonzero(table.labels.anomaly)
    each = domain_of_anomalies == "each its own"
    domains[rows] = [f"attack {row}" for row in rows] if each else domain_of_anomalies
    moved = Table(table.features, table.schema, table.kinds, table.y, domains)
    found = estimate_unlabelled_kinds(moved, KNearestNeighbours())
    assert found is not None
    assert sorted(item.kind for item in found.kinds) == sorted(table.labels.known_kinds)
    for item in found.kinds:
        n_rows = int((table.labels.kinds == item.kind).sum())
        assert (item.n_rows, item.n_domains) == (n_rows, n_rows if each else 1)
    usual = estimate_unlabelled_kinds(table, KNearestNeighbours())
    assert usual is not None
    assert abs(found.auroc - usual.auroc) < 0.1


@pytest.mark.parametrize("view", ["raw", "residual-nearest"])
def test_one_in_ten_normals_of_new_domains_is_flagged(make_table, view):
    detector = KNearestNeighbours(false_alarm_rate=0.1, view=view, calibration_fraction=0.4)
    rates = []
    for seed in range(6):
        model = TableModel.fit(places(make_table, seed), detector)
        new = places(make_table, 100 + seed)
        normals = new.take(new.labels.normal)
        references = np.isin(np.arange(len(normals)), first_of_each(normals.labels.domains, 8))
        if view != "raw":
            model = model.adapt(normals.take(references))
        rates.append(model.score_table(normals.take(~references)).flagged.mean())
    assert 0.05 < np.mean(rates) < 0.2


def first_of_each(domains: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([np.flatnonzero(domains == name)[:n] for name in np.unique(domains)])


def test_the_estimate_is_that_of_new_domains(make_table):
    detector = KNearestNeighbours(calibration_fraction=0.3)
    table, new = places(make_table, 1), places(make_table, 2)
    found = estimate_unlabelled_kinds(table, detector)
    assert found is not None
    model = TableModel.fit(table.take(table.labels.normal), detector)
    score = model.score_table(new).score
    judged = [new.labels.normal | (new.labels.kinds == kind) for kind in ("high", "odd")]
    reached = [auroc(new.labels.y[rows], score[rows]) for rows in judged]
    assert abs(found.auroc - np.mean(reached)) < 0.06
    assert found.n_normals == int(table.labels.normal.sum())


def test_the_estimate_with_references_counts_on_them(make_table):
    table = places(make_table, 3)
    detector = KNearestNeighbours(view="residual-nearest", calibration_fraction=0.3)
    with_references = estimate_unlabelled_kinds(table, detector, n_references=8)
    without = estimate_unlabelled_kinds(table, detector)
    assert with_references is not None
    assert without is not None
    assert with_references.auroc > without.auroc + 0.05


def test_scores_say_whether_a_row_is_novel_or_like_a_known_kind(table):
    model = TableModel.fit(table, UnseenDetector(n_trees=10, n_jobs=1))
    scored = model.score_table(table, explain=True)
    plain = model.score_table(table)
    np.testing.assert_allclose(scored.score, plain.score, rtol=1e-9)
    assert scored.reason is not None
    assert scored.like_kind is not None
    for kind in ("high", "odd"):
        mine = scored.like_kind[(table.labels.kinds == kind) & (scored.like_kind != "")]
        assert (mine == kind).mean() > 0.9
    encoder = ScoreEncoder(table.schema.names, top_features=1, with_file=False)
    batch = encoder.encode(scored, first_row=0, file="", kept=pl.DataFrame())
    assert batch.column("reason").to_pylist() == scored.reason.tolist()
    likes = batch.column("like_kind").to_pylist()
    assert likes == [kind or None for kind in scored.like_kind.tolist()]


def test_intervals_are_over_domains_and_a_kind_of_one_domain_is_named(make_table):
    table = places(make_table, 4)
    labels = table.labels
    home = labels.domains[labels.kinds == "odd"][0]
    table = table.take((labels.kinds != "odd") | (labels.domains == home))
    found = estimate_unlabelled_kinds(table, KNearestNeighbours(calibration_fraction=0.3))
    assert found is not None
    by_kind = {item.kind: item for item in found.kinds}
    assert by_kind["high"].n_domains == N_DOMAINS
    assert by_kind["odd"].n_domains == 1
    assert by_kind["odd"].auroc_interval == (0.0, 1.0)
    low, high = by_kind["high"].auroc_interval
    assert 0.0 < low < by_kind["high"].auroc < high < 1.0
    assert found.auroc_interval is not None
    assert found.auroc_interval[0] < found.auroc < found.auroc_interval[1]
    sentence = estimate_sentence(json.loads(json.dumps(found.to_json())))
    assert "odd rests on 1 domain" in sentence
    assert "high rests" not in sentence
    high, odd = kind_sentences(found.to_json())
    assert "of 18 domains flagged" in high
    assert "of 1 domain flagged" in odd
    assert "over other domains like these AUROC" in sentence


def test_the_interval_over_domains_is_wider_than_that_over_rows(make_table):
    """Every row four times: DeLong's interval halves, that over domains stays."""
    table = places(make_table, 5)
    often = table.take(np.repeat(np.arange(len(table)), 4))
    detector = KNearestNeighbours(n_neighbours=20, calibration_fraction=0.3)
    once, again = (estimate_unlabelled_kinds(rows, detector) for rows in (table, often))
    assert once is not None
    assert again is not None
    for a, b in zip(once.kinds, again.kinds, strict=True):
        assert np.ptp(b.auroc_interval) > 0.7 * np.ptp(a.auroc_interval)


def test_the_rule_of_new_domains_promises_no_more_than_they_can(make_table, tmp_path):
    model = TableModel.fit(places(make_table, 0, n_domains=8), UnseenDetector(n_trees=5, n_jobs=1))
    assert model.calibration.n_domains == 8
    rows = tmp_path / "rows.parquet"
    places(make_table, 1, n_domains=2).features.write_parquet(rows)
    said = score_file(model, rows, tmp_path / "out.csv").rule
    promised = model.calibration.guaranteed_false_alarm_rate
    assert promised > 0.1
    assert (
        said == f"aims at 0.01 of the normals of a new domain (8 domains can promise at most {promised:.3g})"
    )
    other = score_file(model, rows, tmp_path / "out.csv", false_alarm_rate=0.05).rule
    assert other == "aims at 0.05 of the normals of a new domain"


def test_one_fit_tells_what_references_would_bring(make_table, monkeypatch):
    table = places(make_table, 6)
    fits: list[int] = []
    original = TableModel.fit
    monkeypatch.setattr(TableModel, "fit", lambda *given: fits.append(1) or original(*given))
    detector = KNearestNeighbours(calibration_fraction=0.3)
    both = estimate_unlabelled_kinds(table, detector, optional_references=8)
    assert both is not None
    assert len(fits) == 3  # one a round; labels change nothing here
    adapted = both.with_references
    assert adapted is not None
    assert adapted.with_references is None
    assert (both.n_references, adapted.n_references) == (0, 8)
    assert both.n_normals == adapted.n_normals == int(table.labels.normal.sum()) - 8 * N_DOMAINS
    asked = estimate_unlabelled_kinds(table, detector, n_references=8)
    assert asked is not None
    assert asked == adapted
    values = json.loads(json.dumps(both.to_json()))
    assert values["with_references"]["auroc"] == adapted.auroc
    said = references_sentence(values)
    assert said is not None
    assert said.startswith("with 8 references of each new domain: about AUROC .")
    assert references_sentence(values["with_references"]) is None


def test_references_are_not_spent_where_they_would_take_most_normals(make_table):
    table = places(make_table, 7)
    plain = estimate_unlabelled_kinds(table, KNearestNeighbours(), optional_references=N_EACH)
    assert plain is not None
    assert plain.with_references is None
    assert plain.n_normals == int(table.labels.normal.sum())


def test_kinds_of_one_or_two_domains_do_not_enter_the_median(make_table):
    table = places(make_table, 8)
    labels = table.labels
    rare = np.flatnonzero(labels.kinds == "odd")[:2]
    kinds = labels.kinds.copy()
    kinds[kinds == "odd"] = np.resize(["odd", "other"], int((kinds == "odd").sum()))
    kinds[rare] = "rare"
    table = replace(table, kinds=kinds)
    found = estimate_unlabelled_kinds(table, KNearestNeighbours(calibration_fraction=0.3))
    assert found is not None
    by_kind = {item.kind: item for item in found.kinds}
    assert by_kind["rare"].n_domains == 2
    assert found.left_aside == ("rare",)
    counted = [item.auroc for item in found.kinds if item.kind != "rare"]
    assert len(counted) == 3
    assert found.auroc == np.median(counted)
    assert found.auroc_range == (min(counted), max(counted))
    sentence = estimate_sentence(json.loads(json.dumps(found.to_json())))
    assert "over 3 kinds left out in turn" in sentence
    assert "rare rests on 2 domains and is not counted" in sentence


class NoUse(KNearestNeighbours):
    """A detector that says that references change nothing."""

    reference_use = BaseDetector.reference_use


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        (KNearestNeighbours(calibration_fraction=0.3), True),
        (NoUse(calibration_fraction=0.3), False),
        (KNearestNeighbours(view="residual-nearest", calibration_fraction=0.3), False),
    ],
)
def test_fit_says_what_references_would_bring_where_they_can_be_left_off(make_table, detector, told):
    model = fit_and_estimate(places(make_table, 9), detector, estimate=True)
    lines = describe(model.summary)
    assert any(line.startswith("expect to catch kinds") for line in lines)
    assert any(line.startswith("with 8 references of each new domain: about") for line in lines) == told
