"""How many threads a small network may use.

Splitting a product of a few hundred by a few dozen numbers over threads costs more than it saves, and where
other work shares the cores the threads wait for one another at every layer (a 78-16-2 network was seen to
train twenty times slower on two busy cores with two threads than with one).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_SMALL_NETWORK = 100_000
"""Networks with fewer parameters than this run on one thread."""


@contextmanager
def suitable_threads(network: nn.Module) -> Iterator[None]:
    """Run the block on one CPU thread if the network is small; the thread count is put back afterwards.

    Parameters
    ----------
    network : nn.Module
        Whose parameters are counted. From 100,000 on, and on other devices, nothing changes.
    """
    threads = torch.get_num_threads()
    parameters = list(network.parameters())
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    if not on_cpu or threads == 1 or sum(parameter.numel() for parameter in parameters) >= _SMALL_NETWORK:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
