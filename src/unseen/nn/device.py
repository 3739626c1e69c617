"""Where tensors live, and seeded random numbers there."""

from __future__ import annotations

import torch

from unseen.errors import ParameterError


def resolve_device(name: str) -> torch.device:
    """Turn a device name into a device that this computer has.

    Parameters
    ----------
    name : str
        ``"auto"`` (the first CUDA device if there is one, else the CPU), or a torch device name such as
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ParameterError
        If the name is no device or this computer does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ParameterError(
            f"device must be 'auto' or a torch device of this computer, got {name!r} ({reason})."
        ) from error
    return device


def seeded_generator(seed: int, device: torch.device | None = None) -> torch.Generator:
    """Return a generator on ``device`` (None: the CPU) seeded with ``seed``; global seeds stay untouched."""
    return torch.Generator(device=device or torch.device("cpu")).manual_seed(seed)
