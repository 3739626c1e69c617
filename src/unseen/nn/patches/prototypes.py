r"""How far contrastive features lie from what is normal: from references, or from their own picture.

For the feature :math:`z` of a patch and a set P of prototypes

.. math:: d = 1 - \max_{p \in P} \cos(z, p)

P holds features of reference patches where there are any. Without references it is the mean of the unit
features of the picture's own patches, most of which are normal even in a defective picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.nn.patches.neighbours import nearest_by_cosine


def prototype_distance(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return d of each patch.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, n_patches, latent)
        z.
    prototypes : float tensor of shape (n_prototypes, latent)
        P, rows of length 1. None at all: each picture is compared with its own mean.

    Returns
    -------
    float tensor of shape (n_pictures, n_patches)
        In [0, 2].
    """
    if len(prototypes):
        values = nearest_by_cosine(features.flatten(0, 1), prototypes).values
        return 1 - values.reshape(features.shape[:2])
    unit = F.normalize(features, dim=2)
    own = F.normalize(unit.mean(dim=1, keepdim=True), dim=2)
    return 1 - (unit * own).sum(dim=2).clamp(-1.0, 1.0)


def draw_prototypes(features: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return some features at length 1.

    Parameters
    ----------
    features : float tensor of shape (n_patches, latent)
        Of the references.
    most : int >= 1
        At most so many are drawn, without replacement.
    generator : torch.Generator
        Draws.

    Returns
    -------
    float tensor of shape (n_prototypes, latent)
    """
    kept = torch.randperm(len(features), generator=generator)[:most].sort().values
    return F.normalize(features[kept.to(features.device)], dim=1)
