"""Train a backbone together with cue heads, from pictures instead of from kept features."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.backbones.differentiable import differentiable_maps, in_torch
from unseen.nn.backbones.extraction import patch_grid
from unseen.nn.backbones.frozen import FrozenBackbone
from unseen.nn.backbones.protocol import Backbone
from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.deviation_training import CueTraining, HeadSchedule, Known
from unseen.nn.patches.head_inputs import head_inputs, own_statistics
from unseen.nn.synthetic import SyntheticAnomalies
from unseen.pixels import ImageSource
from unseen.types import BoolArray

_MOST_FOR_STATISTICS = 32


def with_network(backbone: Backbone, network: nn.Module) -> FrozenBackbone:
    """Return a backbone with another network of the same architecture.

    Parameters
    ----------
    backbone : Backbone
        Gives the channels, the normalisation and the device.
    network : nn.Module
        Its parameters are frozen.

    Returns
    -------
    FrozenBackbone
        Named as before; its hash is that of the new weights.
    """
    old = in_torch(backbone)
    return FrozenBackbone(
        network,
        name=old.name,
        channels=old.channels,
        mean=old.mean,
        std=old.std,
        multiple=old.multiple,
        device=old.device,
        precision=old.precision,
    )


def fine_tuned(
    backbone: Backbone,
    pictures: ImageSource,
    masks: list[BoolArray | None],
    normal: BoolArray,
    *,
    heads: Callable[[int], CueHeads],
    judge: Callable[[HeadOutputs], Tensor],
    schedule: HeadSchedule,
    size: tuple[int, int],
    strides: tuple[int, ...],
    make: SyntheticAnomalies | None,
    seed: int,
) -> nn.Module:
    """Return the network of a backbone, trained with heads of its own that are thrown away.

    Parameters
    ----------
    backbone : Backbone
        Left as it is.
    pictures : ImageSource
        Normals and labelled anomalies.
    masks : list of bool arrays of the given size, or None
        Where the defects of anomalies are.
    normal : bool array of shape (n_pictures,)
        Which are taken for normal.
    heads : callable
        From the number of channels to heads.
    judge : callable
        As for :class:`~unseen.nn.deviation_training.CueTraining`.
    schedule : HeadSchedule
        For backbone and heads.
    size : (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined.
    make : SyntheticAnomalies or None
        Makes defects up, anew in each step; None: labelled anomalies only.
    seed : int
        Of all draws.

    Returns
    -------
    nn.Module
        On the CPU, in evaluation mode, frozen.
    """
    frozen = in_torch(backbone)
    tuned = with_network(backbone, copy.deepcopy(frozen.network))
    tuned.network.requires_grad_(True)
    images = np.concatenate([batch.images for batch in pictures.iterate(16, size=size)])
    first = torch.from_numpy(images[np.flatnonzero(normal)[:_MOST_FOR_STATISTICS]]).permute(0, 3, 1, 2)
    grid = patch_grid(frozen(first, strides))
    memory = {name: torch.from_numpy(values) for name, values in own_statistics(grid.cpu()).items()}
    memory = {name: values.to(frozen.device) for name, values in memory.items()}
    draw = np.random.default_rng(seed)

    def seen(rows: NDArray[np.int64], looks: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        some, defects = images[rows].copy(), np.zeros((len(rows), *size), dtype=np.float32)
        for place, (row, look) in enumerate(zip(rows.tolist(), looks.tolist(), strict=True)):
            mask = masks[row]
            if look and make is not None:
                some[place], mask, _ = make(images[row], draw)
            defects[place] = (0.0 if normal[row] else np.nan) if mask is None else mask
        pixels = torch.from_numpy(some).permute(0, 3, 1, 2).float().div(255)
        features = patch_grid(differentiable_maps(tuned, pixels, strides))
        by_place = F.adaptive_avg_pool2d(
            torch.from_numpy(defects)[:, None], (features.shape[2], features.shape[3])
        )[:, 0]
        return head_inputs(features, memory, "features"), by_place.to(features.device)

    trained_heads = heads(grid.shape[1]).to(frozen.device)
    known = Known(seen, np.flatnonzero(normal), np.flatnonzero(~normal), int(make is not None))
    training = CueTraining(trained_heads, known, schedule, judge=judge, seed=seed, place=frozen.device)
    training.run(nn.ModuleList([tuned.network, trained_heads]))
    network: nn.Module = tuned.network.cpu().eval().requires_grad_(False)
    return network
