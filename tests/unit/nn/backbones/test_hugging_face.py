"""Backbones in the format of transformers: tiny models with random weights, saved in that format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from unseen.errors import ParameterError, ReadError
from unseen.nn.backbones import load_backbone

transformers = pytest.importorskip("transformers")


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "tiny-dinov2")
    settings = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}
    (tmp_path / "tiny-dinov2" / "preprocessor_config.json").write_text(json.dumps(settings))
    return tmp_path / "tiny-dinov2"


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(tmp_path / "tiny-resnet")
    return tmp_path / "tiny-resnet"


def test_a_vision_transformer_gives_its_last_block(dinov2: Path) -> None:
    backbone = load_backbone(dinov2, device="cpu")
    assert (backbone.name, backbone.strides, dict(backbone.channels)) == ("tiny-dinov2", (14,), {14: 16})
    assert (backbone.mean, backbone.multiple) == ((0.4, 0.5, 0.6), 14)
    images = torch.rand(2, 3, 56, 84)
    maps = backbone(images)
    assert tuple(maps[14].shape) == (2, 16, 4, 6)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.mean, backbone.std))
    model = transformers.Dinov2Model.from_pretrained(dinov2).eval()
    with torch.no_grad():
        tokens = model(pixel_values=(images - mean) / std).last_hidden_state[:, 1:]
    assert torch.allclose(maps[14].flatten(2).transpose(1, 2), tokens, atol=1e-4)


def test_a_network_of_stages_gives_each(resnet: Path) -> None:
    backbone = load_backbone(str(resnet), device="cpu", precision="float32")
    assert dict(backbone.channels) == {4: 8, 8: 12, 16: 16, 32: 20}
    maps = backbone(torch.rand(1, 3, 64, 96), (8, 16))
    assert tuple(maps[8].shape) == (1, 12, 8, 12)
    assert backbone.mean == (0.485, 0.456, 0.406)


def test_the_same_folder_has_the_same_hash_and_other_weights_another(dinov2: Path, tmp_path: Path) -> None:
    first = load_backbone(dinov2, device="cpu").weight_hash
    assert load_backbone(dinov2, device="cpu").weight_hash == first
    model = transformers.Dinov2Model.from_pretrained(dinov2)
    with torch.no_grad():
        model.layernorm.weight += 1e-3
    model.save_pretrained(tmp_path / "other")
    assert load_backbone(tmp_path / "other", device="cpu").weight_hash != first


def test_sizes_that_do_not_fit_patches_are_refused(dinov2: Path) -> None:
    from unseen.nn.backbones import extract

    with pytest.raises(ParameterError, match=r"multiple of 14 .* the nearest is 252"):
        extract(load_backbone(dinov2, device="cpu"), torch.zeros(1, 8, 8, 3, dtype=torch.uint8).numpy(), 256)


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_name_without_a_network_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offline: bool
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ReadError, match=r"neither a local folder .* cannot be reached") as caught:
        load_backbone("nobody/no-such-model", device="cpu")
    assert "\n" not in str(caught.value)
    assert "efficientnet-lite0" in str(caught.value)


def test_weights_that_are_missing_are_not_made_up(dinov2: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(dinov2 / "model.safetensors")
    del tensors["embeddings.patch_embeddings.projection.weight"]
    save_file(tensors, dinov2 / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ReadError, match="lacks 1 of the weights of Dinov2Backbone"):
        load_backbone(dinov2, device="cpu")


def test_loading_is_quiet_and_leaves_the_settings(dinov2: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity()
    capfd.readouterr()
    load_backbone(dinov2, device="cpu")
    assert capfd.readouterr().err == ""
    assert logging.get_verbosity() == before


def test_folders_that_are_no_models_are_refused(tmp_path: Path, resnet: Path) -> None:
    with pytest.raises(ReadError, match=r"no folder with a config\.json"):
        load_backbone(tmp_path / "nothing", device="cpu")
    transformers.BertConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path / "bert")
    with pytest.raises(ParameterError, match="type 'bert'"):
        load_backbone(tmp_path / "bert", device="cpu")
    weights = resnet / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ReadError, match=r"tiny-resnet.* cannot be read") as caught:
        load_backbone(resnet, device="cpu")
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_not_read(resnet: Path) -> None:
    (resnet / "model.safetensors").unlink()
    torch.save({}, resnet / "pytorch_model.bin")
    with pytest.raises(ReadError, match="cannot be read"):
        load_backbone(resnet, device="cpu")
