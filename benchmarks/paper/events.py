"""The recipe of the two collider experiments of the anomaly awareness paper (sections 3.3 and 3.4).

F-16-2-16-F, 50 epochs of batch 128 on background, then 10 epochs with λ rising to λ_max and the signal's
errors clipped at 200. 70 % of background and signal train, 30 % of each test.
"""

from __future__ import annotations

import numpy as np
from document import markdown, spread

from unseen.data import Table, TablePreprocessor
from unseen.detectors import AnomalyAwareVAE
from unseen.metrics.ranking import auroc


def run(table: Table, seed: int, lambda_max: float) -> tuple[float, float]:
    """Return the AUROC of stage 1 and of stage 2 for one seed."""
    draw = np.random.default_rng(seed)
    labels = table.labels
    parts = []
    for rows in (np.flatnonzero(labels.normal), np.flatnonzero(labels.anomaly)):
        shuffled = draw.permutation(rows)
        parts.append(np.split(shuffled, [int(0.7 * len(shuffled))]))
    (background, fresh), (signal, unseen_signal) = parts
    preprocessor = TablePreprocessor(clip=None).fit(table.take(background).features)
    train, test = np.r_[background, signal], np.r_[fresh, unseen_signal]
    detector = AnomalyAwareVAE(
        hidden=(16,),
        latent=2,
        epochs=50,
        awareness_epochs=10,
        batch_size=128,
        lambda_max=lambda_max,
        clip=200.0,
        score="stage2",
        calibration_fraction=0,
        seed=seed,
    ).fit(preprocessor.transform(table.take(train).features), labels.y[train])
    X, y = preprocessor.transform(table.take(test).features), labels.y[test]
    return auroc(y, detector.stage1_scores(X)), auroc(y, detector.stage2_scores(X))


def compare(table: Table, *, seeds: int, lambda_max: float, published: tuple[str, str]) -> str:
    """Return the measured figures beside the published ones as a Markdown table."""
    runs = [run(table, seed, lambda_max) for seed in range(seeds)]
    names = ("VAE (stage 1)", f"anomaly aware (stage 2, λ_max {lambda_max:g})")
    rows = [
        [name, spread(values, 3), there]
        for name, values, there in zip(names, zip(*runs, strict=True), published, strict=True)
    ]
    return markdown(["AUROC", f"measured ({seeds} seeds)", "published"], rows)
