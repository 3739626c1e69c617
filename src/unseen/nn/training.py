"""The training loop: shuffled slices of tensors that stay in memory, Adam on one flat tensor.

A method gives a *step*, a function from one batch to its loss; everything else is here once. Rows are
gathered in shuffled blocks and batches are contiguous slices of a block, which is several times faster than a
``DataLoader`` that stacks rows one by one (``benchmarks/training_speed.py`` measures it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.checks import check_int, check_real
from unseen.errors import ParameterError
from unseen.nn.flat_adam import FlatAdam
from unseen.nn.threads import suitable_threads

_BLOCK_ROWS = 65_536
"""About how many shuffled rows are copied at a time; bounds the memory beyond the data itself."""


class StepLoss(NamedTuple):
    """What a step returns.

    Attributes
    ----------
    loss : scalar Tensor
        What is minimised. If it carries no graph, the step has written ``.grad`` of every parameter itself.
    parts : dict of str to scalar Tensor
        Terms of the loss by name, for the history; they are detached by the loop.
    """

    loss: Tensor
    parts: dict[str, Tensor]


Step: TypeAlias = Callable[[tuple[Tensor, ...], int], StepLoss]
"""``step(batch, epoch) -> StepLoss``; ``batch`` holds the same rows of each tensor, epochs count from 1."""

History: TypeAlias = dict[str, NDArray[np.float64]]
"""Per-epoch means by name, each of shape (n_epochs,); ``"loss"`` is always there."""


def train(
    module: nn.Module,
    step: Step,
    tensors: Sequence[Tensor],
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
    optimizer: torch.optim.Optimizer | None = None,
) -> History:
    """Minimise the step's loss over shuffled batches.

    Parameters
    ----------
    module : nn.Module
        Its parameters are updated in place.
    step : callable
        From a batch (a tuple of slices, in the order of ``tensors``) and the epoch (from 1) to a StepLoss.
    tensors : sequence of Tensor, each of shape (n_rows, ...)
        The data, on the device of ``module``. They are shuffled together and never changed.
    epochs : int >= 0
        Passes over the rows.
    batch_size : int >= 1
        Rows a batch; the last batch of an epoch may be smaller.
    lr : float > 0
        Learning rate of Adam. Not read if ``optimizer`` is given.
    generator : torch.Generator
        Decides the order of the rows; on the device of ``tensors``.
    optimizer : torch.optim.Optimizer or None
        None: Adam with torch's defaults beside ``lr``; see :mod:`unseen.nn.flat_adam`.

    Returns
    -------
    dict of str to float64 array of shape (epochs,)
        Mean over the rows of an epoch of ``"loss"`` and of each of the step's parts.

    Raises
    ------
    ParameterError
        If the loss is no longer finite at the end of an epoch.
    """
    updater = FlatAdam(module, lr) if optimizer is None else optimizer
    module.train()
    epoch_means = []
    try:
        for epoch in range(1, epochs + 1):
            with suitable_threads(module):
                means = _run_epoch(step, tensors, epoch, batch_size, generator, updater)
            _check_finite(means["loss"], epoch, lr)
            epoch_means.append(means)
    finally:
        if isinstance(updater, FlatAdam):
            updater.release()
    module.eval()
    names = list(epoch_means[0]) if epoch_means else ["loss"]
    return {name: np.array([means[name] for means in epoch_means], dtype=np.float64) for name in names}


def check_schedule(owner: object, *, epochs: object, batch_size: object, lr: object) -> None:
    """Raise ParameterError unless epochs >= 0, batch_size >= 1 and lr > 0.

    Parameters
    ----------
    owner : object
        Whose parameters these are, for the message.
    epochs, batch_size, lr : object
        As given to the owner's constructor.
    """
    check_int(owner, "epochs", epochs, minimum=0)
    check_int(owner, "batch_size", batch_size, minimum=1)
    check_real(owner, "lr", lr, minimum=0, open_minimum=True)


def shuffled_batches(
    tensors: Sequence[Tensor], batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Yield every row once, in random order, in batches that are slices of a gathered block.

    Parameters
    ----------
    tensors : sequence of Tensor, each of shape (n_rows, ...)
        Shuffled together.
    batch_size : int >= 1
        Rows a batch; only the last one may be smaller.
    generator : torch.Generator
        Decides the order.

    Yields
    ------
    tuple of Tensor
        The same rows of each tensor.
    """
    n_rows = len(tensors[0])
    order = torch.randperm(n_rows, generator=generator, device=generator.device)
    block = max(1, _BLOCK_ROWS // batch_size) * batch_size
    for block_start in range(0, n_rows, block):
        gathered = [tensor.index_select(0, order[block_start : block_start + block]) for tensor in tensors]
        for start in range(0, len(gathered[0]), batch_size):
            yield tuple(tensor[start : start + batch_size] for tensor in gathered)


def _run_epoch(
    step: Step,
    tensors: Sequence[Tensor],
    epoch: int,
    batch_size: int,
    generator: torch.Generator,
    updater: FlatAdam | torch.optim.Optimizer,
) -> dict[str, float]:
    """One pass over the rows; means over them of the loss and its parts."""
    recorded: list[dict[str, Tensor]] = []
    sizes: list[int] = []
    for batch in shuffled_batches(tensors, batch_size, generator):
        result = step(batch, epoch)
        if result.loss.requires_grad:
            updater.zero_grad()
            result.loss.backward()  # type: ignore[no-untyped-call]
        updater.step()
        recorded.append({"loss": result.loss.detach()} | {k: v.detach() for k, v in result.parts.items()})
        sizes.append(len(batch[0]))
    return _row_means(recorded, sizes)


def _check_finite(loss: float, epoch: int, lr: float) -> None:
    if not np.isfinite(loss):
        raise ParameterError(
            f"training diverged: the loss is {loss} after epoch {epoch}; "
            f"use a smaller lr (now {lr:g}) or rows without extreme values."
        )


def _row_means(recorded: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Mean of each recorded term over the rows of the epoch."""
    weights = np.asarray(sizes, dtype=np.float64)
    return {
        name: float(
            np.average(torch.stack([entry[name] for entry in recorded]).cpu().numpy(), weights=weights)
        )
        for name in recorded[0]
    }
