r"""Patches seen from their own picture, so that features of one category mean something for another.

==============  ====================================================================================
context         what a patch z becomes
==============  ====================================================================================
``absolute``    z
``centred``     :math:`z - \bar z`, with the mean of the picture's patches
``similarity``  :math:`|z - z^*|`, with the patch of the same picture that has the largest cosine to z and
                lies at least three steps of the grid away
``both``        the last two, one after the other
==============  ====================================================================================

A picture is seen from itself alone: no reference and no other picture is needed.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

CONTEXTS = ("absolute", "centred", "similarity", "both")

_APART = 3


def in_context(features: Tensor, context: str) -> Tensor:
    """Return the patches of pictures as their picture shows them.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, channels, height, width)
        Patch features.
    context : {"absolute", "centred", "similarity", "both"}
        See the table at the top of this file.

    Returns
    -------
    float tensor of shape (n_pictures, height * width, channels)
        With twice as many channels for ``"both"``.
    """
    patches = features.flatten(2).transpose(1, 2)
    if context == "absolute":
        return patches
    parts = []
    if context != "similarity":
        parts.append(patches - patches.mean(dim=1, keepdim=True))
    if context != "centred":
        near = _neighbourhood(features.shape[2], features.shape[3]).to(features.device)
        parts.append(torch.stack([_residual_within(picture, near) for picture in patches]))
    return torch.cat(parts, dim=2)


def _residual_within(patches: Tensor, near: Tensor) -> Tensor:
    """|z − z*| of each patch (n_patches, channels) of one picture; 0 where every other patch is near."""
    unit = F.normalize(patches, dim=1)
    cosines = (unit @ unit.T).masked_fill(near, -torch.inf)
    largest, places = cosines.max(dim=1)
    places = torch.where(torch.isinf(largest), torch.arange(len(patches), device=places.device), places)
    return (patches - patches[places]).abs()


@lru_cache(maxsize=8)
def _neighbourhood(height: int, width: int) -> Tensor:
    """Which patches of a grid lie fewer than three steps apart, bool (n_patches, n_patches)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return (places[:, None] - places[None, :]).abs().amax(dim=2) < _APART
