r"""What heads see of patch features: the features themselves, what sets them off from normal ones, or both.

A patch :math:`z` is brought to length 1, :math:`u`. ``"features"`` are the channels of u, centred and scaled
by the mean and the deviation over the normals of a domain. ``"residual"`` are :math:`|u - u^*|` for the
nearest patch :math:`u^*` of a bank of normals, and its length, centred and scaled by their statistics over
normals that are compared with the patches of *other* pictures. ``"both"`` joins the
two, ``"distance"`` the features and that length.

``"whitened"`` needs no bank: with the mean :math:`\mu` of the normals at the same place of the picture and
the covariance :math:`\Sigma` of :math:`u - \mu` over all places, shrunk towards a multiple of the identity,
heads see :math:`\Sigma^{-1/2} (u - \mu)` and its length, which is a Mahalanobis distance. ``"local"`` puts
the distance of z by the covariance of its own place in place of that length
(:mod:`unseen.nn.patches.local_distance`), ``"neighbours"`` its distance to the nearest patch of a bank
(:mod:`unseen.nn.patches.bank_distance`); more than 10 deviations above the mean both grow as their logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.patches.bank_distance import bank_length
from unseen.nn.patches.local_distance import local_length
from unseen.nn.patches.neighbours import nearest_by_cosine
from unseen.nn.patches.normal_folds import folds_of_normals
from unseen.nn.patches.robust_bank import cosine_to_others, robust_bank

INPUTS = ("local", "neighbours", "whitened", "features", "distance", "residual", "both")

PLACED = ("local", "neighbours", "whitened")
"""These see whitened differences to the centre of each place."""

_LEAST_SCALE = 1e-3
_MOST_FOR_STATISTICS = 32
_MARGIN = 1e-12
_SHRINKAGE = 0.01
_BEND = 10.0

NEED_A_BANK = ("distance", "residual", "both")


def n_inputs(kind: str, channels: int) -> int:
    """Return how many channels the heads see.

    Parameters
    ----------
    kind : {"local", "neighbours", "whitened", "features", "distance", "residual", "both"}
        What they see.
    channels : int
        Channels of the features.

    Returns
    -------
    int
    """
    return {
        "features": channels,
        "local": channels + 1,
        "neighbours": channels + 1,
        "whitened": channels + 1,
        "distance": channels + 1,
        "residual": channels + 1,
        "both": 2 * channels + 1,
    }[kind]


def head_inputs(
    features: Tensor,
    memory: Mapping[str, Tensor],
    kind: str,
    places: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Return what the heads see; differentiable in the features.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of patches.
    memory : mapping of str to tensor
        ``centre``, ``scale`` and, where residuals are seen, ``bank``, ``residual_centre`` and
        ``residual_scale``; for whitened features ``centre`` by place, ``whitening``, ``length_centre`` and
        ``length_scale``, and for local ones and neighbours those of
        :func:`~unseen.nn.patches.local_distance.local_distribution` or
        :func:`~unseen.nn.patches.bank_distance.divided_bank` too.
    kind : {"local", "neighbours", "whitened", "features", "distance", "residual", "both"}
        What they see.
    places : int64 tensor of shape (n, height, width) or None
        Where in the bank the nearest patches are, if that is known.
    lengths : float tensor of shape (n, height, width) or None
        How far patches are from normal ones, if that is known.

    Returns
    -------
    float tensor of shape (n, n_inputs(kind, channels), height, width)
    """
    unit = F.normalize(features, dim=1)
    if kind in PLACED:
        white, length = _whitened(unit, memory["centre"], memory["whitening"])
        if kind != "whitened":
            measure = local_length if kind == "local" else bank_length
            length = measure(features, memory) if lengths is None else lengths[:, None]
        standard = (length - memory["length_centre"]) / memory["length_scale"]
        return torch.cat([white, standard if kind == "whitened" else _bent(standard)], dim=1)
    parts = []
    if kind != "residual":
        parts.append(_scaled(unit, memory["centre"], memory["scale"]))
    if kind != "features":
        seen = slice(-1, None) if kind == "distance" else slice(None)
        residuals = _residuals(unit, memory["bank"], places)[:, seen]
        parts.append(_scaled(residuals, memory["residual_centre"][seen], memory["residual_scale"][seen]))
    return torch.cat(parts, dim=1)


