"""EfficientNet-Lite0 as an ONNX graph, written layer by layer.

ONNX knows TensorFlow's SAME padding (``auto_pad = SAME_UPPER``), so that one graph serves every size, and
writing it takes no tracing and a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unseen.nn.backbones.efficientnet_lite0 import (
    CHANNELS,
    LAST_STAGE_OF_STRIDE,
    EfficientNetLite0,
    InvertedBottleneck,
    SameConvolution,
)

INPUT = "pixels"
OPSET = 17
"""Version of the ONNX operators; older runtimes than 2022's do not know it."""

_IR_VERSION = 8


def lite0_graph(network: EfficientNetLite0, strides: Sequence[int]) -> bytes:
    """Return the network as a serialised ONNX model.

    Parameters
    ----------
    network : EfficientNetLite0
        In float32.
    strides : sequence of int
        Its outputs, in this order; stages behind the last of them are left out.

    Returns
    -------
    bytes
        Input ``pixels`` (n, 3, height, width), normalised; outputs ``stride_<s>``; n, height and width open.
    """
    from onnx import TensorProto, helper

    writer = _Writer()
    x = writer.clipped(writer.convolution(network.stem, INPUT))
    outputs = {}
    for number, stage in enumerate(network.stages[: max(LAST_STAGE_OF_STRIDE[s] for s in strides) + 1]):
        for block in stage.children():
            assert isinstance(block, InvertedBottleneck)
            x = writer.bottleneck(block, x)
        for stride in strides:
            if LAST_STAGE_OF_STRIDE[stride] == number:
                outputs[stride] = writer.named(x, f"stride_{stride}")
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, "height", "width"])
    maps = [
        helper.make_tensor_value_info(
            outputs[s], TensorProto.FLOAT, ["n", CHANNELS[s], f"height_{s}", f"width_{s}"]
        )
        for s in strides
    ]
    graph = helper.make_graph(writer.nodes, "efficientnet-lite0", [pixels], maps, writer.weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="unseen",
    )
    return bytes(model.SerializeToString())


class _Writer:
    """Nodes and weights of a graph that grows layer by layer; methods return the name of their result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = [self._tensor(np.float32(0), "zero"), self._tensor(np.float32(6), "six")]

    def convolution(self, layer: SameConvolution, x: str) -> str:
        name = f"convolution_{len(self.nodes)}"
        assert layer.bias is not None
        for part, values in (("weight", layer.weight), ("bias", layer.bias)):
            self.weights.append(self._tensor(values.detach().float().cpu().numpy(), f"{name}_{part}"))
        return self._node(
            "Conv",
            [x, f"{name}_weight", f"{name}_bias"],
            auto_pad="SAME_UPPER",
            group=layer.groups,
            strides=list(layer.stride),
        )

    def clipped(self, x: str) -> str:
        return self._node("Clip", [x, "zero", "six"])

    def bottleneck(self, block: InvertedBottleneck, x: str) -> str:
        inner = x if block.expand is None else self.clipped(self.convolution(block.expand, x))
        projected = self.convolution(block.project, self.clipped(self.convolution(block.filter, inner)))
        return self._node("Add", [x, projected]) if block.residual else projected

    def named(self, x: str, name: str) -> str:
        return self._node("Identity", [x], name)

    def _node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        result = output or f"{operator.lower()}_{len(self.nodes)}_out"
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    @staticmethod
    def _tensor(values: Any, name: str) -> Any:
        from onnx import numpy_helper

        return numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name)
