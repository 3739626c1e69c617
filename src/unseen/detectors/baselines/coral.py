"""Deep CORAL: a classifier whose latent covariances agree between domains.

::

    min  BCE(a(x), y) + λ · ‖C_s − C_t‖²_F / (4 d²)        score(x) = a(x)

(Sun & Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV 2016 workshops, eq. 1.)
a(x) is the log-odds of being anomalous, from a linear layer on the latent vector z = f(x) of size d; C_s and
C_t are the covariances of z over normals of two domains, drawn anew at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.checks import check_int, check_real
from unseen.detectors.base import BaseDetector
from unseen.nn.anomaly_pool import (
    AnomalyPool,
    PseudoAnomalies,
    anomaly_pool,
    balanced_loss,
    check_pseudo_anomalies,
)
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import LatentClassifier, check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_scores import path_contributions, score_rows, scoring_copy
from unseen.nn.training import History, StepLoss, check_schedule, train
from unseen.nn.variational_autoencoder import to_tensor
from unseen.references.pseudo_domains import named_or_pseudo_domains
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray


class CORAL(BaseDetector):
    """Classifier of normals and labelled anomalies with correlation alignment between domains of normals.

    Domains are the named ones where there are two or more, else clusters of the normals. Without labelled
    anomalies the classifier learns from pseudo-anomalies. Rows without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the last is d.
    coral_weight : float >= 0
        λ.
    n_pseudo_domains : int
        Clusters of normals that stand in for domains where the data names fewer than two.
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
        f, and a on it.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, ``"classification"`` and ``"coral"`` (not yet times λ).

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
        coral_weight: float = 1.0,
        n_pseudo_domains: int = 4,
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
        self.coral_weight = coral_weight
        self.n_pseudo_domains = n_pseudo_domains
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
        check_real(self, "coral_weight", self.coral_weight, minimum=0)
        check_int(self, "n_pseudo_domains", self.n_pseudo_domains, minimum=2)
        check_pseudo_anomalies(self, self.pseudo_anomalies)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        if self.origin_.shape != (self.n_features_in_,):
            raise ValueError("the origin is not a row of these features")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        device = resolve_device(self.device)
        draw = np.random.default_rng(self.seed)
        rows = V[labels.normal]
        names = named_or_pseudo_domains(rows, labels.domains[labels.normal], self.n_pseudo_domains, draw)
        normals = to_tensor(rows, device)
        domains = [normals[torch.from_numpy(names == name).to(device)] for name in np.unique(names)]
        pool = anomaly_pool(V, labels, self.pseudo_anomalies, self.seed, device)
        self.origin_ = np.median(rows, axis=0).astype(np.float32)
        with isolated_randomness(self.seed):
            network = self._build_network().to(device)
        network.compress.measure(normals)
        self.history_ = self._train(network, normals, domains, pool)
        self.network_ = network.cpu()

    def _train(
        self, network: LatentClassifier, normals: Tensor, domains: list[Tensor], pool: AnomalyPool
    ) -> History:
        device = normals.device
        generator = seeded_generator(self.seed, device)

        def draw(rows: Tensor, n: int) -> Tensor:
            return rows[torch.randint(len(rows), (n,), generator=generator, device=device)]

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            n, half = len(batch[0]), max(2, len(batch[0]) // 2)
            parts = [batch[0], pool.rows[pool.draw(self.batch_size, generator)]]
            if len(domains) > 1:
                pair = torch.randperm(len(domains), generator=generator, device=device)[:2].tolist()
                parts += [draw(domains[i], half) for i in pair]
            latent, logits = network(torch.cat(parts))
            m = n + self.batch_size
            loss = balanced_loss(logits[:m, 0], n)
            aligned = torch.zeros((), device=device)
            if len(domains) > 1:
                aligned = coral_loss(latent[m : m + half], latent[m + half :])
            parts_of_loss = {"classification": loss, "coral": aligned}
            return StepLoss(loss + self.coral_weight * aligned, parts_of_loss)

        return train(
            network,
            step,
            [normals],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
        )

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


def covariance(latent: Tensor) -> Tensor:
    """Return the unbiased covariance of rows.

    Parameters
    ----------
    latent : Tensor of shape (n_rows, d)
        At least two rows.

    Returns
    -------
    Tensor of shape (d, d)
    """
    centred = latent - latent.mean(dim=0)
    return centred.T @ centred / (len(latent) - 1)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """Return ‖C_s − C_t‖²_F / (4 d²).

    Parameters
    ----------
    source, target : Tensor of shape (n_rows, d)
        Latent vectors of two domains, at least two rows each.

    Returns
    -------
    scalar Tensor, >= 0
    """
    difference = covariance(source) - covariance(target)
    return difference.square().sum() / (4 * source.shape[1] ** 2)
