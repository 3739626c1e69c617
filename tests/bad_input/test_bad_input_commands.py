"""Bad input: every row of docs/bad_input.md, once each, through the command line.

What cannot be used ends with exit code 2 and one line on stderr that names the fault and the place, without a
traceback, and leaves no output. What can be used is used, and said.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from unseen.cli import app

DOCUMENT = Path(__file__).parents[2] / "docs" / "bad_input.md"
FIT = ("--kind-column", "kind", "--normal", "benign", "--no-estimate")

Case = Callable[[Path], None]
CASES: dict[str, Case] = {}


def row(name: str) -> Callable[[Case], Case]:
    """Name the row of the document that a case is about."""

    def keep(case: Case) -> Case:
        assert name not in CASES
        CASES[name] = case
        return case

    return keep


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def frame(n_rows: int = 200, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    kinds = np.where(np.arange(n_rows) % 10 == 0, "flood", "benign")
    return pl.DataFrame({"a": rng.normal(size=n_rows), "b": rng.normal(size=n_rows), "kind": kinds})


def put(folder: Path, name: str, content: bytes | str | pl.DataFrame) -> Path:
    path = folder / name
    if isinstance(content, pl.DataFrame):
        content.write_csv(path) if path.suffix == ".csv" else content.write_parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(result: Any, *words: str) -> None:
    """Exit code 2, one line on stderr with these words, nothing on stdout that looks like a result."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("read ", "note: "))]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("unseen: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0], lines[0]


def good_rows(folder: Path) -> Path:
    return put(folder, "good.csv", frame(seed=1).filter(pl.col("kind") == "benign").head(8))


def fit_refused(folder: Path, file: Path, *words: str, roles: tuple[str, ...] = FIT) -> None:
    refused(command("fit", file, *roles, "--out", folder / "m"), *words)
    assert not (folder / "m").exists()


def fit_done(folder: Path, file: Path) -> Any:
    result = command("fit", file, *FIT, "--out", folder / "m")
    assert result.exit_code == 0, result.output
    return result


def scores_of(folder: Path, file: Path) -> pl.DataFrame:
    out = folder / "scores.parquet"
    result = command("score", folder / "m", file, "--out", out)
    assert result.exit_code == 0, result.output
    scores = pl.read_parquet(out)
    assert scores["score"].is_finite().all()
    return scores


# ------------------------------------------------------------------- files
@row("empty file")
def _(folder: Path) -> None:
    fit_refused(folder, put(folder, "rows.csv", b""), "rows.csv", "empty")


@row("header only")
def _(folder: Path) -> None:
    fit_refused(folder, put(folder, "rows.csv", "a,b,kind\n"), "rows.csv", "no rows")


@row("missing file")
def _(folder: Path) -> None:
    fit_refused(folder, folder / "rows.csv", "rows.csv", "no such file")


@row("directory without table files")
def _(folder: Path) -> None:
    (folder / "rows").mkdir()
    put(folder / "rows", "notes.md", "no table")
    fit_refused(folder, folder / "rows", "rows", "no table file")


@row("CSV that is not UTF-8")
def _(folder: Path) -> None:
    content = frame().write_csv().encode() + b"1,2,Web \x96 Attack\n"
    file = put(folder, "rows.csv", content)
    fit_refused(folder, file, "rows.csv", "not UTF-8", "0x96")
    assert command("fit", file, *FIT, "--encoding", "cp1252", "--out", folder / "m").exit_code == 0
    out = folder / "scores.csv"
    refused(command("score", folder / "m", file, "--out", out), "rows.csv", "not UTF-8")
    told = ("--encoding", "cp1252", "--out", out, "--references", good_rows(folder))
    assert command("score", folder / "m", file, *told).exit_code == 0
    assert len(pl.read_csv(out)) == 201
    refused(command("adapt", folder / "m", file, "--out", folder / "there"), "rows.csv", "not UTF-8")
    told = ("--encoding", "cp1252", "--out", folder / "there")
    refused(command("adapt", folder / "m", file, *told), "labelled as an anomaly")


@row("lines that end with a carriage return alone")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame().write_csv().encode().replace(b"\n", b"\r"))
    fit_refused(folder, file, "rows.csv", "carriage return", "line feeds")


