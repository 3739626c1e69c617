"""Rows of the held-out kind change nothing that is fitted: they are scored and measured, no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from unseen.data import Table
from unseen.detectors import DETECTORS, BaseDetector
from unseen.evaluation.prepared import fit_preprocessor, prepare
from unseen.evaluation.running import condition, fit_detector
from unseen.evaluation.settings import Settings
from unseen.protocols import Split, leave_one_kind_out

MakeTable = Callable[..., Table]

SMALL: dict[str, Any] = {
    "epochs": 2,
    "awareness_epochs": 1,
    "n_trees": 10,
    "episodes": 2,
    "inner_steps": 3,
    "outer_steps": 2,
    "width": 8,
    "latent": 4,
    "blocks": 1,
}
SETTINGS = Settings()
ROWS = (
    "train",
    "contaminants",
    "labelled",
    "validation",
    "calibration",
    "calibration_references",
    "references",
    "test",
)


def detector(name: str) -> BaseDetector:
    made = DETECTORS[name]()
    return made.set_params(**{key: SMALL[key] for key in made.get_params() if key in SMALL})


def numbers(value: Any, path: str = "") -> dict[str, Any]:
    """Everything that was learned, as name → array or plain value."""
    if isinstance(value, torch.nn.Module):
        return {
            f"{path}.{name}": tensor.detach().numpy().copy() for name, tensor in value.state_dict().items()
        }
    if isinstance(value, torch.Tensor):
        return {path: value.detach().numpy().copy()}
    if is_dataclass(value) and not isinstance(value, type):
        items = [(field.name, getattr(value, field.name)) for field in fields(value)]
    elif isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = [(str(position), item) for position, item in enumerate(value)]
    else:
        return {path: value}
    return {key: number for name, item in items for key, number in numbers(item, f"{path}.{name}").items()}


def learned(table: Table, split: Split, name: str, file: Path) -> dict[str, Any]:
    preprocessor = fit_preprocessor(table, split, SETTINGS)
    data = prepare(table, [split], SETTINGS, file)
    fitted = fit_detector(detector(name), split, data, table.labels, SETTINGS)
    model = condition(fitted.detector, split, data, table.labels)
    state, arrays = preprocessor.to_state()
    attributes = {key: value for key, value in vars(model).items() if key.endswith("_")}
    return numbers({"preprocessing": state, "statistics": arrays, "model": attributes})


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=key)


def with_nonsense(table: Table, rows: np.ndarray, seed: int) -> Table:
    """The same table with the given rows' features permuted among them, then blown up."""
    shuffled = np.arange(len(table))
    shuffled[rows] = np.random.default_rng(seed).permutation(rows)
    chosen = pl.Series(np.isin(np.arange(len(table)), rows))
    numeric = [
        pl.when(chosen).then(pl.col(name) * 1e4 + 7).otherwise(pl.col(name)).alias(name) for name in "abc"
    ]
    word = pl.when(chosen).then(pl.lit("unheard of")).otherwise(pl.col("word")).alias("word")
    return replace(table, features=table.features[shuffled].with_columns(*numeric, word))


def without(table: Table, split: Split, rows: np.ndarray) -> tuple[Table, Split]:
    """The table without some rows, and the split with the row numbers that the others then have."""
    kept = np.setdiff1d(np.arange(len(table)), rows)
    changes = {
        name: np.searchsorted(kept, old[np.isin(old, kept)])
        for name in ROWS
        for old in [getattr(split, name)]
    }
    codes = split.test_kind_codes[np.isin(split.test, kept)]
    return table.take(kept), replace(split, **changes, test_kind_codes=codes)


@pytest.mark.parametrize("n_domains", [0, 6])
@pytest.mark.parametrize("name", list(DETECTORS))
def test_held_out_rows_change_nothing_that_is_fitted(
    make_table: MakeTable, tmp_path: Path, name: str, n_domains: int
) -> None:
    table = make_table(n_domains=n_domains)
    references = 4 if n_domains else 0
    for split in leave_one_kind_out(table.labels, shots=6, seeds=(3,), references=references):
        rows = np.flatnonzero(table.labels.kinds == split.held_out_kind)
        assert np.isin(rows, split.test).any()
        before = learned(table, split, name, tmp_path / "before.npy")
        after = learned(with_nonsense(table, rows, seed=1), split, name, tmp_path / "after.npy")
        assert_same(before, after)
        fewer, same_split = without(table, split, rows)
        assert_same(before, learned(fewer, same_split, name, tmp_path / "fewer.npy"))


def test_this_test_would_notice_a_leak(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table()
    split = leave_one_kind_out(table.labels, shots=6, seeds=(3,))[0]
    leaking = replace(split, train=np.sort(np.append(split.train, split.test[split.test_kind_codes > 0][:1])))
    rows = np.flatnonzero(table.labels.anomaly)
    before = learned(table, leaking, "mahalanobis", tmp_path / "before.npy")
    after = learned(with_nonsense(table, rows, seed=1), leaking, "mahalanobis", tmp_path / "after.npy")
    with pytest.raises(AssertionError):
        assert_same(before, after)
