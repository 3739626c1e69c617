"""The numbers of the report against figures computed by hand, and against simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from unseen.evaluation import Part, Results
from unseen.metrics.ranking import auroc
from unseen.reports import findings, wording
from unseen.reports.entries import best_entry, kinds_of, make_entries, summarise
from unseen.reports.evidence import FALSE_ALARM_GRID, LEVEL_GRID, digest_of
from unseen.reports.tables import auroc_lines, drift_line
from unseen.scoring.calibration import Calibration


def row(detector: str, kind: str, role: str, seed: int, value: float, held_out: str = "") -> Any:
    return {
        "detector": detector,
        "held_out_kind": kind if role == "held-out" else held_out,
        "kind": kind,
        "role": role,
        "seed": seed,
        "shots": 10,
        "references": 0,
        "contamination": 0.0,
        "n_normal": 50,
        "n_anomaly": 40,
        "auroc": value,
        "recall_at_false_alarm_rate": value / 2,
        "false_alarm_rate": 0.01,
    }


ROWS = [
    row("a", "x", "held-out", 0, 0.80),
    row("a", "x", "held-out", 1, 0.90),
    row("a", "y", "held-out", 0, 0.70),
    row("a", "y", "held-out", 1, 0.60),
    row("b", "x", "held-out", 0, 0.85),
    row("b", "x", "held-out", 1, 0.85),
    row("b", "y", "held-out", 0, 0.50),
    row("b", "y", "held-out", 1, 0.50),
    row("a", "x", "known", 0, 0.90, "y"),
    row("a", "x", "known", 0, 1.00, "z"),
    row("a", "x", "known", 1, 0.99, "y"),
]


def test_summaries_average_a_seed_first() -> None:
    known = summarise(ROWS[8:], "auroc")
    assert known.values == pytest.approx((0.95, 0.99))
    assert known.mean == pytest.approx(0.97)
    assert known.spread == pytest.approx(math.sqrt(2 * 0.02**2))
    assert math.isnan(summarise(ROWS[:1], "auroc").spread)
    assert math.isnan(summarise([], "auroc").mean)


def test_entries_and_the_best_of_them() -> None:
    a, b = make_entries(Results({}, ROWS))
    assert (a.label, b.label) == ("a", "b")
    assert a.mean_over_kinds("held-out", "auroc") == pytest.approx(0.75)
    assert b.mean_over_kinds("held-out", "auroc") == pytest.approx(0.675)
    assert best_entry([b, a]) is a
    assert a.worst_kind("held-out", "auroc") == ("y", pytest.approx(0.65))
    assert b.worst_kind("known", "auroc")[0] == ""


def test_lines_mark_the_best_and_sum_up() -> None:
    lines = auroc_lines(make_entries(Results({}, ROWS)), ["x", "y"], "held-out")
    assert [line.name for line in lines] == ["x", "y", "Mean over kinds", "Worst kind"]
    assert [[cell.text for cell in line.cells] for line in lines] == [
        ["0.850", "0.850"],
        ["0.650", "0.500"],
        ["0.750", "0.675"],
        ["0.650", "0.500"],
    ]
    assert [[cell.best for cell in line.cells] for line in lines][:2] == [[True, True], [True, False]]
    assert lines[0].cells[0].spread == "± 0.071"
    assert lines[0].remark == "40 against 50 normals"
    assert lines[2].total


def test_kinds_follow_their_frequency() -> None:
    results = Results({"kinds": {"normal": 9, "y": 5, "x": 2}}, ROWS)
    assert kinds_of(results, "held-out") == ["y", "x"]
    assert kinds_of(results, "known") == ["x"]


def test_sentences_say_what_was_measured() -> None:
    results = Results({}, ROWS)
    entries = make_entries(results)
    text = findings.headline(entries, [])
    assert (
        "Expect a to catch kinds nobody labelled at an AUROC of 0.750 on average (worst kind: y, 0.650)"
        in text
    )
    assert "it flags 37.5 % of their rows." in text
    assert "The best of 2, a," in findings.caution(entries)
    assert findings.caution(entries[:1]) == ""
    assert "+0.120 on average with a" in findings.cost_of_being_unseen(entries, results)
    unlabelled = Results({}, ROWS, {"detectors": {"a": {"uses_labels": False}}})
    assert "does not use labels" in findings.cost_of_being_unseen(entries, unlabelled)


def part(normal: np.ndarray, anomalous: np.ndarray, calibration_normals: np.ndarray, **changes: Any) -> Part:
    calibration = Calibration.from_scores(
        calibration_normals, np.zeros(len(calibration_normals)), false_alarm_rate=0.05
    )
    scores = np.concatenate([normal, anomalous])
    y = np.repeat([0, 1], [len(normal), len(anomalous)]).astype(np.int8)
    given: dict[str, Any] = {
        "detector": "a",
        "held_out_kind": "x",
        "seed": 0,
        "split": {},
        "scores": scores,
        "p_values": calibration.p_values(scores),
        "y": y,
        "kind_names": ("normal", "x"),
        "kind_codes": y.astype(np.int32),
        "judged": np.ones(len(y), dtype=np.bool_),
        "rows": np.arange(len(y)),
        "n_calibration": len(calibration_normals),
        "threshold": calibration.threshold,
        "false_alarm_threshold": calibration.threshold,
        "stage1_scores": None,
        "stage2_scores": None,
        "latent": None,
        "latent_rows": None,
    }
    return Part(**(given | changes))


def test_curves_enclose_the_auroc() -> None:
    rng = np.random.default_rng(0)
    made = part(rng.normal(size=900), rng.normal(1.2, 1, 300), rng.normal(size=400))
    digest = digest_of(made, 0.05)
    assert digest.curves is not None
    expected = auroc(made.y, made.scores)
    assert np.trapezoid(digest.curves.recall, FALSE_ALARM_GRID) == pytest.approx(expected, abs=2e-3)
    assert digest.scores.auroc == expected
    assert digest.curves.prevalence == 0.25
    assert digest.curves.precision[-1] == pytest.approx(0.25, abs=0.02)
    assert np.all(np.diff(digest.curves.recall) >= 0)


def test_exchangeable_normals_stay_in_the_range_by_chance() -> None:
    rng = np.random.default_rng(1)
    inside, close = 0, 0
    for _ in range(300):
        digest = digest_of(part(rng.normal(size=400), rng.normal(3, 1, 5), rng.normal(size=199)), 0.05)
        found = digest.uniformity
        assert found is not None
        inside += found.low <= found.observed <= found.high
        close += found.distance <= found.chance_distance
    assert 0.93 <= inside / 300 <= 1.0
    assert 0.92 <= close / 300 <= 1.0


@pytest.mark.parametrize(
    ("shift", "scale", "expected", "too_many"),
    [
        (0.0, 1.0, "as it should be", False),
        (1.0, 1.0, "times the alarms asked for", True),
        (-1.5, 1.0, "fewer are caught", False),
        (0.0, 0.0, "fewer are caught", False),
    ],
)
def test_drift_is_named(shift: float, scale: float, expected: str, too_many: bool) -> None:
    rng = np.random.default_rng(2)
    made = part(rng.normal(size=3000) * scale + shift, np.array([9.0]), rng.normal(size=1999))
    entry = make_entries(Results({}, [{**ROWS[0], "false_alarm_rate": 0.05}]))[0]  # type: ignore[typeddict-item]
    line = drift_line(entry, [digest_of(made, 0.05)])
    assert line is not None
    assert expected in line.verdict
    assert line.too_many is too_many
    assert line.drifted is (shift != 0 or scale != 1)
    assert line.n_calibration == "1\u202f999"
    assert line.smallest_p == "0.0005"


def test_too_few_calibration_normals_are_named() -> None:
    rng = np.random.default_rng(3)
    made = part(rng.normal(size=30), np.array([9.0]), rng.normal(size=12))
    entry = make_entries(Results({}, ROWS[:1]))[0]
    line = drift_line(entry, [digest_of(made, 0.01)])
    assert line is not None
    assert line.lowest == "7.7 %"
    assert "too few calibration normals" in line.verdict
    assert drift_line(entry, []) is None


def test_latent_spaces_are_flattened() -> None:
    rng = np.random.default_rng(4)
    axes = np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    flat = rng.normal(size=(60, 2)) * [5, 2]
    scores = rng.normal(size=60)
    made = part(
        scores[:40],
        scores[40:],
        rng.normal(size=20),
        latent=(flat @ axes + 3).astype(np.float32),
        latent_rows=np.arange(60),
    )
    latent = digest_of(made, 0.05).latent
    assert latent is not None
    assert latent.share == pytest.approx(1.0)
    assert latent.n_latent == 5
    distances = np.linalg.norm(latent.points[0] - latent.points[1])
    assert distances == pytest.approx(np.linalg.norm(flat[0] - flat[1]), rel=1e-4)
    assert int(latent.held_out.sum()) == 20


def test_level_grid_reaches_the_whole_sample() -> None:
    rng = np.random.default_rng(5)
    found = digest_of(part(rng.normal(size=50), np.array([3.0]), rng.normal(size=49)), 0.05).uniformity
    assert found is not None
    assert LEVEL_GRID[-1] == 1.0
    assert found.cumulative[-1] == 1.0


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (wording.score, 0.98765, "0.988"),
        (wording.score, math.nan, "–"),
        (wording.percent, 0.01, "1 %"),
        (wording.percent, 0.394, "39.4 %"),
        (wording.percent, 0.0023, "0.23 %"),
        (wording.percent, 0.0, "0 %"),
        (wording.percent, 1.0, "100 %"),
        (wording.percent, 0.001, "0.1 %"),
        (wording.percent, math.nan, "–"),
        (wording.seconds, 0.0042, "4.2 ms"),
        (wording.seconds, 0.042, "42 ms"),
        (wording.seconds, 1.44, "1.4 s"),
        (wording.seconds, 42.4, "42 s"),
        (wording.seconds, 300, "5 min"),
        (wording.seconds, 9000, "2.5 h"),
        (wording.count, 22544, "22\u202f544"),
        (wording.rate, 1_104_321, "1\u202f100\u202f000"),
        (wording.rate, 7.3, "7"),
        (wording.rate, 0.0, "–"),
        (wording.printable, "a\tb\x07c", "a b\ufffdc"),
        (wording.printable, "x" * 61, "x" * 59 + "…"),
    ],
)
def test_wording(function: Any, value: Any, text: str) -> None:
    assert function(value) == text
