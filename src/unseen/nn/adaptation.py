"""One Transformer encoder layer over the patches of a picture, which starts as no change at all."""

from __future__ import annotations

from torch import Tensor, nn


class AdaptationLayer(nn.Module):
    """A Transformer encoder layer (A. Vaswani et al., NeurIPS 2017), normalised first.

    The last weights of both of its branches start at zero: before training it returns what it is given.

    Parameters
    ----------
    channels : int
        Channels of a patch.
    heads : int
        Attention heads at most; as many as the largest divisor of ``channels`` up to there.
    hidden : int
        Width of the feed-forward part.
    dropout : float in [0, 1)
        In training.
    """

    def __init__(self, channels: int, *, heads: int = 4, hidden: int = 1536, dropout: float = 0.1) -> None:
        super().__init__()
        fitting = max(count for count in range(1, heads + 1) if channels % count == 0)
        self.layer = nn.TransformerEncoderLayer(
            channels, fitting, hidden, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        for last in (self.layer.self_attn.out_proj, self.layer.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """Return adapted patches.

        Parameters
        ----------
        patches : float tensor of shape (n_pictures, n_patches, channels)
            Patches of a picture look at one another.

        Returns
        -------
        float tensor of the same shape
        """
        adapted: Tensor = self.layer(patches)
        return adapted
