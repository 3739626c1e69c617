"""The embedded sample."""

from __future__ import annotations

import numpy as np

from unseen.data import concat, load_sample, sample_citation, sample_path

KINDS = ["dos", "probe", "r2l", "u2r"]


def test_both_parts_have_every_kind_and_the_same_columns() -> None:
    train = load_sample()
    test = load_sample("test", schema=train.schema)
    assert len(train.schema) == 41
    assert train.schema.of_type("categorical") == ("protocol_type", "service", "flag")
    assert train.labels.known_kinds == test.labels.known_kinds == KINDS
    assert int(train.labels.normal.sum()) == 4000
    assert int(test.labels.normal.sum()) == 1500
    both = concat([train, test])
    assert len(both) == len(train) + len(test)
    assert both.features.columns == list(train.schema.names)


def test_it_is_small_and_says_what_to_cite() -> None:
    assert sample_path("train").stat().st_size + sample_path("test").stat().st_size < 250_000
    assert "Tavallaee" in sample_citation()


def test_take_keeps_features_and_labels_together() -> None:
    train = load_sample()
    rows = np.flatnonzero(train.labels.kinds == "u2r")
    taken = train.take(rows)
    assert len(taken) == len(rows) == 11
    assert taken.labels.known_kinds == ["u2r"]
    assert taken.features.equals(train.features[rows])
    assert len(train.take(train.labels.normal)) == 4000
