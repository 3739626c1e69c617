"""Residuals of patches to the nearest normal patch, of pictures of which none is its own reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.nn.anomaly_pool import PSEUDO_KIND
from unseen.nn.patches.defect_episodes import defective
from unseen.nn.patches.neighbours import nearest_by_cosine
from unseen.types import FloatArray, Labels, StrArray


class SourceResiduals(NamedTuple):
    """What a judge of residuals learns from.

    Attributes
    ----------
    normals : float tensor of shape (n_normal, channels)
        Of patches of normal pictures.
    anomalies : float tensor of shape (n_anomalous, channels)
        Of patches under a defect.
    kinds : str array of shape (n_anomalous,)
        Domain and kind of each defect; the kind of made-up ones has no name.
    """

    normals: Tensor
    anomalies: Tensor
    kinds: StrArray


def nearest_residuals(queries: Tensor, bank: Tensor, lengths: Tensor) -> Tensor:
    """Return z − z*, z* the patch of the bank with the largest cosine to z.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        z.
    bank : float tensor of shape (n_bank, channels)
        Directions of normal patches, of length 1.
    lengths : float tensor of shape (n_bank,)
        The lengths that they had.

    Returns
    -------
    float tensor of shape (n_queries, channels)
    """
    places = nearest_by_cosine(queries, bank).places
    return queries - bank[places] * lengths[places, None]


def source_residuals(
    V: FloatArray,
    labels: Labels,
    *,
    n_references: int,
    patches: int | None,
    always_made_up: bool,
    least_on_part: float,
    seed: int,
) -> SourceResiduals | None:
    """Compare each picture with other normal pictures of its domain; None if no domain has two normals.

    A normal picture is left out of its own references. Defects are the masked ones of labelled anomalies,
    and made-up ones in domains without.

    Parameters
    ----------
    V : float array of shape (n_pictures, 2, channels + 2, height, width)
        Look 0 of a picture and look 1, with a made-up defect. Of the last two channels the first says how
        much of a patch lies on the part, the second how much of it is defective (NaN: nobody knows).
    labels : Labels
        Of the pictures.
    n_references : int
        References drawn for a picture, at most.
    patches : int or None
        Patches drawn of a picture, at most; None: all.
    always_made_up : bool
        Whether made-up defects are also used in domains with masked anomalies.
    least_on_part : float
        Normal patches with a smaller share on the part are left out, if others are left; 0: none is.
    seed : int
        Of the draws.

    Returns
    -------
    SourceResiduals or None
    """
    draw = np.random.default_rng(seed)
    shares = V[:, 0, -1]
    masked = np.isfinite(shares).all(axis=(1, 2)) & (shares > 0).any(axis=(1, 2))
    normals, anomalies, kinds = [], [], []
    for name in np.unique(labels.domains):
        rows = labels.domains == name
        normal = np.flatnonzero(rows & labels.normal)
        shown = np.flatnonzero(rows & labels.anomaly & masked)
        if len(normal) < 2:
            continue
        for row in (*normal.tolist(), *shown.tolist()):
            others = draw.permutation(normal[normal != row])[:n_references]
            chosen = normal_patches(V[others, 0], least_on_part)
            bank, lengths = F.normalize(chosen, dim=1), chosen.norm(dim=1)
            if labels.normal[row]:
                asked = _some(normal_patches(V[row : row + 1, 0], least_on_part), patches, draw)
                normals.append(nearest_residuals(asked, bank, lengths))
            if always_made_up or not len(shown) or not labels.normal[row]:
                asked = _some(_defective_patches(V[row, int(labels.normal[row])]), patches, draw)
                anomalies.append(nearest_residuals(asked, bank, lengths))
                kind = PSEUDO_KIND if labels.normal[row] else labels.kinds[row]
                kinds += [f"{name}/{kind}"] * len(asked)
    if not normals:
        return None
    return SourceResiduals(torch.cat(normals), torch.cat(anomalies), np.array(kinds, dtype=np.str_))


def normal_patches(V: FloatArray, least_on_part: float) -> Tensor:
    """Return the patches of pictures as rows, without those of the ground.

    Parameters
    ----------
    V : float array of shape (n_pictures, channels + 2, height, width)
        One look of each picture.
    least_on_part : float
        Patches with a smaller share on the part are left out, if others are left.

    Returns
    -------
    float32 tensor of shape (n_patches, channels)
    """
    rows = np.moveaxis(V, 1, -1).reshape(-1, V.shape[1])
    on_part = rows[:, -2] >= least_on_part
    chosen = rows[on_part] if on_part.any() else rows
    return torch.from_numpy(np.ascontiguousarray(chosen[:, :-2], dtype=np.float32))


def _defective_patches(look: FloatArray) -> Tensor:
    """The patches (n, channels) of a look (channels + 2, height, width) that are mostly defective."""
    rows = torch.from_numpy(np.moveaxis(look, 0, -1).reshape(-1, len(look)).astype(np.float32))
    shares = rows[:, -1]
    return rows[defective(shares) & (shares > 0), :-2]


def _some(rows: Tensor, most: int | None, draw: np.random.Generator) -> Tensor:
    """At most so many rows, drawn."""
    if most is None or len(rows) <= most:
        return rows
    return rows[torch.from_numpy(draw.permutation(len(rows))[:most])]
