"""Backbones in the format of Hugging Face ``transformers``, from the hub or a local folder.

The concrete classes are used, which load a local folder and need no torchvision; the weights must be in
safetensors form. What size and normalisation a model was trained with stands in ``preprocessor_config.json``;
where that is missing, ImageNet's mean and standard deviation are taken.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from unseen.errors import MissingExtraError, ParameterError, ReadError
from unseen.nn.backbones.frozen import FrozenBackbone
from unseen.nn.backbones.protocol import IMAGENET_MEAN, IMAGENET_STD, FeatureMaps

BACKBONE_CLASSES = {
    "beit": "BeitBackbone",
    "bit": "BitBackbone",
    "convnext": "ConvNextBackbone",
    "convnextv2": "ConvNextV2Backbone",
    "dinov2": "Dinov2Backbone",
    "dinov2_with_registers": "Dinov2WithRegistersBackbone",
    "dinov3_convnext": "DINOv3ConvNextBackbone",
    "dinov3_vit": "DINOv3ViTBackbone",
    "focalnet": "FocalNetBackbone",
    "hiera": "HieraBackbone",
    "pvt_v2": "PvtV2Backbone",
    "resnet": "ResNetBackbone",
    "swin": "SwinBackbone",
    "swinv2": "Swinv2Backbone",
}
"""Class in ``transformers`` by the ``model_type`` of a configuration."""

_NEEDED = ("config.json", "model.safetensors", "model.safetensors.index.json")
_PREPROCESSING = "preprocessor_config.json"
_PLAIN_TRANSFORMERS = ("beit", "dinov2", "dinov2_with_registers", "dinov3_vit")
_FRESH_NORMALISATION = "hidden_states_norms."
"""Layer normalisations that a backbone adds to each stage; they start as the identity."""

_PATIENCE_SECONDS = 5.0
_PROBE_PATCHES = 8
_PROBE_SIDE = 224


class _StagesByStride(nn.Module):
    """A ``transformers`` backbone whose maps are looked up by stride."""

    def __init__(self, model: nn.Module, place_of_stride: dict[int, int]) -> None:
        super().__init__()
        self.model = model
        self.place_of_stride = place_of_stride

    def forward(self, x: Tensor, strides: Sequence[int]) -> FeatureMaps:
        maps = self.model(pixel_values=x).feature_maps
        return {stride: maps[self.place_of_stride[stride]] for stride in strides}


def load_hugging_face(name: str, *, device: torch.device, precision: str) -> FrozenBackbone:
    """Return a ``transformers`` model as a backbone.

    Of a plain vision transformer the last block gives the one map (after its last normalisation); of a
    network of stages every stage gives one.

    Parameters
    ----------
    name : str
        A local folder, or a name on the hub (``"facebook/dinov2-small"``); what is in the local hub cache is
        found without a network.
    device : torch.device
        Where it runs.
    precision : "float32" or "bfloat16"
        What it computes with.

    Returns
    -------
    FrozenBackbone

    Raises
    ------
    MissingExtraError
        If ``transformers`` is not installed.
    ParameterError
        If the model is of a type that is not known here.
    ReadError
        If there is no such folder and the hub cannot be reached or has no such model, or a file is damaged.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(f"The backbone {name!r}", "huggingface") from error
    if _looks_like_a_folder(name) and not (Path(name) / "config.json").is_file():
        raise ReadError(f"{name} is no folder with a config.json; name a model's folder or one on the hub.")
    cached = _is_local(name)
    if not cached:
        _need_network(name)
    with _quiet():
        config = _read(name, lambda: transformers.AutoConfig.from_pretrained(name, local_files_only=cached))
        model = _weights(name, _class_for(name, config), _stages_to_use(config), cached)
    multiple = _multiple_of(config)
    places, channels = _probe(model, multiple)
    mean, std = _normalisation(name)
    return FrozenBackbone(
        _StagesByStride(model, places),
        name=name if not _looks_like_a_folder(name) else Path(name).resolve().name,
        channels=channels,
        mean=mean,
        std=std,
        multiple=multiple,
        device=device,
        precision=precision,
    )


