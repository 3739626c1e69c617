"""Anomaly Awareness: a VAE on normals, then fine-tuned to reconstruct known anomalies badly.

Stage 1, on normals:      L_VAE(x) = Σ_j (x_j − x̂_j)² + KL(q(z|x) ‖ N(0, I))
Stage 2, epochs e = 1…E:  L(B) = mean over normals of L_VAE − λ_e · mean over anomalies of min(E(x), clip)
                          with λ_e = λ_max · e / E
Score:                    E(x) = Σ_j (x_j − x̂_j)² with z = μ(x)

x is a row of F features, x̂ its reconstruction, z the latent vector with q(z|x) = N(μ(x), diag σ²(x)). About
a tenth of each stage-2 batch are labelled anomalies, drawn with replacement so that each known kind has the
same share (Banda, Khosa & Sanz, "Strengthening Anomaly Awareness", section 2 and Algorithm 1).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_choice, check_int, check_matrix, check_real, resolve_domains, resolve_labels
from unseen.detectors.base import BaseDetector
from unseen.detectors.lambda_curve import LambdaCurve, Scorer, choose_lambda, draw_lambda_curve
from unseen.errors import LabelError
from unseen.nn.awareness_training import fine_tune
from unseen.nn.device import resolve_device, seeded_generator
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
    to_tensor,
)
from unseen.references import apply_view
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

ScoreRule = Literal["guarded", "stage2", "combined"]
SCORE_RULES: tuple[str, ...] = get_args(ScoreRule)


class AnomalyAwareVAE(BaseDetector):
    """VAE with anomaly awareness: both stages of the method.

    Without labelled anomalies, or with λ_max = 0, stage 2 is left out and the scores are those of stage 1.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    latent : int
        Size of the latent space.
    loss : {"mse", "bce"}
        Reconstruction term of L_VAE. ``"bce"`` puts a sigmoid at the output and needs training values in
        [0, 1]. E(x), and so the score, is the squared error for both.
    epochs : int
        Passes over the training normals in stage 1.
    awareness_epochs : int
        E, passes over the training normals in stage 2.
    batch_size : int
        Rows a batch; in stage 2 anomalies included.
    lr : float
        Learning rate of Adam in both stages.
    lambda_max : float >= 0 or "auto"
        Weight of the anomaly term in the last epoch. ``"auto"``: chosen from ``lambdas`` by leaving known
        kinds out in turn; see :func:`unseen.detectors.lambda_curve.choose_lambda`.
    lambdas : sequence of float >= 0
        What ``"auto"`` chooses from; 0 is always added.
    lambda_margin : float
        Least gain of the mean AUROC over left-out kinds for which ``"auto"`` takes a λ above 0.
    lambda_tolerance : float
        Largest loss of AUROC on any left-out kind that ``"auto"`` accepts.
    clip : float > 0 or None
        Limit of an anomaly's E(x) in the loss; None: no limit.
    anomaly_fraction : float in (0, 1)
        Share of anomalies in a stage-2 batch.
    score : {"guarded", "stage2", "combined"}
        ``"guarded"``: max(E₁(x), E₂(x)/g), with g the ``guard_quantile`` of E₂/E₁ over the training
        normals. Only rows whose error stage 2 raised more than that of nearly every normal move up; all
        others keep the order of stage 1, so that labels cannot cost much on kinds that have none.
        ``"stage2"``: E₂(x), the paper's score. ``"combined"``: E₁(x)/s₁ + E₂(x)/s₂, the errors before and
        after stage 2, each divided by its median over the training normals.
    guard_quantile : float in (0, 1)
        Share of the training normals that ``"guarded"`` leaves where stage 1 put them.
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
    stage1_network_ : VariationalAutoencoder
        The network after stage 1.
    network_ : VariationalAutoencoder
        The network after stage 2.
    lambda_max_ : float
        The λ_max that was used; 0 where stage 2 was left out.
    lambda_curve_ : LambdaCurve or None
        What ``"auto"`` chose from.
    error_scales_ : float64 array of shape (2,)
        s₁ and s₂, the median errors of the training normals before and after stage 2.
    guard_ratio_ : float
        g, the ``guard_quantile`` of E₂/E₁ over the training normals.
    history_ : dict of str to float64 array of shape (epochs,)
        Stage 1 per epoch: ``"loss"``, ``"reconstruction"`` and ``"kl"``, means over the rows.
    awareness_history_ : dict of str to float64 array of shape (awareness_epochs,)
        Stage 2 per epoch: the same of the normals, and ``"anomaly_error"``, the clipped mean of anomalies.
    n_features_in_ : int
        Number of columns seen by ``fit``.
    """

    uses_labels: ClassVar[bool] = True

    stage1_network_: VariationalAutoencoder
    network_: VariationalAutoencoder
    lambda_max_: float
    lambda_curve_: LambdaCurve | None
    error_scales_: NDArray[np.float64]
    guard_ratio_: float
    history_: History
    awareness_history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64,),
        latent: int = 8,
        loss: Reconstruction = "mse",
        epochs: int = 50,
        awareness_epochs: int = 20,
        batch_size: int = 512,
        lr: float = 1e-3,
        lambda_max: float | Literal["auto"] = 0.1,
        lambdas: Sequence[float] = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
        lambda_margin: float = 0.005,
        lambda_tolerance: float = 0.005,
        clip: float | None = 200.0,
        anomaly_fraction: float = 0.1,
        score: ScoreRule = "guarded",
        guard_quantile: float = 0.99,
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
        self.awareness_epochs = awareness_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lambda_max = lambda_max
        self.lambdas = lambdas
        self.lambda_margin = lambda_margin
        self.lambda_tolerance = lambda_tolerance
        self.clip = clip
        self.anomaly_fraction = anomaly_fraction
        self.score = score
        self.guard_quantile = guard_quantile
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

    # ------------------------------------------------------------ beyond the contract
    def stage1_scores(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return E(x) before stage 2 of each row, shape (n_rows,); the plain VAE's score.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite numbers.
        domains : array-like of shape (n_rows,) or None
            Domain of each row.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        return reconstruction_errors(
            self.stage1_network_, self._seen(X, domains), resolve_device(self.device)
        )

    def stage2_scores(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return E(x) after stage 2 of each row, shape (n_rows,); the paper's score.

        Parameters
        ----------
        X, domains
            As in :meth:`stage1_scores`.

        Returns
        -------
        float64 array of shape (n_rows,)
        """
        return reconstruction_errors(self.network_, self._seen(X, domains), resolve_device(self.device))

    def latent_means(self, X: ArrayLike, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean μ(x) of q(z|x) after stage 2 of each row, shape (n_rows, latent).

        Parameters
        ----------
        X, domains
            As in :meth:`stage1_scores`.

        Returns
        -------
        float64 array of shape (n_rows, latent)
        """
        return latent_means(self.network_, self._seen(X, domains), resolve_device(self.device))

    def lambda_curve(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
    ) -> LambdaCurve:
        """Draw the λ curve of the fitted stage 1 (Fig. 5) over ``lambdas``; the detector stays as it is.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Training rows; held-out kinds must not be among them.
        y, kinds, domains : array-like of shape (n_rows,) or None
            As in ``fit``.

        Returns
        -------
        LambdaCurve

        Raises
        ------
        LabelError
            If there are fewer than 4 normals, or fewer than 2 labelled anomalies.
        """
        V = self._seen(X, domains)
        labels = resolve_labels(self, len(V), y, kinds=kinds, domains=domains, normal=self.normal)
        if labels.normal.sum() < 4 or labels.anomaly.sum() < 2:
            raise LabelError(
                f"{type(self).__name__}: lambda_curve needs at least 4 normals and 2 labelled anomalies, "
                f"got {labels.normal.sum()} and {labels.anomaly.sum()}."
            )
        return self._lambda_curve(V, labels)

    # ------------------------------------------------------------ hooks
    def _check_parameters(self) -> None:
        check_architecture(self, hidden=self.hidden, latent=self.latent, loss=self.loss)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        check_int(self, "awareness_epochs", self.awareness_epochs, minimum=1)
        if isinstance(self.lambda_max, str):
            check_choice(self, "lambda_max", self.lambda_max, ["auto"])
        else:
            check_real(self, "lambda_max", self.lambda_max, minimum=0)
        for value in self.lambdas:
            check_real(self, "lambdas", value, minimum=0)
        check_real(self, "lambda_margin", self.lambda_margin, minimum=0)
        check_real(self, "lambda_tolerance", self.lambda_tolerance, minimum=0)
        if self.clip is not None:
            check_real(self, "clip", self.clip, minimum=0, open_minimum=True)
        check_real(
            self,
            "anomaly_fraction",
            self.anomaly_fraction,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )
        check_choice(self, "score", self.score, SCORE_RULES)
        check_real(
            self,
            "guard_quantile",
            self.guard_quantile,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )
        check_weighting(self, self.reweighting, self.reweighting_alpha, self.reweighting_scale)
        resolve_device(self.device)

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        normals, anomalies = V[labels.normal], V[labels.anomaly]
        check_targets(self, V[labels.y >= 0], self.loss)
        self._fit_stage1(normals)
        self.lambda_curve_ = None
        if self.lambda_max == "auto":
            self.lambda_max_ = self._choose_lambda(V, labels)
        else:
            self.lambda_max_ = float(self.lambda_max) if len(anomalies) else 0.0
        self.network_, self.awareness_history_ = self._stage2(
            normals, anomalies, labels.kinds[labels.anomaly], self.lambda_max_
        )
        device = resolve_device(self.device)
        errors = [
            reconstruction_errors(network, normals, device)
            for network in (self.stage1_network_, self.network_)
        ]
        tiny = np.finfo(np.float32).tiny
        self.error_scales_ = np.maximum(np.median(errors, axis=1), tiny)
        ratios = np.maximum(errors[1], tiny) / np.maximum(errors[0], tiny)
        self.guard_ratio_ = float(np.quantile(ratios, self.guard_quantile))

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        after = reconstruction_errors(self.network_, V, device)
        if self.score == "stage2":
            return after
        before = reconstruction_errors(self.stage1_network_, V, device)
        if self.score == "guarded":
            return guarded_error(before, after, self.guard_ratio_)
        combined: NDArray[np.float64] = before / self.error_scales_[0] + after / self.error_scales_[1]
        return combined

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._score_and_explain(V, domains)[1].astype(np.float64)

    def _score_and_explain(self, V: FloatArray, domains: StrArray) -> tuple[NDArray[np.float64], FloatArray]:
        device = resolve_device(self.device)
        after, second = errors_by_feature(self.network_, V, device)
        if self.score == "stage2":
            return after, second
        before, first = errors_by_feature(self.stage1_network_, V, device)
        if self.score == "guarded":
            lifted = after / self.guard_ratio_ > before
            contributions = np.where(lifted[:, None], second / np.float32(self.guard_ratio_), first)
            return guarded_error(before, after, self.guard_ratio_), contributions
        scales = self.error_scales_
        return before / scales[0] + after / scales[1], first / scales[0] + second / scales[1]

    # ------------------------------------------------------------ parts
    def _seen(self, X: ArrayLike, domains: ArrayLike | None) -> FloatArray:
        self._check_fitted()
        rows = check_matrix(self, X, n_features=self.n_features_in_)
        return apply_view(self.view, rows, resolve_domains(self, len(rows), domains), self.references_)

    def _fit_stage1(self, normals: FloatArray) -> None:
        self.stage1_network_, self.history_ = train_on_normals(
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

    def _stage2(
        self, normals: FloatArray, anomalies: FloatArray, kinds: StrArray, lambda_max: float
    ) -> tuple[VariationalAutoencoder, History]:
        """Fine-tune a copy of the stage-1 network; with λ_max = 0 the copy stays as it is."""
        device = resolve_device(self.device)
        network = copy.deepcopy(self.stage1_network_).to(device)
        if lambda_max == 0:
            return network.cpu(), {}
        history = fine_tune(
            network,
            to_tensor(normals, device),
            to_tensor(anomalies, device),
            kinds,
            loss=self.loss,
            epochs=self.awareness_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            lambda_max=lambda_max,
            clip=self.clip,
            anomaly_fraction=self.anomaly_fraction,
            generator=seeded_generator(self.seed + 1, device),
            weighting=weighting_rule(self.reweighting, self.reweighting_alpha, self.reweighting_scale),
        )
        return network.cpu(), history

    def _lambda_curve(self, V: FloatArray, labels: Labels) -> LambdaCurve:
        device = resolve_device(self.device)

        def scorer_of(normals: FloatArray, anomalies: FloatArray, kinds: StrArray, weight: float) -> Scorer:
            network, _history = self._stage2(normals, anomalies, kinds, weight)
            return lambda rows: reconstruction_errors(network, rows, device)

        known = labels.anomaly
        return draw_lambda_curve(
            scorer_of, V[labels.normal], V[known], labels.kinds[known], self.lambdas, seed=self.seed
        )

    def _choose_lambda(self, V: FloatArray, labels: Labels) -> float:
        if labels.normal.sum() < 4 or labels.anomaly.sum() < 4:
            return 0.0
        self.lambda_curve_ = self._lambda_curve(V, labels)
        return choose_lambda(self.lambda_curve_, margin=self.lambda_margin, tolerance=self.lambda_tolerance)

    def _build_network(self) -> VariationalAutoencoder:
        """An untrained network of this shape, to be filled with saved weights."""
        return VariationalAutoencoder(
            self.n_features_in_, self.hidden, self.latent, sigmoid=self.loss == "bce"
        )

    def _build_stage1_network(self) -> VariationalAutoencoder:
        """As ``_build_network``."""
        return self._build_network()


def guarded_error(
    before: NDArray[np.float64], after: NDArray[np.float64], guard_ratio: float
) -> NDArray[np.float64]:
    """Return max(E₁, E₂/g): stage 1's error, raised where stage 2 raised it more than for normals.

    Parameters
    ----------
    before, after : float64 array of shape (n_rows,)
        E₁ and E₂, the errors before and after stage 2.
    guard_ratio : float > 0
        g, what E₂/E₁ hardly ever exceeds for normals.

    Returns
    -------
    float64 array of shape (n_rows,)
    """
    return np.asarray(np.maximum(before, after / guard_ratio))
