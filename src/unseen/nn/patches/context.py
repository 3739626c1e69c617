r"""Patches seen from their own picture, so that features of one category mean something for another.

==============  ====================================================================================
context         what a patch z becomes
==============  ====================================================================================
``absolute``    z
``centred``     :math:`z - \bar z`, with the mean of the picture's patches
``similarity``  :math:`|z - z^*|`, with the patch of the same picture that has the largest cosine to z and
                lies at least three steps of the grid away
``both``        the last two, one after the other
``contrast``    :math:`|u - \bar u|`, u = z at length 1, with the mean of the ten most similar patches (by
                cosine) of the same picture that lie at least three steps away, or of the ten most similar
                reference patches, whichever leaves less
==============  ====================================================================================

A picture is seen from itself alone: no other picture is needed, and references only where there are any. What
repeats within a picture is explained by it; what does not (the only head of a screw) by the references.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

CONTEXTS = ("absolute", "centred", "similarity", "both", "contrast")

_APART = 3
_SIMILAR = 10


def in_context(
    features: Tensor, context: str, references: Tensor | None = None, *, places: Tensor | None = None
) -> Tensor:
    """Return the patches of pictures as their picture shows them.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, channels, height, width)
        Patch features.
    context : {"absolute", "centred", "similarity", "both", "contrast"}
        See the table at the top of this file.
    references : float tensor of shape (n_patches, channels) or None
        Patches of length 1 of normal pictures of the same domain; read by ``"contrast"`` only. None at all:
        the picture alone.
    places : int64 tensor of shape (n_places,) or None
        Patches that are asked for, row by row of the grid. None: all.

    Returns
    -------
    float tensor of shape (n_pictures, height * width or n_places, channels)
        With twice as many channels for ``"both"``.
    """
    patches = features.flatten(2).transpose(1, 2)
    asked = torch.arange(patches.shape[1], device=patches.device) if places is None else places
    if context == "absolute":
        return patches[:, asked]
    near = _neighbourhood(features.shape[2], features.shape[3]).to(features.device)
    if context == "contrast":
        return torch.stack([_contrast(picture, asked, near[asked], references) for picture in patches])
    parts = []
    if context != "similarity":
        parts.append(patches - patches.mean(dim=1, keepdim=True))
    if context != "centred":
        parts.append(torch.stack([_residual_within(picture, near) for picture in patches]))
    return torch.cat(parts, dim=2)[:, asked]


def _residual_within(patches: Tensor, near: Tensor) -> Tensor:
    """|z − z*| of each patch (n_patches, channels) of one picture; 0 where every other patch is near."""
    unit = F.normalize(patches, dim=1)
    cosines = (unit @ unit.T).masked_fill(near, -torch.inf)
    largest, places = cosines.max(dim=1)
    places = torch.where(torch.isinf(largest), torch.arange(len(patches), device=places.device), places)
    return (patches - patches[places]).abs()


def _contrast(patches: Tensor, asked: Tensor, near: Tensor, references: Tensor | None) -> Tensor:
    """|u − ū| of the patches (n_patches, channels) of one picture that are asked for."""
    unit = F.normalize(patches, dim=1)
    queries = unit[asked]
    own = (queries @ unit.T).masked_fill(near, -torch.inf)
    alone = near.all(dim=1)[:, None]
    found = (queries - _mean_of_similar(own, unit)).masked_fill(alone, 0.0)
    if references is not None and len(references):
        other = queries - _mean_of_similar(queries @ references.T, references)
        own_length, other_length = (
            torch.linalg.vector_norm(values, dim=1, keepdim=True) for values in (found, other)
        )
        found = torch.where((other_length < own_length) | alone, other, found)
    return found.abs()


def _mean_of_similar(cosines: Tensor, bank: Tensor) -> Tensor:
    """Mean of the most similar rows of a bank to each query; 0 for a query that has none."""
    values, places = cosines.topk(min(_SIMILAR, cosines.shape[1]), dim=1)
    allowed = (~torch.isinf(values)).to(bank)
    shares = allowed / allowed.sum(dim=1, keepdim=True).clamp(min=1)
    return F.embedding_bag(places, bank, per_sample_weights=shares, mode="sum")


@lru_cache(maxsize=8)
def _neighbourhood(height: int, width: int) -> Tensor:
    """Which patches of a grid lie fewer than three steps apart, bool (n_patches, n_patches)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return (places[:, None] - places[None, :]).abs().amax(dim=2) < _APART
