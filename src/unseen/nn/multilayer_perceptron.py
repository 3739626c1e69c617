"""Fully connected networks of the baselines."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unseen.checks import check_int
from unseen.errors import ParameterError

_LEAST_SPREAD = 1e-6
_STEEPNESS = 3.0


class MultilayerPerceptron(nn.Sequential):
    """Linear layers with a leaky ReLU between them.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, widths of the hidden layers, number of outputs.
    bias : bool
        Whether the layers have offsets. Without them the network maps 0 to 0 and grows along every ray.
    active_end : bool
        Whether a leaky ReLU follows the last layer too.
    """

    def __init__(self, widths: Sequence[int], *, bias: bool = True, active_end: bool = False) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out, bias=bias), nn.LeakyReLU()]
        super().__init__(*(layers if active_end else layers[:-1]))


class CompressedInput(nn.Module):
    """``asinh(3 (x − m) / s) / 3`` per feature: m the mean of the normals, s their standard deviation.

    s is at least the mean of the standard deviations of all features, so that a feature that hardly ever
    varies among normals (a rare category) is not blown up.

    It is the standardised x where that is small and grows like its logarithm, without a limit, beyond about
    a third. A classifier that has met a few anomalies has not learned which features do not matter; without
    this, their rare large values decide what it says about rows it has not met.

    Parameters
    ----------
    n_features : int
        Number of inputs. m = 0 and s = 1 until :meth:`measure`.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))

    def measure(self, normals: Tensor) -> None:
        """Set m and s from rows; s = 1 if no feature varies.

        Parameters
        ----------
        normals : Tensor of shape (n_rows, n_features)
            At least one row.
        """
        rows = normals.double()
        spread = rows.std(dim=0, unbiased=False)
        self.centre.copy_(rows.mean(dim=0))
        spread = spread.clamp_min(float(spread.mean()))
        self.spread.copy_(torch.where(spread > _LEAST_SPREAD, spread, 1.0))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the compressed rows, shape (n_rows, n_features)."""
        return torch.asinh(_STEEPNESS * (rows - self.centre) / self.spread) / _STEEPNESS


class LatentClassifier(nn.Module):
    """Encoder z = f(x) of compressed rows with a classifier on it.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    hidden : sequence of int
        Widths of the encoder's layers; the last one is the size of z.
    n_outputs : int
        Number of logits.
    head_hidden : sequence of int
        Widths of hidden layers of the classifier; none: it is linear.
    """

    def __init__(
        self, n_features: int, hidden: Sequence[int], n_outputs: int, *, head_hidden: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.compress = CompressedInput(n_features)
        self.layers = MultilayerPerceptron([n_features, *hidden], active_end=True)
        self.head = MultilayerPerceptron([hidden[-1], *head_hidden, n_outputs])

    def encode(self, rows: Tensor) -> Tensor:
        """Return z, shape (n_rows, hidden[-1])."""
        latent: Tensor = self.layers(self.compress(rows))
        return latent

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, shape (n_rows, hidden[-1]), and the logits, shape (n_rows, n_outputs)."""
        latent = self.encode(rows)
        return latent, self.head(latent)

    def logit(self, rows: Tensor) -> Tensor:
        """Return the first logit of each row, shape (n_rows,)."""
        first: Tensor = self(rows)[1][:, 0]
        return first


def check_widths(owner: object, hidden: object) -> None:
    """Raise ParameterError unless ``hidden`` is a non-empty list or tuple of ints >= 1.

    Parameters
    ----------
    owner : object
        Whose parameter it is, for the message.
    hidden : object
        As given to the owner's constructor.
    """
    if not isinstance(hidden, tuple | list) or not hidden:
        name = type(owner).__name__
        raise ParameterError(f"{name}: hidden must be a non-empty tuple of ints >= 1, got {hidden!r}.")
    for width in hidden:
        check_int(owner, "hidden", width, minimum=1)
