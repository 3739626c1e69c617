"""MTL-RED: a classifier and an autoencoder on one latent vector that keeps little about its input.

::

    min  CE(ℓ(z), y) + w · MSE(x̂(z), x) + β · I(x; z),      z = f(x),      w = 0.6
    I(x; z) = H(A) + H(B) − H(A ∘ B / tr(A ∘ B)),            H(A) = −log₂ tr(A²)
    A = K_x / tr K_x,   B = K_z / tr K_z                     score(x) = ℓ_1 − ℓ_0

H is the matrix-based Rényi entropy of order 2 (Sánchez Giraldo, Rao & Príncipe, "Measures of entropy from
data using infinitely divisible kernels", IEEE Trans. Information Theory 61, 2015), K the Gram matrices of a
batch under a Gaussian kernel, ∘ the product of entries. With multi-task learning for the rest (the rival
MTL-RED of Roy, Mili & Boker, "A Multi-directional Meta-Learning Framework for Class-Generalizable Anomaly
Detection"). For two classes the cross-entropy depends on ℓ_1 − ℓ_0 alone, which is the network's one logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from unseen.checks import check_real
from unseen.detectors.base import BaseDetector
from unseen.nn.anomaly_pool import PseudoAnomalies, anomaly_pool, balanced_loss, check_pseudo_anomalies
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import LatentClassifier, MultilayerPerceptron, check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_scores import path_contributions, score_rows, scoring_copy
from unseen.nn.training import History, StepLoss, check_schedule, train
from unseen.nn.variational_autoencoder import to_tensor
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_TINY = 1e-12


class MTLRED(BaseDetector):
    """Classification and reconstruction from a latent vector with little information about its input.

    Without labelled anomalies the classifier learns from pseudo-anomalies. Rows without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the decoder mirrors them.
    reconstruction_weight : float >= 0
        w.
    information_weight : float >= 0
        β.
    pseudo_anomalies : {"without-labels", "always"}
        When to train on rows made from the normals (see :mod:`unseen.nn.anomaly_pool`): only if no anomaly
        is labelled, or beside labelled ones too, as one more kind.
    epochs : int
        Passes over the training normals.
    batch_size : int
        Normals a batch; as many anomalies join a whole one.
    lr : float
        Learning rate.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    network_ : LatentClassifier
        f, and ℓ_1 − ℓ_0 on it. The decoder is not part of the score and not kept.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, ``"classification"``, ``"reconstruction"`` and ``"information"`` (in bits).

    Notes
    -----
    There are few passes on purpose: with a handful of labelled rows a kind, more of them lower the AUROC on
    fresh rows of the very kinds that were shown, and that on other kinds.

    Rows pass through :class:`unseen.nn.multilayer_perceptron.CompressedInput` before the network.

    ``explain`` gives integrated gradients of the score from the median of the normals to the row, in eight
    steps; up to the error of those they sum to the score of the row minus that of the median.
    """

    uses_labels: ClassVar[bool] = True

    network_: LatentClassifier
    origin_: NDArray[np.float32]
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64, 32),
        reconstruction_weight: float = 0.6,
        information_weight: float = 0.01,
        pseudo_anomalies: PseudoAnomalies = "without-labels",
        epochs: int = 5,
        batch_size: int = 256,
        lr: float = 1e-3,
        device: str = "auto",
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.reconstruction_weight = reconstruction_weight
        self.information_weight = information_weight
        self.pseudo_anomalies = pseudo_anomalies
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_widths(self, self.hidden)
        check_real(self, "reconstruction_weight", self.reconstruction_weight, minimum=0)
        check_real(self, "information_weight", self.information_weight, minimum=0)
        check_pseudo_anomalies(self, self.pseudo_anomalies)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        if self.origin_.shape != (self.n_features_in_,):
            raise ValueError("the origin is not a row of these features")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        device = resolve_device(self.device)
        normals = to_tensor(V[labels.normal], device)
        pool = anomaly_pool(V, labels, self.pseudo_anomalies, self.seed, device)
        self.origin_ = np.median(V[labels.normal], axis=0).astype(np.float32)
        with isolated_randomness(self.seed):
            network = self._build_network().to(device)
            decoder = MultilayerPerceptron([*reversed(self.hidden), V.shape[1]]).to(device)
        network.compress.measure(normals)
        generator = seeded_generator(self.seed, device)

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            n = len(batch[0])
            rows = torch.cat([batch[0], pool.rows[pool.draw(self.batch_size, generator)]])
            latent, logits = network(rows)
            parts = {
                "classification": balanced_loss(logits[:, 0], n),
                "reconstruction": F.mse_loss(decoder(latent), rows),
                "information": mutual_information(rows, latent),
            }
            loss = parts["classification"] + self.reconstruction_weight * parts["reconstruction"]
            return StepLoss(loss + self.information_weight * parts["information"], parts)

        self.history_ = train(
            nn.ModuleList([network, decoder]),
            step,
            [normals],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
        )
        self.network_ = network.cpu()

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return score_rows(network.logit, V, device)

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return path_contributions(network.logit, V, self.origin_, device)

    def _build_network(self) -> LatentClassifier:
        """An untrained network of this shape."""
        return LatentClassifier(self.n_features_in_, self.hidden, 1)


def normalised_gram(rows: Tensor) -> Tensor:
    """Return A = K / tr K with K_ij = exp(−‖x_i − x_j‖² / (2 σ²)).

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        x. σ² is the mean squared distance of two different rows, taken as a constant by gradients.

    Returns
    -------
    Tensor of shape (n_rows, n_rows)
        Of trace 1.
    """
    centred = rows - rows.mean(dim=0)
    lengths = centred.square().sum(dim=1)
    squared = (lengths[:, None] + lengths - 2 * centred @ centred.T).clamp_min(0.0)
    n = len(rows)
    width = (squared.detach().sum() / max(1, n * (n - 1))).clamp_min(_TINY)
    return torch.exp(-squared / (2 * width)) / n


def renyi_entropy(gram: Tensor) -> Tensor:
    """Return H = −log₂ tr(A²) in bits.

    Parameters
    ----------
    gram : Tensor of shape (n_rows, n_rows)
        A, symmetric, of trace 1.

    Returns
    -------
    scalar Tensor in [0, log₂ n_rows]
    """
    return -torch.log2(gram.square().sum())


def mutual_information(rows: Tensor, latent: Tensor) -> Tensor:
    """Return I(x; z) of a batch in bits.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        x.
    latent : Tensor of shape (n_rows, n_latent)
        z.

    Returns
    -------
    scalar Tensor
    """
    a, b = normalised_gram(rows), normalised_gram(latent)
    joint = a * b
    return renyi_entropy(a) + renyi_entropy(b) - renyi_entropy(joint / joint.trace())