def local_centre(features: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return ``centre``, the mean by place of normal patches brought to length 1.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of normal pictures.

    Returns
    -------
    dict of str to float32 array of shape (channels, height, width)
    """
    return {"centre": F.normalize(features, dim=1).mean(dim=0).numpy()}


def whitening_statistics(features: Sequence[Tensor]) -> dict[str, NDArray[np.float32]]:
    """Return what whitens the differences of normal patches to their local centre.

    Parameters
    ----------
    features : sequence of float tensors of shape (n, channels, height, width)
        Of the normal pictures of each domain.

    Returns
    -------
    dict of str to float32 array
        ``whitening`` (channels, channels), ``length_centre`` and ``length_scale`` (1,).
    """
    units = [F.normalize(some, dim=1) for some in features]
    rows = torch.cat([(unit - unit.mean(dim=0)).transpose(0, 1).flatten(1) for unit in units], dim=1)
    covariance = (rows @ rows.T).double() / rows.shape[1]
    level = covariance.diagonal().mean().clamp(min=_MARGIN)
    identity = torch.eye(len(covariance), dtype=torch.float64)
    values, axes = torch.linalg.eigh((1 - _SHRINKAGE) * covariance + _SHRINKAGE * level * identity)
    whitening = (axes / values.sqrt()).float()
    lengths = torch.cat([_whitened(unit, unit.mean(dim=0), whitening)[1].flatten() for unit in units])
    scale = lengths.std(correction=0).clamp(min=_LEAST_SCALE)
    return {
        "whitening": whitening.numpy(),
        "length_centre": lengths.mean().reshape(1).numpy(),
        "length_scale": scale.reshape(1).numpy(),
    }


def left_out_whitened(
    V: NDArray[np.float32],
    normals: Sequence[NDArray[np.int64]],
    codes: NDArray[np.int64],
    *,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return the mean over all places of the whitened length, measured by normals other than themselves.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features; the first look is measured.
    normals, codes, seed, groups
        As for :func:`~unseen.nn.patches.normal_folds.folds_of_normals`.

    Returns
    -------
    float64 array of shape (n_pictures,)
    """
    means = np.empty(len(V))
    for others, rows in folds_of_normals(normals, codes, seed=seed, groups=groups):
        remembered = torch.from_numpy(np.ascontiguousarray(V[others, 0, :-2]))
        whitening = torch.from_numpy(whitening_statistics([remembered])["whitening"])
        centre = torch.from_numpy(local_centre(remembered)["centre"])
        for row in rows.tolist():
            unit = F.normalize(torch.from_numpy(np.ascontiguousarray(V[row, :1, :-2])), dim=1)
            means[row] = float(_whitened(unit, centre, whitening)[1].mean())
    return means


def standardised(features: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
    """Return features as they are, their length too, centred and scaled.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of patches.
    memory : mapping of str to tensor
        ``centre`` and ``scale`` of :func:`raw_statistics`.

    Returns
    -------
    float tensor of the same shape
    """
    return _scaled(features, memory["centre"], memory["scale"])


def raw_statistics(features: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return ``centre`` and ``scale`` of the channels of normal patches as they are.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of normal pictures.

    Returns
    -------
    dict of str to float32 array of shape (channels,)
    """
    return _statistics(features, "")


def own_statistics(features: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return ``centre`` and ``scale`` of the channels of normal patches brought to length 1.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of normal pictures.

    Returns
    -------
    dict of str to float32 array of shape (channels,)
    """
    return _statistics(F.normalize(features, dim=1), "")


def bank_of(features: Tensor, *, size: int, trimmed: float, seed: int) -> dict[str, NDArray[np.generic]]:
    """Return ``bank`` and ``owners``, patches of normal pictures that look like those of others.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, channels, height, width)
        Of normal pictures.
    size, trimmed
        As for :func:`~unseen.nn.patches.robust_bank.robust_bank`.
    seed : int
        Of the draw.

    Returns
    -------
    dict of str to array
    """
    patches = F.normalize(features, dim=1).flatten(2).transpose(1, 2)
    draw = torch.Generator().manual_seed(seed)
    found = robust_bank(patches, size=size, trimmed=trimmed, generator=draw)
    return {"bank": found.patches.numpy(), "owners": found.owners.numpy()}


def places_among_others(features: Tensor, bank: Tensor, owners: Tensor, asking: Tensor) -> Tensor:
    """Return where in a bank the nearest patch of another picture is.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of pictures.
    bank : float tensor of shape (n_bank, channels)
        Of length 1.
    owners : int64 tensor of shape (n_bank,)
        Which picture each comes from.
    asking : int64 tensor of shape (n,)
        Which picture each is (or was made from); -1: none of them.

    Returns
    -------
    int64 tensor of shape (n, height, width)
    """
    unit = F.normalize(features, dim=1).flatten(2)
    found = [
        cosine_to_others(picture.T, bank, owners, own)[1] for picture, own in zip(unit, asking, strict=True)
    ]
    return torch.stack(found).reshape(len(features), *features.shape[2:])


def residual_statistics(features: Tensor, bank: Tensor, owners: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return ``residual_centre`` and ``residual_scale`` of normals compared with other pictures.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, channels, height, width)
        Of the normal pictures that the bank is drawn from; evenly spread ones, 32 at most, are looked at.
    bank : float tensor of shape (n_bank, channels)
        Of length 1.
    owners : int64 tensor of shape (n_bank,)
        Which picture each comes from.

    Returns
    -------
    dict of str to float32 array of shape (channels + 1,)
    """
    count = min(len(features), _MOST_FOR_STATISTICS)
    some = torch.linspace(0, len(features) - 1, count).round().long()
    places = places_among_others(features[some], bank, owners, some)
    return _statistics(_residuals(F.normalize(features[some], dim=1), bank, places), "residual_")


def _residuals(unit: Tensor, bank: Tensor, places: Tensor | None) -> Tensor:
    """Absolute differences to the nearest patches, and their length as one channel more."""
    n, channels, height, width = unit.shape
    if places is None:
        with torch.no_grad():
            places = nearest_by_cosine(unit.permute(0, 2, 3, 1).reshape(-1, channels), bank).places
    nearest = bank[places.flatten()].reshape(n, height, width, channels).permute(0, 3, 1, 2)
    differences = unit - nearest
    length = torch.sqrt(differences.square().sum(dim=1, keepdim=True) + _MARGIN)
    return torch.cat([differences.abs(), length], dim=1)


def _whitened(unit: Tensor, centre: Tensor, whitening: Tensor) -> tuple[Tensor, Tensor]:
    """Whitened differences to the centre of each place, and the root of their mean square."""
    white = torch.einsum("nchw,cd->ndhw", unit - centre, whitening)
    return white, torch.sqrt(white.square().mean(dim=1, keepdim=True) + _MARGIN)


def _bent(values: Tensor) -> Tensor:
    """Let values above 10 grow as their logarithm, with no kink: no distance saturates the heads."""
    return values.clamp(max=_BEND) + _BEND * torch.log(values.clamp(min=_BEND) / _BEND)


def _scaled(values: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    return (values - centre[:, None, None]) / scale[:, None, None]


def _statistics(values: Tensor, prefix: str) -> dict[str, NDArray[np.float32]]:
    rows = values.transpose(0, 1).flatten(1)
    scale = rows.std(dim=1, correction=0)
    least = _LEAST_SCALE * scale.max().clamp(min=1e-6)
    return {
        f"{prefix}centre": rows.mean(dim=1).numpy(),
        f"{prefix}scale": scale.clamp(min=float(least)).numpy(),
    }
