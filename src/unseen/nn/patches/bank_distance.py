r"""How far patches are from the nearest normal one of a bank, wherever in the picture that lies.

For a patch :math:`z` and the patch :math:`z^*` of the bank with the largest cosine to it, the length of the
residual :math:`\lVert z - z^* \rVert`. For parts that lie at any angle the bank also holds patches of turned
copies. The bank is divided in cells (:mod:`unseen.nn.patches.cells`): a patch is compared with the nearest
patch of its nearest cell, and the patches that come out highest, on which a picture's score depends, with the
whole bank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.patches.cells import divide, nearest_in_cells
from unseen.nn.patches.neighbours import nearest_by_cosine
from unseen.nn.patches.normal_folds import folds_of_normals

_CELLS = 0.7
"""Cells over the root of the number of patches."""

_SMALL_BANK = 1024
_COMPARED_EXACTLY = 40
_MARGIN = 1e-12


def divided_bank(features: Tensor, *, size: int, seed: int) -> dict[str, NDArray[Any]]:
    """Return a bank of the patches of normal pictures.

    Parameters
    ----------
    features : float tensor of shape (n_pictures, channels, height, width)
        Of normal pictures and, where these are wanted, of their turned copies.
    size : int >= 1
        Patches drawn, at most.
    seed : int
        Of the draw.

    Returns
    -------
    dict of str to array
        ``bank`` float32 (n_bank, channels), of length 1, cell after cell; ``bank_lengths`` float32 (n_bank,),
        what their lengths were; ``cell_centres`` float32 (n_cells, channels); ``cell_starts`` int64
        (n_cells + 1,). Small banks are one cell.
    """
    n, _, height, width = features.shape
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(n * height * width, generator=generator)[:size]
    rows = torch.div(chosen, height * width, rounding_mode="floor")
    patches = features.flatten(2)[rows, :, chosen % (height * width)]
    lengths, bank = patches.norm(dim=1), F.normalize(patches, dim=1)
    n_cells = 1 if len(bank) < _SMALL_BANK else round(_CELLS * math.sqrt(len(bank)))
    cells = divide(bank, n_cells, generator=generator)
    return {
        "bank": bank[cells.order].numpy(),
        "bank_lengths": lengths[cells.order].numpy(),
        "cell_centres": cells.centres.numpy(),
        "cell_starts": cells.starts.numpy(),
    }


def check_divided_bank(memory: Mapping[str, NDArray[Any]]) -> None:
    """Check a bank that comes from a file.

    Parameters
    ----------
    memory : mapping of str to array
        Of :func:`divided_bank`, among others; nothing is checked if it has no cells.

    Raises
    ------
    ValueError
        If bank, lengths and cells do not fit together.
    """
    starts = memory.get("cell_starts")
    if starts is None:
        return
    bank = memory["bank"]
    whole = starts.dtype == np.int64 and starts.ndim == 1 and len(starts) == len(memory["cell_centres"]) + 1
    if not whole or starts[0] != 0 or starts[-1] != len(bank) or (np.diff(starts) <= 0).any():
        raise ValueError("the cells of the bank do not add up")
    if bank.ndim != 2 or memory["bank_lengths"].shape != (len(bank),):
        raise ValueError("the bank and its lengths differ")


def bank_length(features: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
    """Return how far patches are from the nearest one of a bank; differentiable in the features.

    Parameters
    ----------
    features : float tensor of shape (n, channels, height, width)
        Of patches.
    memory : mapping of str to tensor
        Of :func:`divided_bank`.

    Returns
    -------
    float tensor of shape (n, 1, height, width)
    """
    n, _, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)
    return torch.stack([_lengths(picture, memory) for picture in rows]).reshape(n, 1, height, width)


def _lengths(queries: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
    """Lengths of the residuals of the patches of a picture, (n_patches, channels)."""
    with torch.no_grad():
        plain = queries.detach()
        bank, starts = memory["bank"], memory["cell_starts"]
        places = nearest_in_cells(plain, bank, memory["cell_centres"], starts)
        if len(starts) > 2:
            found = _residuals(plain, places, memory)
            highest = found.topk(min(len(found), _COMPARED_EXACTLY)).indices
            places[highest] = nearest_by_cosine(plain[highest], bank).places
    return _residuals(queries, places, memory)


def _residuals(queries: Tensor, places: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
    nearest = memory["bank"][places] * memory["bank_lengths"][places, None]
    return torch.sqrt((queries - nearest).square().sum(dim=1) + _MARGIN)


def left_out_bank_lengths(
    V: NDArray[np.float32],
    normals: Sequence[NDArray[np.int64]],
    codes: NDArray[np.int64],
    *,
    remembered: Sequence[int],
    asked: int,
    size: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return the distances of looks of pictures to banks of normal pictures other than themselves.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features.
    normals : sequence of int64 array
        Rows of the normals of each domain. Of four folds of them, each is compared with the other three.
    codes : int64 array of shape (n_pictures,)
        Which of these each picture is compared with.
    remembered : sequence of int
        Looks that the banks are drawn from.
    asked : int
        So many looks are measured, from the first on.
    size : int
        Of a bank.
    seed : int
        Draws folds and banks.
    groups : int64 array of shape (n_pictures,) or None
        As for :func:`~unseen.nn.patches.normal_folds.folds_of_normals`.

    Returns
    -------
    float32 array of shape (n_pictures, asked, height, width)
    """
    lengths = np.empty((len(V), asked, *V.shape[3:]), dtype=np.float32)
    for others, rows in folds_of_normals(normals, codes, seed=seed, groups=groups):
        looks = np.concatenate([V[others, look, :-2] for look in remembered])
        found = divided_bank(torch.from_numpy(looks), size=size, seed=seed)
        memory = {name: torch.from_numpy(values) for name, values in found.items()}
        for row in rows.tolist():
            features = torch.from_numpy(np.ascontiguousarray(V[row, :asked, :-2]))
            lengths[row] = bank_length(features, memory)[:, 0].numpy()
    return lengths
