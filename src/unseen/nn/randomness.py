"""Randomness that stays inside one block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Run a block whose torch modules draw from ``seed``; torch's own state is as before afterwards.

    Initial weights and dropout of arbitrary modules cannot be given a generator, so the state that they
    read is set for the length of the block and then put back.

    Parameters
    ----------
    seed : int >= 0
        Seed of the block.
    """
    with torch.random.fork_rng():
        torch.random.manual_seed(seed)
        yield
