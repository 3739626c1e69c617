r"""Heads over patch features: how far off each patch is, how probable an anomaly is, where it is.

A. S. Das and M. Bhuyan, "Multi-Cue Anomaly Detection and Localization under Data Contamination". On features
F of shape (channels, height, width), one grid for all strides,

.. math::
    \psi = |w_d * F + b_d|, \qquad s_\mathrm{dev} = \text{mean of the top } \rho \text{ of } \psi, \qquad
    p = \sigma\big(w_p^\top \bar F + b_p\big), \qquad A = \sigma(g(F))

with :math:`w_d` a 1 x 1 convolution, :math:`\bar F` the mean over all places, and g two 3 x 3 convolutions
behind a 1 x 1 convolution that narrows the features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unseen.nn.losses.deviation import top_share_mean


class HeadOutputs(NamedTuple):
    """What the heads say about pictures.

    Attributes
    ----------
    patches : float tensor of shape (n, height, width)
        ψ >= 0, how far off each patch is.
    deviation : float tensor of shape (n,)
        s_dev, the mean of the highest ψ.
    log_odds : float tensor of shape (n,)
        Log-odds of being anomalous.
    evidence : float tensor of shape (n, height, width)
        What each place adds to them; their mean over places is ``log_odds``.
    segmentation : float tensor of shape (n, height, width) or None
        Log-odds of being defective, by place. None without that head.
    """

    patches: Tensor
    deviation: Tensor
    log_odds: Tensor
    evidence: Tensor
    segmentation: Tensor | None

    @property
    def probability(self) -> Tensor:
        """P of being anomalous, shape (n,)."""
        return torch.sigmoid(self.log_odds)


class CueHeads(nn.Module):
    """Deviation, probability and, unless ``width`` is 0, segmentation head.

    Parameters
    ----------
    channels : int
        Channels of the features.
    width : int
        Channels inside the segmentation head; 0: no such head.
    top_share : float in (0, 1]
        ρ.
    """

    def __init__(self, channels: int, *, width: int = 32, top_share: float = 0.1) -> None:
        super().__init__()
        self.top_share = top_share
        self.deviation = nn.Conv2d(channels, 1, 1)
        self.probability = nn.Conv2d(channels, 1, 1)
        self.segmentation: nn.Module | None = None
        if width > 0:
            self.segmentation = nn.Sequential(
                nn.Conv2d(channels, width, 1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, 1, 3, padding=1),
            )

    def start_from(self, channel: int) -> None:
        """Let ψ start as the absolute value of one channel, and let the probability start even.

        Parameters
        ----------
        channel : int
            Of the features, such as the standardised distance to normal patches.
        """
        with torch.no_grad():
            for parameter in (*self.deviation.parameters(), *self.probability.parameters()):
                parameter.zero_()
            self.deviation.weight[0, channel] = 1.0

    def forward(self, features: Tensor) -> HeadOutputs:
        """Return what the heads say about features (n, channels, height, width)."""
        patches = self.deviation(features)[:, 0].abs()
        evidence = self.probability(features)[:, 0]
        segmentation = None if self.segmentation is None else self.segmentation(features)[:, 0]
        return HeadOutputs(
            patches,
            top_share_mean(patches, self.top_share),
            evidence.flatten(1).mean(dim=1),
            evidence,
            segmentation,
        )
