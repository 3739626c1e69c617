"""Why a picture has its score, and where: the cues of multi-cue detectors, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unseen.checks import check_choice
from unseen.detectors.images.cue_fusing import SeenCues
from unseen.detectors.images.gradient_weighing import MOST_PICTURES, weights_of_maps
from unseen.detectors.images.inputs import domains_of, masks_of
from unseen.detectors.images.looking import Seeing
from unseen.detectors.images.memories import Tensors
from unseen.nn.cue_heads import HeadOutputs
from unseen.nn.cues import CUES, shares
from unseen.nn.gradient_maps import GRADIENTS, gradient_maps
from unseen.nn.patches.pictures import SomePictures, as_source
from unseen.pixels import ImageSource, Size, check_size, resize_mask
from unseen.scoring.calibration import hold_back
from unseen.types import BoolArray, FloatArray, Labels


class CueExplanation(NamedTuple):
    """Why pictures have their scores.

    Attributes
    ----------
    scores : float64 array of shape (n_pictures,)
        The fused scores.
    values : float64 array of shape (n_pictures, 3)
        s_dev, s_ent (or p) and s_seg.
    cues : float64 array of shape (n_pictures, 3)
        The same on [0, 1].
    shares : float64 array of shape (n_pictures, 3)
        What each cue accounts for; rows sum to 1 (:func:`unseen.nn.cues.shares`).
    maps : float32 array of shape (n_pictures, 3, height, width)
        Each cue place by place, on one scale for all pictures.
    """

    scores: NDArray[np.float64]
    values: NDArray[np.float64]
    cues: NDArray[np.float64]
    shares: NDArray[np.float64]
    maps: NDArray[np.float32]


class ExplainsCues:
    """The part of a multi-cue detector that explains; mixed in before its base class."""

    if TYPE_CHECKING:  # what the detector has beside this
        image_size: Size
        strides: Sequence[int]
        pool: int
        batch_size: int
        weights: Sequence[float]
        weights_: NDArray[np.float64]
        gradient_weights_: NDArray[np.float64]
        calibration_fraction: float
        seed: int

        def _check_fitted(self) -> None: ...

        def _seeing(self) -> Seeing: ...

        def _look_at(self, V: FloatArray, memory: Tensors) -> SeenCues: ...

        def _memory_of(self, domain: str) -> Tensors: ...

        def _maps(self, patches: NDArray[np.float32], size: Size) -> NDArray[np.float32]: ...

        def _fused(self, cues: Tensor) -> Tensor: ...

        def _seen_by(self, outputs: HeadOutputs) -> SeenCues: ...

        def _outputs(self, features: Tensor, memory: Tensors) -> HeadOutputs: ...

    def explain_cues(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None, size: Size | None = None
    ) -> CueExplanation:
        """Return the three cues of each picture, their share in the score and their maps.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.
        size : int, (int, int) or None
            Height and width of the maps. None: ``image_size``.

        Returns
        -------
        CueExplanation
        """
        self._check_fitted()
        pictures = as_source(self, X)
        names = domains_of(self, X, len(pictures), domains)
        shape = check_size(self, self.image_size if size is None else size)
        values, cues = np.empty((len(pictures), 3)), np.empty((len(pictures), 3))
        maps = np.empty((len(pictures), 3, *shape), dtype=np.float32)
        for indices, V in self._seeing().looks(pictures):
            for name in np.unique(names[indices]):
                mine = names[indices] == name
                seen = self._look_at(V[mine], self._memory_of(str(name)))
                values[indices[mine]] = seen.values.cpu().numpy()
                cues[indices[mine]] = seen.cues.cpu().numpy()
                flat = seen.places.flatten(0, 1).float().cpu().numpy()
                maps[indices[mine]] = self._maps(flat, shape).reshape(-1, 3, *shape)
        tensor = torch.from_numpy(cues)
        deviation, uncertainty, segmentation = self.weights_.tolist()
        parts = shares(tensor, (deviation, uncertainty, segmentation)).numpy()
        return CueExplanation(self._fused(tensor).numpy(), values, cues, parts, maps)

    def localise(
        self,
        X: ArrayLike | ImageSource,
        *,
        domains: ArrayLike | None = None,
        gradients: str = "fused",
    ) -> NDArray[np.float32]:
        """Return gradient maps: where a change of the picture would change the cues most (eq. 11 to 13).

        Each picture has its own scale; use ``score_maps`` to compare pictures. The same pictures give the
        same maps.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.
        gradients : {"fused", "cues", "deviation", "uncertainty", "segmentation", "input"}
            fused: mean over the three cues, each by its weight in ``gradient_weights_``, of the gradients by
            pixels and by the last feature map; cues: their even mean, as in the paper; one cue alone; or
            input: the plain gradient of the fused score by the pixels, for comparison.

        Returns
        -------
        float32 array of shape (n_pictures, height, width)
            In [0, 1], at ``image_size``, smoothed (σ = 4 at 256 pixels).
        """
        self._check_fitted()
        check_choice(self, "gradients", gradients, GRADIENTS)
        pictures = as_source(self, X)
        names = domains_of(self, X, len(pictures), domains)
        shape = check_size(self, self.image_size)
        deviation, uncertainty, segmentation = (
            self.gradient_weights_.tolist() if gradients == "fused" else self.weights_.tolist()
        )
        maps = np.empty((len(pictures), *shape), dtype=np.float32)
        backbone = self._seeing().backbone
        for name in np.unique(names):
            memory = self._memory_of(str(name))

            def cues_of(features: Tensor, memory: Tensors = memory) -> Tensor:
                return self._seen_by(self._outputs(features, memory)).cues

            rows = np.flatnonzero(names == name)
            for batch in SomePictures(pictures, rows).iterate(self.batch_size, size=shape):
                maps[rows[batch.indices]] = gradient_maps(
                    backbone,
                    batch.images,
                    cues_of,
                    self._fused,
                    strides=tuple(self.strides),
                    pool=self.pool,
                    gradients=gradients,
                    weights=(deviation, uncertainty, segmentation),
                )
        return maps

    def _gradient_weights(
        self, X: Any, labels: Labels, masks: Sequence[BoolArray | None] | None
    ) -> NDArray[np.float64]:
        """How much the gradient map of each cue counts, by the labelled anomalies whose defects are known.

        The weights of the score where there are none.
        """
        held = hold_back(labels, self.calibration_fraction, self.seed)
        rows = np.flatnonzero(labels.anomaly & ~held)
        found = masks_of(X, masks, rows, np.ones(len(rows), dtype=np.bool_))
        known = [(row, mask) for row, mask in zip(rows.tolist(), found, strict=True) if mask is not None]
        known = known[:MOST_PICTURES]
        if not known:
            return self.weights_.copy()
        rows = np.array([row for row, _ in known])
        some, names = SomePictures(as_source(self, X), rows), labels.domains[rows]
        maps = [self.localise(some, domains=names, gradients=cue) for cue in CUES]
        size = check_size(self, self.image_size)
        return weights_of_maps(maps, [resize_mask(mask, size) for _, mask in known], self.weights_.copy())
