"""Save and load, for every detector."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from unseen.detectors import DETECTORS
from unseen.errors import NotFittedError
from unseen.persistence import load, save
from unseen.references import VIEWS

from .conftest import QUICK

METHODS = ("decision_function", "p_values", "predict", "predict_proba", "explain")
IN_ANOTHER_PROCESS = """
import sys
import numpy as np, torch
from unseen.persistence import load
torch.set_num_threads(1)
X = np.load(sys.argv[1])
for folder in sys.argv[2:]:
    model = load(folder)
    domains = np.resize(["north", "", "east"], len(X))
    scores, explained = model.score_and_explain(X, domains=domains)
    np.savez(folder + ".npz", scores=scores, explained=explained, p=model.p_values(X, domains=domains))
"""


@pytest.mark.parametrize("view", VIEWS)
def test_a_loaded_detector_gives_the_same_bits(make, rows, fresh, view, tmp_path):
    detector = make(view=view, n_references=5).fit(rows.X, rows.y, kinds=rows.kinds, domains=rows.domains)
    detector = detector.adapt(fresh.normals[:8], domains=["north"] * 8)
    loaded = load(save(detector, tmp_path / "model"))
    assert type(loaded) is type(detector)
    assert {key: loaded.get_params()[key] for key in ("view", "seed")} == {"view": view, "seed": 0}
    domains = np.resize(["north", "", "east"], len(fresh.X))
    for method in METHODS:
        expected = getattr(detector, method)(fresh.X, domains=domains)
        np.testing.assert_array_equal(getattr(loaded, method)(fresh.X, domains=domains), expected)
    assert loaded.threshold_ == detector.threshold_
    again = loaded.adapt(fresh.normals[8:16], domains=["south"] * 8)
    expected = detector.adapt(fresh.normals[8:16], domains=["south"] * 8)
    south = ["south"] * len(fresh.X)
    np.testing.assert_array_equal(
        again.decision_function(fresh.X, domains=south), expected.decision_function(fresh.X, domains=south)
    )


def test_a_new_process_gives_the_same_bits(rows, fresh, tmp_path):
    np.save(tmp_path / "rows.npy", fresh.X)
    fitted = {
        name: owner(**QUICK[name]).fit(rows.X, rows.y).adapt(fresh.normals[:8], domains=["north"] * 8)
        for name, owner in DETECTORS.items()
    }
    folders = [str(save(detector, tmp_path / name)) for name, detector in fitted.items()]
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / "rows.npy"), *folders]
    subprocess.run(command, check=True, timeout=120)
    domains = np.resize(["north", "", "east"], len(fresh.X))
    for name, detector in fitted.items():
        scores, explained = detector.score_and_explain(fresh.X, domains=domains)
        with np.load(tmp_path / f"{name}.npz") as other:
            np.testing.assert_array_equal(other["scores"], scores, err_msg=name)
            np.testing.assert_array_equal(other["explained"], explained, err_msg=name)
            p_values = detector.p_values(fresh.X, domains=domains)
            np.testing.assert_array_equal(other["p"], p_values, err_msg=name)


def test_saving_changes_nothing_and_saving_twice_gives_the_same_files(fitted, fresh, tmp_path):
    before = fitted.decision_function(fresh.X)
    first, second = save(fitted, tmp_path / "first"), save(fitted, tmp_path / "second")
    for file in ("manifest.json", "tensors.safetensors"):
        assert (first / file).read_bytes() == (second / file).read_bytes()
    resaved = save(load(first), tmp_path / "third")
    assert (resaved / "tensors.safetensors").read_bytes() == (first / "tensors.safetensors").read_bytes()
    np.testing.assert_array_equal(fitted.decision_function(fresh.X), before)


def test_a_detector_without_calibration_can_be_saved(make, rows, fresh, tmp_path):
    detector = make(calibration_fraction=0).fit(rows.X, rows.y)
    loaded = load(save(detector, tmp_path / "model"))
    assert loaded.calibration_ is None
    loaded.calibrate(fresh.X, fresh.y)
    assert loaded.threshold_ == detector.calibrate(fresh.X, fresh.y).threshold_


def test_an_unfitted_detector_cannot_be_saved(make, tmp_path):
    with pytest.raises(NotFittedError):
        save(make(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
