"""Reading tables of every format, and real-world oddities."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from unseen.data import ColumnRoles, TableSchema, blocks, read_table, scan_table

ROLES = ColumnRoles(kind="kind", domain="site")
FRAME = pl.DataFrame(
    {
        "x": [1.5, None, 3.0, float("inf")],
        "port": [80, 443, 80, 22],
        "service": ["web", "web", "ssh", None],
        "up": [True, False, True, True],
        "kind": ["normal", "dos", "normal", ""],
        "site": ["a", "a", "b", "b"],
    }
)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write(frame: pl.DataFrame, path: Path) -> Path:
    text = frame.write_csv(separator="\t" if ".tsv" in path.name else ",").encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".zst":
        path.write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    elif path.suffix in (".csv", ".tsv"):
        path.write_bytes(text)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".arrow":
        frame.write_ipc(path)
    else:
        frame.write_ipc_stream(path)
    return path


@pytest.mark.parametrize(
    "name", ["t.csv", "t.tsv", "t.csv.gz", "t.tsv.gz", "t.csv.zst", "t.parquet", "t.arrow", "t.feather"]
)
def test_every_format_gives_the_same_table(tmp_path: Path, name: str) -> None:
    table = read_table(write(FRAME, tmp_path / name), ROLES)
    assert table.schema.names == ("x", "port", "service", "up")
    assert table.schema.types == ("numeric", "numeric", "categorical", "boolean")
    assert table.features["x"].to_list() == [1.5, None, 3.0, float("inf")]
    assert table.features["port"].cast(pl.Int64).to_list() == [80, 443, 80, 22]
    assert table.features["service"].to_list() == ["web", "web", "ssh", ""]
    assert table.features["up"].to_list() == [True, False, True, True]
    assert table.y is not None
    assert table.kinds is not None
    assert table.domains is not None
    assert table.y.tolist() == [0, 1, 0, -1]
    assert table.kinds.tolist() == ["normal", "dos", "normal", ""]
    assert table.domains.tolist() == ["a", "a", "b", "b"]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.arrow", "t.feather"])
def test_scanning_in_small_batches_equals_reading(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=1000), "s": rng.choice(["u", "v"], 1000), "id": range(1000)})
    path = write(frame, tmp_path / name)
    schema = TableSchema(("s", "x"), ("categorical", "numeric"))
    batches = list(scan_table(path, schema, batch_rows=64, keep=("id",)))
    assert max(map(len, batches)) <= 64
    assert [batch.first_row for batch in batches] == np.cumsum([0, *map(len, batches[:-1])]).tolist()
    whole = pl.concat([batch.features for batch in batches])
    assert whole.columns == ["s", "x"]
    assert_array_equal(whole["x"].to_numpy(), frame["x"].to_numpy())
    assert pl.concat([batch.kept for batch in batches])["id"].cast(pl.Int64).to_list() == list(range(1000))
    everything = next(iter(scan_table(path, schema, keep=("*",))))
    assert everything.kept.columns == ["x", "s", "id"]


def test_flow_table_as_published(tmp_path: Path) -> None:
    text = (
        " Flow Bytes/s, Port,Proto, Label\n"
        " 1.5 ,80,tcp,BENIGN\n"
        "Infinity,NaN,udp,DoS\n"
        " Flow Bytes/s, Port,Proto, Label\n"
        ",-inf,tcp,Benign \n"
        "nan,443,tcp,dos\n"
        "2,22,tcp,DoS\n"
    )
    table = read_table(put(tmp_path, "flows.csv", text), ColumnRoles(kind="Label", normal=("benign",)))
    assert table.schema.names == ("Flow Bytes/s", "Port", "Proto")
    assert table.schema.types == ("numeric", "numeric", "categorical")
    rates = table.features["Flow Bytes/s"].to_numpy()
    assert rates[1] == np.inf
    assert np.isnan(rates[2:4].astype(float)).all()
    assert table.features["Port"].to_numpy()[2] == -np.inf
    assert table.kinds is not None
    assert table.kinds.tolist() == ["normal", "DoS", "normal", "DoS", "DoS"]
    assert any("left out 1 header row" in note for note in table.notes)
    assert any("'dos' are spelled 'DoS'" in note for note in table.notes)


def test_header_rows_are_left_out_of_all_text_tables_too(tmp_path: Path) -> None:
    path = put(tmp_path, "text.csv", '"a",b,kind\nu,v,normal\n"a",b,kind\nw,v,normal\n')
    assert read_table(path, ColumnRoles(kind="kind")).features.rows() == [("u", "v"), ("w", "v")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_duplicated_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"twice.{suffix}"
    if suffix == "csv":
        path.write_text("a,a,a_2,a,kind\n1,5,6,1,normal\n2,7,8,2,normal\n")
    else:
        columns = [pa.array(v) for v in ([1, 2], [5, 7], [6, 8], [1, 2], ["normal", "normal"])]
        pq.write_table(pa.Table.from_arrays(columns, names=["a", "a", "a_2", "a", "kind"]), path)
    table = read_table(path, ColumnRoles(kind="kind"))
    assert table.schema.names == ("a", "a_3", "a_2")
    assert table.features["a_3"].to_list() == [5, 7]
    assert any("called 'a_3'" in note for note in table.notes)
    assert any("repeat another one" in note and "'a_4'" in note for note in table.notes)
    batch = next(iter(scan_table(path, TableSchema(("a_3",), ("numeric",)))))
    assert batch.features["a_3"].to_list() == [5, 7]


def test_a_column_without_a_name(tmp_path: Path) -> None:
    table = read_table(
        put(tmp_path, "index.csv", ",a,kind\n0,1,normal\n1,2,normal\n"), ColumnRoles(kind="kind")
    )
    assert table.schema.names == ("unnamed_1", "a")
    assert any("no name" in note for note in table.notes)


def test_extra_and_reordered_columns_are_brought_to_the_schema(tmp_path: Path) -> None:
    table = read_table(write(FRAME, tmp_path / "fit.csv"), ROLES)
    other = FRAME.select("up", "service", pl.lit(7).alias("extra"), "port", "x")
    path = write(other, tmp_path / "new.parquet")
    again = read_table(path, ColumnRoles(), schema=table.schema)
    assert again.features.columns == list(table.schema.names)
    assert again.kinds is None
    assert any("'extra'" in note for note in again.notes)
    assert table.schema == TableSchema.from_json(table.schema.to_json())


def test_numbers_as_text_and_names_as_numbers_are_conformed(tmp_path: Path) -> None:
    schema = TableSchema(("n", "c", "b"), ("numeric", "categorical", "boolean"))
    path = tmp_path / "odd.parquet"
    pl.DataFrame({"n": [" 1", "?"], "c": [80.0, None], "b": [1, 0]}).write_parquet(path)
    features = next(iter(scan_table(path, schema))).features
    assert features["n"].to_list() == [1.0, None]
    assert features["c"].to_list() == ["80", ""]
    assert features["b"].to_list() == [True, False]


def test_number_columns_can_be_read_as_categories(tmp_path: Path) -> None:
    path = put(tmp_path, "ports.csv", "port,a,kind\n080,1,normal\n22,2,normal\n")
    table = read_table(path, ColumnRoles(kind="kind", categorical=("port",)))
    assert table.features["port"].to_list() == ["080", "22"]


def test_text_that_begins_like_numbers_keeps_its_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_CHUNK", 64)
    rows = "".join(f"{n:03d},1.5,normal\n" for n in range(20)) + "".join(
        f"k{n},1,normal\n" for n in range(40)
    )
    table = read_table(put(tmp_path, "codes.csv", "code,a,kind\n" + rows), ColumnRoles(kind="kind"))
    assert table.schema.types == ("categorical", "numeric")
    assert table.features["code"][7] == "007"
    assert table.features["code"][59] == "k39"


def test_quoted_line_breaks_do_not_cut_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_CHUNK", 50)
    rows = "".join(f'{n},"line {n}\nand, more","say ""hi"""\n' for n in range(200))
    path = put(tmp_path, "quoted.csv", "n,note,kind\n" + rows)
    schema = TableSchema(("n", "note"), ("numeric", "categorical"))
    whole = pl.concat([batch.features for batch in scan_table(path, schema)])
    assert whole["n"].to_list() == list(range(200))
    assert whole["note"][123] == "line 123\nand, more"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_delimiter_is_taken_from_the_header(tmp_path: Path, separator: str) -> None:
    text = (
        "\ufeff"
        + separator.join(["a", "b", "kind"])
        + "\r\n"
        + separator.join(["1", "p,5", "normal"])
        + "\r\n"
    )
    table = read_table(put(tmp_path, "t.csv", text), ColumnRoles(kind="kind"))
    assert table.schema.names == ("a", "b")
    assert table.features["a"].to_list() == [1.0]


