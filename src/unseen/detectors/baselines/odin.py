"""ODIN: a classifier's softmax probability of "normal", with temperature and a small step of the input.

::

    p(x) = softmax(f(x)/T)_normal
    x̃ = x − ε · sign(∇_x (−log p(x)))
    score(x) = −T · log( p(x̃) / (1 − p(x̃)) )

(Liang, Li & Srikant, "Enhancing the reliability of out-of-distribution image detection in neural networks",
ICLR 2018, eq. 1 and 2.) f are the logits, T the temperature, ε the length of the step in each feature. The
classes are "normal" and each known kind of anomalies. The paper takes the largest probability of all
classes, each of which is in distribution there; here one class is, and a row that surely belongs to a known
kind must not pass. The paper's score is p(x̃); the log-odds order rows in the same way and do not saturate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

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


class ODIN(BaseDetector):
    """Log-odds against "normal" of a classifier of normals and known kinds, after a step towards "normal".

    Without labelled anomalies pseudo-anomalies are the one other class. Rows without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the classifier's hidden layers.
    temperature : float > 0
        T.
    step : float >= 0
        ε.
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
        f; the first logit is that of normals.
    n_kinds_ : int
        Number of classes of anomalies.
    origin_ : float32 array of shape (n_features,)
        Median of the training normals, where ``explain`` starts.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, the mean cross-entropy.

    Notes
    -----
    There are few passes on purpose: with a handful of labelled rows a kind, more of them lower the AUROC on
    fresh rows of the very kinds that were shown, and that on other kinds.

    Rows pass through :class:`unseen.nn.multilayer_perceptron.CompressedInput` before the network.

    At a temperature of 1000, the paper's, the score is almost the mean over kinds of f_kind − f_normal (plus
    a constant). With a single kind the temperature only scales the gradient, and changes nothing.

    ``explain`` gives integrated gradients of the score at x, without the step, from the median of the normals
    to the row, in eight steps; up to the error of those they sum to the difference of that score.
    """

    uses_labels: ClassVar[bool] = True

    network_: LatentClassifier
    n_kinds_: int
    origin_: NDArray[np.float32]
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64, 32),
        temperature: float = 1000.0,
        step: float = 0.0014,
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
        self.temperature = temperature
        self.step = step
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
        check_real(self, "temperature", self.temperature, minimum=0, open_minimum=True)
        check_real(self, "step", self.step, minimum=0)
        check_pseudo_anomalies(self, self.pseudo_anomalies)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        if self.origin_.shape != (self.n_features_in_,) or self.n_kinds_ < 1:
            raise ValueError("the origin and the classes are not those of this network")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        device = resolve_device(self.device)
        rows = to_tensor(V[labels.normal], device)
        pool = anomaly_pool(V, labels, self.pseudo_anomalies, self.seed, device)
        self.n_kinds_ = len(pool.names)
        self.origin_ = np.median(V[labels.normal], axis=0).astype(np.float32)
        with isolated_randomness(self.seed):
            network = self._build_network().to(device)
        network.compress.measure(rows)
        generator = seeded_generator(self.seed, device)

        def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
            (normals,) = batch
            drawn = pool.draw(self.batch_size, generator)
            logits = network(torch.cat([normals, pool.rows[drawn]]))[1]
            n = len(normals)
            of_normals = -torch.log_softmax(logits[:n], dim=1)[:, 0].mean()
            return StepLoss((of_normals + F.cross_entropy(logits[n:], 1 + pool.codes[drawn])) / 2, {})

        self.history_ = train(
            network,
            step,
            [rows],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
        )
        self.network_ = network.cpu()

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:

            def score(rows: Tensor) -> Tensor:
                if self.step > 0:
                    rows = stepped(network, rows, self.temperature, self.step)
                return odin_score(network(rows)[1], self.temperature)

            return score_rows(score, V, device)

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return path_contributions(
                lambda rows: odin_score(network(rows)[1], self.temperature),
                V,
                self.origin_,
                device,
            )

    def _build_network(self) -> LatentClassifier:
        """An untrained network of this shape."""
        return LatentClassifier(self.n_features_in_, self.hidden, 1 + self.n_kinds_)


def odin_score(logits: Tensor, temperature: float) -> Tensor:
    """Return −T · log(p/(1 − p)), shape (n_rows,), with p the softmax probability of the first class.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, n_classes)
        f, normal first; at least two classes.
    temperature : float > 0
        T.

    Returns
    -------
    Tensor of shape (n_rows,)
        log((1 − p)/p) is the log of the sum over all other classes j of exp((f_j − f_normal)/T).
    """
    return temperature * torch.logsumexp((logits[:, 1:] - logits[:, :1]) / temperature, dim=1)


def stepped(network: LatentClassifier, rows: Tensor, temperature: float, length: float) -> Tensor:
    """Return x̃ = x − ε · sign(∇_x (−log p(x))).

    Parameters
    ----------
    network : LatentClassifier
        f.
    rows : Tensor of shape (n_rows, n_features)
        x.
    temperature : float > 0
        T.
    length : float >= 0
        ε.

    Returns
    -------
    Tensor of shape (n_rows, n_features)
        Without a gradient.
    """
    with torch.enable_grad():
        point = rows.detach().requires_grad_()
        negative = -torch.log_softmax(network(point)[1] / temperature, dim=1)[:, 0]
        (gradient,) = torch.autograd.grad(negative.sum(), point)
    return torch.sub(rows.detach(), gradient.sign(), alpha=length)
