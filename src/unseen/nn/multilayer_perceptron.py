"""Fully connected networks of the baselines."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from unseen.checks import check_int
from unseen.errors import ParameterError


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


class LatentClassifier(nn.Module):
    """Encoder z = f(x) with a linear classifier on it.

    Parameters
    ----------
    n_features : int
        Number of inputs.
    hidden : sequence of int
        Widths of the encoder's layers; the last one is the size of z.
    n_outputs : int
        Number of logits.
    """

    def __init__(self, n_features: int, hidden: Sequence[int], n_outputs: int) -> None:
        super().__init__()
        self.encoder = MultilayerPerceptron([n_features, *hidden], active_end=True)
        self.head = nn.Linear(hidden[-1], n_outputs)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, shape (n_rows, hidden[-1]), and the logits, shape (n_rows, n_outputs)."""
        latent = self.encoder(rows)
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
