r"""Value-order decomposition: how alike a patch is to normal patches and, sorted, to made-up abnormal ones.

M. Zhao et al., "Value-order Decomposition for Generalist Anomaly Detection". Patch features :math:`z` go
through one adaptation layer. With the nearest normal patch :math:`z^*` by cosine, the residual
:math:`r = |z - z^*|`, its value component :math:`v` (the entries of r in falling order), and the value
components :math:`v_a` of patches under synthetic defects on the references:

.. math::
    S_n = \tfrac12 (\cos(z, z^*) + 1), \qquad
    \hat S_a = \min\Big(1,
        \frac{\max_a v^\top v_a / \lVert v_a \rVert}{\tfrac1A \sum_a \lVert v_a \rVert}\Big), \qquad
    S = \tfrac12 \big((1 - S_n) + \hat S_a\big)

The layer is trained in episodes on the domains of the fit: normal references, defects made on them, and a
query, with :math:`\mathcal L = \mathrm{BCE}(s, y) + \mathrm{focal}(S, M) + \mathrm{dice}(S, M)`, where s is
the mean of the highest patch scores. New domains need references only. ``adapt`` makes defects on them.

Deviations from the paper, beside the smaller default schedule: the layer is normalised first and starts as
the identity, so that few episodes can only refine what untrained features do; in training, a draw of
``training_patches`` patches of each picture stands for all of them.
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.images.base import FOREGROUND_SHARE, BaseImageDetector, Memory, Tensors
from unseen.detectors.images.looking import Look
from unseen.errors import LabelError, ParameterError
from unseen.nn.adaptation import AdaptationLayer
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.patches.coreset import greedy_k_centre
from unseen.nn.patches.defect_episodes import DefectEpisodes, defective
from unseen.nn.patches.maps import top_count
from unseen.nn.patches.neighbours import nearest_by_cosine
from unseen.nn.patches.pictures import as_source
from unseen.nn.patches.staged_search import highest_patches, in_cells, nearest_closely, nearest_roughly
from unseen.nn.patches.turns import useful_looks
from unseen.nn.patches.value_order import (
    abnormal_directions,
    abnormal_similarity,
    compare_with_normal,
    value_component,
)
from unseen.nn.randomness import isolated_randomness
from unseen.nn.synthetic import FolderTextures, SyntheticAnomalies
from unseen.nn.training import check_schedule, train
from unseen.pixels import ImageSource, Pixels, Size
from unseen.types import BoolArray, FloatArray, Labels

QUERIES = ("real", "synthetic")
SEARCHES = ("two-stage", "exact")
PICTURE_SCORES = ("combined", "normal")

_SMALL_BANK = 1024
_CELLS = 1.06
"""Cells over the root of the number of patches."""

_MOST_DIRECTIONS = 64
"""Abnormal directions that are kept for the search in two stages; sorted residuals are much alike."""

LEAST_CANDIDATES = 40
CANDIDATES = 4
"""So many times as many patches as count for a picture's score are looked for again."""

PUBLISHED: dict[str, Any] = {
    "backbone": "facebook/dinov2-small",
    "image_size": 448,
    "strides": (14,),
    "lr": 1e-5,
    "epochs": 20,
    "episodes": 500,
    "training_patches": None,
}
"""The paper's backbone and schedule, as parameters; meant for a GPU."""

_LEAST_LENGTH = 1e-12

_DROPS = (0.5, 0.75)
"""The learning rate falls to a tenth after these shares of the epochs."""


