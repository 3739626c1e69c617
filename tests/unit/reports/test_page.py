"""The page as a whole: complete, valid, self-contained, and safe against what names hold."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from unseen.errors import ReadError
from unseen.evaluation import Results
from unseen.evaluation.results import REQUIRED
from unseen.reports import write_report

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Reader(HTMLParser):
    """Collects elements and text, and insists that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(ordinary: Path) -> Path:
    return write_report(ordinary)


@pytest.fixture(scope="module")
def hostile_page(hostile: Path) -> Path:
    return write_report(hostile)


def test_the_page_lies_beside_the_results(page: Path, ordinary: Path) -> None:
    assert page == ordinary / "report.html"
    names = ["parts", "report.html", "results.json", "results.parquet"]
    assert sorted(path.name for path in ordinary.iterdir()) == names


def test_it_can_be_written_elsewhere(ordinary: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    assert write_report(ordinary, target) == target
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_nothing_is_loaded_from_elsewhere(which: str, request: pytest.FixtureRequest) -> None:
    reader = read(request.getfixturevalue(which))
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "form", "base"}
    ids = {attributes.get("id") for _, attributes in reader.elements}
    for _, attributes in reader.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "xlink:href"):
            target = attributes.get(name)
            if target is not None:
                assert target.startswith(("#", "data:image/png;base64,")), target
            if target is not None and target.startswith("#"):
                assert target[1:] in ids


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_ids_are_unique_and_labels_point_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    reader = read(request.getfixturevalue(which))
    ids = [attributes["id"] for _, attributes in reader.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for _, attributes in reader.elements:
        label = attributes.get("aria-labelledby")
        assert label is None or label in ids


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_figures_are_valid_svg_with_a_title(which: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(which).read_text(encoding="utf-8")
    figures = re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)
    assert len(figures) >= 7
    for figure in figures:
        root = ET.fromstring(figure)
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text


def test_everything_is_there(page: Path) -> None:
    words = read(page).words
    for heading in (
        "Small world",
        "Kind by kind",
        "Curves of the kinds held out",
        "two stages: before and after stage 2",
        "Latent space",
        "False alarms and p-values",
        "Times",
        "All figures",
        "Data and command",
        "How to read this page",
        "unseen evaluate small.csv --out out",
        "nobody, never",
        "small.csv",
        "torch",
        "uses no labels",
        "Expect",
    ):
        assert heading in words, heading


def test_tables_show_the_means_of_the_results(page: Path, ordinary: Path) -> None:
    results = Results.read(ordinary)
    words = read(page).words
    for detector in ("nearest neighbours", "two stages", "ellipse"):
        rows = [row for row in results.select(detector=detector, role="held-out") if row["kind"] == "leak"]
        assert len(rows) == 2
        mean = sum(row["auroc"] for row in rows) / 2
        assert f"{mean:.3f} ±" in words


def test_bands_are_drawn_as_long_as_they_can_be_told_apart(
    page: Path, ordinary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filled(path: Path) -> int:
        return path.read_text(encoding="utf-8").count("FillBetweenPolyCollection")

    assert "the bands reach" in read(page).words
    for module in ("page", "figures.ranking"):
        monkeypatch.setattr(f"unseen.reports.{module}.MOST_BANDS", 2)
    without = write_report(ordinary, tmp_path / "page.html")
    assert "the bands reach" not in read(without).words
    assert 0 <= filled(without) < filled(page)


def test_drifted_normals_are_reported(page: Path) -> None:
    words = read(page).words
    assert "The false-alarm rate does not hold on the test rows." in words
    assert "normals drifted" in words


def test_names_are_text_and_nothing_else(hostile_page: Path) -> None:
    reader = read(hostile_page)
    words = reader.words
    assert "<script>alert('kind')</script>" in words
    assert "<img src=x onerror=alert(1)>" in words
    assert "a&b \"quoted\" 'twice' </svg></style>" in words
    assert "{{ 7 * 7 }}" in words
    assert "$x^{2$ \\frac \ufffd \ufffd[31m new line" in words
    assert "<b>bold</b>" in words
    assert "</title><script>x()</script>" in words
    text = hostile_page.read_text(encoding="utf-8")
    assert "\x00" not in text
    assert "\x1b" not in text


def test_without_parts_the_tables_remain(ordinary: Path, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes((ordinary / "results.json").read_bytes())
    words = read(write_report(tmp_path)).words
    assert "are not beside these results" in words
    assert "Kind by kind" in words
    assert "Curves of the kinds held out" not in words


def bare(**changes: Any) -> dict[str, Any]:
    counts = {"seed": 0, "shots": 5, "references": 0, "n_normal": 9, "n_anomaly": 7}
    names = {"detector": "a", "held_out_kind": "k", "kind": "k", "role": "held-out", "contamination": 0.0}
    return dict.fromkeys(REQUIRED, 0.5) | counts | names | changes


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    content = {"schema": 1, "dataset": {}, "rows": rows}
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_rows_with_no_more_than_the_required_keys_are_enough(tmp_path: Path) -> None:
    words = read(write_report(write_rows(tmp_path, [bare(), bare(seed=1, auroc=None)]))).words
    assert "Expect a to catch kinds nobody labelled at an AUROC of 0.500" in words


def test_without_held_out_kinds_the_page_says_so(tmp_path: Path) -> None:
    rows = [bare(role="known", held_out_kind=None, auroc=0.75)]
    words = read(write_report(write_rows(tmp_path, rows))).words
    assert "No kind was held out" in words
    assert "0.750" in words


def test_of_many_kinds_the_figures_show_the_worst_and_the_tables_all(tmp_path: Path) -> None:
    names = [f"k{i:02}" for i in range(30)]
    rows = [bare(kind=name, held_out_kind=name, auroc=0.5 + i / 100) for i, name in enumerate(names)]
    page = write_report(write_rows(tmp_path, rows))
    assert all(name in read(page).words for name in names)
    assert "Of 30 kinds the figures of this page show the 12 that the best detector catches worst" in (
        read(page).words
    )
    figure = page.read_text(encoding="utf-8").split("<figure>")[1].split("</figure>")[0]
    assert [name for name in names if f">{name}<" in figure] == names[:12]
    few = write_report(write_rows(tmp_path, rows[:12]))
    assert "the figures of this page show" not in read(few).words


def test_varied_settings_become_columns_and_a_figure(tmp_path: Path) -> None:
    rows = [bare(references=k, auroc=0.6 + k / 100, detector=d) for k in (0, 8, 32) for d in ("a", "b")]
    text = write_report(write_rows(tmp_path, rows)).read_text(encoding="utf-8")
    assert "a (32 references)" in text
    assert 'id="figure-trends-title"' in text
    text = write_report(write_rows(tmp_path, rows[:2])).read_text(encoding="utf-8")
    assert "references</th>" not in text
    assert 'id="figure-trends-title"' not in text


def test_contamination_has_a_table_of_what_is_lost(tmp_path: Path) -> None:
    aurocs = {"steep": (0.9, 0.8, 0.5), "flat": (0.85, 0.84, 0.83)}
    rows = [
        bare(detector=name, contamination=share, auroc=value, seed=seed)
        for name, values in aurocs.items()
        for share, value in zip((0.0, 0.05, 0.2), values, strict=True)
        for seed in (0, 1)
    ]
    page = write_report(write_rows(tmp_path, rows))
    words = read(page).words
    assert "Mean AUROC over kinds held out, by the share of anomalies" in words
    assert words.index("flat 0.850 0.840 −0.010 0.830 −0.010 0.020") < words.index(
        "steep 0.900 0.800 −0.100 0.500 −0.300 0.400"
    )
    assert 'id="figure-trends-title"' in page.read_text(encoding="utf-8")
    words = read(write_report(write_rows(tmp_path, rows[:2]))).words
    assert "by the share of anomalies" not in words


def test_contamination_without_held_out_kinds_is_about_known_ones(tmp_path: Path) -> None:
    rows = [bare(role="known", held_out_kind=None, contamination=share) for share in (0.0, 0.1)]
    page = write_report(write_rows(tmp_path, rows))
    assert "Mean AUROC over kinds known, by the share of anomalies" in read(page).words
    assert 'id="figure-trends-title"' in page.read_text(encoding="utf-8")


def test_no_rows_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no row"):
        write_report(write_rows(tmp_path, []))
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(ReadError, match="no such file"):
        write_report(tmp_path / "nowhere")


def test_a_damaged_part_is_named(ordinary: Path, tmp_path: Path) -> None:
    results = Results.read(ordinary)
    key = results.rows[0]["part"]
    (tmp_path / "parts").mkdir()
    (tmp_path / "results.json").write_bytes((ordinary / "results.json").read_bytes())
    (tmp_path / "parts" / f"{key}.json").write_bytes((ordinary / "parts" / f"{key}.json").read_bytes())
    (tmp_path / "parts" / f"{key}.npz").write_bytes(b"PK nothing")
    with pytest.raises(ReadError, match=key):
        write_report(tmp_path)
