"""Tables that cannot be used: one clear line that names the file and the fault."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from unseen.data import ColumnRoles, TablePreprocessor, TableSchema, read_table, scan_table
from unseen.errors import InputError, LabelError, ParameterError, ReadError, SchemaError

ROLES = ColumnRoles(kind="kind")
SCHEMA = TableSchema(("a", "b"), ("numeric", "numeric"), ROLES)
HEADER = b"a,b,kind\n"
GOOD = HEADER + b"1,2,normal\n3,4,normal\n5,7,dos\n" * 50


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("empty.csv", b"", ReadError, "empty"),
        ("blank.csv", b"\n\n \n", ReadError, "no header"),
        ("header.csv", HEADER, ReadError, "no rows"),
        ("abnormal.csv", HEADER + b"1,2,dos\n1,2,probe\n", LabelError, "no row is normal"),
        ("unlabelled.csv", b"a,b,class\n1,2,normal\n", SchemaError, "'kind' missing"),
        ("cased.csv", b"a,b,Kind\n1,2,normal\n", SchemaError, "did you mean 'Kind'"),
        (
            "text.csv",
            GOOD + b"1,oops,normal\n",
            SchemaError,
            "row 151, column 'b': expected a number, got 'oops'",
        ),
        ("latin.csv", GOOD + b"1,2,Web \x96 Attack\n", ReadError, "not UTF-8 text: byte 0x96 near row 151"),
        ("wide.csv", "a,b,kind\n1,2,normal\n".encode("utf-16"), ReadError, "UTF-16"),
        ("short.csv", GOOD + b"1,2\n", ReadError, "row 151 has 2 cells, but the header has 3"),
        ("long.csv", GOOD + b"1,2,3,4\n", ReadError, "row 151 has 4 cells, but the header has 3"),
        ("open.csv", GOOD + b'1,2,"normal\n3,4,normal\n', ReadError, "row 151 opens a quote"),
        ("book.xlsx", b"PK\x03\x04", ReadError, ".xlsx files are not read"),
        (
            "comma.csv",
            b"a;b;kind\n1;0,5;normal\n2;7;normal\n",
            SchemaError,
            "row 1, column 'b': expected a number with a decimal point",
        ),
        ("binary.csv", b"\x00\x01\x02\n\x00\n", ReadError, "zero bytes"),
        ("cut.csv.gz", gzip.compress(GOOD * 50, mtime=0)[:60], ReadError, "truncated gzip"),
        ("cut.csv.zst", pa.compress(GOOD * 50, codec="zstd", asbytes=True)[:-9], ReadError, "truncated zstd"),
        ("plain.csv.gz", GOOD, ReadError, "gzip"),
        ("cut.parquet", b"PAR1 and no more", ReadError, "Parquet"),
        ("cut.arrow", b"ARROW1 and no more", ReadError, "Arrow"),
        ("only_label.csv", b"kind\nnormal\n", SchemaError, "no feature column"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(
    tmp_path: Path, name: str, content: bytes, error: type[InputError], words: str
) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(error) as caught:
        read_table(path, ROLES)
    message = str(caught.value)
    assert words in message
    assert name in message
    assert "\n" not in message


def test_missing_path_empty_directory_and_glob_without_match(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        read_table(tmp_path / "nothing.csv", ROLES)
    (tmp_path / "notes.md").write_text("no table")
    with pytest.raises(ReadError, match="holds no table file"):
        read_table(tmp_path, ROLES)
    with pytest.raises(ReadError, match="no file matches"):
        read_table(tmp_path / "*.csv", ROLES)


def test_parquet_truncated_in_the_data(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=20000), "kind": ["normal"] * 20000})
    frame.write_parquet(tmp_path / "whole.parquet")
    content = bytearray((tmp_path / "whole.parquet").read_bytes())
    put(tmp_path, "half.parquet", bytes(content[: len(content) // 2]))
    with pytest.raises(ReadError, match=r"half\.parquet"):
        read_table(tmp_path / "half.parquet", ROLES)
    content[4:400] = b"\xff" * 396
    put(tmp_path, "scrambled.parquet", bytes(content))
    with pytest.raises(ReadError, match=r"scrambled\.parquet"):
        read_table(tmp_path / "scrambled.parquet", ROLES)


def test_scanning_names_file_row_column_and_value(tmp_path: Path) -> None:
    rows = b"1,2,normal\n" * 700
    path = put(tmp_path, "late.csv", HEADER + rows + HEADER + b"3,x7,normal\n" + rows)
    with pytest.raises(SchemaError, match=r"late\.csv: row 702, column 'b': expected a number, got 'x7'"):
        list(scan_table(path, SCHEMA, batch_rows=100))


def test_scanning_checks_columns_labels_and_rows(tmp_path: Path) -> None:
    path = put(tmp_path, "less.csv", b"a,kind\n1,normal\n")
    with pytest.raises(SchemaError, match="needed column 'b' missing"):
        next(scan_table(path, SCHEMA))
    good = put(tmp_path, "good.csv", b"a,b\n1,2\n")
    with pytest.raises(SchemaError, match="label column 'kind' missing"):
        next(scan_table(good, SCHEMA, require_labels=True))
    with pytest.raises(SchemaError, match="kept column 'c' missing"):
        next(scan_table(good, SCHEMA, keep=("c",)))
    with pytest.raises(ReadError, match="no rows"):
        list(scan_table(put(tmp_path, "none.csv", HEADER), SCHEMA))
    with pytest.raises(ParameterError, match="batch_rows"):
        next(scan_table(good, SCHEMA, batch_rows=0))


def test_other_types_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "types.parquet"
    pl.DataFrame({"a": ["1", "two"], "b": [1.0, 2.0]}).write_parquet(path)
    with pytest.raises(SchemaError, match="row 2, column 'a': expected a number, got 'two'"):
        list(scan_table(path, SCHEMA))
    pl.DataFrame({"a": [[1], [2]], "b": [1.0, 2.0]}).write_parquet(path)
    with pytest.raises(SchemaError, match="column 'a' must be numeric"):
        list(scan_table(path, SCHEMA))


def test_labels_that_are_not_0_or_1(tmp_path: Path) -> None:
    path = put(tmp_path, "codes.csv", b"a,y\n1,0\n2,1\n3,2\n")
    with pytest.raises(LabelError, match=r"row 3, column 'y'.*got '2'"):
        read_table(path, ColumnRoles(label="y"))
    clash = put(tmp_path, "clash.csv", b"a,kind,y\n1,normal,0\n2,normal,1\n")
    with pytest.raises(LabelError, match="row 2: column 'y' says 1, but column 'kind' says 'normal'"):
        read_table(clash, ColumnRoles(kind="kind", label="y"))


def test_ignored_columns_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="ignored column 'id' missing"):
        read_table(put(tmp_path, "t.csv", GOOD), ColumnRoles(kind="kind", ignore=("id",)))


def test_an_unclosed_quote_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path, "quote.csv", HEADER + b'1,2,"normal\n' + b"1,2,normal\n" * 20)
    with pytest.raises(InputError, match=r"quote\.csv"):
        read_table(path, ROLES)


def test_a_table_of_constants_cannot_be_fitted(tmp_path: Path) -> None:
    table = read_table(put(tmp_path, "flat.csv", HEADER + b"1,,normal\n1,,normal\n2,3,dos\n"), ROLES)
    with pytest.raises(SchemaError, match="every column is constant"):
        TablePreprocessor().fit(table)
