r"""What labelled anomalies of many domains have in common, learnt by a small network on a few numbers.

.. math:: O(x) = \tfrac13 \sum_m f_m(q(x)),

three networks with two hidden layers on the columns of a row's small blocks
(:mod:`unseen.detectors.fused.blocks`), as they are before any view, in units of the normals, and on its
placed novelty cues. Cues say how unusual a row is; which way a few columns deviate says what anomalies of
other domains have in common. So few numbers hold for domains that nobody has labelled; trees and networks on
all columns learn the domains. Each network minimises

.. math:: \tfrac12 \overline{\log(1 + e^{f})}_{normals} + \tfrac12 \overline{\log(1 + e^{-f})}_{anomalies}
    + \lambda \|W\|^2

in a fixed number of steps, so that fits on more rows are no surer. Every kind weighs the same. Kinds of a
handful of rows, or on fewer than three domains, neither teach nor decide (:func:`common_kinds`): they say
more about these domains than about the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.types import UNNAMED_DOMAIN, FloatArray, StrArray

MOST_COLUMNS = 32
"""Columns of small blocks that are looked at; where they are more, cues are looked at alone."""

LEAST_DOMAINS, LEAST_ROWS = 3, 10
"""Domains that a kind has to be on, or all of them, if they are fewer, and the rows it has to have."""

N_MEMBERS = 3
HIDDEN = (64, 32)
N_STEPS = 88
_BATCH = 256
_RATE = 2e-3
_RIDGE = 1e-3
_CUE_RANGE = (-5.0, 15.0)
_CUE_UNIT = 3.0
_LEAST_SPREAD = 1e-6
_SUREST = 15.0
_SLOPE = 0.01


@dataclass(frozen=True)
class SeenRows:
    """Rows as a fit without them sees them.

    Attributes
    ----------
    unviewed : float array of shape (n_rows, n_features)
        The rows before any view.
    placed : float64 array of shape (n_rows, n_cues)
        Their placed cues.
    """

    unviewed: FloatArray
    placed: NDArray[np.float64]


@dataclass(frozen=True)
class CommonSigns:
    """Fitted networks.

    Attributes
    ----------
    columns : int64 array of shape (n_columns,)
        The columns that are looked at.
    centre, spread : float64 array of shape (n_columns,)
        Mean and standard deviation of the normals in them.
    weights, offsets : tuple of float64 arrays of shapes (3, n_in, n_out) and (3, 1, n_out)
        Of each layer, for the three networks.
    """

    columns: NDArray[np.int64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: tuple[NDArray[np.float64], ...]
    offsets: tuple[NDArray[np.float64], ...]

    def log_odds(self, unviewed: FloatArray, placed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return O of each row, shape (n_rows,), within ±15.

        Parameters
        ----------
        unviewed : float array of shape (n_rows, n_features)
            The rows before any view.
        placed : float64 array of shape (n_rows, n_cues)
            Their placed cues.
        """
        return self._odds(self._inputs(unviewed, placed))

    def credits(self, unviewed: FloatArray, placed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each feature and each cue raises O, shape (n_rows, n_features + n_cues).

        That is what O loses when the number is replaced by that of a usual normal; a feature that is not
        looked at raises nothing.

        Parameters
        ----------
        unviewed, placed : float arrays of shapes (n_rows, n_features) and (n_rows, n_cues)
            As for ``log_odds``.
        """
        inputs = self._inputs(unviewed, placed)
        reached, n_features = self._odds(inputs), unviewed.shape[1]
        out = np.zeros((len(inputs), n_features + placed.shape[1]))
        targets = np.concatenate([self.columns, np.arange(n_features, out.shape[1])])
        for number, target in enumerate(targets):
            usual = inputs.copy()
            usual[:, number] = 0.0
            out[:, target] = reached - self._odds(usual)
        return out

    def check(self, n_features: int, n_cues: int) -> None:
        """Raise ValueError if the arrays do not fit together, or hold what is no number.

        Parameters
        ----------
        n_features, n_cues : int
            Of the rows that are scored.
        """
        if any(array.shape != self.columns.shape for array in (self.centre, self.spread)):
            raise ValueError("the columns of the common signs and their units differ")
        if np.any((self.columns < 0) | (self.columns >= n_features)) or not np.all(self.spread > 0):
            raise ValueError("the common signs look at columns that do not exist")
        if not all(np.isfinite(array).all() for array in (self.centre, *self.weights, *self.offsets)):
            raise ValueError("the common signs hold numbers that are not finite")
        widths = (len(self.columns) + n_cues, *(layer.shape[-1] for layer in self.offsets))
        shapes = [(N_MEMBERS, low, high) for low, high in pairwise(widths)]
        if [layer.shape for layer in self.weights] != shapes or widths[-1] != 1:
            raise ValueError("the layers of the common signs do not fit together")
        if [layer.shape for layer in self.offsets] != [(n, 1, high) for n, _low, high in shapes]:
            raise ValueError("the layers of the common signs do not fit together")

    def _inputs(self, unviewed: FloatArray, placed: NDArray[np.float64]) -> NDArray[np.float64]:
        return _numbers(unviewed[:, self.columns], placed, self.centre, self.spread)

    def _odds(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        hidden = np.broadcast_to(inputs, (N_MEMBERS, *inputs.shape))
        for weights, offsets in zip(self.weights[:-1], self.offsets[:-1], strict=True):
            hidden = hidden @ weights + offsets
            hidden = np.where(hidden > 0, hidden, _SLOPE * hidden)
        odds = (hidden @ self.weights[-1] + self.offsets[-1])[..., 0]
        return np.asarray(np.clip(odds, -_SUREST, _SUREST).mean(axis=0))


def common_kinds(kinds: StrArray, domains: StrArray, n_domains: int) -> StrArray:
    """Return the kinds that teach and decide: of ten rows on three domains, or on all, if they are fewer.

    Parameters
    ----------
    kinds, domains : str array of shape (n_anomalies,)
        Of each labelled anomaly.
    n_domains : int
        Named domains of the normals.

    Returns
    -------
    str array of shape (n_kinds,)
        Sorted.
    """
    least = min(LEAST_DOMAINS, n_domains)
    names = np.unique(kinds)
    of_kinds = [domains[(kinds == kind) & (domains != UNNAMED_DOMAIN)] for kind in names]
    enough = [len(own) >= LEAST_ROWS and len(np.unique(own)) >= least for own in of_kinds]
    return np.asarray(names[np.array(enough, dtype=np.bool_)])


def learn_signs(
    normals: SeenRows, anomalies: SeenRows, kinds: StrArray, columns: NDArray[np.int64], seed: int
) -> CommonSigns:
    """Fit the networks.

    Parameters
    ----------
    normals, anomalies : SeenRows
        At least one row each.
    kinds : str array of shape (n_anomalies,)
        Kind of each anomaly.
    columns : int64 array of shape (n_columns,)
        The columns to look at beside the cues; may be empty.
    seed : int
        Of the first weights and the batches.

    Returns
    -------
    CommonSigns
    """
    own = normals.unviewed[:, columns].astype(np.float64)
    centre, spread = own.mean(axis=0), own.std(axis=0)
    spread = np.where(spread > _LEAST_SPREAD, spread, 1.0)
    sides = [
        torch.from_numpy(_numbers(seen.unviewed[:, columns], seen.placed, centre, spread).astype(np.float32))
        for seen in (normals, anomalies)
    ]
    _names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    shares = torch.from_numpy(1.0 / counts[codes])
    layers = _descend(sides[0], sides[1], shares, seed)
    arrays = [layer.detach().numpy().astype(np.float64) for layer in layers]
    return CommonSigns(columns, centre, spread, tuple(arrays[::2]), tuple(arrays[1::2]))


def _numbers(
    columns: FloatArray,
    placed: NDArray[np.float64],
    centre: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Columns in units of the normals, and the cues, kept within what normals and anomalies usually have."""
    cues = np.clip(placed, *_CUE_RANGE) / _CUE_UNIT
    return np.asarray(np.concatenate([(columns - centre) / spread, cues], axis=1), dtype=np.float64)


def _descend(normals: Tensor, anomalies: Tensor, shares: Tensor, seed: int) -> list[Tensor]:
    """Return weights and offsets of each layer in turn, after all steps."""
    draw = torch.Generator().manual_seed(seed)
    layers = _first_layers(normals.shape[1], draw)
    optimizer = torch.optim.AdamW(layers, lr=_RATE, weight_decay=0.0)
    evenly = torch.ones(len(normals))
    for _step in range(N_STEPS):
        batch = torch.cat([normals[_drawn(evenly, draw)], anomalies[_drawn(shares, draw)]], dim=1)
        odds = _forward(batch, layers)
        wrong = F.softplus(odds[:, :_BATCH]).mean(dim=1) + F.softplus(-odds[:, _BATCH:]).mean(dim=1)
        loss = wrong.sum() / 2 + _RIDGE * sum((layer**2).sum() for layer in layers[::2])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return layers


def _first_layers(n_inputs: int, draw: torch.Generator) -> list[Tensor]:
    layers = []
    widths = (n_inputs, *HIDDEN, 1)
    for low, high in pairwise(widths):
        for rows in (low, 1):
            uniform = torch.rand(N_MEMBERS, rows, high, generator=draw) * 2 - 1
            layers.append((uniform / low**0.5).requires_grad_())
    return layers


def _drawn(weights: Tensor, draw: torch.Generator) -> Tensor:
    """Numbers of a batch for each network."""
    found = torch.multinomial(weights, N_MEMBERS * _BATCH, replacement=True, generator=draw)
    return found.view(N_MEMBERS, _BATCH)


def _forward(batch: Tensor, layers: list[Tensor]) -> Tensor:
    """Return O for each network and row."""
    hidden = batch
    for weights, offsets in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        hidden = F.leaky_relu(torch.baddbmm(offsets, hidden, weights), _SLOPE)
    return torch.baddbmm(layers[-1], hidden, layers[-2])[..., 0]
