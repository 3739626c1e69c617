"""Detectors of pictures that say which of the normal pictures they were given they do not believe in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.detectors.images.inputs import labels_of
from unseen.scoring.calibration import hold_back
from unseen.scoring.suspects import Suspects
from unseen.types import BoolArray


class DoubtsNormals:
    """The part of a detector of pictures that lists doubtful normals; mixed in before its base class.

    Attributes
    ----------
    doubts_ : float64 array of shape (n_normals,)
        Of each normal that the fit learned from; set by the method.
    doubted_rows_ : int64 array of shape (n_normals,)
        Where they are among the pictures of the fit.
    """

    doubts_: NDArray[np.float64]
    doubted_rows_: NDArray[np.int64]

    if TYPE_CHECKING:  # what the detector has beside this
        calibration_fraction: float
        seed: int

        def _check_fitted(self) -> None: ...

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        kinds: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        masks: Sequence[BoolArray | None] | None = None,
    ) -> Self:
        """Learn from normal pictures, some of which may not be, and from anomalies, made up and labelled.

        Parameters
        ----------
        X : ImageSource or sequence of uint8 arrays of shape (height, width, 3)
            The pictures.
        y, kinds, domains, groups : array-like of shape (n_pictures,) or None
            As for every detector. None: as the ImageSet says; all normal, of one domain, if it is none.
        masks : sequence of bool arrays of shape (height, width) or None
            Where the defects of labelled anomalies are. None: as the ImageSet says.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If pictures, labels or parameters cannot be used.
        """
        known: dict[str, Any] = {"kinds": kinds, "domains": domains, "groups": groups, "masks": masks}
        super().fit(X, y, **known)  # type: ignore[misc]
        labels = labels_of(self, X, len(X), y, kinds, domains, groups)
        held = hold_back(labels, self.calibration_fraction, self.seed)
        self.doubted_rows_ = np.flatnonzero(labels.normal & ~held).astype(np.int64)
        return self

    def suspects(self) -> Suspects:
        """Return the normals of the fit, those that look least normal first.

        Returns
        -------
        Suspects
            ``believed`` are the places of the pictures that are believed to be anomalies.

        Raises
        ------
        NotFittedError
            If the detector is not fitted yet.
        """
        self._check_fitted()
        return Suspects.of(self.doubted_rows_, self.doubts_, limit=self._doubt_limit())

    def _doubt_limit(self) -> float | None:
        """Doubts above it are believed in; None: those beyond a fence are."""
        return None
