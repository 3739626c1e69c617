r"""Latent outlier exposure: some of the normals are taken for anomalies, and nobody says which.

C. Qiu, A. Li, M. Kloft, M. Rudolph, S. Mandt, "Latent Outlier Exposure for Anomaly Detection with
Contaminated Data", ICML 2022, with neural transformation learning on patch features; the losses are in
:mod:`unseen.nn.losses.latent_outliers`. The score of a patch is :math:`\ell_n`.

Settled here, since the method was published for one feature vector a sample: patches of a picture are drawn;
its :math:`\ell_n` is the mean over them and its :math:`\ell_a` that over the tenth of them with the largest
:math:`\ell_n`, and pictures get the doubtful labels. Labelled anomalies have the label 1; where they are
masked, patches under the mask are drawn first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.images.base import BaseImageDetector, Memory, Tensors
from unseen.detectors.images.doubting import DoubtsNormals
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.losses.latent_outliers import KINDS, inferred_labels, transformation_losses
from unseen.nn.patches.head_inputs import raw_statistics, standardised
from unseen.nn.randomness import isolated_randomness
from unseen.nn.training import StepLoss, check_schedule, train
from unseen.pixels import Size
from unseen.types import FloatArray, Labels

_TOP = 0.1
_BLOCK = 8192


class TransformationNetwork(nn.Module):
    """Learned transformations of features, and the encoder that compares them.

    Parameters
    ----------
    channels : int
        Channels of the features.
    transformations : int
        K.
    width : int
        Hidden units of each transformation.
    dimensions : int
        What the encoder maps to.
    """

    def __init__(self, channels: int, *, transformations: int, width: int, dimensions: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(transformations, channels, width) / channels**0.5)
        self.outer = nn.Parameter(torch.randn(transformations, width, channels) / width**0.5)
        self.encoder = nn.Linear(channels, dimensions)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(z) (n, dimensions) and f(T_k z) (n, K, dimensions) of features (n, channels)."""
        hidden = torch.relu(torch.einsum("nc,kcw->nkw", features, self.inner))
        gates = torch.sigmoid(torch.einsum("nkw,kwc->nkc", hidden, self.outer))
        return self.encoder(features), self.encoder(2 * gates * features[:, None])


