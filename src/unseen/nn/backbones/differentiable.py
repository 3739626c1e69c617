"""Feature maps that gradients flow through, for maps of what a score depends on and for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from unseen.errors import ParameterError
from unseen.nn.backbones.frozen import DTYPES, FrozenBackbone, check_pictures, check_strides, normalised
from unseen.nn.backbones.onnx_engine import OnnxBackbone
from unseen.nn.backbones.protocol import Backbone, FeatureMaps


def in_torch(backbone: Backbone) -> FrozenBackbone:
    """Return a backbone whose network torch runs.

    Parameters
    ----------
    backbone : Backbone
        As ``load_backbone`` returns it.

    Returns
    -------
    FrozenBackbone
        With the same weights.

    Raises
    ------
    ParameterError
        If its network is not in torch.
    """
    if isinstance(backbone, OnnxBackbone):
        return backbone.in_torch
    if isinstance(backbone, FrozenBackbone):
        return backbone
    raise ParameterError(f"{backbone.name}: gradients need a backbone whose network is in torch.")


def differentiable_maps(backbone: Backbone, images: Tensor, strides: Sequence[int]) -> FeatureMaps:
    """Return feature maps of pictures; gradients flow to the pictures and to trainable weights.

    Parameters
    ----------
    backbone : Backbone
        With its network in torch.
    images : float tensor of shape (n, 3, height, width)
        In [0, 1].
    strides : sequence of int
        Which maps.

    Returns
    -------
    dict of int to float32 tensor of shape (n, channels, height / stride, width / stride)
        Near those that the backbone gives: engines differ by rounding.
    """
    found = in_torch(backbone)
    chosen = check_strides(found.name, strides, found.strides)
    check_pictures(found.name, images, found.multiple)
    x = normalised(images.to(found.device), found.mean, found.std).to(DTYPES[found.precision])
    maps: FeatureMaps = found.network(x, chosen)
    return {stride: maps[stride].float() for stride in chosen}
