"""Nearest patches in two stages: all patches of a picture roughly, those that its score depends on closely.

The bank lies in cells of alike directions (:mod:`unseen.nn.patches.cells`). Roughly: in the two nearest
cells, along the bank's first principal directions. Closely: in more cells, by all channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.nn.patches.cells import divide, nearest_in_cells

SHORT_CHANNELS = 64
"""Principal directions at most that patches are compared by roughly."""

ROUGH_PROBES = 2
CLOSE_PROBES = 8
"""Cells that are looked through."""

_BLOCK_ROWS = 1024


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
        begin. With ``short``, ``projection``: (channels, n_short), principal directions, and ``short``:
        (n_patches, n_short), the bank along them.
    """
    bank = F.normalize(patches, dim=1)
    cells = divide(bank, n_cells, generator=torch.Generator().manual_seed(seed))
    bank = bank[cells.order]
    found = {"bank": bank, "lengths": patches.norm(dim=1)[cells.order]}
    found |= {"centres": cells.centres, "starts": cells.starts}
    if short:
        projection = principal_directions(bank, SHORT_CHANNELS)
        found |= {"projection": projection, "short": bank @ projection}
    return found


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
    short = torch.cat([block @ projection for block in torch.split(queries, _BLOCK_ROWS)])
    centres = memory["centres"] @ projection
    return nearest_in_cells(short, memory["short"], centres, memory["starts"], probes=ROUGH_PROBES)


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
    starts = memory["starts"]
    ends = (int(starts[0]), int(starts[-1])) if len(starts) > 1 else (-1, -1)
    whole = ends == (0, len(bank)) and bool((starts[1:] > starts[:-1]).all())
    if starts.dtype != torch.int64 or len(starts) != len(memory["centres"]) + 1 or not whole:
        raise ValueError("the cells of the bank do not add up")
    width = min(SHORT_CHANNELS, bank.shape[1])
    expected = ((len(bank), width), (bank.shape[1], width))
    if short and (tuple(memory["short"].shape), tuple(memory["projection"].shape)) != expected:
        raise ValueError("the bank and its projection differ")
