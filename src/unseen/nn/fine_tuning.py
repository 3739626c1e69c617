"""Train a backbone together with cue heads, from pictures instead of from kept features."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

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
from unseen.pixels import ImageSource, Pixels
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


@dataclass(frozen=True)
class _SeenAfresh:
    """Inputs of the heads from pictures, through a network that is being trained."""

    backbone: FrozenBackbone
    images: Pixels
    masks: list[BoolArray | None]
    normal: BoolArray
    memory: dict[str, Tensor]
    strides: tuple[int, ...]
    make: SyntheticAnomalies | None
    draw: np.random.Generator

    def __call__(self, rows: NDArray[np.int64], looks: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return inputs and how defective each place is; looks but the first get a fresh defect."""
        some = self.images[rows].copy()
        defects = np.zeros(some.shape[:3], dtype=np.float32)
        for place, (row, look) in enumerate(zip(rows.tolist(), looks.tolist(), strict=True)):
            mask = self.masks[row]
            if look and self.make is not None:
                some[place], mask, _ = self.make(self.images[row], self.draw)
            defects[place] = (0.0 if self.normal[row] else np.nan) if mask is None else mask
        pixels = torch.from_numpy(some).permute(0, 3, 1, 2).float().div(255)
        features = patch_grid(differentiable_maps(self.backbone, pixels, self.strides))
        grid = (features.shape[2], features.shape[3])
        by_place = F.adaptive_avg_pool2d(torch.from_numpy(defects)[:, None], grid)[:, 0]
        return head_inputs(features, self.memory, "features"), by_place.to(features.device)


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
    memory = {
        name: torch.from_numpy(values).to(frozen.device)
        for name, values in own_statistics(grid.cpu()).items()
    }
    seen = _SeenAfresh(tuned, images, masks, normal, memory, strides, make, np.random.default_rng(seed))
    trained_heads = heads(grid.shape[1]).to(frozen.device)
    known = Known(seen, np.flatnonzero(normal), np.flatnonzero(~normal), int(make is not None))
    training = CueTraining(trained_heads, known, schedule, judge=judge, seed=seed, place=frozen.device)
    training.run(nn.ModuleList([tuned.network, trained_heads]))
    network: nn.Module = tuned.network.cpu().eval().requires_grad_(False)
    return network
