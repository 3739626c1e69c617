"""P-values, thresholds and probabilities of pictures: each domain with references by its own calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.detectors.images.calibrating import calibrations_by_domain
from unseen.detectors.images.inputs import domains_of, labels_of
from unseen.detectors.images.memories import Memory
from unseen.errors import LabelError, NotCalibratedError
from unseen.nn.patches.pictures import as_source
from unseen.pixels import ImageSource
from unseen.scoring import smallest_p
from unseen.scoring.calibration import Calibration
from unseen.types import Labels, StrArray


class CalibratedByDomain:
    """The part of a detector of pictures that turns scores into decisions; mixed into its base class."""

    false_alarm_rate: float
    calibration_: Calibration | None
    domain_memories_: dict[str, Memory]
    domain_calibrations_: dict[str, Calibration]

    if TYPE_CHECKING:  # what the detector has beside this

        def _check_fitted(self) -> None: ...

        def _all_scores(self, pictures: ImageSource, domains: StrArray) -> NDArray[np.float64]: ...

        def _calibrate(self, scores: NDArray[np.float64], labels: Labels) -> None: ...

        def _calibrated(self) -> Calibration: ...

    def calibrate(
        self,
        X: ArrayLike | ImageSource,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
    ) -> Self:
        """Set p-values, thresholds and probabilities from pictures that are not remembered.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            Fresh pictures. Those of a domain with references calibrate that domain.
        y, kinds, domains : array-like of shape (n_pictures,) or None
            As in ``fit``.

        Returns
        -------
        self
        """
        self._check_fitted()
        pictures = as_source(self, X)
        labels = labels_of(self, X, len(pictures), y, kinds, domains, None)
        if not labels.normal.any():
            raise LabelError(f"{type(self).__name__}: calibrate needs normal pictures (y = 0), got none.")
        self.domain_calibrations_ = dict(self.domain_calibrations_)
        self._calibrate_domains(self._all_scores(pictures, labels.domains), labels)
        return self

    def p_values(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return p-values; small = unlike the normals that calibrate the picture's domain.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        float64 array of shape (n_pictures,)
            In [``smallest_p(domain)``, 1].

        Raises
        ------
        NotCalibratedError
            If a picture's domain is not calibrated, for instance since it has a single reference.
        """
        return self._by_calibration(X, domains, lambda found, scores: found.p_values(scores))

    def predict(self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None) -> NDArray[np.int8]:
        """Return 1 for pictures whose score is above the threshold of their domain, else 0.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        int8 array of shape (n_pictures,)
        """
        flags = self._by_calibration(
            X, domains, lambda found, scores: (scores > found.threshold).astype(float)
        )
        return flags.astype(np.int8)

    def predict_proba(
        self, X: ArrayLike | ImageSource, *, domains: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return P(normal) and P(anomaly) of each picture.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        domains : array-like of shape (n_pictures,) or None
            Domain of each.

        Returns
        -------
        float64 array of shape (n_pictures, 2)
        """
        anomalous = self._by_calibration(X, domains, lambda found, scores: found.probabilities(scores))
        return np.column_stack([1 - anomalous, anomalous])

    def smallest_p(self, domain: str = "") -> float:
        """Return the smallest p-value that a picture of a domain can get: 1 / (calibration normals + 1).

        Parameters
        ----------
        domain : str
            The domain's name.

        Returns
        -------
        float in (0, 1]
        """
        self._check_fitted()
        return smallest_p(len(self._calibration_of(domain).normal_scores))

    def _calibrate_domains(self, scores: NDArray[np.float64], labels: Labels) -> None:
        """Calibrate each domain that has a memory on its own pictures, and all else on the rest."""
        found, rest = calibrations_by_domain(scores, labels, self.domain_memories_, self.false_alarm_rate)
        self.domain_calibrations_ |= found
        if (rest & labels.normal).any():
            self._calibrate(scores[rest], labels.take(rest))

    def _calibration_from(self, scores: NDArray[np.float64]) -> Calibration:
        none = np.zeros(len(scores), np.int8)
        return Calibration.from_scores(scores, none, false_alarm_rate=self.false_alarm_rate)

    def _calibration_of(self, domain: str) -> Calibration:
        if domain not in self.domain_memories_:
            return self._calibrated()
        if domain not in self.domain_calibrations_:
            raise NotCalibratedError(
                f"{type(self).__name__}: the domain {domain!r} is not calibrated; give it at least two "
                "references, or call calibrate(X, domains=...) with pictures of it."
            )
        return self.domain_calibrations_[domain]

    def _by_calibration(
        self,
        X: ArrayLike | ImageSource,
        domains: ArrayLike | None,
        turn: Callable[[Calibration, NDArray[np.float64]], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        self._check_fitted()
        pictures = as_source(self, X)
        names = domains_of(self, X, len(pictures), domains)
        found = {str(name): self._calibration_of(str(name)) for name in np.unique(names)}
        scores = self._all_scores(pictures, names)
        turned = np.empty(len(scores))
        for name, calibration in found.items():
            turned[names == name] = turn(calibration, scores[names == name])
        return turned
