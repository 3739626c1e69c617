"""Peak memory of each detector, each in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "paper"))
from document import markdown

_PEAK = "peak-megabytes"


def memory_table(data: Path, detectors: list[str]) -> str:
    """Return the peak resident memory of fitting on NSL-KDD and scoring its test file.

    Parameters
    ----------
    data : Path
        Folder of the data sets.
    detectors : list of str
        Names.
    """
    base = _peak(data, "nothing")
    lines = []
    for name in detectors:
        peak = _peak(data, name)
        lines.append([name, f"{peak:.0f}", f"{peak - base:.0f}"])
    return markdown(["peak memory, MB", "in all", "above reading the data"], lines)


def _peak(data: Path, name: str) -> float:
    command = [sys.executable, __file__, str(data), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split(_PEAK)[1])


def _measure(data: Path, name: str) -> None:
    import numpy as np
    from adapters import SUPERVISED, UNSUPERVISED, peer
    from data_sets import nsl_kdd

    from unseen.data.preprocessing import TablePreprocessor
    from unseen.detectors import DETECTORS

    one = nsl_kdd(data)[0]
    assert one.test is not None
    split = one.splits(one.table.labels, shots=10, seeds=[0])[0]
    normals = one.table.take(split.train)
    preprocessor = TablePreprocessor().fit(normals, np.zeros(len(normals), dtype=np.int8))
    X, X_test = (preprocessor.transform(table) for table in (one.table.take(split.fit_rows), one.test))
    if name in DETECTORS or name in UNSUPERVISED or name in SUPERVISED:
        model = DETECTORS[name]() if name in DETECTORS else peer(name)
        labels = split.fit_labels(one.table.labels)
        model.fit(X, labels.y, kinds=labels.kinds)
        model.decision_function(X_test)
    print(_PEAK, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _measure(Path(sys.argv[1]), sys.argv[2])
