"""fit, score, adapt, detectors, evaluate and report on small files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_rows import Run, make_rows

from unseen.evaluation import Results

ROLES = ("--kind-column", "kind", "--normal", "benign", "--ignore", "place")


def test_fit_says_what_it_was_made_from(run: Run, rows_file: Path, tmp_path: Path) -> None:
    result = run("fit", rows_file, *ROLES, "--out", tmp_path / "m")
    assert result.exit_code == 0, result.output
    assert "360 rows, 3 columns" in result.stdout
    assert "known kinds: high 30, odd 30" in result.stdout
    assert "expect to catch kinds you have not labelled at about AUROC" in result.stdout
    for kind in ("high", "odd"):
        line = next(line for line in result.stdout.splitlines() if f"{kind} left out: AUROC" in line)
        assert re.search(
            r"AUROC (\.\d\d|1\.00) \(\.\d\d-(\.\d\d|1\.00)\), \d+% of 30 rows flagged \(\d+%-\d+%\)$", line
        )
    assert "note: labels raise scores" in result.stdout or "note: labels change no score" in result.stdout
    assert "the smallest is 0.016" in result.stdout
    assert (tmp_path / "m" / "manifest.json").is_file()


def test_fit_as_json(run: Run, rows_file: Path, tmp_path: Path) -> None:
    result = run(
        "fit", rows_file, *ROLES, "--out", tmp_path / "m", "--json", "-d", "mahalanobis", "--seed", 5
    )
    values = json.loads(result.stdout)
    assert values["detector"] == "mahalanobis"
    assert values["kinds"] == {"high": 30, "odd": 30}
    assert 0.9 < values["estimate"]["auroc"] <= 1
    assert [item["kind"] for item in values["estimate"]["kinds"]] == ["high", "odd"]


@pytest.mark.parametrize("name", ["first.csv", "first.parquet"])
def test_fit_lists_the_rows_to_look_at_first(run: Run, tmp_path: Path, name: str) -> None:
    frame = make_rows(0)
    hidden = (frame["kind"] == "odd").to_numpy()
    frame = frame.with_columns(
        c=pl.when(pl.col("kind") == "odd").then(6.0).otherwise("c"),
        kind=pl.col("kind").replace("odd", "benign"),
    )
    frame.write_csv(tmp_path / "dirty.csv")
    listed, model = tmp_path / name, tmp_path / "m"
    result = run(
        "fit", tmp_path / "dirty.csv", *ROLES, "--out", model, "--suspects", listed, "--no-estimate", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["suspects"]
    assert (found["n_checked"], found["detector"]) == (330, "isolation-forest")
    read = pl.read_csv if name.endswith("csv") else pl.read_parquet
    rows = read(listed)
    assert len(rows) == 100
    assert rows["row"][:5].to_list() == found["first_rows"]
    assert hidden[rows["row"][:30].to_numpy()].mean() > 0.6
    assert set(rows["top_1"][:10]) <= {"a", "b", "c"}


def test_fit_says_how_many_rows_look_anomalous(run: Run, rows_file: Path, tmp_path: Path) -> None:
    said = run("fit", rows_file, *ROLES, "--out", tmp_path / "a").output
    assert "look at these first: rows " in said
    assert (
        "look at these first"
        not in run("fit", rows_file, *ROLES, "--out", tmp_path / "b", "--no-estimate").output
    )


def test_parameters_reach_the_detector(run: Run, rows_file: Path, tmp_path: Path) -> None:
    from unseen.persistence import load

    result = run(
        "fit", rows_file, *ROLES, "--out", tmp_path / "m", "--set", "n_neighbours=2",
        "--detector", "k-nearest-neighbours", "--set", "aggregation=kth", "--set", "max-bank-rows=none",
        "--calibration-fraction", ".4",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    detector = load(tmp_path / "m").detector
    assert (detector.n_neighbours, detector.aggregation, detector.max_bank_rows) == (2, "kth", None)
    assert detector.calibration_fraction == 0.4


def test_label_column_instead_of_kinds(run: Run, tmp_path: Path) -> None:
    rows = make_rows(0).with_columns(bad=(pl.col("kind") != "benign").cast(pl.Int8)).drop("kind")
    rows.write_parquet(tmp_path / "rows.parquet")
    result = run(
        "fit", tmp_path / "rows.parquet", "--label-column", "bad", "--ignore", "place",
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "known kinds: anomaly 60" in result.stdout
    assert "needs at least two known kinds" in result.stdout


def test_score_and_read_back(run: Run, model: Path, new_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    result = run("score", model, new_file, "--out", out, "--keep", "kind,place")
    assert result.exit_code == 0, result.output
    assert "scored 360 rows" in result.stdout
    scores = pl.read_parquet(out)
    caught = scores.group_by("kind").agg(pl.col("flagged").mean()).to_dict(as_series=False)
    share = dict(zip(caught["kind"], caught["flagged"], strict=True))
    assert share["high"] == share["odd"] == 1
    assert share["benign"] < 0.15


def test_of_a_single_row_nothing_is_said_about_drift(run: Run, model: Path, tmp_path: Path) -> None:
    row, out = tmp_path / "row.parquet", tmp_path / "scores.csv"
    make_rows(1)[:1].write_parquet(row)
    result = run("score", model, row, "--out", out)
    assert "scored 1 row in" in result.stdout
    assert "p-values" not in result.stdout
    assert pl.read_csv(out).height == 1


def test_drifted_rows_ask_for_references_or_for_more_of_them(run: Run, model: Path, tmp_path: Path) -> None:
    rows, few, out = tmp_path / "rows.parquet", tmp_path / "few.parquet", tmp_path / "scores.csv"
    moved = make_rows(1).with_columns(pl.col("a") + 3).filter(pl.col("kind") == "benign")
    moved[:100].write_parquet(rows)
    make_rows(2)[:1].with_columns(kind=pl.lit("benign")).write_parquet(few)
    alone = run("score", model, rows, "--out", out).stdout
    assert "adapt to references of this place, or fit again" in alone
    adapted = run("score", model, rows, "--out", out, "--references", few).stdout
    assert "give more references, or fit again" in adapted


def test_score_as_json(run: Run, model: Path, new_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    result = run("score", model, new_file, "--out", out, "--fdr", ".3", "--json", "--top-features", 0)
    values = json.loads(result.stdout)
    assert values["n_rows"] == 360
    assert values["n_flagged"] == int(pl.read_csv(out)["flagged"].sum())
    assert "Benjamini-Hochberg" in values["rule"]


def test_scores_equal_those_of_a_new_process(run: Run, model: Path, new_file: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    run("score", model, new_file, "--out", here)
    subprocess.run(
        [sys.executable, "-m", "unseen.cli", "score", str(model), str(new_file), "--out", str(there)],
        check=True,
        capture_output=True,
    )
    assert pl.read_parquet(here).equals(pl.read_parquet(there))


def test_adapt_and_references_agree(run: Run, model: Path, new_file: Path, tmp_path: Path) -> None:
    references = tmp_path / "references.parquet"
    make_rows(2).filter(pl.col("kind") == "benign")[:40].write_parquet(references)
    adapted = run("adapt", model, references, "--out", tmp_path / "adapted", "--domain-column", "place")
    assert adapted.exit_code == 0, adapted.output
    assert "40 references for 2 domains; unseen: rows of their domain are scored as res" in adapted.stdout
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    first = run("score", tmp_path / "adapted", new_file, "--out", one, "--domain-column", "place")
    second = run(
        "score", model, new_file, "--out", two, "--references", references, "--domain-column", "place"
    )
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert "references for 2 domains" in second.stdout
    np.testing.assert_array_equal(pl.read_parquet(one)["score"], pl.read_parquet(two)["score"])
    plain = tmp_path / "plain.parquet"
    run("score", model, new_file, "--out", plain)
    assert not pl.read_parquet(plain)["score"].equals(pl.read_parquet(one)["score"])


def test_columns_that_only_anomalies_move_are_named_and_can_be_used(run: Run, tmp_path: Path) -> None:
    """A counter that is 0 in all normals is no scale; the note says how its values count all the same."""
    odd = pl.col("kind") == "odd"
    for name, seed in (("rows.csv", 0), ("new.csv", 1)):
        make_rows(seed).with_columns(
            b=pl.when(odd).then(pl.col("b") - 6).otherwise("b"),  # as normals are
            wrong=pl.when(odd).then(pl.int_range(pl.len()) % 3 + 1).otherwise(0),
            same=pl.lit(7),
        ).write_csv(tmp_path / name)
    fit = ("fit", tmp_path / "rows.csv", *ROLES, "--no-estimate")
    plain = run(*fit, "--out", tmp_path / "m1")
    assert plain.exit_code == 0, plain.output
    assert "not used: 'wrong', 'same'" in plain.stdout
    note = "in columns that are constant over these: 'wrong' (30 rows); --categorical wrong makes such"
    assert note in " ".join(plain.stdout.split())
    used = run(*fit, "--out", tmp_path / "m2", "--categorical", "wrong")
    assert "constant over these" not in used.stdout
    caught = []
    for model in ("m1", "m2"):
        out = tmp_path / f"{model}.parquet"
        scored = run("score", tmp_path / model, tmp_path / "new.csv", "--out", out, "--keep", "kind")
        assert scored.exit_code == 0, scored.output
        caught.append(pl.read_parquet(out).filter(odd)["flagged"].mean())
    assert caught[0] < 0.2
    assert caught[1] == 1.0


def test_references_need_no_column_that_says_they_are_normal(
    run: Run, model: Path, new_file: Path, tmp_path: Path
) -> None:
    """A few rows known to be normal come as they are; the same rows with their kinds give the same model."""
    normals = make_rows(2).filter(pl.col("kind") == "benign")[:40]
    told, plain = tmp_path / "told.csv", tmp_path / "plain.csv"
    normals.write_csv(told)
    normals.drop("kind", "place").write_csv(plain)
    scores = []
    for references in (told, plain):
        adapted = run("adapt", model, references, "--out", tmp_path / references.stem)
        assert adapted.exit_code == 0, adapted.output
        out = tmp_path / f"{references.stem}.parquet"
        result = run("score", tmp_path / references.stem, new_file, "--out", out)
        assert result.exit_code == 0, result.output
        assert "domains without references" not in result.stdout  # rows without a domain have these
        scores.append(pl.read_parquet(out)["score"])
    assert scores[0].equals(scores[1])
    once = tmp_path / "once.parquet"
    assert run("score", model, new_file, "--references", plain, "--out", once).exit_code == 0
    assert pl.read_parquet(once)["score"].equals(scores[0])


def test_a_domain_column_that_is_named_must_be_there(
    run: Run, model: Path, new_file: Path, tmp_path: Path
) -> None:
    references = tmp_path / "references.parquet"
    make_rows(2).filter(pl.col("kind") == "benign")[:40].drop("place").write_parquet(references)
    scored = run("score", model, new_file, "--out", tmp_path / "s.csv", "--domain-column", "plaec")
    assert scored.exit_code == 2
    assert "domain column 'plaec' missing; did you mean 'place'?" in scored.stderr
    for command in (
        ("adapt", model, references, "--out", tmp_path / "m"),
        ("score", model, new_file, "--out", tmp_path / "s.csv", "--references", references),
    ):
        result = run(*command, "--domain-column", "place")
        assert result.exit_code == 2
        assert "references.parquet: domain column 'place' missing; it has" in result.stderr
    assert not (tmp_path / "s.csv").exists()
    assert not (tmp_path / "m").exists()


def test_references_that_change_nothing_are_said_to(run: Run, rows_file: Path, tmp_path: Path) -> None:
    benign = tmp_path / "benign.csv"
    make_rows(2).filter(pl.col("kind") == "benign")[:20].write_csv(benign)
    run("fit", rows_file, *ROLES, "--out", tmp_path / "m", "-d", "isolation-forest", "--set", "n_trees=10")
    result = run("adapt", tmp_path / "m", benign, "--out", tmp_path / "m2")
    assert "references change nothing" in result.stdout


def test_an_anomaly_among_references_is_refused(
    run: Run, model: Path, rows_file: Path, tmp_path: Path
) -> None:
    result = run("adapt", model, rows_file, "--out", tmp_path / "m2")
    assert result.exit_code == 2
    assert "references must be normal" in result.stderr
    assert not (tmp_path / "m2").exists()


def test_view_chosen_on_domains(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = []
    for number in range(5):
        rows = make_rows(number, 60, 6).with_columns(place=pl.lit(f"p{number}"))
        shift = rng.normal(size=3) * 20
        parts.append(rows.with_columns(**{name: pl.col(name) + shift[i] for i, name in enumerate("abc")}))
    pl.concat(parts).write_parquet(tmp_path / "rows.parquet")
    result = run(
        "fit", tmp_path / "rows.parquet", "--kind-column", "kind", "--normal", "benign", "--no-estimate",
        "--domain-column", "place", "--view", "auto", "--out", tmp_path / "m", "-d", "isolation-forest",
        "--set", "n_trees=20",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith("view: "))
    assert "raw by" not in line
    assert "mean AUROC of the known kinds" in line
    assert "domains: 5" in result.stdout


def test_detectors_lists_the_catalogue(run: Run) -> None:
    from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS

    shown = run("detectors").stdout
    listed = json.loads(run("detectors", "--json").stdout)
    for kind, catalogue in (("tables", DETECTORS), ("pictures", IMAGE_DETECTORS)):
        mine = [row for row in listed if row["input"] == kind]
        assert [row["name"] for row in mine] == list(catalogue)
        assert sum(row["default"] for row in mine) == 1
    assert all(row["name"] in shown and row["description"] in shown for row in listed)
    assert all(row["description"].endswith(".") and row["reference_use"] for row in listed)


@pytest.fixture
def evaluated(run: Run, rows_file: Path, tmp_path: Path) -> tuple[Path, str]:
    out = tmp_path / "evaluation"
    result = run(
        "evaluate", rows_file, *ROLES, "--detectors", "k-nearest-neighbours,mahalanobis", "--shots", 5,
        "--seeds", 2, "--jobs", 1, "--out", out, "--set", "k-nearest-neighbours.n_neighbours=3",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out, result.stdout


def test_evaluate_prints_kinds_held_out_and_known(evaluated: tuple[Path, str]) -> None:
    out, printed = evaluated
    assert "AUROC on kinds held out" in printed
    assert "AUROC on kinds that were known" in printed
    assert "±" in printed
    assert {path.name for path in out.iterdir()} >= {"results.json", "results.parquet", "report.html"}
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert {row["detector"] for row in rows} == {"k-nearest-neighbours", "mahalanobis"}
    assert {row["held_out_kind"] for row in rows} == {"high", "odd"}


def test_evaluate_goes_on_where_it_stopped(run: Run, evaluated: tuple[Path, str], rows_file: Path) -> None:
    out, _ = evaluated
    again = run(
        "evaluate", rows_file, *ROLES, "--detectors", "k-nearest-neighbours,mahalanobis", "--shots", 5,
        "--seeds", 2, "--jobs", 1, "--out", out, "--set", "k-nearest-neighbours.n_neighbours=3", "--json",
    )  # fmt: skip
    assert "8 trials, 8 of them finished by an earlier run" in again.stderr
    assert len(json.loads(again.stdout)["rows"]) == 16


def test_report_is_made_again(run: Run, evaluated: tuple[Path, str]) -> None:
    out, _ = evaluated
    (out / "report.html").unlink()
    result = run("report", out)
    assert result.exit_code == 0, result.output
    assert (out / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_grid_of_settings(run: Run, rows_file: Path, tmp_path: Path) -> None:
    result = run(
        "evaluate", rows_file, "--kind-column", "kind", "--normal", "benign", "--domain-column", "place",
        "--detectors", "mahalanobis", "--shots", "0,5", "--references", "0,8", "--contamination", "0,.1",
        "--seeds", 1, "--held-out", "odd", "--natural", "--jobs", 1, "--out", tmp_path / "e", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    found = {(row["shots"], row["references"], row["contamination"]) for row in rows}
    assert found == {(s, r, c) for s in (0, 5) for r in (0, 8) for c in (0, 0.1)}
    assert {row["held_out_kind"] for row in rows} == {"odd"}


def test_contaminants_of_all_kinds_or_of_known_ones(run: Run, rows_file: Path, tmp_path: Path) -> None:
    for source in ("all", "known"):
        out = tmp_path / source
        result = run(
            "evaluate", rows_file, *ROLES, "--detectors", "k-nearest-neighbours", "--shots", 4,
            "--contamination", "0,.1", "--contaminants", source, "--seeds", 1, "--jobs", 1, "--out", out,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        results = Results.read(out)
        assert {row["contamination"] for row in results.rows} == {0, 0.1}
        assert results.dataset["contaminants"] == source
        page = (out / "report.html").read_text()
        assert "Drop, first to last" in page
        assert ("nothing has met the kind held out" in page) == (source == "known")


def test_many_kinds_are_counted_rather_than_listed(run: Run, tmp_path: Path) -> None:
    frame = make_rows(0, n_normal=200, n_kind=10)
    many = frame.with_columns(
        kind=pl.when(pl.col("kind") == "benign")
        .then("kind")
        .otherwise(pl.format("odd-{}", pl.int_range(pl.len())))
    )
    many.write_csv(tmp_path / "many.csv")
    fitted = run("fit", tmp_path / "many.csv", *ROLES, "--out", tmp_path / "m", "-d", "mahalanobis")
    assert fitted.exit_code == 0, fitted.output
    assert "and 8 more" in fitted.stdout
    assert "no estimate for unlabelled kinds: it needs at least two known kinds" in fitted.stdout
    silent = run(
        "fit", tmp_path / "many.csv", *ROLES, "--out", tmp_path / "m", "-d", "mahalanobis", "--no-estimate"
    )
    assert "no estimate" not in silent.stdout


def test_evaluate_prints_the_extremes_of_many_kinds(run: Run, tmp_path: Path) -> None:
    frame = make_rows(0, n_normal=200, n_kind=18)
    split = pl.format("{}-{}", "kind", pl.int_range(pl.len()) % 6)
    many = frame.with_columns(kind=pl.when(pl.col("kind") == "benign").then("kind").otherwise(split))
    many.write_csv(tmp_path / "many.csv")
    found = run(
        "evaluate", tmp_path / "many.csv", *ROLES, "--out", tmp_path / "e", "--detectors", "mahalanobis",
        "--shots", 0, "--seeds", 1, "--jobs", 1,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "AUROC on kinds held out: 12" in found.stdout
    line = next(line for line in found.stdout.splitlines() if "mahalanobis" in line)
    mean, lowest, kind, highest = line.split()[1:]
    assert 0.5 < float(lowest) <= float(mean) <= float(highest) <= 1
    assert kind.startswith(("high-", "odd-"))