@row("truncated Parquet")
def _(folder: Path) -> None:
    file = put(folder, "rows.parquet", frame())
    file.write_bytes(file.read_bytes()[:-100])
    fit_refused(folder, file, "rows.parquet")


@row("truncated gzip")
def _(folder: Path) -> None:
    content = gzip.compress(frame(5000).write_csv().encode())
    fit_refused(folder, put(folder, "rows.csv.gz", content[: len(content) // 2]), "rows.csv.gz", "truncated")


@row("a quote that is never closed")
def _(folder: Path) -> None:
    text = 'a,b,kind\n1,2,benign\n3,4,"benign\n' + "5,6,benign\n" * 30
    fit_refused(folder, put(folder, "rows.csv", text), "rows.csv", "row 2", "never closed")
    tools = put(folder, "tools.csv", frame().write_csv() + '5" pipe,1,benign\n')
    fit_refused(folder, tools, "row 201", '5" pipe')  # an inch mark is no quote


@row("Excel, JSON and other formats")
def _(folder: Path) -> None:
    fit_refused(folder, put(folder, "rows.xlsx", b"PK\x03\x04 no text"), "rows.xlsx", "CSV or Parquet")
    fit_refused(folder, put(folder, "rows.json", "[]"), "rows.json", "CSV or Parquet")


# ------------------------------------------------------------------ labels
@row("no normals")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    roles = ("--kind-column", "kind", "--normal", "good", "--no-estimate")
    fit_refused(folder, file, "normal", "good", roles=roles)


@row("a single normal")
def _(folder: Path) -> None:
    rows = frame()
    one = pl.concat([rows.filter(pl.col("kind") == "flood"), rows.filter(pl.col("kind") == "benign")[:1]])
    fit_refused(folder, put(folder, "rows.csv", one), "at least 2 normal rows")


@row("all normals in one group")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame().with_columns(day=pl.lit("monday")))
    roles = (*FIT, "--group-column", "day")
    fit_refused(folder, file, "none of the 1 can be spared", "smaller groups", roles=roles)
    fit_refused(folder, file, "none of the 1 can be spared", roles=(*roles, "-d", "mahalanobis"))


@row("one kind only, `fit`")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    result = command("fit", file, *FIT[:4], "--out", folder / "m")
    assert result.exit_code == 0
    assert "it needs at least two known kinds" in result.stdout


@row("one kind only, `evaluate`")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    words = ("--detectors", "mahalanobis", "--jobs", 1, "--out", folder / "e")
    refused(command("evaluate", file, *FIT[:4], *words), "'flood'", "shots=0")


@row("normals only, `evaluate`")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame().with_columns(kind=pl.lit("benign")))
    words = ("--detectors", "mahalanobis", "--jobs", 1, "--out", folder / "e")
    refused(command("evaluate", file, *FIT[:4], *words), "no row is an anomaly")


@row("no such `--contaminants`, or more contamination than there are anomalies")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    words = ("--shots", 0, "--detectors", "mahalanobis", "--jobs", 1, "--out", folder / "e")
    refused(
        command("evaluate", file, *FIT[:4], *words, "--contaminants", "some"),
        "all, known, held-out",
        "'some'",
    )
    refused(command("evaluate", file, *FIT[:4], *words, "--contamination", ".4"), "can be spared", "lower it")


@row("`--suspects` without enough rows, or with another ending")
def _(folder: Path) -> None:
    few = put(folder, "few.csv", frame(18))
    words = ("--out", folder / "m", "--detector", "mahalanobis", "--suspects")
    refused(command("fit", few, *FIT, *words, folder / "list.csv"), "--suspects", "20 rows")
    refused(command("fit", few, *FIT, *words, folder / "list.txt"), "list.txt", ".parquet or .csv")
    assert sorted(path.name for path in folder.iterdir()) == ["few.csv"]


@row("label column missing")
def _(folder: Path) -> None:
    fit_refused(folder, put(folder, "rows.csv", frame().drop("kind")), "rows.csv", "'kind' missing")


@row("a label that is not 0 or 1")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", "a,y\n1,0\n2,1\n3,2\n")
    fit_refused(folder, file, "row 3", "'y'", "'2'", roles=("--label-column", "y"))


# ----------------------------------------------------------------- columns
@row("all-NaN column")
def _(folder: Path) -> None:
    file = put(folder, "rows.parquet", frame().with_columns(hollow=pl.lit(float("nan"))))
    assert "'hollow'" in fit_done(folder, file).stdout
    scores_of(folder, file)


@row("constant column")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame().with_columns(same=pl.lit(3.5)))
    assert "constant or empty over the normals, not used: 'same'" in fit_done(folder, file).stdout
    scores_of(folder, file)


