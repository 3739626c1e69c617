"""Multi-task autoencoder: one encoder, one decoder per domain, then a classifier on the encoder.

::

    stage 1   min over f, g_1 … g_D   mean of ‖x̃ − g_l(f(x))‖² / F  over rows x and all domains l
              x̃ = x where l is the domain of x (self-domain), else a normal drawn from domain l (cross-domain)
    stage 2   min over a              BCE(a(f(x)), y), f fixed
    score(x)  a(f(x)), the log-odds of being anomalous

(Ghifary, Kleijn, Zhang & Balduzzi, "Domain generalization for object recognition with multi-task
autoencoders", ICCV 2015.) F is the number of features, D that of domains. The paper pairs rows of the same
class across domains; here that class is "normal".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from unseen.checks import check_int
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


class MTAE(BaseDetector):
    """Classifier on features that reconstruct normals within and across domains.

    Domains are the named ones where there are two or more, else clusters of the normals; the cost of stage 1
    grows with their number. Without labelled anomalies the classifier learns from pseudo-anomalies. Rows
    without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the classifier has one hidden layer as wide as the last.
    n_pseudo_domains : int
        Clusters of normals that stand in for domains where the data names fewer than two.
    classifier_epochs : int
        Passes over the training normals in stage 2.
    pseudo_anomalies : {"without-labels", "always"}
        When to train on rows made from the normals (see :mod:`unseen.nn.anomaly_pool`): only if no anomaly
        is labelled, or beside labelled ones too, as one more kind.
    epochs : int
        Passes over the training normals in stage 1.
    batch_size : int
        Normals a batch; in stage 2 as many anomalies join a whole one.
    lr : float
        Learning rate of both stages.
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
        Of stage 1, per epoch: ``"loss"``, ``"self"`` and ``"cross"``, the reconstruction errors within and
        across domains.
    classifier_history_ : dict of str to float64 array of shape (classifier_epochs,)
        Of stage 2, per epoch: ``"loss"``.

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
    classifier_history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64, 32),
        n_pseudo_domains: int = 4,
        classifier_epochs: int = 5,
        pseudo_anomalies: PseudoAnomalies = "without-labels",
        epochs: int = 10,
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
        self.n_pseudo_domains = n_pseudo_domains
        self.classifier_epochs = classifier_epochs
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
        check_int(self, "n_pseudo_domains", self.n_pseudo_domains, minimum=2)
        check_int(self, "classifier_epochs", self.classifier_epochs, minimum=0)
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
        codes = torch.from_numpy(np.unique(names, return_inverse=True)[1].astype(np.int64)).to(device)
        normals = to_tensor(rows, device)
        pool = anomaly_pool(V, labels, self.pseudo_anomalies, self.seed, device)
        self.origin_ = np.median(rows, axis=0).astype(np.float32)
        with isolated_randomness(self.seed):
            network = self._build_network().to(device)
            decoders = nn.Linear(self.hidden[-1], (int(codes.max()) + 1) * rows.shape[1]).to(device)
        network.compress.measure(normals)
        generator = seeded_generator(self.seed, device)
        self.history_ = self._reconstruct(network, decoders, normals, codes, generator)
        self.classifier_history_ = self._classify(network, normals, pool, generator)
        self.network_ = network.cpu()

    def _reconstruct(
        self,
        network: LatentClassifier,
        decoders: nn.Linear,
        normals: Tensor,
        codes: Tensor,
        generator: torch.Generator,
    ) -> History:
        """Stage 1; all decoders are one layer, domain by domain."""
        members = [torch.nonzero(codes == code)[:, 0] for code in range(int(codes.max()) + 1)]

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            rows, own = batch
            size = (len(rows),)
            drawn = [m[torch.randint(len(m), size, generator=generator, device=m.device)] for m in members]
            partners = normals[torch.stack(drawn, dim=1)]
            output = decoders(network.encode(rows)).view_as(partners)
            within, across = multi_task_errors(output, rows, own, partners)
            n_domains = len(members)
            loss = (within + (n_domains - 1) * across) / n_domains
            return StepLoss(loss, {"self": within, "cross": across})

        return train(
            nn.ModuleList([network.layers, decoders]),
            step,
            [normals, codes],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
        )

    def _classify(
        self, network: LatentClassifier, normals: Tensor, pool: AnomalyPool, generator: torch.Generator
    ) -> History:
        """Stage 2, on latent vectors computed once."""
        with torch.no_grad():
            latent_normals, latent_anomalies = network.encode(normals), network.encode(pool.rows)

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            n = len(batch[0])
            drawn = latent_anomalies[pool.draw(self.batch_size, generator)]
            odds = network.head(torch.cat([batch[0], drawn]))[:, 0]
            return StepLoss(balanced_loss(odds, n), {})

        return train(
            network.head,
            step,
            [latent_normals],
            epochs=self.classifier_epochs,
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
        return LatentClassifier(self.n_features_in_, self.hidden, 1, head_hidden=self.hidden[-1:])


def multi_task_errors(output: Tensor, rows: Tensor, own: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared errors of self-domain and of cross-domain reconstruction.

    Parameters
    ----------
    output : Tensor of shape (n_rows, n_domains, n_features)
        g_l(f(x)) of each row x and domain l.
    rows : Tensor of shape (n_rows, n_features)
        x.
    own : int64 Tensor of shape (n_rows,)
        Domain of each row.
    partners : Tensor of shape (n_rows, n_domains, n_features)
        For each row a row of each domain; that of its own domain is not read.

    Returns
    -------
    within, across : scalar Tensor
        Means over rows, features and (across) the other domains; ``across`` is 0 for a single domain.
    """
    n_domains = output.shape[1]
    squares = (output - partners).square().mean(dim=2)
    mine = F.one_hot(own, n_domains).bool()
    within = (output[mine] - rows).square().mean()
    across = squares[~mine].mean() if n_domains > 1 else torch.zeros_like(within)
    return within, across
