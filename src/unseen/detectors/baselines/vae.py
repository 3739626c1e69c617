"""Variational autoencoder trained on normals alone: stage 1 of the anomaly-awareness method.

    L(x) = Σ_j (x_j − x̂_j)² + KL(q(z|x) ‖ N(0, I)),    score(x) = E(x) = Σ_j (x_j − x̂_j)² with z = μ(x)

(Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014; network and settings as in Banda, Khosa &
Sanz, "Strengthening Anomaly Awareness", section 2.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_matrix, resolve_domains
from unseen.detectors.base import BaseDetector
from unseen.nn.device import resolve_device
from unseen.nn.losses.elbo import Reconstruction
from unseen.nn.reweighting import Reweighting
from unseen.nn.row_weighting import Scale, check_weighting, weighting_rule
from unseen.nn.training import History, check_schedule
from unseen.nn.vae_training import train_on_normals
from unseen.nn.variational_autoencoder import (
    VariationalAutoencoder,
    check_architecture,
    check_targets,
    errors_by_feature,
    latent_means,
    reconstruction_errors,
)
from unseen.references import apply_view
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray


class VAE(BaseDetector):
    """Variational autoencoder on normals; labelled anomalies and unlabelled rows are not used.

    The score is the squared reconstruction error E(x) = Σ_j (x_j − x̂_j)² with z = μ(x), for both losses, and
    ``explain`` gives its terms (x_j − x̂_j)², which sum to the score.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    latent : int
        Size of the latent space.
    loss : {"mse", "bce"}
        Reconstruction term. ``"bce"`` puts a sigmoid at the output and needs training values in [0, 1].
    epochs : int
        Passes over the training normals.
    batch_size : int
        Rows a batch.
    lr : float
        Learning rate of Adam.
    reweighting : {"alpha", "confident"} or None
        Whether training rows with a large loss count less, for normals that may hold unnoticed anomalies;
        see :mod:`unseen.nn.row_weighting`. None: all count the same.
    reweighting_alpha : float
        α of ``"alpha"``: below 1 weights fall as a power of the loss, at 1 exponentially, above 1 they end.
    reweighting_scale : float > 0 or "median"
        λ of ``"alpha"``, the loss that still counts as small; ``"median"``: the median loss of each batch.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    network_ : VariationalAutoencoder
        The trained network.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, ``"reconstruction"`` and ``"kl"``, means over the rows.
    n_features_in_ : int
        Number of columns seen by ``fit``.
    """

    uses_labels: ClassVar[bool] = False

    network_: VariationalAutoencoder
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64,),
        latent: int = 8,
        loss: Reconstruction = "mse",
        epochs: int = 50,
        batch_size: int = 512,
        lr: float = 1e-3,
        reweighting: Reweighting | None = None,
        reweighting_alpha: float = 1.0,
        reweighting_scale: Scale = "median",
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
        self.loss = loss
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.reweighting = reweighting
        self.reweighting_alpha = reweighting_alpha
        self.reweighting_scale = reweighting_scale
        self.device = device
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    def latent_means(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean μ(x) of q(z|x) of each row, shape (n_rows, latent).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows, latent)
        """
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        names = resolve_domains(self, len(rows), domains)
        seen = apply_view(self.view, rows, names, self.references_)
        return latent_means(self.network_, seen, resolve_device(self.device))

    def _check_parameters(self) -> None:
        check_architecture(self, hidden=self.hidden, latent=self.latent, loss=self.loss)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        check_weighting(self, self.reweighting, self.reweighting_alpha, self.reweighting_scale)
        resolve_device(self.device)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        normals = V[labels.normal]
        check_targets(self, normals, self.loss)
        self.network_, self.history_ = train_on_normals(
            normals,
            hidden=self.hidden,
            latent=self.latent,
            loss=self.loss,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            device=resolve_device(self.device),
            seed=self.seed,
            weighting=weighting_rule(self.reweighting, self.reweighting_alpha, self.reweighting_scale),
        )

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return reconstruction_errors(self.network_, V, resolve_device(self.device))

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._score_and_explain(V, domains)[1].astype(np.float64)

    def _score_and_explain(
        self, V: FloatArray, domains: StrArray
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        return errors_by_feature(self.network_, V, resolve_device(self.device))

    def _build_network(self) -> VariationalAutoencoder:
        """An untrained network of this shape, to be filled with saved weights."""
        return VariationalAutoencoder(
            self.n_features_in_, self.hidden, self.latent, sigmoid=self.loss == "bce"
        )
