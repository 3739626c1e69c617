"""A small one-dimensional convolutional encoder for rows that are signals."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class ConvEncoder(nn.Module):
    """Rows that are signals (heartbeats, vibration windows) to L latent dimensions.

    Two paths are added: strided convolutions over the row as a signal, and a linear map of the row, through
    which columns that are no part of the signal (interval lengths, amplitudes) are seen too.

    Parameters
    ----------
    n_features : int
        Length of a row.
    latent : int
        L.
    channels : int
        Channels of the first layer; each layer doubles them.
    layers : int
        Convolutions of stride 2.
    kernel_size : int
        Odd length of the kernels.
    """

    def __init__(
        self, n_features: int, latent: int = 128, *, channels: int = 8, layers: int = 3, kernel_size: int = 7
    ) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        width = 1
        for layer in range(layers):
            wider = channels * 2**layer
            stack += [nn.Conv1d(width, wider, kernel_size, stride=2, padding=kernel_size // 2), nn.GELU()]
            width = wider
        length = n_features
        for _ in range(layers):
            length = (length - 1) // 2 + 1
        self.signal_path = nn.Sequential(*stack, nn.Flatten(), nn.Linear(width * length, latent))
        self.linear_path = nn.Linear(n_features, latent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the latent vectors, shape (n_rows, latent)."""
        return cast(Tensor, self.signal_path(x.unsqueeze(1)) + self.linear_path(x))
