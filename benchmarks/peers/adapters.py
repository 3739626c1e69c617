"""Detectors of other libraries behind the contract of this one, so that one protocol measures them all.

Every peer runs with its own defaults. Where a default breaks or would be unfair, the nearest sane setting is
used instead, and said here and in the table's notes:

- DeepOD's ``device="cuda"`` becomes ``"cpu"``, verbosity is off.
- PyOD's detectors get the seed of the split where they take one.
- PyOD's DevNet and DeepOD's networks draw from torch's global generator, which is seeded for each fit.
- PyOD's KNN, IForest, ECOD and AutoEncoder, and scikit-learn's, are given the training normals alone.
- PReNet draws pairs at every scoring, so its scores depend on the rows beside them; the generators are
  seeded before each scoring too.
"""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.detectors.base import BaseDetector
from unseen.types import FloatArray, Labels, StrArray


class Model(Protocol):
    """What PyOD and DeepOD call a detector."""

    def fit(self, X: FloatArray, y: NDArray[np.int8] | None = None) -> Any:
        """Learn."""

    def decision_function(self, X: FloatArray) -> NDArray[np.float64]:
        """Return scores, higher = more anomalous."""


class _Positive:
    """A scikit-learn model as a detector: the sign turned, or a classifier's probability."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: FloatArray, y: NDArray[np.int8] | None = None) -> Any:
        return self.model.fit(X) if y is None else self.model.fit(X, y)

    def decision_function(self, X: FloatArray) -> NDArray[np.float64]:
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(X)[:, 1], dtype=np.float64)
        return -np.asarray(self.model.score_samples(X), dtype=np.float64)


def _pyod(module: str, name: str, **settings: Any) -> Callable[[int], Model]:
    def make(seed: int) -> Model:
        kind = getattr(__import__(f"pyod.models.{module}", fromlist=[name]), name)
        seeds = {"random_state": seed, "random_seed": seed}
        known = kind.__init__.__code__.co_varnames
        model: Model = kind(**{key: value for key, value in seeds.items() if key in known}, **settings)
        return model

    return make


def _deepod(name: str) -> Callable[[int], Model]:
    def make(seed: int) -> Model:
        kind = getattr(__import__("deepod.models", fromlist=[name]), name)
        model: Model = kind(device="cpu", verbose=0, random_state=seed)
        return model

    return make


def _sklearn(module: str, name: str, *, seeded: bool = True, **settings: Any) -> Callable[[int], Model]:
    def make(seed: int) -> Model:
        kind = getattr(__import__(f"sklearn.{module}", fromlist=[name]), name)
        return _Positive(kind(**({"random_state": seed} if seeded else {}), **settings))

    return make


def _xgboost(seed: int) -> Model:
    from xgboost import XGBClassifier

    return _Positive(XGBClassifier(random_state=seed, n_jobs=1))


UNSUPERVISED: dict[str, Callable[[int], Model]] = {
    "pyod-iforest": _pyod("iforest", "IForest"),
    "pyod-ecod": _pyod("ecod", "ECOD"),
    "pyod-knn": _pyod("knn", "KNN"),
    "pyod-autoencoder": _pyod("auto_encoder", "AutoEncoder", verbose=0),
    "sklearn-lof": _sklearn("neighbors", "LocalOutlierFactor", seeded=False, novelty=True),
    "sklearn-ocsvm": _sklearn("svm", "OneClassSVM", seeded=False),
}
"""Name → maker of a peer that learns from normals alone."""

SUPERVISED: dict[str, Callable[[int], Model]] = {
    "pyod-devnet": _pyod("devnet", "DevNet"),
    "pyod-xgbod": _pyod("xgbod", "XGBOD"),
    "deepod-deepsad": _deepod("DeepSAD"),
    "deepod-devnet": _deepod("DevNet"),
    "deepod-prenet": _deepod("PReNet"),
    "sklearn-random-forest": _sklearn("ensemble", "RandomForestClassifier"),
    "sklearn-hist-boosting": _sklearn("ensemble", "HistGradientBoostingClassifier"),
    "xgboost": _xgboost,
}
"""Name → maker of a peer that learns from normals and labelled anomalies."""


class _Peer(BaseDetector):
    """A peer as a detector; ``peer`` is its name above."""

    def __init__(
        self,
        *,
        peer: str,
        view: str = "raw",
        n_references: int = 8,
        calibration_fraction: float = 0.2,
        false_alarm_rate: float = 0.01,
        normal: str | Sequence[str] = "normal",
        seed: int = 0,
    ) -> None:
        self.peer = peer
        self.view = view
        self.n_references = n_references
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.normal = normal
        self.seed = seed

    makers: ClassVar[dict[str, Callable[[int], Model]]]

    def _check_parameters(self) -> None:
        if self.peer not in self.makers:
            raise ValueError(f"no peer {self.peer!r}; have {', '.join(self.makers)}")

    def _fit(self, V: FloatArray, labels: Labels) -> None:
        self.model_ = self.makers[self.peer](self.seed)
        with _alone(self.seed):
            if self.uses_labels and labels.anomaly.any():
                self.model_.fit(V, labels.y)
            else:
                self.model_.fit(V[labels.normal])

    def _score(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        with _alone(self.seed):
            scores = np.asarray(self.model_.decision_function(V), dtype=np.float64).reshape(len(V))
        if np.isnan(scores).any():
            raise ValueError(f"{self.peer}: {np.isnan(scores).sum()} scores are NaN")
        return scores

    def _explain(self, V: FloatArray, domains: StrArray) -> NDArray[np.float64]:
        raise TypeError(f"{self.peer}: does not explain its scores")


class UnsupervisedPeer(_Peer):
    """A peer that learns from normals alone."""

    uses_labels: ClassVar[bool] = False
    makers = UNSUPERVISED


class SupervisedPeer(_Peer):
    """A peer that learns from labelled anomalies too."""

    uses_labels: ClassVar[bool] = True
    makers = SUPERVISED


def peer(name: str) -> BaseDetector:
    """Return a peer by name.

    Parameters
    ----------
    name : str
        A key of ``UNSUPERVISED`` or ``SUPERVISED``.
    """
    return UnsupervisedPeer(peer=name) if name in UNSUPERVISED else SupervisedPeer(peer=name)


@contextlib.contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Seed the global generators that peers draw from, and keep what they print and warn of to ourselves."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)  # noqa: NPY002
