"""Episodes for learning what a defect looks like beside normal references, over features that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.nn.losses.localisation import cross_entropy, dice, focal
from unseen.nn.patches.maps import top_mean
from unseen.nn.training import StepLoss
from unseen.types import FloatArray, Labels

Judge: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``judge(queries, normal, abnormal)``: scores in [0, 1] of query patches, all patches adapted."""

_MOSTLY = 0.5
_CHANCE_OF_DEFECT = 0.5


class Patches(NamedTuple):
    """Drawn patches of some pictures.

    Attributes
    ----------
    features : float tensor of shape (n_pictures, n_patches, channels)
        Not adapted.
    defect : float tensor of shape (n_pictures, n_patches)
        How much of each is defective.
    """

    features: Tensor
    defect: Tensor


@dataclass(frozen=True)
class _Domain:
    """Rows of V that a domain's episodes draw from."""

    normal: NDArray[np.int64]
    anomalous: NDArray[np.int64]


class DefectEpisodes:
    """Draws episodes: a domain, normal references with made-up defects, a query that is normal or not.

    Make one with :meth:`of`.

    Parameters
    ----------
    V : float tensor of shape (n_pictures, n_looks, channels + 2, height, width)
        Look 0 of a picture, look 1 with a made-up defect; the last channel says what is defective.
    domains : list
        Which pictures are whose.
    n_references : int
        References at most.
    patches : int or None
        Patches drawn of a picture; None: all.
    seed : int
        Of the draws.
    """

    def __init__(
        self, V: Tensor, domains: list[_Domain], *, n_references: int, patches: int | None, seed: int
    ) -> None:
        self._V, self._domains = V, domains
        self._n_references, self._patches = n_references, patches
        self._draw = np.random.default_rng(seed)

    @classmethod
    def of(
        cls, V: FloatArray, labels: Labels, *, n_references: int, patches: int | None, real: bool, seed: int
    ) -> Self | None:
        """Return the episodes of labelled pictures; None if no domain has two normals.

        Parameters
        ----------
        V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
            As for the class.
        labels : Labels
            Of the pictures.
        n_references, patches, seed
            As for the class.
        real : bool
            Whether anomalies with a mask are queries.

        Returns
        -------
        DefectEpisodes or None
        """
        masked = np.isfinite(V[:, 0, -1]).all(axis=(1, 2)) & (V[:, 0, -1] > 0).any(axis=(1, 2))
        domains = []
        for name in np.unique(labels.domains):
            rows = labels.domains == name
            normal = np.flatnonzero(rows & labels.normal)
            anomalous = np.flatnonzero(rows & labels.anomaly & masked & real)
            if len(normal) >= 2:
                domains.append(_Domain(normal, anomalous))
        if not domains:
            return None
        values = torch.from_numpy(np.ascontiguousarray(V, dtype=np.float32))
        return cls(values, domains, n_references=n_references, patches=patches, seed=seed)

    def loss(
        self, count: int, layer: nn.Module, judge: Judge, top_share: float, place: torch.device
    ) -> StepLoss:
        """Draw episodes and return the mean of their losses.

        Parameters
        ----------
        count : int
            Episodes.
        layer : nn.Module
            Adapts patches (n_pictures, n_patches, channels).
        judge : callable
            Scores of query patches.
        top_share : float
            Share of patches whose mean is a picture's score.
        place : torch.device
            Where to compute.

        Returns
        -------
        StepLoss
            With the parts ``image``, ``focal`` and ``dice``.
        """
        drawn = [self._episode(layer, judge, top_share, place) for _ in range(count)]
        image, of_focal, of_dice = (torch.stack(terms).mean() for terms in zip(*drawn, strict=True))
        parts = {"image": image, "focal": of_focal, "dice": of_dice}
        return StepLoss(image + of_focal + of_dice, parts)

    def _episode(
        self, layer: nn.Module, judge: Judge, top_share: float, place: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        domain = self._domains[self._draw.integers(len(self._domains))]
        order = self._draw.permutation(domain.normal)
        references = order[1 : 1 + self._n_references]
        abnormal = bool(self._draw.random() < _CHANCE_OF_DEFECT)
        query, look = order[:1], int(abnormal)
        if abnormal and len(domain.anomalous):
            query, look = self._draw.choice(domain.anomalous, 1), 0
        seen = [
            self._patches_of(references, 0),
            self._patches_of(references, 1),
            self._patches_of(query, look),
        ]
        adapted = layer(torch.cat([patches.features for patches in seen]).to(place))
        normal, made, asked = torch.split(adapted, [len(references), len(references), 1])
        chosen = made.flatten(0, 1)[defective(seen[1].defect).flatten().to(place)]
        scores = judge(asked[0], normal.flatten(0, 1), chosen)
        target = (seen[2].defect[0] > 0).float().to(place) * float(abnormal)
        image = top_mean(scores[None, None], top_share)
        truth = torch.full_like(image, float(abnormal))
        return cross_entropy(image, truth), focal(scores, target), dice(scores, target)

    def _patches_of(self, rows: NDArray[np.int64], look: int) -> Patches:
        """Patches of pictures, drawn; defective ones first, up to a half of them."""
        maps = self._V[torch.from_numpy(rows), look].flatten(2)
        defect = maps[:, -1]
        n, places = defect.shape
        count = places if self._patches is None else min(self._patches, places)
        if count < places:
            lots = torch.from_numpy(self._draw.random((n, places), dtype=np.float32))
            first = (lots + 2.0 * (defect > 0)).topk(count // 2, dim=1).indices
            rest = lots.scatter(1, first, -1.0).topk(count - count // 2, dim=1).indices
            kept = torch.cat([first, rest], dim=1)
            maps = maps.gather(2, kept[:, None].expand(-1, maps.shape[1], -1))
        return Patches(maps[:, :-2].transpose(1, 2), maps[:, -1])


def defective(shares: Tensor) -> Tensor:
    """Return which patches count as abnormal references: those mostly under the defect.

    Parameters
    ----------
    shares : float tensor of shape (n_pictures, n_patches)
        How much of each patch is defective.

    Returns
    -------
    bool tensor of the same shape
        Where no patch of any picture is, those with the largest share.
    """
    limit = min(_MOSTLY, float(shares.max()))
    return shares >= limit