def _class_for(name: str, config: Any) -> Any:
    import transformers

    class_name = BACKBONE_CLASSES.get(config.model_type)
    if class_name is None or not hasattr(transformers, class_name):
        raise ParameterError(
            f"load_backbone: {name!r} is of type {config.model_type!r}, which gives no feature maps here; "
            f"known types: {', '.join(BACKBONE_CLASSES)}."
        )
    return getattr(transformers, class_name)


def _weights(name: str, model_class: Any, stages: list[str], cached: bool) -> nn.Module:
    """The model with its weights; weights that the file lacks would be random, and are refused."""
    model, report = _read(
        name,
        lambda: model_class.from_pretrained(
            name,
            out_features=stages,
            use_safetensors=True,
            local_files_only=cached,
            dtype=torch.float32,
            output_loading_info=True,
        ),
    )
    missing = [key for key in sorted(report["missing_keys"]) if not key.startswith(_FRESH_NORMALISATION)]
    if missing:
        raise ReadError(
            f"The model {name!r} lacks {len(missing)} of the weights of {model_class.__name__}, such as "
            f"{missing[0]}; its file belongs to another model."
        )
    network: nn.Module = model
    return network


def _is_local(name: str) -> bool:
    """Whether a model is a folder, or lies in the hub's cache with configuration and weights."""
    from huggingface_hub import try_to_load_from_cache

    if Path(name).exists():
        return True
    found = {file for file in _NEEDED if isinstance(try_to_load_from_cache(name, file), str)}
    return "config.json" in found and len(found) > 1


def _need_network(name: str) -> None:
    """Raise at once where the hub cannot be reached, rather than after the client's many attempts."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or ""
    if not constants.HF_HUB_OFFLINE and (getproxies() or _answers(host)):
        return
    raise ReadError(
        f"The model {name!r} is neither a local folder nor in the local cache, and the hub ({host}) "
        "cannot be reached; use 'efficientnet-lite0', or download the model and name its folder."
    )


def _answers(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=_PATIENCE_SECONDS):
            return True
    except OSError:
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and reports of ``transformers``, and put its settings back."""
    import transformers

    logging: Any = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _looks_like_a_folder(name: str) -> bool:
    return Path(name).exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def _read(name: str, load: Any) -> Any:
    """Run a loading function of ``transformers``; its many errors become one line that names the model."""
    import safetensors

    try:
        return load()
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        if Path(name).exists():
            raise ReadError(f"The model in {name} cannot be read: {reason}") from error
        raise ReadError(
            f"The model {name!r} cannot be had from the Hugging Face hub; use 'efficientnet-lite0', or "
            f"download it and name its folder. {reason}"
        ) from error


def _stages_to_use(config: Any) -> list[str]:
    """The last block of a plain transformer; every stage but the stem of other networks."""
    names = list(config.stage_names)
    return names[-1:] if config.model_type in _PLAIN_TRANSFORMERS else names[1:]


def _multiple_of(config: Any) -> int:
    """What sides of pictures must be multiples of."""
    patch = getattr(config, "patch_size", 1)
    side = int(max(patch)) if isinstance(patch, list | tuple) else int(patch)
    if config.model_type in _PLAIN_TRANSFORMERS:
        return side
    return 32


def _probe(model: nn.Module, multiple: int) -> tuple[dict[int, int], dict[int, int]]:
    """Run one picture through: place and channels by stride; of equal strides the last one counts."""
    side = max(_PROBE_SIDE // multiple, _PROBE_PATCHES // 2) * multiple
    with torch.inference_mode():
        maps = model(pixel_values=torch.zeros(1, 3, side, side)).feature_maps
    places = {side // int(values.shape[-1]): place for place, values in enumerate(maps)}
    channels = {stride: int(maps[place].shape[1]) for stride, place in places.items()}
    return places, channels


def _normalisation(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation from the model's preprocessing file."""
    from transformers.utils.hub import cached_file

    try:
        path = cached_file(name, _PREPROCESSING, _raise_exceptions_for_missing_entries=False)
        settings = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        mean, std = settings.get("image_mean", IMAGENET_MEAN), settings.get("image_std", IMAGENET_STD)
        return (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2]))
    except OSError:
        return IMAGENET_MEAN, IMAGENET_STD
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise ReadError(f"{_PREPROCESSING} of {name} cannot be read ({error}).") from error
