"""A bank in cells of alike patches, so that a query need not be compared with all of it.

k-means (S. Lloyd, IEEE Trans. Information Theory 1982) of directions, with few rounds: cells need not be the
best ones. The nearest patch is looked for in the cells whose mean directions are nearest, as an inverted file
does (H. Jégou et al., IEEE TPAMI 2011); the more cells are looked through, the surer it is found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.checks import check_int
from unseen.nn.patches.neighbours import nearest_by_cosine

_ROUNDS = 6
_QUERY_ROWS = 1024
_MOST_PASSES = 8
_SHORT = 2**15


class Cells(NamedTuple):
    """A bank in cells.

    Attributes
    ----------
    order : int64 tensor of shape (n_bank,)
        Rows of the bank, cell after cell.
    centres : float tensor of shape (n_cells, channels)
        Mean directions of the cells, of length 1.
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
        Patches of length 1, on the CPU.
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
    cells = nearest_by_cosine(bank, centres).places
    for _ in range(_ROUNDS):
        counts = torch.bincount(cells, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, cells, bank)
        centres = F.normalize(sums[counts > 0], dim=1)
        cells = nearest_by_cosine(bank, centres).places
    counts = torch.bincount(cells, minlength=len(centres))
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts[counts > 0].cumsum(0)])
    return Cells(cells.argsort(stable=True), centres[counts > 0], starts)


def nearest_in_cells(
    queries: Tensor, bank: Tensor, centres: Tensor, starts: Tensor, *, probes: int = 1
) -> Tensor:
    """Return where the patch with the largest cosine to each query is, among those of the nearest cells.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    bank : float tensor of shape (n_bank, channels)
        Rows of one length, cell after cell.
    centres : float tensor of shape (n_cells, channels)
        Mean directions of the cells.
    starts : int64 tensor of shape (n_cells + 1,)
        Where each cell begins, and the length of the bank.
    probes : int >= 1
        Cells that are looked through for a query; all, if there are no more.

    Returns
    -------
    int64 tensor of shape (n_queries,)
        Rows of the bank.
    """
    cells = nearest_cells(queries, centres, min(probes, len(centres)))
    probes, n_cells = cells.shape[1], len(starts) - 1
    order = _sorted_places(cells.flatten(), n_cells)
    grouped = queries.index_select(0, order if probes == 1 else order // probes)
    counts = torch.bincount(cells.flatten(), minlength=n_cells)
    columns = []
    blocks = torch.split(grouped, counts.tolist())
    parts = torch.split(bank.T, starts.diff().tolist(), dim=1)
    for block, part in zip(blocks, parts, strict=True):
        if len(block):
            columns.append(_argmax(block @ part))
    places = torch.cat(columns).add_(starts[:-1].repeat_interleave(counts))
    found = torch.empty_like(order).scatter_(0, order, places).view(-1, probes)
    if probes == 1:
        return found[:, 0]
    products = grouped.mul_(bank.index_select(0, places)).sum(dim=1)
    of_probes = torch.empty_like(products).scatter_(0, order, products).view(-1, probes)
    return found.gather(1, _argmax(of_probes)[:, None])[:, 0]


def nearest_cells(queries: Tensor, centres: Tensor, count: int) -> Tensor:
    """Return the cells whose mean directions have the largest products with each query.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    centres : float tensor of shape (n_cells, channels)
        Mean directions.
    count : int >= 1
        So many, no more than there are.

    Returns
    -------
    int64 tensor of shape (n_queries, count)
        The nearest first.
    """
    found = []
    for block in torch.split(queries, _QUERY_ROWS):
        products = block @ centres.T
        if count > _MOST_PASSES:
            found.append(products.topk(count, dim=1).indices)
            continue
        passes = [_argmax(products)]
        while len(passes) < count:  # faster than a sort for a few
            products.scatter_(1, passes[-1][:, None], -torch.inf)
            passes.append(_argmax(products))
        found.append(torch.stack(passes, dim=1))
    return torch.cat(found)


def _sorted_places(cells: Tensor, n_cells: int) -> Tensor:
    """A stable order by cell."""
    if cells.device.type != "cpu":
        return cells.argsort(stable=True)
    values = cells.numpy()  # short whole numbers are sorted by their digits
    return torch.from_numpy((values.astype(np.int16) if n_cells < _SHORT else values).argsort(kind="stable"))


def _argmax(products: Tensor) -> Tensor:
    if products.device.type != "cpu":
        return products.argmax(dim=1)
    return torch.from_numpy(products.numpy().argmax(axis=1))  # several times as fast as torch's
