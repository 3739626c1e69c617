"""MNIST normal, Fashion-MNIST known, CIFAR-10 unseen: the first experiment of the anomaly awareness paper.

Network 784-400-20-400-784 with a sigmoid at the output, BCE + KL, 10 epochs of batch 128 on normals, then 5
epochs with λ rising to 0.1 (paper, section 3.1). Only the 10 000 images of the MNIST test set are read;
``--train`` of them train, the rest test. Half of the Fashion-MNIST images are labelled anomalies, the other
half test the known kind.

    python benchmarks/paper/mnist.py ../shared/data/mnist_family
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from document import markdown, spread, write_block

from unseen.detectors import AnomalyAwareVAE
from unseen.metrics.ranking import auroc


def pixels(path: Path, key: str) -> np.ndarray:
    """Return images as rows in [0, 1], shape (n, 784)."""
    with np.load(path) as archive:
        return (archive[key].reshape(len(archive[key]), -1) / 255).astype(np.float32)


def run(root: Path, seed: int, n_train: int) -> dict[str, float]:
    """Return the AUROC of stage 1 and of stage 2 on the unseen and on the known kind, for one seed."""
    draw = np.random.default_rng(seed)
    digits = pixels(root / "mnist_test.npz", "x")
    clothes = pixels(root / "fashion_mnist_sprite.npz", "x")
    objects = pixels(root / "cifar10_test_subset.npz", "x28")
    digits, clothes = digits[draw.permutation(len(digits))], clothes[draw.permutation(len(clothes))]
    train, test = digits[:n_train], digits[n_train:]
    known, known_test = clothes[: len(clothes) // 2], clothes[len(clothes) // 2 :]
    detector = AnomalyAwareVAE(
        hidden=(400,),
        latent=20,
        loss="bce",
        epochs=10,
        awareness_epochs=5,
        batch_size=128,
        lambda_max=0.1,
        clip=None,
        score="stage2",
        calibration_fraction=0,
        seed=seed,
    )
    X = np.concatenate([train, known])
    detector.fit(X, np.r_[np.zeros(len(train)), np.ones(len(known))])
    figures = {}
    for stage, scorer in (("VAE", detector.stage1_scores), ("AA", detector.stage2_scores)):
        normal = scorer(test)
        for kind, rows in (("CIFAR-10 (unseen)", objects), ("Fashion-MNIST (known)", known_test)):
            y = np.r_[np.zeros(len(normal)), np.ones(len(rows))]
            figures[f"{stage} {kind}"] = auroc(y, np.r_[normal, scorer(rows)])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder with the three .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=8000, help="normal images that train")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/methods")
    options = parser.parse_args()
    runs = []
    for seed in range(options.seeds):
        runs.append(run(options.root, seed, options.train))
        print(f"seed {seed}: " + ", ".join(f"{k} {v:.5f}" for k, v in runs[-1].items()), flush=True)
    published = {"VAE CIFAR-10 (unseen)": ".9987", "AA CIFAR-10 (unseen)": ".9997"}
    rows = [[name, spread([r[name] for r in runs], 5), published.get(name, "")] for name in runs[0]]
    gains = [r["AA CIFAR-10 (unseen)"] - r["VAE CIFAR-10 (unseen)"] for r in runs]
    table = markdown(["AUROC", f"measured ({options.seeds} seeds)", "published"], rows)
    table += (
        f"\n\nStage 2 minus stage 1 on the unseen kind, per seed: {', '.join(f'{g:+.5f}' for g in gains)}."
    )
    print(table)
    if options.write:
        write_block("methods/anomaly_aware_vae.md", "mnist", table)


if __name__ == "__main__":
    main()
