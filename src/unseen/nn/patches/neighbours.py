"""The nearest patches of a bank, exactly, in blocks that stay in the processor's cache."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_BANK_ROWS = 1024
_QUERY_ROWS = 256
_DEVICE_CELLS = 8_000_000
_LEAST_LENGTH = 1e-12


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
    found = _largest(F.normalize(queries, dim=1), bank, torch.zeros(len(bank), device=bank.device))
    return Neighbours(found.values.clamp(-1.0, 1.0), found.places)


def largest_cosine(queries: Tensor, bank: Tensor) -> Tensor:
    """Return the largest cosine of each query to a small bank; faster than where it is.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    bank : float tensor of shape (n_bank, channels)
        Rows of length 1.

    Returns
    -------
    float tensor of shape (n_queries,)
        In [-1, 1].
    """
    rows = max(1, _BANK_ROWS * _QUERY_ROWS // len(bank))
    found = torch.cat([(block @ bank.T).amax(dim=1) for block in torch.split(queries, rows)])
    lengths: Tensor = torch.linalg.vector_norm(queries, dim=1).clamp_min(_LEAST_LENGTH)
    return torch.clamp(found / lengths, -1.0, 1.0)


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
    places = nearest_place(queries, bank)
    return Neighbours(torch.linalg.vector_norm(queries - bank[places], dim=1), places)


def nearest_place(queries: Tensor, bank: Tensor) -> Tensor:
    """Return the row of the bank at the smallest Euclidean distance to each query.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Patches.
    bank : float tensor of shape (n_bank, channels)
        Patches.

    Returns
    -------
    int64 tensor of shape (n_queries,)
    """
    return _largest(queries, bank, bank.square().sum(dim=1) / -2).places


def _largest(queries: Tensor, bank: Tensor, offsets: Tensor) -> Neighbours:
    """The largest product of each query with a bank row, plus the row's offset, and where it is."""
    if queries.device.type != "cpu":
        rows = max(1, _DEVICE_CELLS // len(bank))
        blocks = [torch.addmm(offsets, block, bank.T).max(dim=1) for block in torch.split(queries, rows)]
        return Neighbours(torch.cat([b.values for b in blocks]), torch.cat([b.indices for b in blocks]))
    values = torch.full((len(queries),), -torch.inf)
    places = torch.zeros(len(queries), dtype=torch.int64)
    buffer = torch.empty(_QUERY_ROWS * _BANK_ROWS)
    for first in range(0, len(bank), _BANK_ROWS):
        part = bank[first : first + _BANK_ROWS].T
        of_part = offsets[first : first + _BANK_ROWS]
        for start in range(0, len(queries), _QUERY_ROWS):
            block = queries[start : start + _QUERY_ROWS]
            products = buffer[: len(block) * part.shape[1]].view(len(block), part.shape[1])
            torch.addmm(of_part, block, part, out=products)
            # numpy's argmax is several times as fast as torch's here
            columns = torch.from_numpy(products.numpy().argmax(axis=1))
            _keep_larger(values, places, start, products.gather(1, columns[:, None])[:, 0], columns + first)
    return Neighbours(values, places)


def _keep_larger(values: Tensor, places: Tensor, start: int, new: Tensor, new_places: Tensor) -> None:
    """Take the larger values of a block and their places over, in place; the earlier one of equal ones."""
    rows = slice(start, start + len(new))
    larger = new > values[rows]
    torch.where(larger, new_places, places[rows], out=places[rows])
    torch.maximum(values[rows], new, out=values[rows])
