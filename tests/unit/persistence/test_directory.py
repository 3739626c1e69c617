"""A directory is replaced as a whole, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unseen.detectors import KNearestNeighbours
from unseen.errors import InputError
from unseen.persistence import directory, load, save
from unseen.persistence.directory import current, replace_directory

WRITER = """
import runpy, sys
from pathlib import Path
replace_directory = runpy.run_path(sys.argv[2])["replace_directory"]
target, n = Path(sys.argv[1]), 0
while True:
    n += 1
    replace_directory(target, {name: b"%08d" % n * 4000 for name in ("a", "b", "c")})
    if n == 1:
        print("ready", flush=True)
"""


def contents(path: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in current(path).iterdir()}


def test_a_directory_is_made_with_its_parents_and_replaced(tmp_path):
    target = tmp_path / "deep" / "er" / "model"
    replace_directory(target, {"a": b"1", "b": b"2"})
    replace_directory(target, {"a": b"3"})
    assert contents(target) == {"a": b"3"}
    assert [item.name for item in target.parent.iterdir()] == ["model"]


def test_permissions_are_those_of_any_new_directory(tmp_path):
    replace_directory(tmp_path / "model", {"a": b"1"})
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("step", ["_write", "_flush_directory", "_swap"])
def test_a_failure_leaves_the_old_one(tmp_path, monkeypatch, step):
    target = tmp_path / "model"
    replace_directory(target, {"a": b"old"})

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory, step, fail)
    with pytest.raises(OSError, match=r"No space"):
        replace_directory(target, {"a": b"new"})
    assert contents(target) == {"a": b"old"}
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_a_failure_between_the_renames_puts_the_old_one_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    replace_directory(target, {"a": b"old"})
    rename = Path.rename

    def failing(self, to):
        if ".saving-" in self.name:
            raise OSError(5, "Input/output error")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match=r"Input/output"):
        replace_directory(target, {"a": b"new"})
    assert contents(target) == {"a": b"old"}
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_every_state_a_killed_process_can_leave_is_found_and_cleared(tmp_path):
    target = tmp_path / "model"
    replace_directory(target, {"a": b"old"})
    target.rename(tmp_path / ".model.previous")  # killed between the two renames
    (tmp_path / ".model.saving-1-ab").mkdir()
    assert contents(target) == {"a": b"old"}
    replace_directory(target, {"a": b"new"})
    assert contents(target) == {"a": b"new"}
    (tmp_path / ".model.previous").mkdir()  # killed before the old one was removed
    assert contents(target) == {"a": b"new"}
    os.utime(tmp_path / ".model.saving-1-ab", (0, 0))
    replace_directory(target, {"a": b"newer"})
    assert contents(target) == {"a": b"newer"}
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_leftovers_of_another_name_are_let_be(tmp_path):
    other = tmp_path / ".model2.saving-1-ab"
    other.mkdir()
    os.utime(other, (0, 0))
    replace_directory(tmp_path / "model", {"a": b"1"})
    replace_directory(tmp_path / "m*", {"a": b"1"})
    assert other.is_dir()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_writer_leaves_a_whole_directory(tmp_path):
    """Killed at random moments, twenty times: what counts is always one whole version."""
    target = tmp_path / "model"
    random = np.random.default_rng(0)
    for _ in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target), str(directory.__file__)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(random.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = contents(target)
        assert set(found) == {"a", "b", "c"}
        assert len(set(found.values())) == 1
        assert len(found["a"]) == 32_000


def test_load_finds_the_model_whose_replacement_was_interrupted(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2))
    detector = KNearestNeighbours().fit(X)
    folder = save(detector, tmp_path / "model")
    folder.rename(tmp_path / ".model.previous")
    loaded = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.decision_function(X), detector.decision_function(X))
    save(KNearestNeighbours(n_neighbours=2).fit(X), folder)
    assert load(folder).get_params()["n_neighbours"] == 2
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_while_saving_leaves_the_old_model(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(30, 2))
    folder = save(KNearestNeighbours(n_neighbours=2).fit(X), tmp_path / "model")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory, "_write", full)
    with pytest.raises(InputError, match=r"No space left"):
        save(KNearestNeighbours(n_neighbours=3).fit(X), folder)
    assert load(folder).get_params()["n_neighbours"] == 2
