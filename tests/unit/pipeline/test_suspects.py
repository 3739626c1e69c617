"""Contaminants come first on the list, with their columns; groups stay whole; files read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unseen.data import Table, TableSchema
from unseen.detectors import DETECTORS
from unseen.errors import ParameterError
from unseen.pipeline.suspects import _halves, find_suspects, suspects_sentence

QUICK = {
    "vae": {"hidden": (8,), "epochs": 10, "batch_size": 64, "reweighting": "alpha"},
    "k-nearest-neighbours": {},
    "mahalanobis": {},
    "anomaly-aware-vae": {"hidden": (8,), "epochs": 10, "awareness_epochs": 2, "batch_size": 64},
}


def contaminated(n_rows: int = 500, n_bad: int = 50, seed: int = 0) -> tuple[Table, np.ndarray]:
    """Rows around zero; contaminants are a crowd far up in b, c and d; some labelled anomalies high in a."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    bad = rng.permutation(n_rows) < n_bad
    X[bad, 1:] = 6 + 0.3 * rng.normal(size=(n_bad, 3))
    y = np.zeros(n_rows, dtype=np.int8)
    y[np.flatnonzero(~bad)[:20]] = 1
    X[y == 1, 0] += 8
    kinds = np.where(y == 1, "known", "normal")
    schema = TableSchema(tuple("abcd"), ("numeric",) * 4)
    return Table(pl.DataFrame(X, schema=list("abcd")), schema, kinds=kinds, y=y), bad


def test_contaminants_come_first_with_their_columns() -> None:
    table, bad = contaminated()
    found = find_suspects(table)
    assert found is not None
    assert np.mean(bad[found.rows[:50]]) > 0.9
    assert found.n_believed == pytest.approx(50, abs=10)
    assert len(found.rows) == 480
    assert not np.any(table.y[found.rows] == 1)  # type: ignore[index]
    assert np.all(np.diff(found.scores) <= 0)
    assert set(found.frame(40)["top_1"]) <= {"b", "c", "d"}
    assert "look anomalous (10.4%), or are of a rarer sort of normal" in suspects_sentence(
        found.to_json() | {"n_believed": 50, "share": 50 / 480}
    )
    again = find_suspects(table)
    assert again is not None
    np.testing.assert_array_equal(again.rows, found.rows)


@pytest.mark.parametrize("name", QUICK)
def test_any_detector_can_rank(name: str) -> None:
    table, bad = contaminated()
    found = find_suspects(table, DETECTORS[name](**QUICK[name]))
    assert found is not None
    assert found.detector == name
    assert np.mean(bad[found.rows[:50]]) > 0.6  # drawn at random: 0.1


def test_clean_rows_are_not_believed_to_be_anomalous() -> None:
    table, _ = contaminated(n_bad=0)
    found = find_suspects(table)
    assert found is not None
    assert found.n_believed < 10
    assert "look at these first: rows" in suspects_sentence(found.to_json())


def test_groups_are_never_divided() -> None:
    table, _ = contaminated()
    groups = np.array([f"g{i // 7}" for i in range(len(table))])
    halves = _halves(replace(table, groups=groups).labels, 0)
    for name in np.unique(groups):
        assert len(np.unique(halves[groups == name])) == 1
    assert 0.4 < halves.mean() < 0.6
    assert find_suspects(replace(table, groups=np.full(len(table), "one"))) is None


def test_few_rows_say_nothing_and_many_are_drawn() -> None:
    table, _ = contaminated()
    assert find_suspects(table.take(np.arange(15))) is None
    drawn = find_suspects(table, max_rows=100)
    assert drawn is not None
    assert len(drawn.rows) == 100


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_the_file_reads_back(name: str, tmp_path: Path) -> None:
    table, _ = contaminated()
    found = find_suspects(table)
    assert found is not None
    found.write(tmp_path / name, 60)
    read = pl.read_csv if name.endswith("csv") else pl.read_parquet
    frame = read(tmp_path / name)
    assert frame.columns[:4] == ["rank", "row", "score", "believed"]
    assert frame["row"].to_list() == found.rows[:60].tolist()
    assert frame["believed"].sum() == min(found.n_believed, 60)
    with pytest.raises(ParameterError, match=r"\.parquet or \.csv"):
        found.write(tmp_path / "list.txt")
