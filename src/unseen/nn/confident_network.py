"""The network of confident contrastive meta-learning: an encoder and a discriminator on its features.

``x → u = asinh-compressed x → z = g(u) → s = D(z)``; g is a projection (one linear layer, 1 × 1 for the
patches of a picture) or has hidden layers, D is a two-layer discriminator. s is higher for anomalies. With
noise ε the discriminator also sees ``z + σ ‖z‖ ε``, ‖z‖ the mean length of the batch's features: σ is the
noise of an entry of a feature of length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
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
