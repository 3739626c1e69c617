"""Hinge losses of a discriminator that tells normal features from others, as pure functions.

For scores s, higher = more anomalous, and a margin m (Z. Liu et al., "SimpleNet", CVPR 2023, whose
discriminator has the opposite sign)::

    normal    [m + s]₊
    anomalous [m − s]₊
"""

from __future__ import annotations

from torch import Tensor


def normal_hinge(scores: Tensor, margin: float) -> Tensor:
    """Return [m + s]₊ of each score, which should be below −m.

    Parameters
    ----------
    scores : Tensor of any shape
        s of normals.
    margin : float >= 0
        m.

    Returns
    -------
    Tensor of the same shape, >= 0
    """
    return (margin + scores).clamp(min=0)


def anomaly_hinge(scores: Tensor, margin: float) -> Tensor:
    """Return [m − s]₊ of each score, which should be above m.

    Parameters
    ----------
    scores : Tensor of any shape
        s of anomalies.
    margin : float >= 0
        m.

    Returns
    -------
    Tensor of the same shape, >= 0
    """
    return (margin - scores).clamp(min=0)
