"""Get a backbone by name or folder."""

from __future__ import annotations

from pathlib import Path

import torch

from unseen.checks import check_choice
from unseen.errors import ParameterError
from unseen.nn.backbones import efficientnet_lite0 as lite0
from unseen.nn.backbones.frozen import FrozenBackbone
from unseen.nn.backbones.hugging_face import load_hugging_face
from unseen.nn.backbones.onnx_engine import OnnxBackbone, onnx_is_installed
from unseen.nn.backbones.protocol import Backbone
from unseen.nn.device import resolve_device

EMBEDDED = (lite0.NAME,)
"""Backbones that need no download."""

_PRECISIONS = ("auto", "float32", "bfloat16")
_ENGINES = ("auto", "torch", "onnx")


def load_backbone(
    name_or_folder: str | Path = lite0.NAME,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> Backbone:
    """Return a frozen backbone.

    Parameters
    ----------
    name_or_folder : str or Path
        ``"efficientnet-lite0"`` (weights come with the extra ``images``), a folder in the format of Hugging
        Face ``transformers`` (``config.json`` and ``model.safetensors``), or the name of such a model on the
        hub, as ``"facebook/dinov2-small"`` or ``"microsoft/resnet-18"`` (extra ``huggingface``).
    device : str
        ``"auto"`` (a CUDA device if there is one) or a torch device name.
    precision : "auto", "float32" or "bfloat16"
        What it computes with. auto: bfloat16 on CUDA, else float32. In bfloat16 features differ from those in
        float32 by about 4 % of their norm (EfficientNet-Lite0).
    engine : "auto", "torch" or "onnx"
        What runs it. auto: ONNX Runtime for the embedded backbone on the CPU in float32 if the extra
        ``onnx`` is installed, since it is faster there and its features differ by less than 1e-5 of their
        norm; else torch.

    Returns
    -------
    Backbone

    Raises
    ------
    ParameterError
        If an argument is none of the above, or there is no such model.
    MissingExtraError
        If an extra is not installed.
    ReadError
        If the hub cannot be reached, or the model's files cannot be read.
    """
    check_choice("load_backbone", "precision", precision, _PRECISIONS)
    check_choice("load_backbone", "engine", engine, _ENGINES)
    place = resolve_device(device)
    if precision == "auto":
        precision = "bfloat16" if place.type == "cuda" else "float32"
    suits_onnx = place.type == "cpu" and precision == "float32"
    if engine == "onnx" and not suits_onnx:
        raise ParameterError(
            f"load_backbone: engine 'onnx' runs on the CPU in float32, not on {place.type} in {precision}; "
            "leave engine at 'auto'."
        )
    backbone = _in_torch(str(name_or_folder), place, precision)
    embedded = backbone.name in EMBEDDED and suits_onnx and onnx_is_installed()
    if engine == "onnx" or (engine == "auto" and embedded):
        return OnnxBackbone(backbone)
    return backbone


def _in_torch(name: str, device: torch.device, precision: str) -> FrozenBackbone:
    if name == lite0.NAME:
        return FrozenBackbone(
            lite0.imagenet_lite0(),
            name=lite0.NAME,
            channels=lite0.CHANNELS,
            mean=lite0.MEAN,
            std=lite0.STD,
            multiple=lite0.MULTIPLE,
            device=device,
            precision=precision,
        )
    return load_hugging_face(name, device=device, precision=precision)
