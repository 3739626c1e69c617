"""Reading results back, and plain JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.errors import ReadError
from unseen.evaluation import Results
from unseen.evaluation.files import plain, write_json
from unseen.evaluation.results import REQUIRED

ROW: dict[str, Any] = dict.fromkeys(REQUIRED, 0) | {
    "detector": "a",
    "kind": "k",
    "held_out_kind": "k",
    "role": "known",
}


def test_rows_come_back(tmp_path: Path) -> None:
    results = Results({"name": "x"}, [ROW | {"auroc": 0.25}, ROW | {"threshold": math.inf}], {"command": "c"})  # type: ignore[list-item]
    results.write(tmp_path)
    again = Results.read(tmp_path)
    assert again.dataset == {"name": "x"}
    assert again.run == {"command": "c"}
    assert again.rows[0] == ROW | {"auroc": 0.25}
    assert again.rows[1]["threshold"] is None
    assert again.frame()["auroc"].to_list() == [0.25, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "cannot be read"),
        ("[]", "JSON object"),
        ({"schema": 2, "dataset": {}, "rows": []}, "schema must be 1, got 2"),
        ({"schema": 1, "dataset": {}}, "list 'rows'"),
        ({"schema": 1, "dataset": {}, "rows": [3]}, "row 0 must be an object"),
        ({"schema": 1, "dataset": {}, "rows": [ROW, {"detector": "a"}]}, "row 1 lacks held_out_kind"),
        ({"schema": 1, "dataset": {}, "rows": [ROW | {"role": "both"}]}, "role 'both'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=message) as caught:
        Results.read(tmp_path)
    assert "results.json" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int16(3), 3),
        (np.array([[1, 2]]), [[1, 2]]),
        (math.nan, None),
        (-math.inf, None),
        ((1, "a"), [1, "a"]),
        ({2: Path("a/b")}, {"2": "a/b"}),
        ({"b", "a"}, ["a", "b"]),
        (range(2), "range(0, 2)"),
        (True, True),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_json_is_strict_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json(target, {"é": [math.nan, 1]})
    assert json.loads(target.read_text(encoding="utf-8")) == {"é": [None, 1]}
    with pytest.raises(UnicodeEncodeError):
        write_json(target, {"broken": "\ud800"})
    assert json.loads(target.read_text(encoding="utf-8")) == {"é": [None, 1]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