def test_other_encodings(tmp_path: Path) -> None:
    text = "a,kind\n1,normal\n2,Web – Attack\n"
    path = put(tmp_path, "t.csv", text.encode("cp1252"))
    table = read_table(path, ColumnRoles(kind="kind"), encoding="cp1252")
    assert table.labels.known_kinds == ["Web – Attack"]
    wide = put(tmp_path, "w.csv", text.encode("utf-16"))
    assert read_table(wide, ColumnRoles(kind="kind"), encoding="utf-16").labels.known_kinds == [
        "Web – Attack"
    ]


def test_directory_glob_and_limit(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, f"part{number}.csv", f"a,kind\n{number},normal\n{number}.5,normal\n")
    put(tmp_path, "readme.md", "no table")
    roles = ColumnRoles(kind="kind")
    assert read_table(tmp_path, roles).features["a"].to_list() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert read_table(tmp_path / "part[12].csv", roles).features["a"].to_list() == [1, 1.5, 2, 2.5]
    assert len(read_table(tmp_path, roles, limit=3)) == 3
    schema = TableSchema(("a",), ("numeric",), roles)
    assert read_table(tmp_path, roles, schema=schema, limit=3).features["a"].to_list() == [0, 0.5, 1]
    firsts = [(Path(batch.file).name, batch.first_row) for batch in scan_table(tmp_path, schema)]
    assert firsts == [("part0.csv", 0), ("part1.csv", 0), ("part2.csv", 0)]


