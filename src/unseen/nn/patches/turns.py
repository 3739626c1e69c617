"""Whether references turned in the plane show more of what is normal: asked of the references alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.patches.neighbours import nearest_by_cosine

AUTO_TURNS = 8
"""Turned copies, the unturned one counted, that ``rotations="auto"`` tries."""

_HIGHEST_SHARE = 0.01
_ENOUGH = 0.95
_ROUNDING = 1e-5
_MOST_REFERENCES = 8
_MOST_LEFT_OUT = 4
_MOST_ASKED = 512


def left_out_ratio(V: NDArray[np.float32], least_on_part: float) -> float:
    """Return how much of the references' left-out scores is left when turned copies are remembered too.

    Each of up to 4 references is left out in turn and scored by the mean of its highest 1 % of patches, 1 -
    cosine to the nearest patch of the others, once with the others as they are and once with their turned
    copies too. No label is needed: only normal pictures are looked at.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Look 0 of a picture and its turned copies. Of the last two channels the first says how much of a
        patch lies on the part. At most 8 pictures are used.
    least_on_part : float
        Patches with a smaller share on the part do not count; 0: all count.

    Returns
    -------
    float in [0, 1]
        Sum of the scores with turned copies over that without; 1 if there are fewer than two pictures, no
        turned copy or nothing to explain.
    """
    few = torch.from_numpy(np.moveaxis(V[:_MOST_REFERENCES], 2, -1).copy())
    n, looks = few.shape[:2]
    if n < 2 or looks < 2:
        return 1.0
    plain = turned = 0.0
    for left_out in range(min(n, _MOST_LEFT_OUT)):
        asked = _on_part(few[left_out, 0], least_on_part)
        step = -(-len(asked) // _MOST_ASKED)
        others = torch.arange(n) != left_out
        near = _distances(asked[::step], _on_part(few[others, 0], least_on_part))
        nearer = torch.minimum(near, _distances(asked[::step], _on_part(few[others, 1:], least_on_part)))
        plain, turned = plain + _highest(near), turned + _highest(nearer)
    return turned / plain if plain > _ROUNDING else 1.0


def turns_help(V: NDArray[np.float32], least_on_part: float) -> bool:
    """Return whether turned copies lower the references' left-out scores by a twentieth.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        As in :func:`left_out_ratio`.
    least_on_part : float
        As in :func:`left_out_ratio`.

    Returns
    -------
    bool
    """
    return left_out_ratio(V, least_on_part) <= _ENOUGH


def useful_looks(V: NDArray[np.float32], rotations: int | str, least_on_part: float) -> NDArray[np.float32]:
    """Return the looks that a memory is made from: without turned copies where "auto" finds no use in them.

    Parameters
    ----------
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Look 0 of a picture and its turned copies.
    rotations : int or "auto"
        Anything but "auto": all looks are kept.
    least_on_part : float
        As in :func:`turns_help`.

    Returns
    -------
    float array of shape (n_pictures, n_looks or 1, channels + 2, height, width)
    """
    return V if rotations != "auto" or turns_help(V, least_on_part) else V[:, :1]


def _on_part(maps: Tensor, least: float) -> Tensor:
    rows = maps.reshape(-1, maps.shape[-1])
    on_part = rows[:, -2] >= least
    return rows[on_part][:, :-2] if on_part.any() else rows[:, :-2]


def _distances(asked: Tensor, bank: Tensor) -> Tensor:
    return 1 - nearest_by_cosine(asked, F.normalize(bank, dim=1)).values


def _highest(distances: Tensor) -> float:
    return float(distances.topk(max(1, round(_HIGHEST_SHARE * len(distances)))).values.mean())