@row("every column constant")
def _(folder: Path) -> None:
    rows = frame().with_columns(a=pl.lit(1.0), b=pl.lit(2.0))
    fit_refused(folder, put(folder, "rows.csv", rows), "every column is constant")


@row("±inf and NaN cells")
def _(folder: Path) -> None:
    rows = frame()
    a = rows["a"].to_numpy().copy()
    a[:3] = [np.inf, -np.inf, np.nan]
    file = put(folder, "rows.parquet", rows.with_columns(a=a))
    fit_done(folder, file)
    scores_of(folder, file)


@row("text in a numeric column")
def _(folder: Path) -> None:
    text = frame().write_csv()
    fit_done(folder, put(folder, "rows.csv", text))
    file = put(folder, "new.csv", text + "oops,1,benign\n")
    refused(
        command("score", folder / "m", file, "--out", folder / "s.parquet"),
        "new.csv",
        "row 201",
        "'a'",
        "oops",
    )
    assert not (folder / "s.parquet").exists()


@row("`--test` that is FILE itself")
def _(folder: Path) -> None:
    file, out = put(folder, "rows.csv", frame()), folder / "out"
    same = folder / "." / "rows.csv"
    roles = ("--kind-column", "kind", "--normal", "benign", "--shots", 0)
    refused(command("evaluate", file, *roles, "--test", same, "--out", out), "is FILE itself")
    assert not out.exists()


@row("`--references` that are FILE itself")
def _(folder: Path) -> None:
    fit_done(folder, put(folder, "rows.csv", frame()))
    good, out = good_rows(folder), folder / "scores.csv"
    refused(command("score", folder / "m", good, "--references", good, "--out", out), "is FILE itself")
    assert not out.exists()


@row("a domain column with empty cells")
def _(folder: Path) -> None:
    told = "normals have no domain"
    roles = (*FIT, "--domain-column", "site", "--out", folder / "m")
    sites = [f"s{i % 6}" for i in range(200)]
    whole = put(folder, "whole.csv", frame().with_columns(site=pl.Series(sites)))
    assert told not in command("fit", whole, *roles).output
    gaps = [None if i % 20 == 1 else site for i, site in enumerate(sites)]
    assert (
        f"10 {told}"
        in command("fit", put(folder, "gaps.csv", frame().with_columns(site=pl.Series(gaps))), *roles).output
    )
    assert "domains: 6" in command("fit", folder / "gaps.csv", *roles).output


@row("percent and currency signs")
def _(folder: Path) -> None:
    rows = frame().with_columns(share=pl.Series([f"{i % 9}.5%" if i % 3 else "7" for i in range(200)]))
    file = put(folder, "rows.csv", rows)
    fit_refused(folder, file, "rows.csv", "row 2", "'share'", "1.5%", "without % or a currency sign")
    money = rows.with_columns(share=pl.Series([f"$ {i % 9}" for i in range(200)]))
    fit_refused(folder, put(folder, "rows.csv", money), "row 1", "'share'", "$ 0")
    assert command("fit", file, *FIT, "--categorical", "share", "--out", folder / "m").exit_code == 0
    names = rows.with_columns(share=pl.Series(["5%" if i % 2 else "half" for i in range(200)]))
    fit_done(folder, put(folder, "rows.csv", names))


@row("many copies of the same normals")
def _(folder: Path) -> None:
    told = "normals repeat another one cell by cell"
    few = frame(40)
    result = fit_done(folder, put(folder, "rows.csv", pl.concat([few] * 5)))
    assert f"144 of 180 {told}" in result.output
    assert told not in fit_done(folder, put(folder, "rows.csv", frame())).output


