"""The exported graph against the detector, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unseen.detectors.images import (
    NearestNeighbourPatches,
    PatchCore,
    ValueOrder,
    nearest_neighbour_patches,
    value_order,
)
from unseen.errors import InputError, MissingExtraError, NotFittedError, ParameterError
from unseen.persistence import export_onnx, onnx_export
from unseen.persistence.scoring_graph import PillowResize

from .conftest import SHARED, averages, draw

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def _tiny_backbone_in_exports(monkeypatch):
    monkeypatch.setattr(onnx_export, "load_backbone", lambda name, **options: averages())


def run(path: Path, pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scores, maps = session.run(["score", "map"], {"pixels": np.stack(pictures)})
    return np.asarray(scores), np.asarray(maps)


def enlarged(pictures: list[np.ndarray], height: int, width: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    larger = [np.asarray(Image.fromarray(image).resize((width, height))) for image in pictures]
    return [np.clip(image + random.normal(0, 9, image.shape), 0, 255).astype(np.uint8) for image in larger]


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "two-stage": (NearestNeighbourPatches, {}),
    "residual-norm": (NearestNeighbourPatches, {"score": "residual-norm", "pool": 3}),
    "exact": (NearestNeighbourPatches, {"score": "residual-norm", "search": "exact", "rotations": 2}),
    "value-order": (ValueOrder, {"adaptation": False}),
    "value-order, exact": (ValueOrder, {"adaptation": False, "search": "exact"}),
    "adapted": (ValueOrder, {"epochs": 2, "episodes": 4, "lr": 1e-2}),
    "unsorted": (ValueOrder, {"adaptation": False, "sorting": False, "use_normal": False}),
    "pictures by similarity": (
        ValueOrder,
        {"epochs": 2, "episodes": 4, "lr": 1e-2, "picture_score": "normal"},
    ),
    "pictures by similarity, exact": (
        ValueOrder,
        {"adaptation": False, "picture_score": "normal", "search": "exact"},
    ),
    "normal-only": (ValueOrder, {"adaptation": False, "use_abnormal": False}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [None, (45, 71)], ids=["own-size", "resized"])
def test_the_graph_gives_the_same_scores_and_maps(kind, size, tmp_path, monkeypatch):
    """In torch, every kind and size; as a file, which takes seconds to write, in the test after this."""
    monkeypatch.setattr(nearest_neighbour_patches, "_SMALL_BANK", 100)
    monkeypatch.setattr(value_order, "_SMALL_BANK", 100)
    monkeypatch.setattr(onnx_export, "_write", lambda graph, given, path: graph)
    owner, parameters = KINDS[kind]
    world = draw(3, 8, 5)
    pictures = world.X if size is None else enlarged(world.X, *size)
    detector = owner(**{**SHARED, **parameters}).fit(pictures[:6])
    expected, expected_maps = detector.score_and_explain(pictures)
    graph: Any = export_onnx(detector, tmp_path, input_size=size)
    with torch.inference_mode():
        scores, maps = graph(torch.from_numpy(np.stack(pictures)))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["residual-norm", "adapted"])
def test_the_file_gives_the_same_scores_and_maps(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(nearest_neighbour_patches, "_SMALL_BANK", 100)
    monkeypatch.setattr(value_order, "_SMALL_BANK", 100)
    owner, parameters = KINDS[kind]
    pictures = enlarged(draw(4, 8, 5).X, 45, 71)  # no patch has two nearest ones
    detector = owner(**{**SHARED, **parameters}).fit(pictures[:6])
    path = export_onnx(detector, tmp_path / "deep" / "model.onnx", input_size=(45, 71))
    expected, expected_maps = detector.score_and_explain(pictures)
    scores, maps = run(path, pictures)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-4, atol=1e-4)
    one, _ = run(path, pictures[7:8])
    np.testing.assert_allclose(one, expected[7:8], rtol=1e-4, atol=1e-5)


def test_the_memory_of_a_domain_is_exported(tmp_path, monkeypatch):
    detector = NearestNeighbourPatches(**SHARED).fit(draw(1, 5, 0).X)
    dark = draw(2, 6, 2, level=20.0).X
    adapted = detector.adapt(dark[:4], domains=["dark"] * 4)
    monkeypatch.setattr(onnx_export, "_write", lambda graph, given, path: graph)
    graph: Any = export_onnx(adapted, tmp_path, domain="dark")
    scores = graph(torch.from_numpy(np.stack(dark))).score
    np.testing.assert_allclose(scores, adapted.decision_function(dark, domains=["dark"] * 8), atol=1e-4)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((50, 40), (32, 32)), ((10, 90), (32, 30)), ((32, 7), (32, 9)), ((448, 300), (256, 256))],
)
def test_resizing_is_pillows_to_the_last_bit(given, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, (*given, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize(wanted[::-1], Image.Resampling.BILINEAR))
    resized = PillowResize(given, wanted)(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    np.testing.assert_array_equal(resized[0].permute(1, 2, 0).numpy(), expected)


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch):
    pictures, path = draw(1, 4, 0).X, tmp_path / "model.onnx"
    with pytest.raises(NotFittedError):
        export_onnx(NearestNeighbourPatches(**SHARED), path)
    with pytest.raises(InputError, match="got PatchCore"):
        export_onnx(PatchCore(**SHARED).fit(pictures), path)
    with pytest.raises(InputError, match="detectors of pictures"):
        export_onnx(pictures, path)
    detector = NearestNeighbourPatches(foreground="estimate", **SHARED).fit(pictures)
    with pytest.raises(ParameterError, match="foreground"):
        export_onnx(detector, path)
    plain = NearestNeighbourPatches(**SHARED).fit(pictures)
    with pytest.raises(ParameterError, match="input_size"):
        export_onnx(plain, path, input_size=0)
    monkeypatch.setattr(onnx_export, "load_backbone", lambda name, **options: averages(2.0))
    with pytest.raises(InputError, match="not those of the fit"):
        export_onnx(plain, path)
    monkeypatch.setattr(onnx_export, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"unseen\[onnx\]"):
        export_onnx(plain, path)
    assert not path.exists()
