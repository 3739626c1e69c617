"""Write a fitted detector of pictures as one ONNX file: pixels in, score and map out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from unseen.detectors.images import (
    BaseImageDetector,
    NearestNeighbourPatches,
    ValueOrder,
    nearest_neighbour_patches,
    value_order,
)
from unseen.detectors.images.base import map_sigma
from unseen.errors import InputError, MissingExtraError, ParameterError
from unseen.nn.backbones import load_backbone
from unseen.nn.backbones.frozen import FrozenBackbone
from unseen.nn.backbones.onnx_engine import quiet_export
from unseen.persistence.scoring_graph import NearestPatchScores, ScoringGraph, ValueOrderScores
from unseen.pixels import Size, check_size

OPSET = 18
"""Version of the ONNX operators."""

_PACKAGES = ("onnx", "onnxscript")


def export_onnx(
    detector: BaseImageDetector, path: str | Path, *, domain: str = "", input_size: Size | None = None
) -> Path:
    """Write the whole scoring of a detector of pictures as an ONNX model.

    The graph takes ``pixels``, uint8 (n, height, width, 3), red-green-blue, of one declared height and width
    and any number n. It resizes them as Pillow does, normalises them, runs the backbone, compares patches
    with the memory and returns ``score``, float32 (n,), and ``map``, float32 (n, map height, map width).
    Scores are those of ``decision_function`` and maps those of ``score_maps`` within 1e-4.

    Parameters
    ----------
    detector : NearestNeighbourPatches or ValueOrder
        Fitted, without ``foreground="estimate"``, whose estimate has no ONNX operators.
    path : str or Path
        The file. One that is there is replaced.
    domain : str
        Whose memory the graph holds; the memory of all normals where the domain has none.
    input_size : int, (int, int) or None
        Height and width of the pictures that the graph takes. None: the detector's ``image_size``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingExtraError
        If onnx or onnxscript is not installed.
    InputError
        If the detector is not fitted, of another class, or uses the foreground, or if the backbone's weights
        are not those of the fit.
    """
    if any(find_spec(package) is None for package in _PACKAGES):
        raise MissingExtraError("export_onnx", "onnx")
    if not isinstance(detector, BaseImageDetector):
        raise InputError(
            f"export_onnx: only detectors of pictures are exported, got {type(detector).__name__}."
        )
    detector._check_fitted()
    if detector.foreground != "all":
        raise ParameterError(
            "export_onnx: foreground='estimate' has no ONNX operators; fit with foreground='all'."
        )
    size = check_size(detector, detector.image_size)
    given = size if input_size is None else check_size("export_onnx", input_size, name="input_size")
    scores = _patch_scores(detector, domain)
    graph = ScoringGraph(
        _backbone(detector),
        scores,
        given=given,
        size=size,
        strides=detector.strides,
        pool=detector.pool,
        sigma=map_sigma(detector.smoothing, size),
    )
    return _write(graph.eval().requires_grad_(False), given, Path(path))


def _patch_scores(detector: BaseImageDetector, domain: str) -> nn.Module:
    memory = detector.domain_memories_.get(domain, detector.memory_)
    if isinstance(detector, NearestNeighbourPatches):
        return NearestPatchScores(
            memory,
            score=detector.score,
            candidates=nearest_neighbour_patches.CANDIDATES,
            least_candidates=nearest_neighbour_patches.LEAST_CANDIDATES[detector.score],
            top_share=detector.top_share,
        )
    if isinstance(detector, ValueOrder):
        return ValueOrderScores(
            memory,
            detector.adaptation_.cpu(),
            sorting=detector.sorting,
            use_normal=detector.use_normal,
            use_abnormal=detector.use_abnormal,
            picture_score=detector.picture_score,
            candidates=value_order.CANDIDATES,
            least_candidates=value_order.LEAST_CANDIDATES,
            top_share=detector.top_share,
        )
    raise InputError(
        "export_onnx: only nearest-neighbour-patches and value-order can be exported, got "
        f"{type(detector).__name__}."
    )


def _backbone(detector: BaseImageDetector) -> FrozenBackbone:
    backbone = load_backbone(detector.backbone, device="cpu", precision="float32", engine="torch")
    if not isinstance(backbone, FrozenBackbone) or backbone.weight_hash != detector.weight_hash_:
        raise InputError(
            f"export_onnx: the weights of the backbone {detector.backbone!r} are not those of the fit."
        )
    return backbone


def _write(graph: nn.Module, given: tuple[int, int], path: Path) -> Path:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # a fused layer has no ONNX operator
    try:
        with quiet_export(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (torch.zeros(2, *given, 3, dtype=torch.uint8),),
                input_names=["pixels"],
                output_names=["score", "map"],
                opset_version=OPSET,
                dynamo=True,
                optimize=False,  # ONNX Runtime does that itself
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
                verbose=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path, external_data=False)
    return path