class LatentOutlierExposure(DoubtsNormals, BaseImageDetector):
    """Neural transformation learning on patches with latent outlier exposure.

    Parameters
    ----------
    kind : {"soft", "hard"}
        Doubtful labels of 1/2 or of 1.
    assumed_contamination : float in [0, 0.5]
        ε, the share of the normals taken for anomalies.
    transformations : int >= 2
        K.
    width : int
        Hidden units of a transformation.
    dimensions : int
        What features are encoded to.
    temperature : float
        τ of the similarity.
    patches : int
        Patches drawn of each picture in each step.
    epochs : int
        Passes over the pictures.
    head_batch : int
        Pictures a step.
    lr : float
        Learning rate of Adam.
    backbone : str
        Name or folder of the backbone.
    image_size : int or (int, int)
        Pictures are brought to this size.
    strides : tuple of int
        Feature maps that are joined, on the grid of the finest.
    pool : int, odd
        Patch features are averaged over pool x pool neighbours first; 1: not.
    top_share : float in [0, 1]
        A picture's score is the mean over this share of its patches, the highest ones.
    smoothing : float >= 0
        Standard deviation of the smoothing of maps, in pixels of a picture of 448 pixels.
    batch_size : int
        Pictures at once.
    cache_dir : str or None
        A folder where features are kept.
    device : str
        ``"auto"`` or a torch device.
    calibration_fraction : float in [0, 0.9]
        Share of the normals held back for calibration; 0: calibrated by leaving out of the memory. The
        networks have learned from all normals then, which makes p-values of fresh normals too small: hold
        some back.
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
    network_ : nn.Module
        Transformations and encoder.
    history_ : dict of str to float64 array of shape (epochs,)
        Losses.
    doubts_ : float64 array of shape (n_normals,)
        Mean over the training of l_n - l_a of each normal; see ``suspects``.
    doubted_rows_ : int64 array of shape (n_normals,)
        Where these normals are among the pictures of the fit.
    memory_ : dict
        ``centre`` and ``scale``, float32 (channels,), of the features of the normals.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = "features are standardised on them; the networks stay"

    network_: nn.Module
    history_: dict[str, NDArray[np.float64]]

    def __init__(
        self,
        *,
        kind: str = "soft",
        assumed_contamination: float = 0.1,
        transformations: int = 6,
        width: int = 24,
        dimensions: int = 32,
        temperature: float = 0.1,
        patches: int = 64,
        epochs: int = 10,
        head_batch: int = 32,
        lr: float = 1e-3,
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
        self.kind = kind
        self.assumed_contamination = assumed_contamination
        self.transformations = transformations
        self.width = width
        self.dimensions = dimensions
        self.temperature = temperature
        self.patches = patches
        self.epochs = epochs
        self.head_batch = head_batch
        self.lr = lr
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
        check_choice(self, "kind", self.kind, KINDS)
        check_real(self, "assumed_contamination", self.assumed_contamination, minimum=0, maximum=0.5)
        check_schedule(self, epochs=self.epochs, batch_size=self.head_batch, lr=self.lr)
        check_int(self, "epochs", self.epochs, minimum=1)
        check_int(self, "transformations", self.transformations, minimum=2)
        for name in ("width", "dimensions", "patches"):
            check_int(self, name, getattr(self, name), minimum=1)
        check_real(self, "temperature", self.temperature, minimum=0, open_minimum=True)

    def _build_network(self) -> nn.Module:
        return TransformationNetwork(
            self.n_features_in_,
            transformations=self.transformations,
            width=self.width,
            dimensions=self.dimensions,
        )

    # ---------------------------------------------------------------- training
    def _fit(self, V: FloatArray, labels: Labels) -> None:
        place = resolve_device(self.device)
        with isolated_randomness(self.seed):
            network = self._build_network().to(place)
        some = torch.from_numpy(np.ascontiguousarray(V[labels.normal][:, 0, :-2]))
        memory = {name: torch.from_numpy(values) for name, values in raw_statistics(some).items()}
        rows = np.flatnonzero(labels.normal | labels.anomaly)
        values = torch.from_numpy(np.ascontiguousarray(V[rows, 0]))
        inputs = standardised(values[:, :-2], memory).flatten(2).transpose(1, 2)
        defects = values[:, -1].flatten(1)
        known = torch.from_numpy(labels.anomaly[rows])
        draw = seeded_generator(self.seed, torch.device("cpu"))
        doubts = torch.zeros(len(rows))

        def step(batch: tuple[Tensor, ...], epoch: int) -> StepLoss:
            chosen = batch[0]
            places = self._drawn(defects[chosen], known[chosen], draw)
            patches = inputs[chosen[:, None], places].to(place)
            of_normal, of_anomaly = self._losses(network, patches, known[chosen].to(place))
            preference = (of_normal - of_anomaly).detach()
            doubts[chosen] += preference.cpu() / self.epochs
            truth = torch.ones_like(preference)
            unlabelled = ~known[chosen].to(place)
            truth[unlabelled] = inferred_labels(preference[unlabelled], self.assumed_contamination, self.kind)
            loss = ((1 - truth) * of_normal + truth * of_anomaly).mean()
            return StepLoss(loss, {"taken_for_anomalous": (truth * unlabelled).mean()})

        self.history_ = train(
            network,
            step,
            (torch.arange(len(rows)),),
            epochs=self.epochs,
            batch_size=self.head_batch,
            lr=self.lr,
            generator=seeded_generator(self.seed, torch.device("cpu")),
        )
        self.network_ = network.cpu().eval().requires_grad_(False)
        self.doubts_ = doubts[~known].double().numpy()

    def _drawn(self, defects: Tensor, known: Tensor, draw: torch.Generator) -> Tensor:
        """Places of drawn patches (n, patches); of masked anomalies those under the mask first."""
        lots = torch.rand(defects.shape, generator=draw)
        under = known[:, None] & (torch.nan_to_num(defects) > 0)
        return (lots + under).topk(min(self.patches, defects.shape[1]), dim=1).indices

    def _losses(self, network: nn.Module, patches: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """l_n and l_a of pictures (n,) from drawn patches (n, patches, channels)."""
        n, count, channels = patches.shape
        anchors, views = network(patches.reshape(-1, channels))
        of_normal, of_anomaly = (
            losses.reshape(n, count)
            for losses in transformation_losses(anchors, views, temperature=self.temperature)
        )
        top = of_normal.detach().topk(max(1, round(_TOP * count)), dim=1).indices
        return of_normal.mean(dim=1), of_anomaly.gather(1, top).mean(dim=1)

    # ---------------------------------------------------------------- scoring
    def _remember(self, V: FloatArray) -> Memory:
        return dict(raw_statistics(torch.from_numpy(np.ascontiguousarray(V[:, 0, :-2]))))

    def _patch_scores(self, features: Tensor, memory: Tensors) -> Tensor:
        n, _, height, width = features.shape
        network = self.network_.to(features.device)
        rows: Any = standardised(features, memory).permute(0, 2, 3, 1).flatten(0, 2)
        scores = [
            transformation_losses(*network(block), temperature=self.temperature)[0]
            for block in torch.split(rows, _BLOCK)
        ]
        return torch.cat(scores).reshape(n, height, width)
