"""Deep SAD: normals are drawn to a centre of the latent space, labelled anomalies are driven away from it.

::

    min_W  1/(n + m) Σ_i d(x_i) + η/(n + m) Σ_j (d(x̃_j) + ε)⁻¹ + λ/2 Σ ‖W‖²_F,    d(x) = ‖φ_W(x) − c‖²
    score(x) = d(x)

(Ruff, Vandermeulen, Görnitz, Binder, Müller, Müller & Kloft, "Deep semi-supervised anomaly detection", ICLR
2020, eq. 7.) x_i are the n normals and x̃_j the m anomalies of a batch, η the weight of the anomalies,
φ a network without offsets, which cannot map everything to c by ignoring its input, and c the mean of φ(x)
over the normals before training, after an autoencoder has been trained for the first weights.
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
from unseen.nn.anomaly_pool import AnomalyPool
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import MultilayerPerceptron, check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.row_scores import RowScore, path_contributions, score_rows, scoring_copy
from unseen.nn.training import History, StepLoss, check_schedule, train
from unseen.nn.variational_autoencoder import to_tensor
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

_EPSILON = 1e-6
_LEAST_CENTRE = 0.1


class DeepSAD(BaseDetector):
    """Squared distance to a centre in a latent space learned from normals and labelled anomalies.

    Without labelled anomalies the second sum is empty: that is Deep SVDD (Ruff et al., ICML 2018). Rows
    without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers of φ.
    latent : int
        Number of outputs of φ.
    eta : float >= 0
        η. A batch has as many anomalies as normals, each kind equally often.
    pretraining_epochs : int
        Passes over the normals for the autoencoder.
    epochs : int
        Passes over the training normals.
    batch_size : int
        Normals a batch; as many anomalies join them.
    lr : float
        Learning rate.
    weight_decay : float >= 0
        λ.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    network_ : MultilayerPerceptron
        φ.
    centre_ : float32 array of shape (latent,)
        c; entries within ± 0.1 of 0 are moved there, as by the authors.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, and ``"normals"``, the mean of d over normals.

    Notes
    -----
    ``explain`` gives integrated gradients of the score from the median of the normals to the row, in eight
    steps; up to the error of those they sum to the score of the row minus that of the median.
    """

    uses_labels: ClassVar[bool] = True

    network_: MultilayerPerceptron
    centre_: NDArray[np.float32]
    origin_: NDArray[np.float32]
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (128, 64),
        latent: int = 32,
        eta: float = 1.0,
        pretraining_epochs: int = 10,
        epochs: int = 20,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 1e-6,
        device: str = "auto",
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = NORMAL_KIND,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.latent = latent
        self.eta = eta
        self.pretraining_epochs = pretraining_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def _check_parameters(self) -> None:
        check_widths(self, self.hidden)
        check_int(self, "latent", self.latent, minimum=1)
        check_int(self, "pretraining_epochs", self.pretraining_epochs, minimum=0)
        check_real(self, "eta", self.eta, minimum=0)
        check_real(self, "weight_decay", self.weight_decay, minimum=0)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        if self.centre_.shape != (self.latent,) or self.origin_.shape != (self.n_features_in_,):
            raise ValueError("the centre and the origin are not those of this network")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        device = resolve_device(self.device)
        normals = to_tensor(V[labels.normal], device)
        pool = None
        if labels.anomaly.any():
            pool = AnomalyPool(to_tensor(V[labels.anomaly], device), labels.kinds[labels.anomaly])
        with isolated_randomness(self.seed):
            network = self._build_network().to(device)
            self._pretrain(network, normals)
        with torch.no_grad():
            centre = away_from_zero(network(normals).mean(dim=0))
        self.origin_ = np.median(V[labels.normal], axis=0).astype(np.float32)
        self.centre_ = centre.cpu().numpy()
        self.history_ = self._train(network, normals, pool, centre)
        self.network_ = network.cpu()

    def _pretrain(self, network: MultilayerPerceptron, normals: Tensor) -> None:
        decoder = MultilayerPerceptron([self.latent, *reversed(self.hidden), normals.shape[1]], bias=False)
        autoencoder = torch.nn.Sequential(network, decoder.to(normals.device))

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            return StepLoss((autoencoder(batch[0]) - batch[0]).square().mean(), {})

        train(
            autoencoder,
            step,
            [normals],
            epochs=self.pretraining_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=seeded_generator(self.seed, normals.device),
        )

    def _train(
        self, network: MultilayerPerceptron, normals: Tensor, pool: AnomalyPool | None, centre: Tensor
    ) -> History:
        generator = seeded_generator(self.seed, normals.device)

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            n = len(batch[0])
            rows = batch[0]
            if pool is not None:
                rows = torch.cat([rows, pool.rows[pool.draw(n, generator)]])
            distances = (network(rows) - centre).square().sum(dim=1)
            loss = deep_sad_loss(distances[:n], distances[n:], self.eta)
            return StepLoss(loss, {"normals": distances[:n].mean()})

        # Adam's weight decay adds λ W to the gradient, that of λ/2 ‖W‖².
        optimizer = torch.optim.Adam(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        return train(
            network,
            step,
            [normals],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
            optimizer=optimizer,
        )

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return score_rows(self._rating(network), V, device)

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return path_contributions(self._rating(network), V, self.origin_, device)

    def _rating(self, network: MultilayerPerceptron) -> RowScore:
        weights = next(network.parameters())
        centre = torch.from_numpy(self.centre_).to(weights)
        return lambda rows: (network(rows) - centre).square().sum(dim=1)

    def _build_network(self) -> MultilayerPerceptron:
        """An untrained network of this shape."""
        return MultilayerPerceptron([self.n_features_in_, *self.hidden, self.latent], bias=False)


def deep_sad_loss(of_normals: Tensor, of_anomalies: Tensor, eta: float) -> Tensor:
    """Return the two sums of the objective, without the weight decay.

    Parameters
    ----------
    of_normals : Tensor of shape (n,)
        Squared distances to the centre, n >= 1.
    of_anomalies : Tensor of shape (m,)
        Squared distances to the centre, m >= 0.
    eta : float >= 0
        η.

    Returns
    -------
    scalar Tensor
        ``(Σ d + η Σ 1/(d̃ + 1e-6)) / (n + m)``.
    """
    total = of_normals.sum() + eta * (of_anomalies + _EPSILON).reciprocal().sum()
    return total / (len(of_normals) + len(of_anomalies))


def away_from_zero(centre: Tensor) -> Tensor:
    """Return the centre with entries in (−0.1, 0) at −0.1 and entries in [0, 0.1) at 0.1.

    A unit that the weights 0 bring to its target would be a trivial solution.

    Parameters
    ----------
    centre : Tensor of shape (latent,)
        Mean of the latent normals.

    Returns
    -------
    Tensor of shape (latent,)
    """
    sign = torch.where(centre < 0, -1.0, 1.0)
    return sign * centre.abs().clamp_min(_LEAST_CENTRE)