class ValueOrder(BaseImageDetector):
    """Value-order decomposition with an adaptation layer trained on other parts than those it judges.

    Parameters
    ----------
    adaptation : bool
        Whether features go through the trained layer. Off: no training, ``fit`` only remembers.
    sorting : bool
        Whether residuals are sorted. Off: entries are compared channel by channel.
    use_normal, use_abnormal : bool
        Whether 1 - S_n and S_a are part of the score, at least one.
    picture_score : {"combined", "normal"}
        combined: a picture's score is the mean of its highest S, as in the paper. normal: of its highest
        1 - S_n; maps stay those of S, and training does not change.
    queries : {"real", "synthetic"}
        Abnormal queries of episodes: the labelled anomalies with a mask of the fit (made-up ones in domains
        without), or made-up ones only.
    textures : str or None
        A folder of pictures that made-up defects look like, such as the Describable Textures Dataset. None:
        textures are drawn.
    n_references : int
        Normals in the memory of a domain of the fit, and most references of an episode.
        ``adapt`` takes all that it is given.
    epochs : int
        Rounds of training; the learning rate falls to a tenth after a half and three quarters of them.
    episodes : int
        Episodes a round.
    episode_batch : int
        Episodes a step of the optimiser.
    lr : float
        Learning rate of AdamW.
    weight_decay : float
        Of AdamW.
    training_patches : int or None
        Patches drawn of each picture of an episode. None: all.
    rotations : int or "auto"
        The references are also remembered turned by so many equal parts of a circle. auto: by eight if each
        reference is then more like the others. Episodes do without.
    foreground : {"all", "estimate", "hull"}
        estimate: only patches on the part count, as references and where pictures are judged; hull: also
        those between them.
    search : {"two-stage", "exact"}
        Whether patches are compared with a part of the bank, those that the picture's score depends on with a
        larger one, and with 64 abnormal patches that stand for all; or all patches with everything. Banks of
        less than 1024 patches are always searched as a whole. Training is exact.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in [0, 1]
        A picture's score is the mean over this share of its patches, the highest ones; 0: the highest.
    smoothing : float >= 0
        Standard deviation of the smoothing of maps, in pixels of a picture of 448 pixels.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        A folder where features are kept.
    device : str
        ``"auto"`` or a torch device.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration; 0: calibrated by leaving out.
    calibration_folds : int
        Folds of the leaving out; 0: no calibration by it.
    false_alarm_rate : float in (0, 1)
        Share of normals that ``predict`` may flag.
    normal : str or sequence of str
        The kind name(s) that mean normal.
    seed : int
        Seed of every random choice.

    Attributes
    ----------
    adaptation_ : nn.Module
        The layer.
    history_ : dict of str to float64 array of shape (epochs,)
        Losses; empty without training.
    memory_ : dict
        ``bank``: (n_patches, channels), of length 1; ``lengths``: (n_patches,); ``directions``: (n_abnormal,
        channels); ``mean_length``: (1,). For the search in two stages the bank lies cell after cell, with the
        further parts that :func:`unseen.nn.patches.staged_search.in_cells` adds.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = "normal patches to compare with, and the ground for synthetic defects"

    adaptation_: nn.Module
    history_: dict[str, NDArray[np.float64]]

    def __init__(
        self,
        *,
        adaptation: bool = True,
        sorting: bool = True,
        use_normal: bool = True,
        use_abnormal: bool = True,
        picture_score: str = "combined",
        queries: str = "real",
        textures: str | None = None,
        n_references: int = 8,
        epochs: int = 10,
        episodes: int = 64,
        episode_batch: int = 8,
        lr: float = 1e-4,
        weight_decay: float = 1e-5,
        training_patches: int | None = 256,
        rotations: int | str = 1,
        foreground: str = "all",
        search: str = "two-stage",
        backbone: str = "efficientnet-lite0",
        image_size: Size = 256,
        strides: Sequence[int] = (8, 16),
        pool: int = 1,
        top_share: float = 0.01,
        smoothing: float = 4.0,
        batch_size: int = 16,
        cache_dir: str | None = None,
        device: str = "auto",
        calibration_fraction: float = 0.0,
        calibration_folds: int = 8,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.adaptation = adaptation
        self.sorting = sorting
        self.use_normal = use_normal
        self.use_abnormal = use_abnormal
        self.picture_score = picture_score
        self.queries = queries
        self.textures = textures
        self.n_references = n_references
        self.epochs = epochs
        self.episodes = episodes
        self.episode_batch = episode_batch
        self.lr = lr
        self.weight_decay = weight_decay
        self.training_patches = training_patches
        self.rotations = rotations
        self.foreground = foreground
        self.search = search
        self.backbone = backbone
        self.image_size = image_size
        self.strides = strides
        self.pool = pool
        self.top_share = top_share
        self.smoothing = smoothing
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.device = device
        self.calibration_fraction = calibration_fraction
        self.calibration_folds = calibration_folds
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        for name in ("adaptation", "sorting", "use_normal", "use_abnormal"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(
                    f"ValueOrder: {name} must be True or False, got {getattr(self, name)!r}."
                )
        if not (self.use_normal or self.use_abnormal):
            raise ParameterError("ValueOrder: use_normal and use_abnormal must not both be False.")
        check_choice(self, "picture_score", self.picture_score, PICTURE_SCORES)
        if self.picture_score == "normal" and not self.use_normal:
            raise ParameterError("ValueOrder: picture_score='normal' needs use_normal=True.")
        check_choice(self, "queries", self.queries, QUERIES)
        check_choice(self, "search", self.search, SEARCHES)
        if self.textures is not None and not isinstance(self.textures, str):
            raise ParameterError(f"ValueOrder: textures must be a folder as text, got {self.textures!r}.")
        check_schedule(self, epochs=self.epochs, batch_size=self.episode_batch, lr=self.lr)
        check_int(self, "episodes", self.episodes, minimum=1)
        check_real(self, "weight_decay", self.weight_decay, minimum=0)
        if self.training_patches is not None:
            check_int(self, "training_patches", self.training_patches, minimum=2)

    def _build_adaptation(self) -> nn.Module:
        return AdaptationLayer(self.n_features_in_) if self.adaptation else nn.Identity()

    # ---------------------------------------------------------------- training
    def _further_looks(self, images: Pixels, normal: BoolArray) -> list[Look]:
        """A copy with a made-up defect of each normal picture, then turned ones; others stay as they are."""
        if not len(images):  # only asked whether there are further looks
            return [Look(images, np.zeros(images.shape[:3], dtype=np.bool_))]
        make = SyntheticAnomalies(None if self.textures is None else FolderTextures(self.textures))
        copies, defects = images.copy(), np.zeros(images.shape[:3], dtype=np.bool_)
        for row in np.flatnonzero(normal).tolist():
            draw = np.random.default_rng([self.seed, zlib.crc32(np.ascontiguousarray(images[row]).data)])
            copies[row], defects[row], _ = make(images[row], draw)
        return [Look(copies, defects), *super()._further_looks(images, normal)]

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        with isolated_randomness(self.seed):
            self.adaptation_ = self._build_adaptation().eval()
            self.history_ = {}
            if self.adaptation and self.epochs > 0:
                self._train(V, labels)

    def _train(self, V: FloatArray, labels: Labels) -> None:
        place = resolve_device(self.device)
        episodes = DefectEpisodes.of(
            V,
            labels,
            n_references=self.n_references,
            patches=self.training_patches,
            real=self.queries == "real",
            seed=self.seed,
        )
        if episodes is None:
            raise LabelError(
                "ValueOrder: training needs two normal pictures of one domain; give more, or "
                "adaptation=False to do without training."
            )
        layer = self.adaptation_.to(place)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        drops = [max(1, round(share * self.epochs)) for share in _DROPS]

        def step(batch: tuple[Tensor, ...], epoch: int) -> Any:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * 0.1 ** sum(epoch > drop for drop in drops)
            return episodes.loss(len(batch[0]), layer, self._judge, self.top_share, place)

        numbers = torch.arange(self.episodes, device=place)
        self.history_ = train(
            layer,
            step,
            (numbers,),
            epochs=self.epochs,
            batch_size=self.episode_batch,
            lr=self.lr,
            generator=seeded_generator(self.seed, place),
            optimizer=optimizer,
        )
        self.adaptation_ = layer.cpu().eval().requires_grad_(False)

    def _judge(self, queries: Tensor, bank: Tensor, abnormal: Tensor) -> Tensor:
        """Scores of adapted query patches from adapted normal and abnormal patches; differentiable."""
        similarity, residuals = compare_with_normal(queries, bank)
        _, of_abnormal = compare_with_normal(abnormal, bank)
        directions, length = abnormal_directions(value_component(of_abnormal, sorting=self.sorting))
        return self._combined(similarity, residuals, directions, length)

    def _combined(self, similarity: Tensor, residuals: Tensor, directions: Tensor, length: Tensor) -> Tensor:
        if not self.use_abnormal:
            return 1 - similarity
        values = value_component(residuals, sorting=self.sorting)
        abnormal = abnormal_similarity(values, directions, length)
        return (1 - similarity + abnormal) / 2 if self.use_normal else abnormal

    # ---------------------------------------------------------------- scoring
    def _remembered(self, labels: Labels) -> Any:
        draw = np.random.default_rng(self.seed)
        return np.sort(draw.permutation(len(labels))[: self.n_references])

    def _remember(self, V: FloatArray) -> Memory:
        least = FOREGROUND_SHARE if self.foreground != "all" else 0.0
        looks = torch.from_numpy(useful_looks(np.delete(V, 1, axis=1), self.rotations, least))
        made = torch.from_numpy(np.ascontiguousarray(V[:, 1], dtype=np.float32))
        with torch.inference_mode():
            normal = self._adapted(looks[:, :, :-2].flatten(0, 1)).flatten(0, 1)
            on_part = looks[:, :, -2].flatten() >= least
            normal = normal[on_part] if on_part.any() else normal
            chosen = self._adapted(made[:, :-2]).flatten(0, 1)[defective(made[:, -1].flatten(1)).flatten()]
            return {**self._bank(normal), **self._directions(chosen, normal)}

    def _bank(self, normal: Tensor) -> Memory:
        """The normal part of a memory, of adapted patches (n_patches, channels)."""
        if self.search == "two-stage" and len(normal) >= _SMALL_BANK:
            n_cells = round(_CELLS * math.sqrt(len(normal)))
            found = in_cells(normal, n_cells, short=True, seed=self.seed)
        else:
            found = {"bank": nn.functional.normalize(normal, dim=1), "lengths": normal.norm(dim=1)}
        return {name: values.numpy() for name, values in found.items()}

    def with_abnormal(
        self, X: ArrayLike | ImageSource, masks: Sequence[BoolArray], *, domain: str = ""
    ) -> Self:
        """Return a detector that compares a domain's pictures with real abnormal patches, not made-up ones.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            Pictures with a defect.
        masks : sequence of bool arrays of shape (height, width)
            Where it is. Patches mostly under it are remembered.
        domain : str
            The domain, with references from ``adapt``; otherwise all pictures without references of theirs.

        Returns
        -------
        Self
            A new detector. The domain is not calibrated: made-up and real defects give other scores.

        Raises
        ------
        LabelError
            If there are not as many masks as pictures, or none shows a defect.
        """
        self._check_fitted()
        pictures = as_source(self, X)
        if len(masks) != len(pictures) or not any(np.any(mask) for mask in masks):
            raise LabelError("ValueOrder: with_abnormal needs a mask of the defect for each picture.")
        none = np.zeros(len(pictures), dtype=np.bool_)
        V = torch.from_numpy(self._seeing().all_looks(pictures, lambda *_: [], none, masks)[:, 0])
        found = copy.copy(self)
        found.domain_memories_ = dict(self.domain_memories_)
        found.domain_calibrations_ = {
            name: known for name, known in self.domain_calibrations_.items() if name != domain
        }
        known = domain in self.domain_memories_
        memory = dict(self.domain_memories_[domain] if known else self.memory_)
        with torch.inference_mode():
            abnormal = self._adapted(V[:, :-2]).flatten(0, 1)[defective(V[:, -1].flatten(1)).flatten()]
            bank = torch.from_numpy(memory["bank"] * memory["lengths"][:, None])
            memory |= self._directions(abnormal, bank)
        if known:
            found.domain_memories_[domain] = memory
        else:
            found.memory_, found.calibration_ = memory, None
        return found

    def _directions(self, abnormal: Tensor, bank: Tensor) -> Memory:
        """The abnormal part of a memory: directions of value components and the mean of their lengths."""
        _, residuals = compare_with_normal(abnormal, bank)
        directions, length = abnormal_directions(value_component(residuals, sorting=self.sorting))
        if self.search == "two-stage":
            draw = torch.Generator().manual_seed(self.seed)
            kept = greedy_k_centre(directions, _MOST_DIRECTIONS, generator=draw, projection=None)
            directions = directions[kept]
        return {"directions": directions.numpy(), "mean_length": length.reshape(1).numpy()}

    def _adapted(self, features: Tensor) -> Tensor:
        """Patches (n, places, channels) of features (n, channels, height, width), through the layer."""
        patches = features.flatten(2).transpose(1, 2)
        layer = self.adaptation_.to(features.device)
        return torch.cat([layer(part) for part in torch.split(patches, 8)])

    def _seen(self, features: Tensor) -> Tensor:
        if not self.adaptation:
            return features
        return self._adapted(features).transpose(1, 2).reshape(features.shape)

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        queries, places = self._looked_up(features, memory)
        return self._scores_at(queries, places, memory).reshape(_grid(features))

    def _image_scores(self, patch_scores: Tensor, features: Tensor, memory: Tensors) -> Tensor:
        at = self._scores_at
        if self.picture_score == "normal" and self.use_abnormal:
            at = self._unlike_at
            found = at(*self._looked_up(features, memory), memory).reshape(patch_scores.shape)
            patch_scores = found * (patch_scores > 0)  # no score: not on the part
        if "centres" not in memory:
            return super()._image_scores(patch_scores, features, memory)
        count = top_count(patch_scores[0].numel(), self.top_share)
        most = max(LEAST_CANDIDATES, CANDIDATES * count)
        highest, queries = highest_patches(patch_scores, features, most)
        close = at(queries, nearest_closely(queries, memory), memory)
        counting = close.reshape(highest.shape) * (highest > 0)
        return counting.topk(count, dim=1).values.mean(dim=1)

    def _looked_up(self, features: Tensor, memory: Tensors) -> tuple[Tensor, Tensor]:
        """Adapted patches as rows, and the places of the bank that they are compared with."""
        queries = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        if "centres" in memory:
            return queries, nearest_roughly(queries, memory)
        return queries, nearest_by_cosine(queries, memory["bank"]).places

    def _unlike_at(self, queries: Tensor, places: Tensor, memory: Tensors) -> Tensor:
        """1 - S_n of adapted patches beside the patches of the bank at some places."""
        return 1 - self._alike_at(queries, places, memory)

    def _alike_at(self, queries: Tensor, places: Tensor, memory: Tensors) -> Tensor:
        nearest = memory["bank"].index_select(0, places)
        lengths = torch.linalg.vector_norm(queries, dim=1).clamp_min(_LEAST_LENGTH)
        cosines = (queries * nearest).sum(dim=1) / lengths
        alike: Tensor = (cosines.clamp(-1.0, 1.0) + 1) / 2
        return alike

    def _scores_at(self, queries: Tensor, places: Tensor, memory: Tensors) -> Tensor:
        """Scores of adapted patches beside the patches of the bank at some places."""
        alike = self._alike_at(queries, places, memory)
        nearest = memory["bank"].index_select(0, places)
        residuals = (queries - nearest * memory["lengths"].index_select(0, places)[:, None]).abs()
        return self._combined(alike, residuals, memory["directions"], memory["mean_length"])


def _grid(features: Tensor) -> tuple[int, int, int]:
    return features.shape[0], features.shape[2], features.shape[3]
