"""Splits in which every kind is known, on small tables whose split can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import LabelError, ParameterError
from unseen.protocols import know_every_kind
from unseen.types import Labels


def _labels(n_normal: int, n_anomaly: int) -> Labels:
    kinds = np.repeat(["normal", "anomaly"], [n_normal, n_anomaly])
    return Labels((kinds != "normal").astype(np.int8), kinds, np.full(len(kinds), ""), None)


def test_sizes_and_duties() -> None:
    labels = _labels(1000, 100)
    splits = know_every_kind(labels, shots=10, seeds=[0, 1])
    assert [(s.seed, s.held_out_kind, s.known_kinds) for s in splits] == [
        (0, None, ("anomaly",)),
        (1, None, ("anomaly",)),
    ]
    for split in splits:
        assert (len(split.labelled), np.sum(labels.anomaly[split.validation])) == (7, 3)
        assert np.sum(labels.anomaly[split.test]) == 90
        parts = [split.train, split.labelled, split.validation, split.calibration, split.test]
        together = np.concatenate(parts)
        assert len(np.unique(together)) == len(together) == len(labels)
        np.testing.assert_array_equal(split.test_of("anomaly"), split.test)
    assert not np.array_equal(splits[0].labelled, splits[1].labelled)


def test_an_official_test_file_is_the_test_set() -> None:
    labels = _labels(300, 60)
    test_rows = np.arange(len(labels)) % 3 == 0
    split = know_every_kind(labels, shots=5, seeds=[0], test_rows=test_rows, max_normals=50)[0]
    np.testing.assert_array_equal(split.test, np.flatnonzero(test_rows))
    assert len(split.train) == 50
    assert not test_rows[np.concatenate([split.train, split.labelled, split.validation])].any()


def test_refusals_name_the_function() -> None:
    with pytest.raises(LabelError, match=r"know_every_kind.*needs anomalies"):
        know_every_kind(_labels(50, 0), shots=1, seeds=[0])
    with pytest.raises(ParameterError, match=r"know_every_kind.*shots"):
        know_every_kind(_labels(50, 5), shots=-1, seeds=[0])
