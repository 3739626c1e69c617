"""Results to report on: a real evaluation of small tables, once with ordinary and once with hostile names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from unseen.data import Table, TableSchema
from unseen.detectors import AnomalyAwareVAE, BaseDetector, KNearestNeighbours, Mahalanobis
from unseen.evaluation import evaluate
from unseen.protocols import leave_one_kind_out

HOSTILE = (
    "<script>alert('kind')</script>",
    "a&b \"quoted\" 'twice' </svg></style>",
    "$x^{2$ \\frac \x00 \x1b[31m\nnew line",
    "{{ 7 * 7 }} " + "very long name " * 30,
)


def table(kinds: tuple[str, ...], seed: int, shift: float = 0.0, n_normals: int = 400) -> Table:
    """Normals around ``shift``, each kind in a corner of its own."""
    rng = np.random.default_rng(seed)
    names = np.array(["normal"] * n_normals + [kind for kind in kinds for _ in range(40)])
    centres = np.full((len(names), 5), shift)
    for position, kind in enumerate(kinds):
        centres[names == kind, position % 5] += 2.5 + position
    X = rng.normal(size=centres.shape) + centres
    schema = TableSchema(tuple("abcde"), ("numeric",) * 5)
    y = (names != "normal").astype(np.int8)
    return Table(pl.DataFrame(X, schema=list("abcde")), schema, kinds=names, y=y)


def quick_detectors(first: str = "nearest neighbours", second: str = "two stages") -> dict[str, BaseDetector]:
    aware = AnomalyAwareVAE(
        hidden=(8,), latent=3, epochs=5, awareness_epochs=2, lambda_max=1.0, score="stage2"
    )
    return {first: KNearestNeighbours(), second: aware, "ellipse": Mahalanobis()}


def ordinary_results(out: Path) -> Path:
    evaluate(
        table(("burst", "leak", "probe"), 0),
        test=table(("burst", "leak", "probe"), 1, shift=0.9),
        detectors=quick_detectors(),
        splits=partial(leave_one_kind_out, shots=8, seeds=(0, 1)),
        out=out,
        jobs=1,
        dataset={"name": "Small world", "files": ["small.csv"], "citation": "nobody, never"},
        command="unseen evaluate small.csv --out out",
    )
    return out


def hostile_results(out: Path) -> Path:
    evaluate(
        table(HOSTILE, 0),
        detectors=quick_detectors("<img src=x onerror=alert(1)>", "$\\alpha$ & 'co' \"" + "long " * 20),
        splits=partial(leave_one_kind_out, shots=8, seeds=(0,)),
        out=out,
        jobs=1,
        dataset={"name": "<b>bold</b>", "files": ["</title><script>x()</script>"], "notes": ["<i>note</i>"]},
        command="unseen evaluate '<script>' && rm",
    )
    return out


@pytest.fixture(scope="session")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ordinary_results(tmp_path_factory.mktemp("ordinary"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_results(tmp_path_factory.mktemp("hostile"))
