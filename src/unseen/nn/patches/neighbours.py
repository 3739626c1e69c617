"""The nearest patches of a bank, exactly, in blocks that bound the memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK_CELLS = 8_000_000


class Neighbours(NamedTuple):
    """The nearest bank patch of each query.

    Attributes
    ----------
    values : float tensor of shape (n_queries,)
        Cosine or Euclidean distance, as asked for.
    places : int64 tensor of shape (n_queries,)
        Rows of the bank.
    """

    values: Tensor
    places: Tensor


def nearest_by_cosine(queries: Tensor, bank: Tensor) -> Neighbours:
    """Return the largest cosine of each query to a bank and where it is.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    bank : float tensor of shape (n_bank, channels)
        Rows of length 1.

    Returns
    -------
    Neighbours
        ``values`` in [-1, 1].
    """
    unit = F.normalize(queries, dim=1)
    rows = max(1, _BLOCK_CELLS // len(bank))
    found = [(block @ bank.T).max(dim=1) for block in torch.split(unit, rows)]
    values = torch.cat([values for values, _ in found])
    return Neighbours(values.clamp(-1.0, 1.0), torch.cat([places for _, places in found]))


def nearest_by_distance(queries: Tensor, bank: Tensor) -> Neighbours:
    """Return the smallest Euclidean distance of each query to a bank and where it is.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Patches.
    bank : float tensor of shape (n_bank, channels)
        Patches.

    Returns
    -------
    Neighbours
        ``values`` >= 0, computed by differences, so that equal patches are at exactly 0.
    """
    half_norms = bank.square().sum(dim=1) / 2
    rows = max(1, _BLOCK_CELLS // len(bank))
    blocks = [
        torch.addmm(half_norms, block, bank.T, alpha=-1.0).argmin(dim=1)
        for block in torch.split(queries, rows)
    ]
    places = torch.cat(blocks)
    return Neighbours(torch.linalg.vector_norm(queries - bank[places], dim=1), places)