@row("kind column that is the domain or group column, too")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    for option in ("--domain-column", "--group-column"):
        fit_refused(folder, file, "'kind' says which rows are anomalies", roles=(*FIT, option, "kind"))


@row("text column of dates")
def _(folder: Path) -> None:
    days = [f"2024-01-{1 + i % 4:02d} 08:30:00" for i in range(200)]
    file = put(folder, "rows.csv", frame().with_columns(day=pl.Series(days)))
    assert "dates, lists or bytes are not used: 'day'" in fit_done(folder, file).output
    scores_of(folder, put(folder, "new.csv", frame().drop("kind")))
    told = command("fit", file, *FIT, "--categorical", "day", "--out", folder / "m").output
    assert "not used" not in told
    assert "(3 columns" in told


@row("column that is called label, kind, class, ... and no `--kind-column`")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    result = command("fit", file, "--no-estimate", "--out", folder / "m")
    assert result.exit_code == 0
    assert "'kind' may hold labels and is used as a feature" in result.output
    result = command("fit", file, "--ignore", "kind", "--no-estimate", "--out", folder / "m")
    assert "may hold labels" not in result.output
    assert "all rows are taken as normal" in result.output


@row("column of few values that normals and anomalies never share")
def _(folder: Path) -> None:
    rows = frame(400).with_columns(
        symbol=pl.when(pl.col("kind") == "benign").then(pl.lit("N")).otherwise(pl.lit("V"))
    )
    told = "'symbol': no labelled anomaly has a value that a normal has"
    assert told in fit_done(folder, put(folder, "rows.csv", rows)).output
    mixed = rows.with_columns(symbol=pl.when(pl.col("a") > 0).then(pl.lit("V")).otherwise("symbol"))
    assert told not in fit_done(folder, put(folder, "rows.csv", mixed)).output


@row("`--keep` of lists or structures in a CSV")
def _(folder: Path) -> None:
    rows = frame().with_columns(pair=pl.concat_list("a", "b"))
    file = put(folder, "rows.parquet", rows)
    fit_done(folder, file)
    refused(
        command("score", folder / "m", file, "--keep", "pair", "--out", folder / "scores.csv"),
        "'pair'",
        ".parquet",
    )
    assert not (folder / "scores.csv").exists()
    kept = ("--keep", "pair", "--out", folder / "scores.parquet")
    assert command("score", folder / "m", file, *kept).exit_code == 0
    assert pl.read_parquet(folder / "scores.parquet")["pair"].to_list() == rows["pair"].to_list()


@row("decimal commas")
def _(folder: Path) -> None:
    text = frame().write_csv(separator=";").replace(".", ",")
    fit_refused(folder, put(folder, "rows.csv", text), "row 1", "column 'a'", "decimal point")
    pairs = ("--categorical", "a,b")
    file = folder / "rows.csv"
    result = command("fit", file, *FIT, *pairs, "--out", folder / "m")
    assert "decimal point" not in result.output


@row("10 000-category column")
def _(folder: Path) -> None:
    rows = frame(12_000)
    codes = [f"id{i % 10_000}" for i in range(len(rows))]
    file = put(folder, "rows.parquet", rows.with_columns(code=pl.Series(codes)))
    assert "'code' has" in fit_done(folder, file).stdout
    scores_of(folder, file)


@row("unknown category")
def _(folder: Path) -> None:
    rows = frame().with_columns(colour=pl.Series(["red", "blue"] * 100))
    fit_done(folder, put(folder, "rows.csv", rows))
    scores = scores_of(folder, put(folder, "new.csv", rows.with_columns(colour=pl.lit("green"))))
    assert "colour" in set(scores["top_1"])


@row("column missing when scoring")
def _(folder: Path) -> None:
    fit_done(folder, put(folder, "rows.csv", frame()))
    file = put(folder, "new.csv", frame().drop("b"))
    refused(command("score", folder / "m", file, "--out", folder / "s.parquet"), "new.csv", "'b' missing")