def test_dates_are_left_out_and_said(tmp_path: Path) -> None:
    frame = FRAME.with_columns(when=pl.lit("2020-01-01").str.to_date())
    table = read_table(write(frame, tmp_path / "t.parquet"), ROLES)
    assert "when" not in table.schema.names
    assert any("'when'" in note for note in table.notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["2020-01-01", "2020-12-31"],
        ["2020-01-01T10:00:00Z", ""],
        ["5/7/2017 8:49", "13/7/2017 08:49:01 PM"],
        ["31.12.2019", "1.1.2020"],
        ["1/2/03", "1/2/04"],
    ],
)
def test_dates_as_text_are_left_out_too_unless_asked_for(tmp_path: Path, cells: list[str]) -> None:
    frame = pl.DataFrame({"a": [1.0, 2.5], "when": cells, "kind": ["normal", "normal"]})
    path = write(frame, tmp_path / "t.csv")
    table = read_table(path, ColumnRoles(kind="kind"))
    assert table.schema.names == ("a",)
    assert any("'when'" in note for note in table.notes)
    asked = read_table(path, ColumnRoles(kind="kind", categorical=("when",)))
    assert asked.schema.names == ("a", "when")


@pytest.mark.parametrize("cells", [["10.0.0.1", "10.0.0.2"], ["1.2.10", "1.2.11"], ["2020-01-01", "today"]])
def test_text_that_is_not_all_dates_stays(tmp_path: Path, cells: list[str]) -> None:
    frame = pl.DataFrame({"a": [1.0, 2.5], "when": cells, "kind": ["normal", "normal"]})
    table = read_table(write(frame, tmp_path / "t.csv"), ColumnRoles(kind="kind"))
    assert table.schema.names == ("a", "when")


def test_the_row_index_of_pandas_is_no_feature(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [1.0, 2.5, 0.5], "kind": ["normal"] * 3}, index=[7, 3, 5])
    rows.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", ColumnRoles(kind="kind"))
    assert table.schema.names == ("a",)
    assert any("row index of pandas" in note and "'__index_level_0__'" in note for note in table.notes)


def test_labels_as_numbers(tmp_path: Path) -> None:
    path = put(tmp_path, "t.csv", "a,y\n1,0\n2,1.0\n3,-1\n4,\n5,False\n")
    table = read_table(path, ColumnRoles(label="y"))
    assert table.y is not None
    assert table.kinds is not None
    assert table.y.tolist() == [0, 1, -1, -1, 0]
    assert table.kinds.tolist() == ["normal", "anomaly", "", "", "normal"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_memory_of_scanning_text_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(blocks, "_CHUNK", 1 << 16)
    schema = TableSchema(("a", "b"), ("numeric", "numeric"))

    def peak(n_rows: int) -> int:
        frame = pl.DataFrame({"a": np.arange(n_rows) * 1.25, "b": np.arange(n_rows)})
        path = write(frame, tmp_path / f"n{n_rows}{suffix}")
        before = pa.default_memory_pool().bytes_allocated()
        tracemalloc.start()
        largest = 0
        for _ in scan_table(path, schema):
            largest = max(largest, pa.default_memory_pool().bytes_allocated() - before)
        largest += tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    small, large = peak(20_000), peak(200_000)
    assert large < 1.5 * small + 200_000
