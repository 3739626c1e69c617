"""Score patch features by what is remembered of normal pictures, each domain by its own memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.detectors.images.looking import Seeing
from unseen.pixels import ImageSource
from unseen.types import FloatArray, StrArray

Memory: TypeAlias = dict[str, NDArray[Any]]
"""What is remembered of the normal pictures of a domain."""

Tensors: TypeAlias = dict[str, Tensor]
"""A memory on the device of the detector."""

ScoreBy: TypeAlias = Callable[[FloatArray, Tensors], tuple[NDArray[np.float64], NDArray[np.float32]]]
"""``score_by(V, memory)``: scores of pictures (n,) and of their patches (n, height, width)."""

FOREGROUND_SHARE = 0.1
"""A patch lies on the part if at least this share of it does."""


class Scored(NamedTuple):
    """Some pictures, scored.

    Attributes
    ----------
    indices : int64 array of shape (n,)
        Their places among all pictures.
    scores : float64 array of shape (n,)
        Scores of the pictures.
    patches : float32 array of shape (n, grid height, grid width)
        Scores of their patches.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    patches: NDArray[np.float32]


class ScoredPictures(NamedTuple):
    """Some pictures with scores and maps.

    Attributes
    ----------
    indices : int64 array of shape (n,)
        Their places among all pictures.
    scores : float64 array of shape (n,)
        Higher = more anomalous.
    maps : float32 array of shape (n, height, width)
        Where each is how anomalous, on one scale for all pictures.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    maps: NDArray[np.float32]


class MemoryScorer:
    """Scores pictures by the memory of their domain; those of other domains by the memory of all.

    Parameters
    ----------
    score_by : callable
        Scores by one memory.
    memory : Memory
        Of all normals.
    domain_memories : mapping of str to Memory
        By domain.
    place : torch.device
        Where memories are brought, each when it is first needed.
    """

    def __init__(
        self,
        score_by: ScoreBy,
        memory: Memory,
        domain_memories: Mapping[str, Memory],
        place: torch.device,
    ) -> None:
        self._score_by, self._place = score_by, place
        self._memory, self._domain_memories = memory, domain_memories
        self._ready: dict[str | None, Tensors] = {}

    def views(self, V: FloatArray, domains: StrArray) -> Scored:
        """Score patch features.

        Parameters
        ----------
        V : float32 array of shape (n_pictures, n_looks, channels + 2, grid height, grid width)
            Look 0 is scored.
        domains : str array of shape (n_pictures,)
            Domain of each.

        Returns
        -------
        Scored
        """
        scores = np.empty(len(V))
        patches = np.empty((len(V), *V.shape[3:]), dtype=np.float32)
        keys = [str(name) if str(name) in self._domain_memories else None for name in domains]
        for key in dict.fromkeys(keys):
            rows = np.array([other == key for other in keys])
            some = V if rows.all() else V[rows]
            scores[rows], patches[rows] = self._score_by(some, self._memory_of(key))
        return Scored(np.arange(len(V)), scores, patches)

    def batches(self, seeing: Seeing, pictures: ImageSource, domains: StrArray) -> Iterator[Scored]:
        """Yield scores of pictures, batch by batch.

        Parameters
        ----------
        seeing : Seeing
            How they are seen.
        pictures : ImageSource
            The pictures.
        domains : str array of shape (n_pictures,)
            Domain of each.

        Yields
        ------
        Scored
        """
        for indices, V in seeing.looks(pictures):
            yield self.views(V, domains[indices])._replace(indices=indices)

    def _memory_of(self, key: str | None) -> Tensors:
        if key not in self._ready:
            memory = self._memory if key is None else self._domain_memories[key]
            self._ready[key] = on_device(memory, self._place)
        return self._ready[key]


def on_device(memory: Memory, place: torch.device) -> Tensors:
    """Return a memory as tensors on a device.

    Parameters
    ----------
    memory : Memory
        Arrays.
    place : torch.device
        Where to.

    Returns
    -------
    Tensors
    """
    return {name: torch.from_numpy(array).to(place) for name, array in memory.items()}
