r"""Thin a bank of patches out so that none of those left over is far from those kept.

Greedy k-centre (T. Gonzalez, 1985), as PatchCore uses it (K. Roth et al., CVPR 2022, eq. 4): from one random
patch on, the patch that lies farthest from all patches kept so far is kept next. Distances are those of a
random projection, which keeps them up to a few per cent (W. Johnson, J. Lindenstrauss, 1984).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unseen.checks import check_int

_CANDIDATES = 1024
_BLOCK_ROWS = 4096


def greedy_k_centre(
    points: Tensor, n_kept: int, *, generator: torch.Generator, projection: int | None = 128
) -> Tensor:
    """Return which points to keep.

    Parameters
    ----------
    points : float tensor of shape (n_points, channels)
        On the CPU.
    n_kept : int >= 1
        How many; all of them if there are no more.
    generator : torch.Generator
        Draws the projection and the first point.
    projection : int or None
        Channels that distances are computed in. None, or no fewer than there are: no projection.

    Returns
    -------
    int64 tensor of shape (n_kept,)
        In the order in which they were chosen: the first ones are the coreset of a smaller number.
    """
    check_int("greedy_k_centre", "n_kept", n_kept, minimum=1)
    n_points, channels = points.shape
    if n_kept >= n_points:
        return torch.arange(n_points)
    projected = points.float()
    if projection is not None and projection < channels:
        draws = torch.randn(channels, projection, generator=generator) / math.sqrt(projection)
        projected = projected @ draws
    place = torch.randint(n_points, (1,), generator=generator)
    norms = projected.square().sum(dim=1)
    nearest = torch.full((n_points,), torch.inf)
    chosen = place
    while True:
        _update(nearest, projected, norms, place)
        if len(chosen) == n_kept:
            return chosen
        place = _farthest(nearest, projected, n_kept - len(chosen))
        chosen = torch.cat([chosen, place])


def _farthest(nearest: Tensor, projected: Tensor, most: int) -> Tensor:
    """The next points of the greedy order, as many as can be told from the farthest points alone.

    Distances to the points kept only shrink. So the farthest of some candidates is the farthest of all for as
    long as it is at least as far as any other point was when the candidates were picked.
    """
    values, candidates = nearest.topk(min(_CANDIDATES + 1, len(nearest)))
    bound = values[-1] if len(values) > _CANDIDATES else torch.tensor(-torch.inf)
    points, left = projected[candidates], values.clone()
    norms = points.square().sum(dim=1)
    found: list[int] = []
    while len(found) < most:
        i = int(left.argmax())
        if found and left[i] < bound:
            break
        found.append(i)
        torch.minimum(left, norms + norms[i] - 2 * (points @ points[i]), out=left)
        left[i] = -torch.inf
    return candidates[found]


def _update(nearest: Tensor, projected: Tensor, norms: Tensor, places: Tensor) -> None:
    """Take newly kept points into account, in place."""
    centres, half = projected[places].T.contiguous(), norms[places] / 2
    for start in range(0, len(projected), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        half_distance = torch.addmm(half, projected[rows], centres, alpha=-1.0).amin(dim=1)
        torch.minimum(nearest[rows], norms[rows] + 2 * half_distance, out=nearest[rows])
    nearest[places] = -torch.inf
