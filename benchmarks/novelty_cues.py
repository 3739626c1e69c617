r"""Cues of novelty that were tried beside the usual ones (:mod:`novelty_looks` sets them side by side).

==================  =======================================================================================
autoencoder         error of a small autoencoder (F-64-32-64-F), plain, or (*masked*) with a quarter of the
                    columns hidden in training and every column predicted from others when rows are scored
principal           length outside the principal directions that hold 90 % of the variance
conditional         mean over columns of log(1 + |residual|), each predicted from all others by the covariance
log distance        mean over the 5 of 20 nearest normals that are nearest by the sum of log(1 + |difference|)
affine              distance from the affine hull of the 20 nearest normals, ridge a tenth
==================  =======================================================================================

*In halves*: the columns are dealt out to two halves :math:`H_1, H_2` at random, and a cue is the mean

.. math:: \bar c(x) = \tfrac13 \left( c(x) + c(x_{H_1}) + c(x_{H_2}) \right)

of what it is over all columns and over those of each half alone, with neighbours, densities and moments of
the half's own (after Lazarevic and Kumar, "Feature bagging for outlier detection", KDD 2005); with three
pairs of halves the mean of seven.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from unseen.detectors.fused.novelty import (
    CUES,
    DomainNormals,
    NormalModel,
    add_references,
    cue_values,
    fit_normals,
    nearest_normals,
    own_spread,
)
from unseen.nn.training import StepLoss, train

HIDDEN, EPOCHS, BATCH, RATE, HIDDEN_SHARE, PARTS = (64, 32), 20, 128, 2e-3, 0.25, 4
VARIANCE, NEIGHBOURS, NEAREST, RIDGE, ROWS_AT_ONCE = 0.9, 20, 5, 0.1, 256


@dataclass(frozen=True)
class InHalves:
    """Normals as they are, and in halves of the columns, perhaps with references of one place."""

    columns: list[np.ndarray]
    models: list[NormalModel]
    own: list[DomainNormals | None]

    @classmethod
    def fit(cls, bank: np.ndarray, k: int, seed: int, n_pairs: int) -> InHalves:
        """Deal the columns out, and learn from the normals in each half."""
        n_features, draw = bank.shape[1], np.random.default_rng(seed)
        columns = [np.ones(n_features, dtype=np.bool_)]
        for _ in range(n_pairs if n_features > 1 else 0):
            first = draw.permutation(n_features) < n_features // 2
            columns += [first, ~first]
        parts = [np.ascontiguousarray(bank[:, part]) for part in columns]
        models = [fit_normals(part, own_spread(part, k), k) for part in parts]
        return cls(columns, models, [None] * len(columns))

    def adapt(self, references: np.ndarray, prior: float) -> InHalves:
        """Add references of one place."""
        pairs = zip(self.models, self.columns, strict=True)
        return replace(self, own=[add_references(m, references[:, part], prior) for m, part in pairs])

    def cues(self, V: np.ndarray) -> dict[str, np.ndarray]:
        """Return the means of the cues."""
        looks = []
        for part, model, own in zip(self.columns, self.models, self.own, strict=True):
            rows = np.ascontiguousarray(V[:, part])
            looks.append(cue_values(model, rows, nearest_normals(model, rows, own), own))
        return dict(zip(CUES, np.mean(looks, axis=0).T, strict=True))


def other_cues(normals: NormalModel, V: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the cues of rows, by name."""
    plain = normals.plain
    values, vectors = np.linalg.eigh(plain.covariance)
    n_left = max(1, int(np.searchsorted(np.cumsum(values), (1 - VARIANCE) * values.sum(), side="right")))
    minor = (V - plain.mean) @ vectors[:, :n_left]
    residuals = np.abs((V - plain.mean) @ plain.precision) / np.sqrt(np.diag(plain.precision))
    return {
        "autoencoder": reconstruction_error(normals.bank, V, seed, hidden_share=0.0),
        "masked autoencoder": reconstruction_error(normals.bank, V, seed, hidden_share=HIDDEN_SHARE),
        "principal": np.linalg.norm(minor, axis=1),
        "conditional": np.log1p(residuals).mean(axis=1),
        **_near(normals, V),
    }


def reconstruction_error(bank: np.ndarray, V: np.ndarray, seed: int, *, hidden_share: float) -> np.ndarray:
    """Length of what an autoencoder of the normals gets wrong."""
    generator = torch.Generator().manual_seed(seed)
    centre, scale = bank.mean(axis=0), np.maximum(bank.std(axis=0), 1e-6)
    known, asked = (torch.from_numpy(((X - centre) / scale).astype(np.float32)) for X in (bank, V))
    known = known.clamp(-10, 10)
    net = _network(bank.shape[1], seed)

    def step(batch: tuple[torch.Tensor, ...], _epoch: int) -> StepLoss:
        (rows,) = batch
        seen = rows * (torch.rand(rows.shape, generator=generator) >= hidden_share)
        return StepLoss((net(seen) - rows).square().mean(), {})

    train(net, step, (known,), epochs=EPOCHS, batch_size=BATCH, lr=RATE, generator=generator)
    with torch.no_grad():
        if not hidden_share:
            return (net(asked) - asked).double().norm(dim=1).numpy()
        part = torch.randint(0, PARTS, (bank.shape[1],), generator=generator)
        error = torch.zeros(len(V), dtype=torch.float64)
        for own in (part == number for number in range(PARTS)):
            error += (net(asked * ~own) - asked)[:, own].double().square().sum(dim=1)
        return error.sqrt().numpy()


def _network(n_features: int, seed: int) -> nn.Module:
    widths = [n_features, *HIDDEN, *HIDDEN[-2::-1]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], n_features))


def _near(normals: NormalModel, V: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cues that look at the nearest normals."""
    positions = normals.nearest(V, NEIGHBOURS)[1]
    found: dict[str, list[np.ndarray]] = {"log distance": [], "affine": []}
    for start in range(0, len(V), ROWS_AT_ONCE):
        away = normals.bank[positions[start : start + ROWS_AT_ONCE]] - V[start : start + ROWS_AT_ONCE, None]
        logs = np.sort(np.log1p(np.abs(away)).sum(axis=2), axis=1)
        found["log distance"].append(logs[:, :NEAREST].mean(axis=1))
        away = away.astype(np.float64)
        gram = away @ away.transpose(0, 2, 1)
        size = np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
        gram += (RIDGE * size + 1e-9)[:, None, None] * np.eye(gram.shape[1])
        share = np.linalg.solve(gram, np.ones((*gram.shape[:2], 1)))[:, :, 0]
        share /= share.sum(axis=1, keepdims=True)
        found["affine"].append(np.linalg.norm(np.einsum("rb,rbf->rf", share, away), axis=1))
    return {name: np.concatenate(parts) for name, parts in found.items()}
