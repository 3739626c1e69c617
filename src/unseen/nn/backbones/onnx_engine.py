"""Run a backbone by ONNX Runtime, which fuses its layers: the same features, faster on a CPU."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unseen.errors import MissingExtraError
from unseen.nn.backbones.efficientnet_lite0 import EfficientNetLite0
from unseen.nn.backbones.frozen import FrozenBackbone, check_pictures, check_strides, normalised
from unseen.nn.backbones.lite0_graph import INPUT, lite0_graph
from unseen.nn.backbones.protocol import FeatureMaps

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_OPSET = 18
_ANY_SIZE = (0, 0)


def onnx_is_installed() -> bool:
    """Return whether everything that the ONNX engine needs is installed."""
    return all(find_spec(package) is not None for package in _PACKAGES)


class OnnxBackbone:
    """A backbone that ONNX Runtime runs, on the CPU in float32.

    The graph of EfficientNet-Lite0 is written directly. That of another network is exported by torch when a
    size and a choice of strides are first used, which takes some seconds, and is then kept.

    Parameters
    ----------
    backbone : FrozenBackbone
        In float32 on the CPU.

    Raises
    ------
    MissingExtraError
        If onnx, onnxscript or onnxruntime is not installed.
    """

    engine = "onnx"

    def __init__(self, backbone: FrozenBackbone) -> None:
        if not onnx_is_installed():
            raise MissingExtraError("The engine 'onnx'", "onnx")
        self._torch = backbone
        self.name, self.channels, self.strides = backbone.name, backbone.channels, backbone.strides
        self.mean, self.std, self.multiple = backbone.mean, backbone.std, backbone.multiple
        self.precision, self.weight_hash = backbone.precision, backbone.weight_hash
        self.device = backbone.device
        self._sessions: dict[tuple[tuple[int, int], tuple[int, ...]], Any] = {}

    @property
    def in_torch(self) -> FrozenBackbone:
        """The same network, run by torch."""
        return self._torch

    def __repr__(self) -> str:
        return repr(self._torch).replace("FrozenBackbone", "OnnxBackbone").replace("torch", "onnx")

    def __call__(self, images: Tensor, strides: Sequence[int] | None = None) -> FeatureMaps:
        """Return float32 feature maps by stride; see :class:`~unseen.nn.backbones.protocol.Backbone`."""
        chosen = check_strides(self.name, strides, self.strides)
        check_pictures(self.name, images, self.multiple)
        x = normalised(images.cpu(), self.mean, self.std).contiguous()
        outputs = self._session((int(x.shape[2]), int(x.shape[3])), chosen).run(None, {INPUT: x.numpy()})
        return {s: torch.from_numpy(np.asarray(values)) for s, values in zip(chosen, outputs, strict=True)}

    def _session(self, size: tuple[int, int], strides: tuple[int, ...]) -> Any:
        network = self._torch.network
        written = isinstance(network, EfficientNetLite0)
        key = (_ANY_SIZE if written else size, strides)
        if key not in self._sessions:
            if isinstance(network, EfficientNetLite0):
                graph = lite0_graph(network, strides)
            else:
                graph = exported_graph(network, size, strides)
            self._sessions[key] = _start(graph)
        return self._sessions[key]


def exported_graph(network: nn.Module, size: tuple[int, int], strides: Sequence[int]) -> bytes:
    """Return the ONNX graph of any feature network, as torch exports it.

    Parameters
    ----------
    network : nn.Module
        ``network(x, strides)`` returns maps by stride.
    size : tuple of (int, int)
        Height and width that the graph is made for; the number of pictures stays open.
    strides : sequence of int
        Its outputs, in this order.

    Returns
    -------
    bytes
        A serialised ONNX model: input ``pixels`` (n, 3, height, width), normalised; outputs ``stride_<s>``.
    """
    module = _ListedMaps(network, tuple(strides)).eval()
    with quiet_export(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        program = torch.onnx.export(
            module,
            (torch.zeros(2, 3, *size),),
            input_names=[INPUT],
            output_names=[f"stride_{stride}" for stride in strides],
            opset_version=_OPSET,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            verbose=False,
        )
        assert program is not None
        path = Path(folder) / "graph.onnx"
        program.save(path, external_data=False)
        return path.read_bytes()


class _ListedMaps(nn.Module):
    """The maps of a network as a tuple, as an ONNX graph returns them."""

    def __init__(self, network: nn.Module, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.strides = strides

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(x, self.strides)
        return tuple(maps[stride] for stride in self.strides)


@contextmanager
def quiet_export() -> Iterator[None]:
    """Silence the exporter, which warns of packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _start(graph: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
