"""Run a frozen network in torch: normalisation, precision, memory layout and device in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unseen.checks import check_choice
from unseen.errors import InputError, ParameterError
from unseen.nn.backbones.protocol import FeatureMaps

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FrozenBackbone:
    """A network as a :class:`~unseen.nn.backbones.protocol.Backbone`, run by torch.

    Parameters
    ----------
    network : nn.Module
        ``network(x, strides)`` returns maps by stride. Its parameters are frozen and moved.
    name : str
        Its name.
    channels : mapping of int to int
        Channels by stride.
    mean, std : tuple of three floats
        Normalisation of red, green and blue in [0, 1].
    multiple : int
        Sides of pictures must be multiples of this.
    device : torch.device
        Where it runs.
    precision : "float32" or "bfloat16"
        What it computes with.
    """

    engine = "torch"

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        channels: Mapping[int, int],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        multiple: int = 1,
        device: torch.device | None = None,
        precision: str = "float32",
    ) -> None:
        self.name = name
        self.channels = dict(sorted(channels.items()))
        self.strides = tuple(self.channels)
        self.mean, self.std, self.multiple = mean, std, multiple
        self.device = device or torch.device("cpu")
        self.precision = check_choice("load_backbone", "precision", precision, DTYPES)
        self.weight_hash = hash_of_weights(network)
        network = network.eval().requires_grad_(False)
        network = network.to(self.device, DTYPES[precision])
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return (
            f"FrozenBackbone({self.name}, strides {self.strides}, {self.precision} by {self.engine}, "
            f"weights {self.weight_hash[:8]})"
        )

    def __call__(self, images: Tensor, strides: Sequence[int] | None = None) -> FeatureMaps:
        """Return float32 feature maps by stride; see :class:`~unseen.nn.backbones.protocol.Backbone`."""
        chosen = check_strides(self.name, strides, self.strides)
        check_pictures(self.name, images, self.multiple)
        with torch.inference_mode():
            x = normalised(images.to(self.device), self.mean, self.std)
            x = x.to(DTYPES[self.precision], memory_format=torch.channels_last)
            maps = self.network(x, chosen)
            return {stride: maps[stride].float() for stride in chosen}


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (value - mean) / std in float32.

    Parameters
    ----------
    images : tensor of shape (n, 3, height, width)
        uint8, or floating point in [0, 1].
    mean, std : sequence of three floats
        On the scale [0, 1].

    Returns
    -------
    float32 tensor of shape (n, 3, height, width)
    """
    full = 255.0 if images.dtype == torch.uint8 else 1.0
    scale = torch.tensor([1.0 / (full * s) for s in std], device=images.device).view(3, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=images.device).view(3, 1, 1)
    return torch.addcmul(shift, images.float(), scale)


def check_strides(name: str, strides: Sequence[int] | None, available: Sequence[int]) -> tuple[int, ...]:
    """Return the strides asked for, or raise ParameterError if the backbone does not have one of them."""
    if strides is None:
        return tuple(available)
    missing = [stride for stride in strides if stride not in available]
    if missing or not strides:
        raise ParameterError(f"strides must be among {tuple(available)} for {name}, got {tuple(strides)}.")
    return tuple(strides)


def check_pictures(name: str, images: Tensor, multiple: int) -> None:
    """Raise InputError unless ``images`` is (n, 3, height, width) with sides that the backbone takes."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(
            f"{name}: images must have the shape (n, 3, height, width), got {tuple(images.shape)}."
        )
    if images.dtype != torch.uint8 and not images.dtype.is_floating_point:
        raise InputError(f"{name}: images must be uint8 or floating point in [0, 1], got {images.dtype}.")
    if images.shape[2] % multiple or images.shape[3] % multiple:
        raise InputError(
            f"{name}: sides of images must be multiples of {multiple}, got {tuple(images.shape[2:])}."
        )


def hash_of_weights(network: nn.Module) -> str:
    """Return a hash of a module's parameters and buffers: names, shapes and values, 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
