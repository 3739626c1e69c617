"""ResAD for tables: the residual to the nearest normal reference, brought inside a boundary.

::

    r(x) = (x − b(x)) / s          b(x) the reference with the largest cosine to x
    u(x) = r + h(r)                h a constraint network without offsets, 0 before training
    min over h   mean over normals of ρ(‖u‖) + mean over anomalies of ρ(‖u − r‖),    ρ(t) = √(1 + t²) − 1
    score(x) = ‖u(x)‖ / R          R the 95 % quantile of ‖u‖ over training normals

(Yao et al., "ResAD: a simple framework for class generalizable anomaly detection",
NeurIPS 2024, for image features.) Residuals of normals are drawn into a ball, those of anomalies stay as they
are, and R is the one-class boundary; the paper has a normalising flow behind it. s is one number, the root
mean square length of the residuals of training normals. No kind and no domain enters the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unseen.checks import check_choice, check_int
from unseen.detectors.base import BaseDetector
from unseen.nn.anomaly_pool import AnomalyPool, PseudoAnomalies, anomalies_to_train_on, check_pseudo_anomalies
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.multilayer_perceptron import MultilayerPerceptron, check_widths
from unseen.nn.randomness import isolated_randomness
from unseen.nn.residual_constraint import constrained_length, train_constraint
from unseen.nn.row_scores import path_contributions, score_rows, scoring_copy
from unseen.nn.training import History, check_schedule
from unseen.nn.variational_autoencoder import to_tensor
from unseen.references import ReferenceStore, build_store, extend_store
from unseen.types import NORMAL_KIND, FloatArray, Labels, StrArray

NEAREST = ("cosine", "euclidean")

_INSIDE = 0.95
_CHUNK_CELLS = 4_000_000
_TINY = 1e-12


class ResAD(BaseDetector):
    """Length of the residual to the nearest normal reference, after a constraint network.

    The references of a row are those of its own domain where ``adapt`` was given some, else a bank of
    training normals. Labelled anomalies only tell the network which residuals to leave alone; without them
    pseudo-anomalies do. Rows without a label take no part.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers of h.
    nearest : {"cosine", "euclidean"}
        What the nearest reference is: the largest cosine, as in the paper, or the smallest distance.
    bank_rows : int from 1 to 4096
        Training normals in the bank; all other normals train the network.
    pseudo_anomalies : {"without-labels", "always"}
        When to train on rows made from the normals (see :mod:`unseen.nn.anomaly_pool`): only if no anomaly
        is labelled, or beside labelled ones too, as one more kind.
    epochs : int
        Passes over the training normals.
    batch_size : int
        Normals a batch; as many anomalies join them.
    lr : float
        Learning rate.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    view, n_references, calibration_fraction, false_alarm_rate, normal, seed
        See :class:`unseen.detectors.base.BaseDetector`.

    Attributes
    ----------
    bank_ : ReferenceStore
        The references of each domain given to ``adapt``, and the bank: training rows are part of this model,
        and of what is saved of it.
    network_ : MultilayerPerceptron
        h.
    scale_ : float
        s.
    radius_ : float
        R.
    history_ : dict of str to float64 array of shape (epochs,)
        Per epoch: ``"loss"``, ``"normals"`` and ``"anomalies"``, its two terms.

    Notes
    -----
    ``explain`` gives integrated gradients of the score from a row that equals its reference, for which it is
    0, to the row, in eight steps; up to the error of those they sum to the score.
    """

    uses_labels: ClassVar[bool] = True
    reference_use: ClassVar[str] = (
        "in place of the bank, for rows of their own domain only, beside what the view does; "
        "with view='residual-nearest' through the view only, where every reference lies at zero"
    )

    bank_: ReferenceStore
    network_: MultilayerPerceptron
    scale_: float
    radius_: float
    history_: History

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (64,),
        nearest: str = "cosine",
        bank_rows: int = 2048,
        pseudo_anomalies: PseudoAnomalies = "without-labels",
        epochs: int = 20,
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
        self.nearest = nearest
        self.bank_rows = bank_rows
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
        check_choice(self, "nearest", self.nearest, NEAREST)
        check_int(self, "bank_rows", self.bank_rows, minimum=1, maximum=4096)
        check_pseudo_anomalies(self, self.pseudo_anomalies)
        check_schedule(self, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        resolve_device(self.device)

    def _check_fitted_values(self) -> None:
        offsets, store = self.bank_.offsets, self.bank_
        if store.rows.shape[1:] != (self.n_features_in_,) or len(offsets) != len(store.domains) + 2:
            raise ValueError("the bank does not have these features or domains")
        if offsets[0] != 0 or offsets[-1] != len(store.rows) or (np.diff(offsets) < 1).any():
            raise ValueError("the references of the bank do not add up")
        if not (self.scale_ > 0 and self.radius_ > 0):
            raise ValueError("the scale and the radius must be positive")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        device = resolve_device(self.device)
        normals = V[labels.normal]
        in_bank = np.zeros(len(normals), dtype=np.bool_)
        n_bank = min(self.bank_rows, max(1, len(normals) // 2))
        in_bank[np.random.default_rng(self.seed).permutation(len(normals))[:n_bank]] = True
        none = np.zeros(len(normals), dtype=np.bool_)
        self.bank_ = build_store(normals, labels.domains[labels.normal], none, in_bank, keep_rows=True)
        rest = normals[~in_bank] if len(normals) > 1 else normals
        anomalies, kinds = anomalies_to_train_on(V, labels, self.pseudo_anomalies, self.seed)
        self.scale_ = 1.0
        of_normals, of_anomalies = (
            self._residuals(rows, np.full(len(rows), "")) for rows in (rest, anomalies)
        )
        length = float(np.sqrt(np.mean(np.sum(of_normals**2, axis=1))))
        self.scale_ = length if length > _TINY else 1.0
        pool = AnomalyPool(to_tensor(of_anomalies / self.scale_, device), kinds)
        self._train(to_tensor(of_normals / self.scale_, device), pool)
        self.radius_ = 1.0
        radius = float(np.quantile(self._lengths(of_normals / self.scale_), _INSIDE))
        self.radius_ = radius if radius > _TINY else 1.0

    def _train(self, normals: Tensor, pool: AnomalyPool) -> None:
        with isolated_randomness(self.seed):
            network = self._build_network().to(normals.device)
        generator = seeded_generator(self.seed, normals.device)
        self.history_ = train_constraint(
            network,
            normals,
            lambda n: pool.rows[pool.draw(n, generator)],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            generator=generator,
        )
        self.network_ = network.cpu()

    def _adapt(self, V_ref: FloatArray, domains: StrArray) -> None:
        if self.view != "residual-nearest":
            self.bank_ = extend_store(self.bank_, V_ref, domains, keep_rows=True)

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        return self._lengths(self._residuals(V, domains))

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        residuals = self._residuals(V, domains)
        with scoring_copy(self.network_, device) as network:
            return path_contributions(
                lambda rows: constrained_length(network, rows) / self.radius_,
                residuals,
                np.zeros(V.shape[1]),
                device,
            )

    def _lengths(self, residuals: FloatArray) -> NDArray[np.float64]:
        device = resolve_device(self.device)
        with scoring_copy(self.network_, device) as network:
            return score_rows(
                lambda rows: constrained_length(network, rows) / self.radius_, residuals, device
            )

    def _residuals(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        """Return r of each row, shape (n_rows, n_features)."""
        out = np.empty(V.shape, dtype=np.float64)
        for rows, references in self._by_references(V, domains):
            nearest = nearest_reference(V[rows], references, self.nearest)
            out[rows] = (V[rows].astype(np.float64) - references[nearest]) / self.scale_
        return out

    def _by_references(
        self, V: FloatArray, domains: StrArray
    ) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
        """Yield row numbers and the references that they have, chunk by chunk."""
        codes, offsets = self.bank_.codes(domains), self.bank_.offsets
        for code in np.unique(codes):
            references = self.bank_.rows[offsets[code] : offsets[code + 1]]
            mine = np.flatnonzero(codes == code)
            step = max(1, _CHUNK_CELLS // len(references))
            for start in range(0, len(mine), step):
                yield mine[start : start + step], references

    def _build_network(self) -> MultilayerPerceptron:
        """An untrained network of this shape."""
        n_features = self.n_features_in_
        return MultilayerPerceptron([n_features, *self.hidden, n_features], bias=False)


def nearest_reference(X: FloatArray, references: FloatArray, nearest: str) -> NDArray[np.int64]:
    """Return the position of the nearest reference of each row, shape (n_rows,).

    Parameters
    ----------
    X : float array of shape (n_rows, n_features)
        The rows.
    references : float array of shape (n_references, n_features)
        At least one.
    nearest : {"cosine", "euclidean"}
        Largest cosine (a row of zeros has cosine 0 with all), or smallest distance.

    Returns
    -------
    int64 array of shape (n_rows,)
    """
    table = references.astype(np.float64)
    squares = np.sum(table**2, axis=1)
    if nearest == "euclidean":
        return np.asarray(np.argmax(X @ table.T - squares / 2, axis=1), dtype=np.int64)
    directions = table / np.maximum(np.sqrt(squares), _TINY)[:, None]
    return np.asarray(np.argmax(X @ directions.T, axis=1), dtype=np.int64)
