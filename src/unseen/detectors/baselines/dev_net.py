"""Deviation network: scores of normals like draws from N(0, 1), those of labelled anomalies far above.

::

    dev(x) = (φ(x) − μ_R) / σ_R,    μ_R, σ_R of r_1 … r_l ~ N(0, 1),  l = 5000
    L = 1/2 mean over normals of |dev(x)| + 1/2 mean over anomalies of max(0, a − dev(x))
    score(x) = φ(x)

(Pang, Shen & van den Hengel, "Deep anomaly detection with deviation networks", KDD 2019, eq. 4 to 6.) φ is
a network with one linear output, a the deviation asked for of anomalies, in standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.checks import check_real
from unseen.detectors.base import BaseDetector
from unseen.nn.anomaly_pool import PseudoAnomalies, anomaly_pool, check_pseudo_anomalies
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import LatentClassifier, check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_scores import path_contributions, score_rows, scoring_copy
from unseen.nn.training import History, StepLoss, check_schedule, train
from unseen.nn.variational_autoencoder import to_tensor
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_REFERENCE_SCORES = 5000


class DevNet(BaseDetector):
    """Anomaly scores learned end to end from normals and labelled anomalies.

    Without labelled anomalies the network learns from pseudo-anomalies. Rows without a label take no part
    (the authors count them as normal).

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers.
    margin : float > 0
        a.
    weight_decay : float >= 0
        λ of the penalty λ Σ W² on the weights of the hidden layers.
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
        φ.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, and ``"deviation"``, without the penalty.

    Notes
    -----
    There are few passes on purpose: with a handful of labelled rows a kind, more of them lower the AUROC on
    fresh rows of the very kinds that were shown, and that on other kinds.

    Rows pass through :class:`unseen.nn.multilayer_perceptron.CompressedInput` before the network.

    The score is linear in the last layer and never saturates; unlike a distance it can be low for a row that
    is far from all normals, in directions that no anomaly has shown.

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
        hidden: Sequence[int] = (20,),
        margin: float = 5.0,
        weight_decay: float = 0.01,
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
        self.margin = margin
        self.weight_decay = weight_decay
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
        check_real(self, "margin", self.margin, minimum=0, open_minimum=True)
        check_real(self, "weight_decay", self.weight_decay, minimum=0)
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
        network.compress.measure(normals)
        generator = seeded_generator(self.seed, device)
        penalised = [layer.weight for layer in network.layers if isinstance(layer, torch.nn.Linear)]

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            n = len(batch[0])
            rows = torch.cat([batch[0], pool.rows[pool.draw(self.batch_size, generator)]])
            scores = network.logit(rows)
            references = torch.randn(_REFERENCE_SCORES, generator=generator, device=device)
            loss = deviation_loss(scores[:n], scores[n:], references, self.margin)
            penalty = torch.stack([weight.square().sum() for weight in penalised]).sum()
            return StepLoss(loss + self.weight_decay * penalty, {"deviation": loss})

        self.history_ = train(
            network,
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


def deviation_loss(of_normals: Tensor, of_anomalies: Tensor, references: Tensor, margin: float) -> Tensor:
    """Return the deviation loss of a batch, in which normals and anomalies weigh the same.

    Parameters
    ----------
    of_normals : Tensor of shape (n,)
        φ of the normals.
    of_anomalies : Tensor of shape (m,)
        φ of the anomalies.
    references : Tensor of shape (l,)
        Reference scores, l >= 2, not all equal.
    margin : float > 0
        a.

    Returns
    -------
    scalar Tensor, >= 0
    """
    mean, spread = references.mean(), references.std(unbiased=False)
    normal = ((of_normals - mean) / spread).abs()
    anomalous = (margin - (of_anomalies - mean) / spread).clamp_min(0.0)
    return (normal.mean() + anomalous.mean()) / 2
