"""The anomalies that a label-using network is trained on, drawn evenly over their kinds.

A classifier cannot learn from normals alone. Where no anomaly is labelled, *pseudo-anomalies* made from the
normals stand in: half of them uniform in the box around the normals, widened by half its length on every
side, and half with each feature taken from another, randomly chosen normal row, which breaks up what the
features have to do with each other (the reference distributions of Hastie, Tibshirani & Friedman, "The
Elements of Statistical Learning", section 14.2.4).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unseen.checks import check_choice
from unseen.nn.variational_autoencoder import to_tensor
from unseen.types import FloatArray, Labels, StrArray

PseudoAnomalies = Literal["without-labels", "always"]
PSEUDO_ANOMALIES: tuple[str, ...] = get_args(PseudoAnomalies)

PSEUDO_KIND = ""
"""Kind of pseudo-anomalies; no labelled anomaly has it."""

_FEWEST = 256
_MOST = 20_000
_WIDENING = 0.5


class AnomalyPool:
    """Rows to draw from, each kind as often as any other.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        Anomalies, at least one.
    kinds : str array of shape (n_rows,)
        Kind of each.

    Attributes
    ----------
    names : list of str
        The kinds, sorted.
    codes : int64 Tensor of shape (n_rows,)
        Position of each row's kind in ``names``.
    """

    def __init__(self, rows: Tensor, kinds: StrArray) -> None:
        names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
        self.rows = rows
        self.names = [str(name) for name in names]
        self.codes = torch.from_numpy(codes.astype(np.int64)).to(rows.device)
        self._weights = torch.from_numpy(1.0 / counts[codes]).to(rows.device)

    def draw(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Return positions of ``n_rows`` rows, drawn with replacement, int64 of shape (n_rows,)."""
        return torch.multinomial(self._weights, n_rows, replacement=True, generator=generator)


def anomaly_pool(V: FloatArray, labels: Labels, pseudo: str, seed: int, device: torch.device) -> AnomalyPool:
    """Gather the labelled anomalies, and pseudo-anomalies as one more kind where they are wanted.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        Training rows.
    labels : Labels
        Theirs; at least one row is normal.
    pseudo : {"without-labels", "always"}
        Whether to add pseudo-anomalies only if no anomaly is labelled, or in every case.
    seed : int
        Draws the pseudo-anomalies.
    device : torch.device
        Where the rows go.

    Returns
    -------
    AnomalyPool
    """
    rows, kinds = anomalies_to_train_on(V, labels, pseudo, seed)
    return AnomalyPool(to_tensor(rows, device), kinds)


def anomalies_to_train_on(
    V: FloatArray, labels: Labels, pseudo: str, seed: int
) -> tuple[FloatArray, StrArray]:
    """Return the rows of :func:`anomaly_pool` as arrays.

    Parameters
    ----------
    V, labels, pseudo, seed
        As there.

    Returns
    -------
    rows : float array of shape (n_anomalies, n_features)
    kinds : str array of shape (n_anomalies,)
        ``PSEUDO_KIND`` for pseudo-anomalies.
    """
    rows, kinds = V[labels.anomaly], labels.kinds[labels.anomaly]
    if len(rows) and pseudo != "always":
        return rows, kinds
    normals = V[labels.normal]
    n_made = min(max(len(normals), _FEWEST), _MOST)
    made = pseudo_anomalies(normals, n_made, np.random.default_rng(seed)).astype(V.dtype)
    return np.concatenate([rows, made]), np.concatenate([kinds, np.full(n_made, PSEUDO_KIND)])


def pseudo_anomalies(normals: FloatArray, n_rows: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Make rows that are not like the normals: half uniform in a widened box, half with shuffled features.

    Parameters
    ----------
    normals : float array of shape (n_normals, n_features)
        At least one row. A feature that does not vary counts as one of length 1.
    n_rows : int
        How many to make; ``ceil(n_rows / 2)`` are uniform, all of them if there is a single normal.
    generator : numpy.random.Generator
        Draws.

    Returns
    -------
    float64 array of shape (n_rows, n_features)
        The uniform rows first.
    """
    low, high = normals.min(axis=0).astype(np.float64), normals.max(axis=0).astype(np.float64)
    length = np.where(high > low, high - low, 1.0)
    low, high = low - _WIDENING * length, high + _WIDENING * length
    n_uniform = n_rows if len(normals) == 1 else (n_rows + 1) // 2
    uniform = generator.uniform(low, high, size=(n_uniform, normals.shape[1]))
    sources = generator.integers(len(normals), size=(n_rows - n_uniform, normals.shape[1]))
    shuffled = np.take_along_axis(normals, sources, axis=0).astype(np.float64)
    return np.concatenate([uniform, shuffled])


def balanced_loss(log_odds: Tensor, n_normals: int) -> Tensor:
    """Return the binary cross-entropy in which normals and anomalies weigh the same.

    Parameters
    ----------
    log_odds : Tensor of shape (n_rows,)
        Of being anomalous; normals first.
    n_normals : int
        How many rows are normal; at least one is, and one is not.

    Returns
    -------
    scalar Tensor, >= 0
        ``(mean over normals of log(1 + e^a) + mean over anomalies of log(1 + e^−a)) / 2``.
    """
    of_normals = functional.softplus(log_odds[:n_normals]).mean()
    return (of_normals + functional.softplus(-log_odds[n_normals:]).mean()) / 2


def check_pseudo_anomalies(owner: object, value: object) -> None:
    """Raise ParameterError unless ``value`` is one of ``PSEUDO_ANOMALIES``.

    Parameters
    ----------
    owner : object
        Whose parameter it is, for the message.
    value : object
        As given to the owner's constructor.
    """
    check_choice(owner, "pseudo_anomalies", value, PSEUDO_ANOMALIES)
