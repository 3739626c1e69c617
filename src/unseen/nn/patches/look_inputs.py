"""Features that are kept in memory, as the inputs that heads are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.nn.patches.head_inputs import NEED_A_BANK, head_inputs, places_among_others

_KEPT_BYTES = 600e6
"""Inputs are kept for the next time until they fill so much memory."""


class LookInputs:
    """Gives the heads what they see of pictures and of their changed copies.

    Parameters
    ----------
    V : float32 array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features; the last channel says how much of each patch is defective.
    memories : sequence of mapping of str to tensor
        What is remembered of each domain, as :func:`~unseen.nn.patches.head_inputs.head_inputs` takes it,
        with ``owners`` where there is a ``bank``: places among the normals of the domain.
    domains : int64 array of shape (n_pictures,)
        Which memory each picture is compared with.
    normals : bool array of shape (n_pictures,)
        Which pictures the memories were made of, those of a domain in this order.
    kind : {"local", "neighbours", "whitened", "features", "distance", "residual", "both"}
        What the heads see.
    device : torch.device
        Where the inputs are wanted.
    lengths : float32 array of shape (n_pictures, n_measured, height, width) or None
        Distances of the first looks to other pictures, where the heads see these.
    """

    def __init__(
        self,
        V: NDArray[np.float32],
        memories: Sequence[Mapping[str, Tensor]],
        domains: NDArray[np.int64],
        normals: NDArray[np.bool_],
        *,
        kind: str,
        device: torch.device,
        lengths: NDArray[np.float32] | None = None,
    ) -> None:
        self._V, self._memories, self._domains = V, memories, domains
        self._kind, self._device, self._lengths = kind, device, lengths
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._most_kept = int(_KEPT_BYTES // max(1, V[0, 0].nbytes))
        self._places = self._nearest(normals) if kind in NEED_A_BANK else None

    def __call__(self, rows: NDArray[np.int64], looks: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return inputs (n, channels, height, width) and how defective each place is (n, height, width)."""
        keys = list(zip(rows.tolist(), looks.tolist(), strict=True))
        missing = [key for key in dict.fromkeys(keys) if key not in self._kept]
        made: dict[tuple[int, int], Tensor] = {}
        if missing:
            places = np.array(missing, dtype=np.int64)
            made = dict(zip(missing, self._made(places[:, 0], places[:, 1]), strict=True))
            room = self._most_kept - len(self._kept)
            self._kept |= dict(list(made.items())[: max(0, room)])
        inputs = torch.stack([self._kept[key] if key in self._kept else made[key] for key in keys])
        return inputs, torch.from_numpy(self._V[rows, looks, -1]).to(self._device)

    def _made(self, rows: NDArray[np.int64], looks: NDArray[np.int64]) -> Tensor:
        """Inputs, picture by picture of the same domain."""
        values = torch.from_numpy(self._V[rows, looks, :-2]).to(self._device)
        places = None if self._places is None else torch.from_numpy(self._places[rows, looks])
        codes = self._domains[rows]
        parts, order = [], []
        for code in np.unique(codes).tolist():
            mine = np.flatnonzero(codes == code)
            some = None if places is None else places[mine].long().to(self._device)
            far = None
            if self._lengths is not None:
                far = torch.from_numpy(self._lengths[rows[mine], looks[mine]]).to(self._device)
            parts.append(head_inputs(values[mine], self._memories[code], self._kind, some, far))
            order.append(mine)
        back = np.argsort(np.concatenate(order), kind="stable")
        return torch.cat(parts)[back]

    def _nearest(self, normals: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Where the nearest patch of another picture is, for each patch of each look."""
        n, n_looks, _, height, width = self._V.shape
        places = np.empty((n, n_looks, height, width), dtype=np.int32)
        own = np.full(n, -1, dtype=np.int64)
        for code, memory in enumerate(self._memories):
            mine = self._domains == code
            own[mine & normals] = np.arange(int((mine & normals).sum()))
            for row in np.flatnonzero(mine).tolist():
                looks = torch.from_numpy(self._V[row, :, :-2]).to(self._device)
                asking = torch.full((n_looks,), int(own[row]), device=self._device)
                found = places_among_others(looks, memory["bank"], memory["owners"], asking)
                places[row] = found.cpu().numpy()
        return places
