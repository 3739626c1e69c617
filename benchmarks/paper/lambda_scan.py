"""The λ scan (Fig. 5 of the anomaly awareness paper), for kinds that the penalty was not given.

NSL-KDD, ten labelled rows of each kind but one; the AUROC of the kind left out, on the official test file,
against λ_max, with the paper's score and with the guarded one. λ = 0 is stage 1 alone.

    python benchmarks/paper/lambda_scan.py ../shared/data/nsl_kdd
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from document import markdown, spread, write_block

from unseen.data import ColumnRoles, TablePreprocessor, concat, read_table
from unseen.detectors import AnomalyAwareVAE
from unseen.metrics.ranking import auroc
from unseen.protocols import leave_one_kind_out

LAMBDAS = (0.0, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/methods")
    options = parser.parse_args()
    roles = ColumnRoles(kind="family", normal=("normal",), ignore=("attack", "difficulty", "attack_in_train"))
    train = read_table(options.root / "train_20percent.parquet", roles)
    test = read_table(options.root / "test.parquet", roles, schema=train.schema)
    table = concat([train, test])
    official = np.r_[np.zeros(len(train), dtype=bool), np.ones(len(test), dtype=bool)]
    labels = table.labels
    splits = leave_one_kind_out(
        labels, shots=10, seeds=range(options.seeds), test_rows=official, max_normals=10_000
    )
    found: dict[tuple[str, float], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for split in splits:
        preprocessor = TablePreprocessor().fit(table.take(split.train).features)
        X = preprocessor.transform(table.take(split.fit_rows).features)
        known = split.fit_labels(labels)
        kind = str(split.held_out_kind)
        judged = split.test_of(kind)
        X_test, y = preprocessor.transform(table.take(judged).features), labels.y[judged]
        for weight in LAMBDAS:
            detector = AnomalyAwareVAE(lambda_max=weight, calibration_fraction=0, seed=split.seed)
            detector.fit(X, known.y, kinds=known.kinds)
            found[("stage2", weight)][kind].append(auroc(y, detector.stage2_scores(X_test)))
            found[("guarded", weight)][kind].append(auroc(y, detector.decision_function(X_test)))
        print(f"{kind}, seed {split.seed}: done", flush=True)
    kinds = sorted({str(split.held_out_kind) for split in splits})
    rows = [
        [
            f"{rule}, λ_max {weight:g}",
            *(spread(values[k], 3) for k in kinds),
            spread(np.mean([values[k] for k in kinds], axis=0).tolist(), 4),
        ]
        for (rule, weight), values in sorted(
            found.items(), reverse=True, key=lambda item: (item[0][0], -item[0][1])
        )
    ]
    text = markdown(["AUROC of the kind left out", *kinds, "mean"], rows)
    print(text)
    if options.write:
        write_block("methods/anomaly_aware_vae.md", "lambda-scan", text)


if __name__ == "__main__":
    main()
