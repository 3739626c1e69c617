"""What a backbone is: pictures in, feature maps out, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from torch import Tensor

FeatureMaps: TypeAlias = dict[int, Tensor]
"""Feature maps by stride: float32, (n, channels, ceil(height / stride), ceil(width / stride))."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(Protocol):
    """A frozen network that turns pictures into feature maps.

    Attributes
    ----------
    name : str
        What ``load_backbone`` was asked for.
    strides : tuple of int
        Strides of the maps that it can give, rising: one map cell covers stride x stride pixels.
    channels : mapping of int to int
        Channels of the map at each stride.
    mean, std : tuple of three floats
        Red, green and blue in [0, 1] are normalised with these inside.
    multiple : int
        Height and width of pictures must be multiples of this.
    precision : str
        ``"float32"`` or ``"bfloat16"``: what it computes with. Maps are float32 in any case.
    engine : str
        ``"torch"`` or ``"onnx"``: what runs it.
    weight_hash : str
        Hash of its weights; two backbones with the same hash and precision give the same features.
    """

    @property
    def name(self) -> str: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def channels(self) -> Mapping[int, int]: ...
    @property
    def mean(self) -> tuple[float, float, float]: ...
    @property
    def std(self) -> tuple[float, float, float]: ...
    @property
    def multiple(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def weight_hash(self) -> str: ...

    def __call__(self, images: Tensor, strides: Sequence[int] | None = None) -> FeatureMaps:
        """Return feature maps of pictures.

        Parameters
        ----------
        images : tensor of shape (n, 3, height, width)
            uint8, or floating point in [0, 1]; red, green, blue; not normalised. On any device.
        strides : sequence of int or None
            Which maps. None: all. Fewer, and finer, ones can be cheaper.

        Returns
        -------
        dict of int to float32 tensor of shape (n, channels, height / stride, width / stride)
            On the backbone's device.
        """
        ...
