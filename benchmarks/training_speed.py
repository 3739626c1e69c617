"""Training and scoring speed of the VAE beside a DataLoader loop and PyOD's VAE, in one run.

::

    python benchmarks/training_speed.py                                   # 100 000 rows, 78-16-2, batch 512
    python benchmarks/training_speed.py --rows 200000 --features 40 --hidden 64 --latent 8

Three programs train the same network (F-h-z-h-F) on the same rows with the same batch size and optimiser:

- ``unseen``: the detector ``VAE`` of this library, from ``fit`` and ``decision_function``;
- ``DataLoader loop``: the same network and loss, batches from ``torch.utils.data.DataLoader``, plain Adam;
- ``PyOD VAE``: ``pyod.models.vae.VAE`` with the same widths, no dropout, no preprocessing of its own
  (needs the ``peers`` extra; left out with a note where it is missing). Its ``fit`` also scores the training
  rows; the time of one scoring pass is taken off.

Rows per second of training count every epoch, and all else that a fit does. Each figure is the best of
``--repeats`` interleaved rounds. All run on ``--threads`` threads; one is the fastest for all three at this
size. On a computer with other work to do, ``--clock cpu`` counts processor time, not time on the wall.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from unseen.detectors.baselines.vae import VAE
from unseen.nn.device import seeded_generator
from unseen.nn.losses.elbo import elbo_terms
from unseen.nn.variational_autoencoder import VariationalAutoencoder

Measure = Callable[[np.ndarray, argparse.Namespace], tuple[float, float]]
"""Rows and options to seconds of training and seconds of scoring."""


def measure_unseen(X: np.ndarray, options: argparse.Namespace) -> tuple[float, float]:
    """Time ``VAE.fit`` and ``VAE.decision_function``."""
    detector = VAE(
        hidden=(options.hidden,),
        latent=options.latent,
        epochs=options.epochs,
        batch_size=options.batch_size,
        calibration_fraction=0,
        device="cpu",
    )
    training = _seconds(lambda: detector.fit(X), options)
    return training, _seconds(lambda: detector.decision_function(X), options)


def measure_data_loader(X: np.ndarray, options: argparse.Namespace) -> tuple[float, float]:
    """Time the usual loop around the same network."""
    network = VariationalAutoencoder(
        X.shape[1], (options.hidden,), options.latent, generator=seeded_generator(0)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    data = TensorDataset(torch.from_numpy(X))
    shuffled = DataLoader(data, batch_size=options.batch_size, shuffle=True, generator=seeded_generator(0))
    in_order = DataLoader(data, batch_size=options.batch_size)

    def fit() -> None:
        for _ in range(options.epochs):
            for (rows,) in shuffled:
                output, mean, log_variance = network(rows, torch.randn(len(rows), options.latent))
                reconstruction, kl = elbo_terms(output, rows, mean, log_variance, "mse")
                optimizer.zero_grad()
                (reconstruction + kl).backward()
                optimizer.step()

    def score() -> None:
        with torch.no_grad():
            torch.cat([(network.reconstruct(rows) - rows).square().sum(dim=1) for (rows,) in in_order])

    return _seconds(fit, options), _seconds(score, options)


def measure_pyod(X: np.ndarray, options: argparse.Namespace) -> tuple[float, float]:
    """Time PyOD's VAE; its fit scores the rows once, which is taken off."""
    from pyod.models.vae import VAE as PyodVAE

    detector = PyodVAE(
        preprocessing=False,
        epoch_num=options.epochs,
        batch_size=options.batch_size,
        encoder_neuron_list=[options.hidden],
        decoder_neuron_list=[options.hidden],
        latent_dim=options.latent,
        dropout_rate=0.0,
        device=torch.device("cpu"),
        verbose=0,
    )
    fitting = _seconds(lambda: detector.fit(X), options)
    scoring = _seconds(lambda: detector.decision_function(X), options)
    return fitting - scoring, scoring


def peers() -> dict[str, Measure]:
    """The programs that can be measured here, by name."""
    found: dict[str, Measure] = {"unseen": measure_unseen, "DataLoader loop": measure_data_loader}
    try:
        import pyod.models.vae  # noqa: F401
    except ImportError as error:
        print(f"PyOD's VAE is left out: {error} (pip install 'unseen[peers]').\n")
    else:
        found["PyOD VAE"] = measure_pyod
    return found


def main() -> None:
    """Measure and print the table."""
    options = _options()
    torch.set_num_threads(options.threads)
    X = np.random.default_rng(0).standard_normal((options.rows, options.features)).astype(np.float32)
    best: dict[str, tuple[float, float]] = {}
    programs = peers()
    for _ in range(options.repeats):
        for name, measure in programs.items():
            training, scoring = measure(X, options)
            before = best.get(name, (np.inf, np.inf))
            best[name] = min(training, before[0]), min(scoring, before[1])
    print(
        f"{options.rows} rows, network {options.features}-{options.hidden}-{options.latent}, "
        f"batch {options.batch_size}, {options.epochs} epochs, {options.threads} thread(s) "
        f"of {os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}, "
        f"best of {options.repeats}, {options.clock} time\n"
    )
    print("| program | training rows/s | unseen is | scoring rows/s | unseen is |\n|---|---|---|---|---|")
    own_training, own_scoring = best["unseen"]
    for name, (training, scoring) in best.items():
        print(
            f"| {name} | {options.rows * options.epochs / training:,.0f} | {training / own_training:.1f}× "
            f"| {options.rows / scoring:,.0f} | {scoring / own_scoring:.1f}× |"
        )


def _seconds(action: Callable[[], object], options: argparse.Namespace) -> float:
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    start = clock()
    action()
    return clock() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=78)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--latent", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    return parser.parse_args()


if __name__ == "__main__":
    main()
