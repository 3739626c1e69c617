"""The contract of detectors of pictures: that of every detector, and maps of where the anomaly is.

``X`` is a sequence of pictures. They go through a frozen backbone in batches; what a method learns of a
domain is a *memory*, a few arrays made from its normal pictures. Inside, ``V`` holds patch features, float32
of shape (n_pictures, n_looks, channels + 2, grid height, grid width). Look 0 is the picture
itself; pictures that are remembered may have further looks, such as rotations. The last two channels say how
much of a patch lies on the part and how much of it is known to be defective. A method implements:

``_remember(V)``
    The memory of normal pictures.
``_patch_scores(features, memory)``
    Anomaly score of each patch, >= 0, higher = more anomalous.
``_image_scores(patch_scores, features, memory)``
    Optional: score of each picture; the mean of the highest patch scores otherwise.
``_seen(features)``
    Optional: what these two are given in place of the backbone's features.
``_fit(V, labels)``
    Optional: learn what all domains share, before any memory is made.
``_further_looks(images, normal)``
    Optional: changed copies of pictures that are to be remembered.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unseen.detectors.base import BaseDetector
from unseen.detectors.images.calibrating import cross_scores
from unseen.detectors.images.domain_calibration import CalibratedByDomain
from unseen.detectors.images.inputs import all_normal, domains_of, labels_of, masks_of
from unseen.detectors.images.looking import Look, Seeing, rotated
from unseen.detectors.images.memories import (
    FOREGROUND_SHARE,
    Memory,
    MemoryScorer,
    Scored,
    ScoredPictures,
    Tensors,
    on_device,
)
from unseen.detectors.images.parameters import check_shared_parameters
from unseen.errors import InputError, LabelError
from unseen.nn.device import resolve_device
from unseen.nn.patches.maps import score_images, top_mean
from unseen.nn.patches.pictures import SomePictures, as_source
from unseen.nn.patches.turns import AUTO_TURNS
from unseen.pixels import ImageSource, Pixels, Size, check_size
from unseen.references import empty_store
from unseen.scoring.calibration import Calibration, hold_back
from unseen.types import BoolArray, FloatArray, Labels, StrArray

_SIZE_OF_SMOOTHING = 448

__all__ = ["FOREGROUND_SHARE", "BaseImageDetector", "Memory", "ScoredPictures", "Tensors"]


class BaseImageDetector(CalibratedByDomain, BaseDetector):
    """Base class of the detectors of pictures.

    ``X`` is an ``unseen.data.images.ImageSet``, a list of uint8 arrays of shape (height, width, 3), or a
    stack of them. An ImageSet brings its labels and domains; arguments take precedence. ``fit`` takes in the
    normal pictures, ``adapt`` those of new domains: pictures of such a domain are compared with its own
    references only, all others with the normals of the fit (of their domain, if the fit saw several).

    **p-values.** Each normal is scored by a memory of the others (leave one out; with more than
    ``calibration_folds`` normals, leave one fold out). With ``n`` of them no p-value is below
    ``1 / (n + 1)``: .2 with 4 references; ``smallest_p`` tells. These scores come from memories of fewer
    pictures than that which judges fresh ones, which makes p-values larger rather than smaller; the guarantee
    of separate calibration rows needs ``calibrate`` or ``calibration_fraction > 0``.

    Parameters
    ----------
    backbone : str
        Name or folder, see :func:`unseen.nn.backbones.load_backbone`. A saved model holds this name and a
        hash of the weights, not the weights.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in [0, 1]
        A picture's score is the mean over this share of its patches, the highest ones; 0: the highest.
    smoothing : float >= 0
        Standard deviation of the Gaussian that smooths maps, in pixels of a picture of 448 pixels.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        A folder where features are kept, so that a picture goes through the backbone once.
    device : str
        ``"auto"`` or a torch device.
    calibration_fraction : float in [0, 0.9]
        Share of the normals that ``fit`` holds back and calibrates on. 0: it calibrates by leaving out.
    calibration_folds : int
        Folds of the leaving out; 0: no calibration by it. At most 64 pictures are scored for it.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Seed of every random choice.
    """

    view = "raw"
    n_references = 1
    rotations: int | str = 1
    foreground = "all"

    backbone: str
    image_size: Size
    strides: Sequence[int]
    pool: int
    top_share: float
    smoothing: float
    batch_size: int
    cache_dir: str | None
    device: str
    calibration_folds: int

    weight_hash_: str
    memory_: Memory
    domain_memories_: dict[str, Memory]
    domain_calibrations_: dict[str, Calibration]

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _remember(self, V: FloatArray) -> Memory:
        """Return the memory of normal pictures."""

    @abstractmethod
    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        """Return the patch scores (n, height, width) of features (n, channels, height, width)."""

    def _seen(self, features: Tensor) -> Tensor:
        """Return the features (n, channels, height, width) that patches and pictures are scored by."""
        return features

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        """Return the score of each picture."""
        return top_mean(patch_scores, self.top_share)

    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        """Return changed copies of pictures that are to be remembered, all as many as there are pictures."""
        turns = AUTO_TURNS if isinstance(self.rotations, str) else self.rotations
        return [Look(rotated(images, 360.0 * i / turns), None) for i in range(1, turns)]

    def _remembered(self, labels: Labels) -> NDArray[np.int64]:
        """Return which of the normal pictures of a fit go into a memory."""
        return np.arange(len(labels))

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        """Learn what all domains share: nothing, unless a method overrides this."""

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._scorer().views(V, domains).scores

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        patches = self._scorer().views(V, domains).patches
        return self._maps(patches, self.image_size).astype(np.float64)

    # --------------------------------------------------------------- contract
    def fit(
        self,
        X: ArrayLike | ImageSource,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        masks: Sequence[BoolArray | None] | None = None,
    ) -> Self:
        """Take normal pictures in, and learn from several domains where the method does.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        y, kinds, domains, groups : array-like of shape (n_pictures,) or None
            As for every detector. None: as the ImageSet says; all normal, of one domain, if it is none.
        masks : sequence of bool arrays of shape (height, width) or None
            Where defects are, for methods that learn from them. None: as the ImageSet says.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If pictures, labels or parameters cannot be used.
        """
        self._check_common_parameters()
        self._check_parameters()
        pictures = as_source(self, X)
        labels = labels_of(self, X, len(pictures), y, kinds, domains, groups)
        if not labels.normal.any():
            raise LabelError(f"{type(self).__name__}: fit needs normal pictures (y = 0), got none.")
        held = hold_back(labels, self.calibration_fraction, self.seed)
        taking = ~held & (labels.normal | labels.anomaly if self.uses_labels else labels.normal)
        places, known = np.flatnonzero(taking), labels.take(taking)
        seeing = self._seeing()
        if masks is not None and len(masks) != len(pictures):
            raise LabelError(
                f"{type(self).__name__}: masks must have one item a picture ({len(pictures)}), "
                f"got {len(masks)}."
            )
        some = masks_of(X, masks, places, known.anomaly)
        V = seeing.all_looks(SomePictures(pictures, places), self._further_looks, known.normal, some)
        self.n_features_in_, self.feature_names_ = V.shape[2] - 2, None
        self.references_ = empty_store(self.n_features_in_)
        self.weight_hash_ = seeing.backbone.weight_hash
        self.calibration_ = None
        self._fit(V, known)
        self._memorise(V[known.normal], known.take(known.normal), calibrated=not held.any())
        if held.any():
            rows = SomePictures(pictures, np.flatnonzero(held))
            self._calibrate_domains(self._all_scores(rows, labels.domains[held]), labels.take(held))
        return self

    def adapt(self, X_ref: ArrayLike | ImageSource, *, domains: ArrayLike | None = None) -> Self:
        """Return a detector that compares pictures of some domains with their own references.

        Nothing is trained again and this detector stays as it is.

        Parameters
        ----------
        X_ref : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            Pictures known to be normal.
        domains : array-like of shape (n_references,) or None
            Domain of each. None: as the ImageSet says, else the domain of pictures without one.

        Returns
        -------
        Self
            A new detector, calibrated for these domains by leaving out each reference in turn.
        """
        self._check_fitted()
        pictures = as_source(self, X_ref, name="X_ref")
        names = domains_of(self, X_ref, len(pictures), domains)
        adapted = copy.copy(self)
        adapted.domain_memories_ = dict(self.domain_memories_)
        adapted.domain_calibrations_ = dict(self.domain_calibrations_)
        seeing = self._seeing()
        for name in np.unique(names):
            some = SomePictures(pictures, np.flatnonzero(names == name))
            V = seeing.all_looks(some, self._further_looks, np.ones(len(some), dtype=np.bool_), None)
            adapted._memorise_domain(str(name), V, calibrated=True)
        return adapted

    def decision_function(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the anomaly score of each picture, shape (n_pictures,); higher = more anomalous.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures; memory is bounded by a few batches.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        float64 array of shape (n_pictures,)
        """
        self._check_fitted()
        pictures = as_source(self, X)
        return self._all_scores(pictures, domains_of(self, X, len(pictures), domains))

    def score_maps(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None, size: Size | None = None
    ) -> NDArray[np.float32]:
        """Return where each picture is how anomalous, on one scale for all pictures.

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
        float32 array of shape (n_pictures, height, width)
        """
        return self._scored_and_mapped(X, domains, self.image_size if size is None else size)[1]

    def explain(self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the score maps: the contribution of each place, as ``score_maps`` does.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        float64 array of shape (n_pictures, height, width)
        """
        return self.score_maps(X, domains=domains).astype(np.float64)

    def score_and_explain(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], FloatArray]:
        """Return scores and maps in one pass.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        scores : float64 array of shape (n_pictures,)
        maps : float32 array of shape (n_pictures, height, width)
        """
        return self._scored_and_mapped(X, domains, self.image_size)

    def score_batches(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None, size: Size | None = None
    ) -> Iterator[ScoredPictures]:
        """Yield scores and maps batch by batch, for more pictures than maps fit into memory.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.
        size : int, (int, int) or None
            Height and width of the maps. None: ``image_size``.

        Yields
        ------
        ScoredPictures
            Of at most ``batch_size`` pictures, in order; memory is bounded by a few batches.
        """
        self._check_fitted()
        pictures = as_source(self, X)
        shape = check_size(self, self.image_size if size is None else size)
        for batch in self._each_batch(pictures, domains_of(self, X, len(pictures), domains)):
            yield ScoredPictures(batch.indices, batch.scores, self._maps(batch.patches, shape))

    # --------------------------------------------------------------- memories
    def _memorise(self, V: FloatArray, labels: Labels, *, calibrated: bool) -> None:
        """Remember normals: all together and, if there are several, each domain by itself."""
        self.domain_memories_, self.domain_calibrations_ = {}, {}
        names = np.unique(labels.domains)
        for name in names if len(names) > 1 else ():
            some = labels.domains == name
            chosen = V[some][self._remembered(labels.take(some))]
            self._memorise_domain(str(name), chosen, calibrated=calibrated)
        chosen = V[self._remembered(labels)]
        self.memory_ = self._remember(chosen)
        scores = self._cross_scores(chosen) if calibrated else None
        if scores is not None:
            self._calibrate(scores, all_normal(len(scores)))

    def _memorise_domain(self, name: str, V: FloatArray, *, calibrated: bool) -> None:
        self.domain_memories_[name] = self._remember(V)
        self.domain_calibrations_.pop(name, None)
        scores = self._cross_scores(V) if calibrated else None
        if scores is not None:
            self.domain_calibrations_[name] = self._calibration_from(scores)

    def _cross_scores(self, V: FloatArray) -> NDArray[np.float64] | None:
        def score(remembered: FloatArray, asked: FloatArray) -> NDArray[np.float64]:
            memory = on_device(self._remember(remembered), resolve_device(self.device))
            return self._scores_by(asked, memory)[0]

        return cross_scores(V, folds=self.calibration_folds, seed=self.seed, score=score)

    # ---------------------------------------------------------------- scoring
    def _scorer(self) -> MemoryScorer:
        place = resolve_device(self.device)
        return MemoryScorer(self._scores_by, self.memory_, self.domain_memories_, place)

    def _each_batch(self, pictures: ImageSource, domains: StrArray) -> Iterator[Scored]:
        seeing = self._seeing()
        if seeing.backbone.weight_hash != self.weight_hash_:
            raise InputError(
                f"{type(self).__name__}: the weights of the backbone {self.backbone!r} are not those of the "
                "fit; use the same backbone, or fit again."
            )
        return self._scorer().batches(seeing, pictures, domains)

    def _scores_by(self, V: FloatArray, memory: Tensors) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Scores of pictures and of their patches by one memory."""
        looks = torch.from_numpy(V[:, 0]).to(resolve_device(self.device))
        on_part = looks[:, -2]
        with torch.inference_mode():
            features = self._seen(looks[:, :-2])
            patches = self._patch_scores(features, memory)
            if self.foreground != "all":
                patches = patches * (on_part >= FOREGROUND_SHARE)
            scores = self._image_scores(patches, features, memory)
        return scores.double().cpu().numpy(), patches.float().cpu().numpy()

    def _all_scores(self, pictures: ImageSource, domains: StrArray) -> NDArray[np.float64]:
        scores = np.empty(len(pictures))
        for batch in self._each_batch(pictures, domains):
            scores[batch.indices] = batch.scores
        return scores

    def _scored_and_mapped(
        self, X: ArrayLike | ImageSource, domains: ArrayLike | None, size: Size
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        self._check_fitted()
        n_pictures = len(as_source(self, X))
        scores = np.empty(n_pictures)
        maps = np.empty((n_pictures, *check_size(self, size)), dtype=np.float32)
        for batch in self.score_batches(X, domains=domains, size=size):
            scores[batch.indices], maps[batch.indices] = batch.scores, batch.maps
        return scores, maps

    def _maps(self, patches: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
        shape = check_size(self, size)
        sigma = map_sigma(self.smoothing, shape)
        return np.asarray(score_images(torch.from_numpy(patches), shape, sigma).numpy())

    def _seeing(self) -> Seeing:
        return Seeing(
            name=self.backbone,
            size=self.image_size,
            strides=tuple(self.strides),
            pool=self.pool,
            batch_size=self.batch_size,
            cache_dir=self.cache_dir,
            device=self.device,
            foreground=self.foreground,
        )

    def _try_scoring(self) -> None:
        """Score a made-up picture by every memory, without the backbone."""
        V = np.zeros((1, 1, self.n_features_in_ + 2, *self._grid_tried()), dtype=np.float32)
        for memory in (self.memory_, *self.domain_memories_.values()):
            self._scores_by(V, on_device(memory, resolve_device(self.device)))

    def _grid_tried(self) -> tuple[int, int]:
        height, width = check_size(self, self.image_size)
        stride = min(self.strides)
        return -(-height // stride), -(-width // stride)

    # ------------------------------------------------------------- parameters
    def _check_common_parameters(self) -> None:
        super()._check_common_parameters()
        check_shared_parameters(self)


def map_sigma(smoothing: float, size: tuple[int, int]) -> float:
    """Return the standard deviation of the smoothing of maps of a size, in their pixels.

    Parameters
    ----------
    smoothing : float >= 0
        In pixels of a picture of 448 pixels.
    size : (int, int)
        Height and width.

    Returns
    -------
    float >= 0
    """
    return smoothing * max(size) / _SIZE_OF_SMOOTHING
