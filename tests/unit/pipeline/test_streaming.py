"""Scoring files: what is written, that batches do not matter, and what happens on errors and SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from unseen.errors import InputError, ParameterError, ReadError, SchemaError
from unseen.persistence import save
from unseen.pipeline import TableModel, count_rows, score_file
from unseen.pipeline.staging import PARTIAL_SUFFIX
from unseen.scoring.conformal import benjamini_hochberg


@pytest.fixture
def source(tmp_path: Path, frame: pl.DataFrame) -> Path:
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path)
    return path


def in_memory(model: TableModel, frame: pl.DataFrame) -> np.ndarray:
    domains = frame["place"].to_numpy().astype(np.str_)
    return model.score_batch(frame.select("a", "b", "c", "colour"), domains).score


def test_a_row_of_scores_for_each_row(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    out = source.with_name("scores.parquet")
    summary = score_file(model, source, out)
    scores = pl.read_parquet(out)
    assert scores.columns == [
        "row", "score", "p_value", "flagged",
        "top_1", "top_1_share", "top_2", "top_2_share", "top_3", "top_3_share",
    ]  # fmt: skip
    assert scores["row"].to_list() == list(range(480))
    np.testing.assert_allclose(scores["score"], in_memory(model, frame), rtol=1e-6)
    np.testing.assert_array_equal(scores["flagged"], scores["p_value"] <= 0.05)
    assert (summary.n_rows, summary.n_flagged) == (480, int(scores["flagged"].sum()))
    caught = scores.filter(frame["kind"] == "high")
    assert caught["flagged"].all()
    assert set(caught["top_1"]) == {"a"}


def test_no_more_columns_are_named_than_there_are(model: TableModel, source: Path) -> None:
    out = source.with_name("scores.parquet")
    score_file(model, source, out, top_features=99)
    named = [name for name in pl.read_parquet(out).columns if name.startswith("top_")]
    assert named == [
        name for k in range(1, len(model.columns) + 1) for name in (f"top_{k}", f"top_{k}_share")
    ]


def test_batches_do_not_change_the_result(model: TableModel, source: Path) -> None:
    whole, parts = source.with_name("whole.parquet"), source.with_name("parts.parquet")
    score_file(model, source, whole)
    score_file(model, source, parts, batch_rows=7)
    one, many = pl.read_parquet(whole), pl.read_parquet(parts)
    np.testing.assert_allclose(one["score"], many["score"], rtol=1e-6)
    assert one.select("row", "flagged", "top_1").equals(many.select("row", "flagged", "top_1"))


def test_csv_in_and_out_with_kept_columns(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    text = source.with_name("rows.csv")
    frame.with_columns(score=pl.lit("mine")).write_csv(text)
    out = source.with_name("scores.csv")
    score_file(model, text, out, keep=("kind", "a", "score"), top_features=1)
    scores = pl.read_csv(out)
    assert scores.columns == [
        "row", "score", "p_value", "flagged", "top_1", "top_1_share", "kind", "a", "score_input",
    ]  # fmt: skip
    assert scores["kind"].to_list() == frame["kind"].to_list()
    np.testing.assert_allclose(scores["score"], in_memory(model, frame), rtol=1e-5)
    assert set(scores["score_input"]) == {"mine"}


def test_all_columns_can_be_kept(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    out = source.with_name("scores.parquet")
    score_file(model, source, out, keep=("*",), top_features=0)
    scores = pl.read_parquet(out)
    assert scores.select(frame.columns).equals(frame)


def test_several_files_name_the_file_of_each_row(
    model: TableModel, tmp_path: Path, frame: pl.DataFrame
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    frame[:300].write_parquet(folder / "a.parquet")
    frame[300:].write_parquet(folder / "b.parquet")
    out = tmp_path / "scores.parquet"
    score_file(model, folder, out)
    scores = pl.read_parquet(out)
    assert scores["row"].to_list() == [*range(300), *range(180)]
    assert scores["file"].cast(pl.String).str.ends_with("b.parquet").sum() == 180
    assert count_rows(folder) == 480


def test_false_discovery_rate_equals_the_selection_in_memory(
    model: TableModel, source: Path, frame: pl.DataFrame
) -> None:
    out = source.with_name("scores.parquet")
    summary = score_file(model, source, out, false_discovery_rate=0.2, batch_rows=50)
    scores = pl.read_parquet(out)
    expected = benjamini_hochberg(scores["p_value"].to_numpy(), 0.2)
    np.testing.assert_array_equal(scores["flagged"].to_numpy(), expected)
    assert summary.n_flagged == expected.sum() > 0
    assert summary.p_limit is not None
    assert sorted(path.name for path in source.parent.iterdir()) == ["rows.parquet", "scores.parquet"]


def test_another_false_alarm_rate(model: TableModel, source: Path) -> None:
    out = source.with_name("scores.parquet")
    score_file(model, source, out, false_alarm_rate=0.3)
    scores = pl.read_parquet(out)
    np.testing.assert_array_equal(scores["flagged"], scores["p_value"] <= 0.3)


def test_progress_counts_all_rows(model: TableModel, source: Path) -> None:
    seen: list[int] = []
    score_file(model, source, source.with_name("s.parquet"), batch_rows=100, progress=seen.append)
    assert sum(seen) == 480
    assert len(seen) == 5


def test_what_is_refused(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    with pytest.raises(ParameterError, match=r"must end in \.parquet or \.csv"):
        score_file(model, source, source.with_name("scores.xlsx"))
    with pytest.raises(ParameterError, match="not both"):
        score_file(model, source, source.with_name("s.csv"), false_alarm_rate=0.1, false_discovery_rate=0.1)
    with pytest.raises(InputError, match="fdr"):
        score_file(model, source, source.with_name("s.csv"), false_discovery_rate=1.5)
    with pytest.raises(SchemaError, match="'nosuch'"):
        score_file(model, source, source.with_name("s.csv"), keep=("nosuch",))
    empty = source.with_name("empty.parquet")
    frame[:0].write_parquet(empty)
    with pytest.raises(ReadError):
        score_file(model, empty, source.with_name("s.csv"))
    assert not source.with_name("s.csv").exists()


def test_an_error_in_the_middle_leaves_the_earlier_result(
    model: TableModel, source: Path, frame: pl.DataFrame
) -> None:
    text, out = source.with_name("rows.csv"), source.with_name("scores.parquet")
    text.write_text(frame.write_csv() + "oops,1,1,red,north,normal\n")
    out.write_bytes(b"earlier")
    with pytest.raises(SchemaError, match="oops"):
        score_file(model, text, out, batch_rows=64)
    assert out.read_bytes() == b"earlier"
    assert not list(source.parent.glob(f"*{PARTIAL_SUFFIX}"))


SLOW_SCORING = """
import sys, time
from unseen.persistence import load
from unseen.pipeline import score_file

