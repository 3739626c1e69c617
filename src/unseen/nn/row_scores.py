"""Scores of many rows by a small network, and how much each feature contributes to them.

Networks are trained in float32 and score in float64: a score near 0, the difference of large terms, is then
the same whatever the number of rows that go through the network together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.threads import suitable_threads
from unseen.types import FloatArray

RowScore: TypeAlias = Callable[[Tensor], Tensor]
"""Rows (n_rows, n_features) to scores (n_rows,), in float64; each row's score depends on that row alone."""

Network = TypeVar("Network", bound=nn.Module)

_CHUNK_CELLS = 524_288
_PATH_STEPS = 8


@contextmanager
def scoring_copy(network: Network, device: torch.device) -> Iterator[Network]:
    """Run a block with a float64 copy of a network, on as many threads as suit it.

    Parameters
    ----------
    network : nn.Module
        Stays as it is.
    device : torch.device
        Where the copy is; on the CPU instead of devices without float64 (``"mps"``).
    """
    target = torch.device("cpu") if device.type == "mps" else device
    double = copy.deepcopy(network).to(target).double().eval().requires_grad_(False)
    with suitable_threads(double):
        yield double


def score_rows(score: RowScore, X: FloatArray, device: torch.device) -> NDArray[np.float64]:
    """Score rows chunk by chunk.

    Parameters
    ----------
    score : callable
        What scores them. It may take gradients inside.
    X : float array of shape (n_rows, n_features)
        The rows.
    device : torch.device
        As given to :func:`scoring_copy`.

    Returns
    -------
    float64 array of shape (n_rows,)
    """
    out = np.empty(len(X), dtype=np.float64)
    with torch.no_grad():
        for start, stop in _chunks(X):
            out[start:stop] = score(_rows(X[start:stop], device)).cpu().numpy()
    return out


def path_contributions(
    score: RowScore, X: FloatArray, origin: FloatArray, device: torch.device
) -> NDArray[np.float64]:
    """Integrated gradients of a score along the straight line from one point to each row.

    ::

        c_j(x) = (x_j − o_j) ∫₀¹ ∂s/∂x_j (o + t (x − o)) dt

    (Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017), with eight midpoints
    for the integral. Up to the error of those the contributions sum to s(x) − s(o).

    Parameters
    ----------
    score : callable
        s, differentiable.
    X : float array of shape (n_rows, n_features)
        The rows x.
    origin : float array of shape (n_features,)
        The point o.
    device : torch.device
        As given to :func:`scoring_copy`.

    Returns
    -------
    float64 array of shape (n_rows, n_features)
    """
    out = np.empty(X.shape, dtype=np.float64)
    start_point = _rows(origin[None], device)
    for start, stop in _chunks(X):
        way = _rows(X[start:stop], device) - start_point
        total = torch.zeros_like(way)
        for step in range(_PATH_STEPS):
            point = torch.add(start_point, way, alpha=(step + 0.5) / _PATH_STEPS).requires_grad_()
            (gradient,) = torch.autograd.grad(score(point).sum(), point)
            total += gradient
        out[start:stop] = total.mul_(way).div_(_PATH_STEPS).cpu().numpy()
    return out


def _rows(X: FloatArray, device: torch.device) -> Tensor:
    target = torch.device("cpu") if device.type == "mps" else device
    return torch.from_numpy(X.astype(np.float64)).to(target)


def _chunks(X: FloatArray) -> Iterator[tuple[int, int]]:
    step = max(1, _CHUNK_CELLS // X.shape[1])
    for start in range(0, len(X), step):
        yield start, min(start + step, len(X))
