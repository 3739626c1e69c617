"""The estimate for unlabelled kinds leaves each kind out of everything."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from unseen.data import Table
from unseen.detectors import KNearestNeighbours, Mahalanobis
from unseen.pipeline import TableModel
from unseen.pipeline.estimate import estimate_sentence, estimate_unlabelled_kinds
from unseen.types import Labels


class LabelUser(KNearestNeighbours):
    """Says that it uses labels, and notes the kinds that each fit is given."""

    uses_labels = True
    seen: list[set[str]] = []  # noqa: RUF012 - shared between clones on purpose

    def _fit(self, V: np.ndarray, labels: Labels) -> None:
        LabelUser.seen.append(set(labels.known_kinds))
        super()._fit(V, labels)


def test_easy_kinds_are_expected_to_be_caught(table: Table) -> None:
    found = estimate_unlabelled_kinds(table, KNearestNeighbours(false_alarm_rate=0.05))
    assert found is not None
    assert found.auroc > 0.95
    assert [item.kind for item in found.kinds] == ["high", "odd"]
    assert found.auroc_range[0] <= found.auroc <= found.auroc_range[1]
    assert all(item.auroc_interval[0] <= item.auroc <= item.auroc_interval[1] for item in found.kinds)
    assert found.observed_false_alarm_rate < 0.2
    sentence = estimate_sentence(json.loads(json.dumps(found.to_json())))
    assert "2 kinds left out in turn" in sentence
    assert "domain" not in sentence
    assert found.auroc_interval is None
    assert "0.05" in sentence


def test_each_fit_knows_all_kinds_but_the_one_it_is_asked_about(make_table: Callable[..., Table]) -> None:
    LabelUser.seen.clear()
    estimate_unlabelled_kinds(make_table(0), LabelUser())
    assert LabelUser.seen == [{"odd"}, {"high"}]


def test_detectors_without_labels_are_fitted_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    original = TableModel.fit

    def counted(rows: Table, detector: KNearestNeighbours) -> TableModel:
        fits.append(len(rows))
        assert rows.labels.known_kinds == []
        return original(rows, detector)

    monkeypatch.setattr(TableModel, "fit", counted)
    estimate_unlabelled_kinds(table, Mahalanobis())
    assert len(fits) == 1


def test_rows_are_capped(make_table: Callable[..., Table]) -> None:
    found = estimate_unlabelled_kinds(
        make_table(0, 3000, 100), KNearestNeighbours(), max_normals=200, max_kind_rows=30
    )
    assert found is not None
    assert found.n_normals == 60
    assert [item.n_rows for item in found.kinds] == [30, 30]


def test_one_kind_is_not_enough(table: Table) -> None:
    assert estimate_unlabelled_kinds(table.take(table.labels.kinds != "odd"), KNearestNeighbours()) is None
