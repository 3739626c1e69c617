"""How preprocessing of categories and clipping change detectors without labels, on NSL-KDD.

Three detectors, 10 000 training normals; mean AUROC over the four kinds on the official test file, and on
the attacks of the training file (``development``), which the choice of defaults may look at.

    python benchmarks/preprocessing.py ../shared/data/nsl_kdd
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
from document import markdown, spread, write_block

from references import KINDS, load, splits
from unseen.data import TablePreprocessor
from unseen.detectors import VAE, KNearestNeighbours, Mahalanobis
from unseen.metrics.ranking import auroc

SETTINGS = [(scale, clip) for scale in ("none", "balanced", "standardise") for clip in (10.0, None)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/decisions")
    options = parser.parse_args()
    data = load("nsl-kdd", options.root)
    table, labels = data.table, data.table.labels
    official = np.asarray(data.new["test_rows"])
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for split in splits(data, "nsl-kdd", 0, options.seeds):
        development = np.flatnonzero(labels.anomaly & ~official)
        rows = {"development": np.r_[split.calibration, development], "test": split.test}
        for scale, clip in SETTINGS:
            preprocessor = TablePreprocessor(scale_categories=scale, clip=clip)
            X = preprocessor.fit(table.take(split.train).features).transform(table.take(split.train).features)
            judged = {part: preprocessor.transform(table.take(r).features) for part, r in rows.items()}
            for detector in (KNearestNeighbours(), Mahalanobis(), VAE()):
                detector.set_params(calibration_fraction=0, seed=split.seed).fit(X)
                for part, r in rows.items():
                    scores, kinds = detector.decision_function(judged[part]), labels.kinds[r]
                    per_kind = [
                        auroc(kinds[mine] == kind, scores[mine])
                        for kind in KINDS["nsl-kdd"]
                        if (mine := np.isin(kinds, ["normal", kind])).any()
                    ]
                    setting = f"{scale}, clip {clip}"
                    found[(setting, type(detector).__name__, part)].append(float(np.mean(per_kind)))
    names = [("KNearestNeighbours", "Mahalanobis", "VAE"), ("development", "test")]
    header = [
        "scale_categories, clip",
        *(f"{detector}, {part}" for detector in names[0] for part in names[1]),
    ]
    body = [
        [f"{s}, clip {c}", *(spread(found[(f"{s}, clip {c}", d, p)], 4) for d in names[0] for p in names[1])]
        for s, c in SETTINGS
    ]
    text = markdown(header, body)
    print(text)
    if options.write:
        write_block("decisions/0004-preprocessing-defaults.md", "preprocessing", text)


if __name__ == "__main__":
    main()
