"""Files appear under their final name whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from unseen.errors import ReadError
from unseen.pipeline.staging import PARTIAL_SUFFIX, remove_abandoned, scratch, staged


def test_the_result_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.bin"
    with staged(target) as path:
        path.write_bytes(b"content")
        assert not target.exists()
        assert path.parent == target.parent
        assert path.name.endswith(PARTIAL_SUFFIX)
    assert target.read_bytes() == b"content"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_earlier_result(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"earlier")

    def write_half() -> None:
        with staged(target) as path:
            path.write_bytes(b"half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_half()
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_scratch_files_are_gone_afterwards(tmp_path: Path) -> None:
    with scratch(tmp_path / "out.bin") as path:
        path.write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is a directory"), staged(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="abandoned files are recognised by POSIX locks")
def test_partial_files_of_killed_runs_are_removed_and_those_of_running_ones_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    code = (
        "import sys, time; from pathlib import Path; from unseen.pipeline.staging import staged\n"
        "with staged(Path(sys.argv[1])):\n"
        "    print('open', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "open"
        bystander = tmp_path / "out.bin.backup.partial"
        bystander.write_bytes(b"not ours")
        assert remove_abandoned(target) == 0
        other.kill()
        other.wait()
        deadline = time.monotonic() + 10
        while remove_abandoned(target) == 0:
            assert time.monotonic() < deadline
        assert list(tmp_path.iterdir()) == [bystander]
    finally:
        other.kill()
        other.wait()