def slowly(rows):
    print(rows, flush=True)
    time.sleep(0.2)

score_file(load(sys.argv[1]), sys.argv[2], sys.argv[3], batch_rows=20, progress=slowly,
           false_discovery_rate=float(sys.argv[4]) or None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize(("earlier", "rate"), [(False, "0"), (True, "0.2")])
def test_sigkill_at_half_leaves_nothing_or_the_earlier_file(
    model: TableModel, source: Path, earlier: bool, rate: str
) -> None:
    saved, out = source.with_name("model"), source.with_name("scores.parquet")
    save(model, saved)
    if earlier:
        score_file(model, source, out)
    command = [sys.executable, "-c", SLOW_SCORING, str(saved), str(source), str(out), rate]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(8):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(out.parent.glob(f"*{PARTIAL_SUFFIX}"))
    assert out.exists() == earlier
    if earlier:
        assert pq.read_metadata(out).num_rows == 480
    deadline = time.monotonic() + 10
    while list(out.parent.glob(f"*{PARTIAL_SUFFIX}")) and time.monotonic() < deadline:
        score_file(model, source, out)
    assert pq.read_metadata(out).num_rows == 480
    assert not list(out.parent.glob(f"*{PARTIAL_SUFFIX}"))


def test_rows_of_unknown_domains_are_counted(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    assert score_file(model, source, source.with_name("s.parquet")).n_without_references is None
    from unseen.data import read_table

    normals = source.with_name("north.parquet")
    frame.filter((pl.col("kind") == "normal") & (pl.col("place") == "north"))[:30].write_parquet(normals)
    adapted = model.adapt(read_table(normals, schema=model.schema))
    summary = score_file(adapted, source, source.with_name("s.parquet"))
    assert summary.n_without_references == int((frame["place"] == "south").sum())


def test_row_counts_are_known_for_parquet_alone(source: Path, tmp_path: Path) -> None:
    assert count_rows(source) == 480
    (tmp_path / "x.csv").write_text("a\n1\n")
    assert count_rows(tmp_path / "x.csv") is None
    assert count_rows(tmp_path / "missing.parquet") is None


def test_unknown_categories_are_counted(model: TableModel, source: Path, frame: pl.DataFrame) -> None:
    before = score_file(model, source, source.with_name("before.parquet")).other_categories.get("colour", 0)
    strange = frame.with_row_index("i").with_columns(
        pl.when(pl.col("i") < 5).then(pl.lit("ultraviolet")).otherwise(pl.col("colour")).alias("colour")
    )
    strange.drop("i").write_parquet(source)
    lost = int((frame["colour"].head(5) == "ultraviolet").sum())
    after = score_file(model, source, source.with_name("after.parquet"), batch_rows=100).other_categories
    assert lost == 0
    assert 0 < after["colour"] - before <= 5
