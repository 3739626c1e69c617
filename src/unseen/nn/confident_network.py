"""The network of confident contrastive meta-learning: an encoder and a discriminator on its features.

``x → u = asinh-compressed x → z = g(u) → s = D(z)``; g is a projection (one linear layer, 1 × 1 for the
patches of a picture) or has hidden layers, D is a two-layer discriminator. s is higher for anomalies. With
noise ε the discriminator also sees ``z + σ ‖z‖ ε``, ‖z‖ the mean length of the batch's features: σ is the
noise of an entry of a feature of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.multilayer_perceptron import CompressedInput, MultilayerPerceptron


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
    """

    def __init__(
        self, n_inputs: int, *, hidden: Sequence[int] = (), latent: int = 128, judge_hidden: int = 64
    ) -> None:
        super().__init__()
        self.compress = CompressedInput(n_inputs)
        self.encoder = MultilayerPerceptron([n_inputs, *hidden, latent])
        self.judge = MultilayerPerceptron([latent, judge_hidden, 1])

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
        scores = self.judge(z)[..., 0]
        if noise is None or sigma == 0:
            return Judged(z, scores, scores)
        length = torch.linalg.vector_norm(z.detach(), dim=-1).mean()
        return Judged(z, scores, self.judge(z + sigma * length * noise)[..., 0])

    def score(self, parts: Tensor) -> Tensor:
        """Return s of each part, shape (...)."""
        scores: Tensor = self.judge(self.encoder(self.compress(parts)))[..., 0]
        return scores

    def positive_score(self, parts: Tensor) -> Tensor:
        """Return log(1 + e^s) of each part, shape (...): above 0, in the order of s."""
        return nn.functional.softplus(self.score(parts))


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
