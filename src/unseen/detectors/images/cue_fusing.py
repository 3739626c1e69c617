"""Scores out of what the heads of multi-cue detectors say: three cues of pictures and places, fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.detectors.images.memories import Tensors
from unseen.nn.cue_heads import HeadOutputs
from unseen.nn.cues import entropy_cue, fuse, scaled_deviation, scaled_uncertainty
from unseen.nn.device import resolve_device
from unseen.nn.losses.deviation import top_share_mean
from unseen.types import FloatArray


class SeenCues(NamedTuple):
    """Cues of pictures (n, 3), before and after scaling, and of their places (n, 3, height, width)."""

    values: Tensor
    cues: Tensor
    places: Tensor


class FusesCues:
    """The part of a multi-cue detector that scores; mixed in before its base class."""

    if TYPE_CHECKING:  # what the detector has beside this
        weights: Sequence[float]
        weights_: NDArray[np.float64]
        top_share: float
        uncertainty: str
        margin: float
        scaling: str
        device: str

        def _outputs(self, features: Tensor, memory: Tensors) -> HeadOutputs: ...

    def _judge(self, outputs: HeadOutputs) -> Tensor:
        return self._fused(self._cues_of(outputs))

    def _cues_of(self, outputs: HeadOutputs) -> Tensor:
        return self._seen_by(outputs).cues

    def _seen_by(self, outputs: HeadOutputs) -> SeenCues:
        """The cues of pictures and of their places."""
        assert outputs.segmentation is not None
        defect = torch.sigmoid(outputs.segmentation)
        probability, local = outputs.probability, torch.sigmoid(outputs.evidence)
        share = top_share_mean(defect, self.top_share)
        uncertain = entropy_cue(probability) if self.uncertainty == "entropy" else probability
        values = torch.stack([outputs.deviation, uncertain, share], dim=1)
        cues = torch.stack(
            [self._scaled(outputs.deviation), scaled_uncertainty(probability, self.uncertainty), share], dim=1
        )
        places = torch.stack(
            [self._scaled(outputs.patches), scaled_uncertainty(local, self.uncertainty), defect], dim=1
        )
        return SeenCues(values, cues, places)

    def _scaled(self, deviation: Tensor) -> Tensor:
        return scaled_deviation(deviation, margin=self.margin, scaling=self.scaling)

    def _fused(self, cues: Tensor) -> Tensor:
        deviation, uncertainty, segmentation = self.weights_.tolist()
        return fuse(cues, (deviation, uncertainty, segmentation))

    def _fused_places(self, places: Tensor) -> Tensor:
        """By the weights that were given: pictures do not teach where a defect is."""
        deviation, uncertainty, segmentation = (float(weight) for weight in self.weights)
        return fuse(places, (deviation, uncertainty, segmentation))

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        return self._fused_places(self._seen_by(self._outputs(features, memory)).places)

    def _scores_by(self, V: FloatArray, memory: Tensors) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        seen = self._look_at(V, memory)
        scores, patches = self._fused(seen.cues), self._fused_places(seen.places)
        return scores.double().cpu().numpy(), patches.float().cpu().numpy()

    def _look_at(self, V: FloatArray, memory: Tensors) -> SeenCues:
        features = torch.from_numpy(V[:, 0, :-2]).to(resolve_device(self.device))
        with torch.inference_mode():
            return self._seen_by(self._outputs(features, memory))
