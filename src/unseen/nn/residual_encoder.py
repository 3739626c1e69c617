"""Residual encoder, decoder and head of multi-directional meta-learning.

::

    encoder f_θ   Linear(F, w) → GELU → residual blocks → Linear(w, L)
    decoder g_θ   Linear(L, w') → GELU → residual blocks → Linear(w', F)
    head    h_φ   LayerNorm → Linear(L, 2): the logits ℓ of normal (index 0) and of anomaly (index 1)
    block         x + 1/2 · Linear(GELU(Linear(LayerNorm(x))))

F features, L latent dimensions, w and w' the hidden widths (Roy, Mili & Boker, "A Multi-directional
Meta-Learning Framework for Class-Generalizable Anomaly Detection", appendix A.7).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BRANCH_WEIGHT = 0.5


class ResidualBlock(nn.Module):
    """``x + 1/2 f(x)`` with ``f`` = LayerNorm, Linear, GELU, Dropout, Linear.

    Parameters
    ----------
    width : int
        Size of ``x``, and of the hidden layer of ``f``.
    dropout : float in [0, 1)
        Share of hidden units dropped in training.
    drop_path : float in [0, 1)
        Probability, in training, that a row skips ``f``; rows that do not are scaled up to make up for it.
    """

    def __init__(self, width: int, *, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.branch = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, shape (n_rows, width)."""
        branch = self.branch(x)
        if self.training and self.drop_path > 0:
            kept = torch.rand(len(x), 1, device=x.device) >= self.drop_path
            branch = branch * kept / (1 - self.drop_path)
        return torch.add(x, branch, alpha=_BRANCH_WEIGHT)


class ResidualEncoder(nn.Sequential):
    """Rows of F features to L latent dimensions.

    Parameters
    ----------
    n_features : int
        F.
    latent : int
        L.
    width : int
        Hidden width.
    blocks : int
        Number of residual blocks.
    dropout, drop_path : float in [0, 1)
        See :class:`ResidualBlock`.
    """

    def __init__(
        self,
        n_features: int,
        latent: int = 128,
        *,
        width: int = 256,
        blocks: int = 3,
        dropout: float = 0.1,
        drop_path: float = 0.05,
    ) -> None:
        super().__init__(
            nn.Linear(n_features, width),
            nn.GELU(),
            *(ResidualBlock(width, dropout=dropout, drop_path=drop_path) for _ in range(blocks)),
            nn.Linear(width, latent),
        )


class ResidualDecoder(nn.Sequential):
    """L latent dimensions back to rows of F features.

    Parameters
    ----------
    latent : int
        L.
    n_features : int
        F.
    width : int
        Hidden width.
    blocks : int
        Number of residual blocks.
    """

    def __init__(self, latent: int, n_features: int, *, width: int = 128, blocks: int = 2) -> None:
        super().__init__(
            nn.Linear(latent, width),
            nn.GELU(),
            *(ResidualBlock(width) for _ in range(blocks)),
            nn.Linear(width, n_features),
        )


class NormalityHead(nn.Sequential):
    """Latent vectors to two logits, normal first.

    Parameters
    ----------
    latent : int
        L.
    """

    def __init__(self, latent: int) -> None:
        super().__init__(nn.LayerNorm(latent), nn.Linear(latent, 2))
