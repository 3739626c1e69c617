"""Nearest patches in two stages: all patches of a picture roughly, those that its score depends on closely.

The bank lies in cells of alike directions (:mod:`unseen.nn.patches.cells`). Roughly: in the nearest
cell, along the bank's first principal directions, where every patch of the bank also lies in the cell that is
second nearest to it. Closely: in more cells, by all channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.nn.patches.cells import Cells, divide, nearest_cells, nearest_in_cells

SHORT_CHANNELS = 64
"""Principal directions at most that patches are compared by roughly."""

CLOSE_PROBES = 8
"""Cells that are looked through closely."""


def in_cells(patches: Tensor, n_cells: int, *, short: bool, seed: int) -> dict[str, Tensor]:
    """Return a bank for the search in two stages.

    Parameters
    ----------
    patches : float tensor of shape (n_patches, channels)
        Normal patches, on the CPU.
    n_cells : int >= 1
        At most so many cells.
    short : bool
        Whether it is also searched roughly.
    seed : int
        Of the first means of the cells.

    Returns
    -------
    dict of str to tensor
        Cell after cell, ``bank``: (n_patches, channels), of length 1, and ``lengths``: (n_patches,);
        ``centres``: (n_cells, channels), mean directions; ``starts``: int64 (n_cells + 1,), where cells
        begin. With ``short``, ``projection``: (channels, n_short), principal directions; ``near``: int64
        (n_near,), rows of the bank, each in its cell and in the second nearest, cell after cell;
        ``near_starts``: int64 (n_cells + 1,), where cells begin in it; and ``short``: (n_near, n_short),
        these rows along the directions.
    """
    bank = F.normalize(patches, dim=1)
    cells = divide(bank, n_cells, generator=torch.Generator().manual_seed(seed))
    bank = bank[cells.order]
    found = {"bank": bank, "lengths": patches.norm(dim=1)[cells.order]}
    found |= {"centres": cells.centres, "starts": cells.starts}
    if short:
        projection = principal_directions(bank, SHORT_CHANNELS)
        near, near_starts = with_neighbours(bank, cells)
        found |= {"projection": projection, "near": near, "near_starts": near_starts}
        found["short"] = (bank @ projection)[near]
    return found


def with_neighbours(bank: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """Return the rows of each cell together with those that it is the second nearest cell of.

    Parameters
    ----------
    bank : float tensor of shape (n_bank, channels)
        Rows of length 1, cell after cell.
    cells : Cells
        Of the bank.

    Returns
    -------
    rows : int64 tensor of shape (n_near,)
        Cell after cell, rising within each. Each row of the bank twice; once, if there is one cell.
    starts : int64 tensor of shape (n_cells + 1,)
        Where each cell begins in it, and its length.
    """
    n_cells = len(cells.centres)
    if n_cells == 1:
        return torch.arange(len(bank)), cells.starts
    own = torch.arange(n_cells).repeat_interleave(cells.starts.diff())
    nearest = nearest_cells(bank, cells.centres, 2)
    other = torch.where(nearest[:, 0] == own, nearest[:, 1], nearest[:, 0])
    homes = torch.stack([own, other], dim=1).flatten()
    counts = torch.bincount(homes, minlength=n_cells)
    return homes.argsort(stable=True) // 2, F.pad(counts.cumsum(0), (1, 0))


def principal_directions(rows: Tensor, count: int) -> Tensor:
    """Return the directions that hold most of the squared length of some rows.

    Parameters
    ----------
    rows : float tensor of shape (n_rows, channels)
        On the CPU.
    count : int >= 1
        At most so many.

    Returns
    -------
    float tensor of shape (channels, count or channels)
        Orthonormal columns, the one that holds most first.
    """
    directions: Tensor = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors
    return directions.flip(1)[:, :count].float().contiguous()


def nearest_roughly(queries: Tensor, memory: dict[str, Tensor]) -> Tensor:
    """Return where patches near each query are.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    memory : dict of str to tensor
        Of :func:`in_cells`, with ``short``.

    Returns
    -------
    int64 tensor of shape (n_queries,)
        Rows of the bank.
    """
    projection = memory["projection"]
    short, centres = queries @ projection, memory["centres"] @ projection
    places = nearest_in_cells(short, memory["short"], centres, memory["near_starts"])
    return memory["near"].index_select(0, places)


def nearest_closely(queries: Tensor, memory: dict[str, Tensor]) -> Tensor:
    """Return where the nearest patches by cosine are, unless they lie outside the nearest cells.

    Parameters
    ----------
    queries : float tensor of shape (n_queries, channels)
        Of any length.
    memory : dict of str to tensor
        Of :func:`in_cells`.

    Returns
    -------
    int64 tensor of shape (n_queries,)
        Rows of the bank.
    """
    bank, centres, starts = memory["bank"], memory["centres"], memory["starts"]
    return nearest_in_cells(queries, bank, centres, starts, probes=CLOSE_PROBES)


def highest_patches(patch_scores: Tensor, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the highest scores of patches of each picture and the features of these patches.

    Parameters
    ----------
    patch_scores : float tensor of shape (n, height, width)
        Higher = more anomalous.
    features : float tensor of shape (n, channels, height, width)
        Patch features.
    count : int >= 1
        So many of a picture, or all.

    Returns
    -------
    scores : float tensor of shape (n, count)
        Falling.
    patches : float tensor of shape (n * count, channels)
        Picture after picture.
    """
    flat = patch_scores.flatten(1)
    highest, places = flat.topk(min(flat.shape[1], count), dim=1)
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)
    of_picture = torch.arange(len(rows), device=rows.device)[:, None]
    return highest, rows[of_picture, places].flatten(0, 1)


def check_cells(memory: dict[str, Tensor], *, short: bool) -> None:
    """Check that a bank that was read from a file fits together.

    Parameters
    ----------
    memory : dict of str to tensor
        With ``bank``; the other parts of :func:`in_cells` or none of them.
    short : bool
        Whether a divided bank must have ``short``.

    Raises
    ------
    ValueError
        If it does not.
    """
    bank, lengths = memory["bank"], memory["lengths"]
    if bank.ndim != 2 or lengths.shape != bank.shape[:1]:
        raise ValueError("the bank and its lengths differ")
    if ("centres" in memory) != ("starts" in memory):
        raise ValueError("the bank is divided by half")
    if "starts" not in memory:
        return
    n_cells = len(memory["centres"])
    if not _adds_up(memory["starts"], n_cells, len(bank)):
        raise ValueError("the cells of the bank do not add up")
    if not short:
        return
    if not memory.keys() >= {"near", "near_starts", "short", "projection"}:
        raise ValueError("the bank is divided without what it is searched roughly by")
    near, width = memory["near"], min(SHORT_CHANNELS, bank.shape[1])
    inside = near.dtype == torch.int64 and bool(((near >= 0) & (near < len(bank))).all())
    if not inside or not _adds_up(memory["near_starts"], n_cells, len(near)):
        raise ValueError("the neighbours of the cells do not add up")
    expected = ((len(near), width), (bank.shape[1], width))
    if (tuple(memory["short"].shape), tuple(memory["projection"].shape)) != expected:
        raise ValueError("the bank and its projection differ")


def _adds_up(starts: Tensor, n_cells: int, n_rows: int) -> bool:
    """Whether cells begin one after the other, none is empty, and they end with the rows."""
    if starts.dtype != torch.int64 or len(starts) != n_cells + 1 or n_cells < 1:
        return False
    whole = (int(starts[0]), int(starts[-1])) == (0, n_rows)
    return whole and bool((starts[1:] > starts[:-1]).all())
