"""The network of confident contrastive meta-learning: an encoder and a discriminator on its features.

``x → u = asinh-compressed x → z = g(u) → s = D(z)``; g is a projection (one linear layer, 1 × 1 for the
patches of a picture) or has hidden layers, D is a two-layer discriminator. s is higher for anomalies. With
noise ε the discriminator also sees ``z + σ ‖z‖ ε``, ‖z‖ the mean length of the batch's features: σ is the
noise of an entry of a feature of length 1.

With ``base`` the network starts from what needs no training, the length of x, and learns a correction:
``s = D(z) + a h − 1``, ``h = (‖x‖ − m) / d`` with mean and standard deviation over the normals of training; a
starts at 1 and the last layer of D at 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.multilayer_perceptron import CompressedInput, MultilayerPerceptron

_LEAST_SPREAD = 1e-6


class Judged(NamedTuple):
    """What the network says of some parts.

    Attributes
    ----------
    features : Tensor of shape (..., latent)
        z.
    scores : Tensor of shape (...)
        s.
    noisy_scores : Tensor of shape (...)
        s of the features with noise; those of ``scores`` without noise.
    """

    features: Tensor
    scores: Tensor
    noisy_scores: Tensor


class ConfidentNetwork(nn.Module):
    """Compression, encoder and discriminator.

    Parameters
    ----------
    n_inputs : int
        Numbers of a part (of a row, or of a patch).
    hidden : sequence of int
        Widths of hidden layers of g; none: a linear projection.
    latent : int
        Size of z.
    judge_hidden : int
        Width of the hidden layer of D.
    base : bool
        Whether the score starts from the length of a part.
    """

    length: Tensor

    def __init__(
        self,
        n_inputs: int,
        *,
        hidden: Sequence[int] = (),
        latent: int = 128,
        judge_hidden: int = 64,
        base: bool = False,
    ) -> None:
        super().__init__()
        self.compress = CompressedInput(n_inputs)
        self.encoder = MultilayerPerceptron([n_inputs, *hidden, latent])
        self.judge = MultilayerPerceptron([latent, judge_hidden, 1])
        self.share = nn.Parameter(torch.ones(())) if base else None
        self.register_buffer("length", torch.tensor([0.0, 1.0]))
        if base:
            last = self.judge[-1]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, -1.0)

    def measure(self, normals: Tensor) -> None:
        """Set centre and spread of the compression, and m and d of the lengths.

        Parameters
        ----------
        normals : Tensor of shape (n_rows, n_inputs)
            At least one part of a normal.
        """
        self.compress.measure(normals)
        lengths = torch.linalg.vector_norm(normals.double(), dim=1)
        spread = lengths.std(unbiased=False)
        self.length.copy_(torch.stack([lengths.mean(), torch.where(spread > _LEAST_SPREAD, spread, 1.0)]))

    def forward(self, parts: Tensor, noise: Tensor | None = None, sigma: float = 0.0) -> Judged:
        """Return features and scores.

        Parameters
        ----------
        parts : Tensor of shape (..., n_inputs)
            x.
        noise : Tensor of shape (..., latent) or None
            ε.
        sigma : float >= 0
            σ.

        Returns
        -------
        Judged
        """
        z = self.encoder(self.compress(parts))
        base = self._base(parts)
        scores = self.judge(z)[..., 0] + base
        if noise is None or sigma == 0:
            return Judged(z, scores, scores)
        length = torch.linalg.vector_norm(z.detach(), dim=-1).mean()
        return Judged(z, scores, self.judge(z + sigma * length * noise)[..., 0] + base)

    def score(self, parts: Tensor) -> Tensor:
        """Return s of each part, shape (...)."""
        scores: Tensor = self.judge(self.encoder(self.compress(parts)))[..., 0]
        return scores + self._base(parts)

    def _base(self, parts: Tensor) -> Tensor | float:
        """a h of each part, shape (...), where the network has one."""
        if self.share is None:
            return 0.0
        lengths = torch.linalg.vector_norm(parts, dim=-1)
        base: Tensor = self.share * (lengths - self.length[0]) / self.length[1]
        return base


def vector_of(parameters: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """Return parameters one after the other, for a file.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        In the order of the network.

    Returns
    -------
    float32 array of shape (n_parameters,)
    """
    flat = nn.utils.parameters_to_vector(parameters.values())
    return np.asarray(flat.detach().cpu().numpy(), dtype=np.float32).copy()


def parameters_of(network: nn.Module, vector: Tensor) -> dict[str, Tensor]:
    """Return the parameters that :func:`vector_of` joined.

    Parameters
    ----------
    network : nn.Module
        Gives names and shapes.
    vector : Tensor of shape (n_parameters,)
        Its values.

    Returns
    -------
    dict of str to Tensor
        Views of the vector.
    """
    named = dict(network.named_parameters())
    pieces = torch.split(vector, [value.numel() for value in named.values()])
    return {name: piece.view_as(named[name]) for name, piece in zip(named, pieces, strict=True)}
