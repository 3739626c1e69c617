"""A bank of normal patches that patches seen in one picture only do not get into.

A defect that passes for normal brings patches into the bank which make the same defect look normal later on.
Defects are rare, so such patches lie far from the patches of all *other* pictures; those that lie farthest
are left out, as X. Jiang et al. do with a density in "SoftPatch", NeurIPS 2022.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FAR = 4.0
"""More than any squared distance between vectors of length 1 is off another."""

_BLOCK = 1024


class RobustBank(NamedTuple):
    """Patches of normal pictures.

    Attributes
    ----------
    patches : float tensor of shape (n_patches, channels)
        Of length 1.
    owners : int64 tensor of shape (n_patches,)
        Which picture each comes from.
    """

    patches: Tensor
    owners: Tensor


def robust_bank(patches: Tensor, *, size: int, trimmed: float, generator: torch.Generator) -> RobustBank:
    """Draw patches of pictures and leave out those that are most unlike the patches of other pictures.

    Parameters
    ----------
    patches : float tensor of shape (n_pictures, n_patches, channels)
        Of length 1.
    size : int >= 1
        Patches drawn, at most.
    trimmed : float in [0, 1)
        Share of them that is left out.
    generator : torch.Generator
        Draws.

    Returns
    -------
    RobustBank
        At least one patch; none is left out if there is one picture only.
    """
    n_pictures, n_patches, channels = patches.shape
    chosen = torch.randperm(n_pictures * n_patches, generator=generator)[:size]
    drawn = patches.reshape(-1, channels)[chosen]
    owners = chosen // n_patches
    kept = max(1, round((1 - trimmed) * len(drawn)))
    if n_pictures == 1 or kept == len(drawn):
        return RobustBank(drawn, owners)
    cosines = torch.cat(
        [
            cosine_to_others(block, drawn, owners, owner)[0]
            for block, owner in zip(torch.split(drawn, _BLOCK), torch.split(owners, _BLOCK), strict=True)
        ]
    )
    near = cosines.topk(kept).indices.sort().values
    return RobustBank(drawn[near], owners[near])


def cosine_to_others(queries: Tensor, bank: Tensor, owners: Tensor, asking: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest cosine of each query to bank patches of other pictures, and where it is.

    Parameters
    ----------
    queries : float tensor of shape (n, channels)
        Of length 1.
    bank : float tensor of shape (n_bank, channels)
        Of length 1.
    owners : int64 tensor of shape (n_bank,)
        Which picture each comes from.
    asking : int64 tensor of shape (n,) or ()
        Which picture each query comes from; -1: none of them.

    Returns
    -------
    tuple of (float tensor of shape (n,), int64 tensor of shape (n,))
        Where the whole bank is the query's own, its cosine is -4 or more and less than -1.
    """
    cosines = queries @ bank.T
    own = owners[None] == asking.reshape(-1, 1)
    found = torch.where(own, cosines - _FAR, cosines).max(dim=1)
    return found.values, found.indices
