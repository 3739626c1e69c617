"""A bank in cells of alike patches, so that a query need not be compared with all of it.

k-means (S. Lloyd, IEEE Trans. Information Theory 1982) with few rounds: cells need not be the best ones. The
nearest patch is looked for in the cell whose mean is nearest, as an inverted file does (H. Jégou et al., IEEE
TPAMI 2011); it is found there unless the query lies near the border of its cell.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.checks import check_int
from unseen.nn.patches.neighbours import Neighbours, nearest_place

_ROUNDS = 6


class Cells(NamedTuple):
    """A bank in cells.

    Attributes
    ----------
    order : int64 tensor of shape (n_bank,)
        Rows of the bank, cell after cell.
    centres : float tensor of shape (n_cells, channels)
        Means of the cells.
    starts : int64 tensor of shape (n_cells + 1,)
        Where each cell begins in ``order``, and its length. No cell is empty.
    """

    order: Tensor
    centres: Tensor
    starts: Tensor


def divide(bank: Tensor, n_cells: int, *, generator: torch.Generator) -> Cells:
    """Divide a bank in cells.

    Parameters
    ----------
    bank : float tensor of shape (n_bank, channels)
        Patches, on the CPU.
    n_cells : int >= 1
        At most so many.
    generator : torch.Generator
        Draws the first means.

    Returns
    -------
    Cells
    """
    check_int("divide", "n_cells", n_cells, minimum=1)
    centres = bank[torch.randperm(len(bank), generator=generator)[:n_cells]]
    cells = nearest_place(bank, centres)
    for _ in range(_ROUNDS):
        counts = torch.bincount(cells, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, cells, bank)
        centres = sums[counts > 0] / counts[counts > 0, None]
        cells = nearest_place(bank, centres)
    counts = torch.bincount(cells, minlength=len(centres))
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts[counts > 0].cumsum(0)])
    return Cells(cells.argsort(stable=True), centres[counts > 0], starts)


def nearest_in_cells(queries: Tensor, bank: Tensor, centres: Tensor, starts: Tensor) -> Neighbours:
    """Return the largest cosine of each query to the patches of the nearest cell, and where it is.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    bank : float tensor of shape (n_bank, channels)
        Rows of length 1, cell after cell.
    centres : float tensor of shape (n_cells, channels)
        Means of the cells.
    starts : int64 tensor of shape (n_cells + 1,)
        Where each cell begins, and the length of the bank.

    Returns
    -------
    Neighbours
        ``values`` in [-1, 1], at most those of ``nearest_by_cosine``.
    """
    unit = F.normalize(queries, dim=1)
    cells = nearest_place(unit, centres)
    order = cells.argsort(stable=True)
    counts = torch.bincount(cells, minlength=len(centres)).tolist()
    grouped, places = unit[order], torch.empty_like(order)
    first, limits = 0, starts.tolist()
    for cell, count in enumerate(counts):
        if count:
            rows = slice(first, first + count)
            products = grouped[rows] @ bank[limits[cell] : limits[cell + 1]].T
            places[rows] = _argmax(products) + limits[cell]
            first += count
    values = (grouped * bank[places]).sum(dim=1).clamp(-1.0, 1.0)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return Neighbours(values[back], places[back])


def _argmax(products: Tensor) -> Tensor:
    if products.device.type != "cpu":
        return products.argmax(dim=1)
    return torch.from_numpy(products.numpy().argmax(axis=1))  # several times as fast as torch's
