"""LHCO2020: one pandas frame in HDF5."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from unseen.data.datasets import read_dataset
from unseen.data.datasets.lhco2020 import FEATURES, FILE
from unseen.errors import LabelError, MissingExtraError, ReadError

pandas = pytest.importorskip("pandas")
pytest.importorskip("tables")

COLUMNS = [
    "pxj1", "pyj1", "pzj1", "mj1", "tau1j1", "tau2j1", "tau3j1",
    "pxj2", "pyj2", "pzj2", "mj2", "tau1j2", "tau2j2", "tau3j2",
    "label",
]  # fmt: skip


def write_events(path: Path, labels: np.ndarray, columns: list[str] = COLUMNS) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = np.random.default_rng(0).normal(size=(len(labels), len(columns)))
    matrix[:, -1] = labels
    pandas.DataFrame(matrix, columns=columns).to_hdf(path, key="df", mode="w", complib="blosc", complevel=1)
    return matrix


def test_features_and_signal(tmp_path: Path) -> None:
    matrix = write_events(tmp_path / FILE, np.array([0.0, 1, 0, 0]))
    tables = read_dataset("lhco2020", tmp_path)
    assert tables.test is None
    assert tables.train.kinds.tolist() == ["normal", "signal", "normal", "normal"]
    assert len(FEATURES) == 14
    np.testing.assert_array_equal(tables.train.features.select(COLUMNS[:-1]).to_numpy(), matrix[:, :-1])


def test_a_draw_has_equal_shares(tmp_path: Path) -> None:
    write_events(tmp_path / FILE, np.repeat([0.0, 1.0], [1000, 100]))
    tables = read_dataset("lhco2020", tmp_path, max_rows_per_file=60)
    assert (tables.train.y == 1).sum() == 30
    assert tables.info.rows_in_files == 1100


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"features\.h5 is missing.*Zenodo"):
        read_dataset("lhco2020", tmp_path)
    (tmp_path / FILE).write_bytes(b"not an HDF5 file")
    with pytest.raises(ReadError, match="cannot be read"):
        read_dataset("lhco2020", tmp_path)
    write_events(tmp_path / FILE, np.array([0.0, 1.0]), COLUMNS[1:])
    with pytest.raises(ReadError, match="no column 'pxj1'"):
        read_dataset("lhco2020", tmp_path)
    write_events(tmp_path / FILE, np.array([0.0, 2.0]))
    with pytest.raises(LabelError, match="got 2"):
        read_dataset("lhco2020", tmp_path)


def test_without_pytables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name.partition(".")[0] == "tables":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"unseen\[hdf5\]"):
        read_dataset("lhco2020", tmp_path)
