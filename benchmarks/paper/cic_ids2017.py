"""CIC-IDS2017: brute force known, DoS and all other kinds unseen; λ × clip × capacity.

The second experiment of the anomaly awareness paper (section 3.2): F-16-2-16-F, 50 epochs of batch 512 on
benign flows, then 20 epochs with λ rising to λ_max and the anomalies' errors clipped. Measured for each
network, λ_max and clip, with the paper's score (the error after stage 2) and with the guarded score. 70 %
of the benign flows train, the rest test; half of the brute-force flows are labelled, the other half test
the known kind.

    python benchmarks/paper/cic_ids2017.py ../shared/data/cic_ids2017/flows_stratified.parquet
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from document import markdown, spread, write_block

from unseen.data import ColumnRoles, Table, TablePreprocessor, read_table
from unseen.detectors import AnomalyAwareVAE
from unseen.metrics.ranking import auroc

KNOWN = "BruteForce"
LAMBDAS = (0.01, 0.1, 1.0, 5.0)
CLIPS = (50.0, 200.0, None)
NETWORKS: dict[str, tuple[tuple[int, ...], int]] = {"16/2": ((16,), 2), "64/8": ((64,), 8)}

Figures = dict[tuple[str, ...], dict[str, list[float]]]


def by_kind(normal: np.ndarray, anomalies: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the AUROC of each kind against the test normals."""
    return {
        kind: auroc(np.r_[np.zeros(len(normal)), np.ones(len(s))], np.r_[normal, s])
        for kind, s in anomalies.items()
    }


def run(table: Table, seed: int, figures: Figures) -> None:
    """Add the AUROC of every setting for one seed to ``figures``."""
    draw = np.random.default_rng(seed)
    kinds = table.kinds
    assert kinds is not None
    normal = draw.permutation(np.flatnonzero(kinds == "normal"))
    train, fresh = np.split(normal, [int(0.7 * len(normal))])
    named = {str(kind): draw.permutation(np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)}
    del named["normal"]
    shown, named[KNOWN] = np.split(named[KNOWN], 2)
    preprocessor = TablePreprocessor().fit(table.take(train).features)
    rows = {kind: preprocessor.transform(table.take(index).features) for kind, index in named.items()}
    X_test = preprocessor.transform(table.take(fresh).features)
    X = preprocessor.transform(table.take(np.r_[train, shown]).features)
    y = np.r_[np.zeros(len(train)), np.ones(len(shown))]
    for network, (hidden, latent) in NETWORKS.items():
        for weight in LAMBDAS:
            for clip in CLIPS:
                detector = AnomalyAwareVAE(
                    hidden=hidden,
                    latent=latent,
                    lambda_max=weight,
                    clip=clip,
                    calibration_fraction=0,
                    seed=seed,
                ).fit(X, y)
                stages = {"stage 1": detector.stage1_scores, "stage 2": detector.stage2_scores}
                stages["guarded"] = detector.decision_function
                for stage, scorer in stages.items():
                    key = (
                        (network, "", "", stage)
                        if stage == "stage 1"
                        else (network, f"{weight:g}", str(clip), stage)
                    )
                    scored = by_kind(scorer(X_test), {kind: scorer(r) for kind, r in rows.items()})
                    for kind, value in scored.items():
                        if len(figures[key][kind]) <= seed:
                            figures[key][kind].append(value)
        print(f"seed {seed}, network {network}: done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="flows_stratified.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/methods")
    options = parser.parse_args()
    roles = ColumnRoles(kind="family", normal=("BENIGN",), ignore=("Attack Type",))
    table = read_table(options.table, roles)
    figures: Figures = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        run(table, seed, figures)
    order = ["DoS", "DDoS", "PortScan", "WebAttack", "Bot", KNOWN]
    rows = []
    for (network, weight, clip, stage), found in figures.items():
        base = figures[(network, "", "", "stage 1")]
        worst = min(np.mean(found[k]) - np.mean(base[k]) for k in order if k != KNOWN)
        setting = f"{network} {stage}" + (f", λ {weight}, clip {clip}" if weight else "")
        rows.append([setting, *(spread(found[kind], 3) for kind in order), f"{worst:+.3f}"])
    header = [
        "network, score",
        *(f"{k} (known)" if k == KNOWN else k for k in order),
        "worst change, kinds left out",
    ]
    text = markdown(header, rows)
    print(text)
    if options.write:
        write_block("methods/anomaly_aware_vae.md", "cic-ids2017", text)


if __name__ == "__main__":
    main()