@row("`--domain-column` that the file lacks")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    fit_refused(folder, file, "'place' missing", roles=(*FIT, "--domain-column", "place"))
    fit_done(folder, file)
    place = ("--domain-column", "place")
    refused(command("score", folder / "m", file, "--out", folder / "s.csv", *place), "'place' missing")
    benign = put(folder, "benign.csv", frame().filter(pl.col("kind") == "benign"))
    refused(command("adapt", folder / "m", benign, "--out", folder / "m2", *place), "'place' missing")
    assert not (folder / "s.csv").exists()
    assert not (folder / "m2").exists()


@row("further or reordered columns when scoring")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    fit_done(folder, file)
    moved = frame().select(pl.lit("x").alias("extra"), "kind", "b", "a")
    assert scores_of(folder, put(folder, "new.csv", moved))["score"].equals(scores_of(folder, file)["score"])


@row("`--out` that is a directory")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    fit_done(folder, file)
    (folder / "s.parquet").mkdir()
    refused(command("score", folder / "m", file, "--out", folder / "s.parquet"), "is a directory")


@row("`--out` or `--suspects` that is the input")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    before = file.read_bytes()
    fit_refused(folder, file, "rows.csv", "is the file that is read", roles=(*FIT, "--suspects", str(file)))
    fit_done(folder, file)
    refused(command("score", folder / "m", file, "--out", file), "rows.csv", "is the file that is read")
    (folder / "link.csv").symlink_to(file)
    refused(command("score", folder / "m", file, "--out", folder / "link.csv"), "is the file that is read")
    refused(command("score", folder / "m", folder, "--out", file), "is the file that is read")
    assert file.read_bytes() == before


@row("`--out` of `fit` where no model can be written")
def _(folder: Path) -> None:
    file = put(folder, "rows.csv", frame())
    put(folder, "notes.txt", "precious")
    for place in (folder, folder / "notes.txt", folder / "notes.txt" / "m"):
        result = command("fit", file, *FIT, "--out", place)
        refused(result, "save: ")
        assert "read " not in result.output, "it is known before the table is read"
        refused(command("adapt", folder / "nosuch", file, "--out", place), "save: ")
    assert (folder / "notes.txt").read_text() == "precious"


# ------------------------------------------------------------------ models
def broken_model(folder: Path, damage: Callable[[Path], object], *words: str) -> None:
    file = put(folder, "rows.csv", frame())
    fit_done(folder, file)
    damage(folder / "m")
    refused(command("score", folder / "m", file, "--out", folder / "s.parquet"), *words)
    assert not (folder / "s.parquet").exists()


@row("model directory missing")
def _(folder: Path) -> None:
    broken_model(folder, shutil.rmtree, str(folder / "m"))


@row("model without its manifest")
def _(folder: Path) -> None:
    broken_model(folder, lambda model: (model / "manifest.json").unlink(), "manifest.json")


@row("model without its tensors")
def _(folder: Path) -> None:
    broken_model(folder, lambda model: (model / "tensors.safetensors").unlink(), "tensors.safetensors")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@row("model with a truncated manifest")
def _(folder: Path) -> None:
    broken_model(folder, lambda model: truncate(model / "manifest.json"), "manifest.json")


@row("model with truncated tensors")
def _(folder: Path) -> None:
    broken_model(folder, lambda model: truncate(model / "tensors.safetensors"), "tensors.safetensors")


def rename_class(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["detector"]["name"] = "os.system"
    (model / "manifest.json").write_text(json.dumps(manifest))


@row("model with a hostile file")
def _(folder: Path) -> None:
    broken_model(folder, rename_class, "manifest.json", "os.system")


def raise_version(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["schema_version"] = 99
    (model / "manifest.json").write_text(json.dumps(manifest))


@row("model of an unknown version")
def _(folder: Path) -> None:
    broken_model(folder, raise_version, "manifest.json", "99")


# ------------------------------------------------------------- evaluations
@row("results folder without results")
def _(folder: Path) -> None:
    refused(command("report", folder), "results.json")


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, tmp_path: Path) -> None:
    CASES[name](tmp_path)


def test_the_document_has_a_row_for_each_case_and_no_other() -> None:
    rows = re.findall(
        r"^\| ([^|]+?) \| ", DOCUMENT.read_text(encoding="utf-8").split("\n## Images")[0], flags=re.MULTILINE
    )
    listed = [name for name in rows if name not in ("input", "---")]
    assert listed == list(CASES)
