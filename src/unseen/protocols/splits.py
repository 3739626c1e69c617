"""One frozen division of a table into rows with different duties."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from unseen.errors import LabelError
from unseen.protocols.drawing import generator
from unseen.types import NORMAL, NORMAL_KIND, Labels


@dataclass(frozen=True, eq=False)
class Split:
    """Index arrays into one table; rows themselves are never copied.

    All index arrays are read-only, int64 and rising (so time order is kept). They are disjoint, except that
    ``contaminants`` is a part of ``train``.

    Attributes
    ----------
    train : int64 array of shape (n_train,)
        Rows to fit on as normals: normals, and the contaminants, which the fit is told are normal.
    contaminants : int64 array of shape (n_contaminants,)
        The rows of ``train`` that are anomalies in truth.
    labelled : int64 array of shape (n_labelled,)
        Anomalies of known kinds to fit on.
    validation : int64 array of shape (n_validation,)
        Normals and anomalies of known kinds for thresholds, probabilities and choices between models.
    calibration : int64 array of shape (n_calibration,)
        Normals for conformal p-values.
    calibration_references : int64 array of shape (n_calibration_references,)
        References of the training domains that were held back whole for validation and calibration: ``adapt``
        on them before scoring those rows.
    references : int64 array of shape (n_all_references,)
        Normals of the test domains (first ``n_references`` of each); they are not in ``test``.
    test : int64 array of shape (n_test,)
        Everything that scores are judged on.
    test_kind_codes : int16 array of shape (n_test,)
        Kind of each test row, as a position in ``kind_names``.
    kind_names : tuple of str
        ``"normal"`` first, then all kinds of the table, sorted.
    held_out_kind : str or None
        The kind that is absent from everything but ``test``, and ``contaminants`` where those are drawn from
        all kinds; None if every kind may be known.
    known_kinds : tuple of str
        The kinds with rows in ``labelled`` or ``validation``.
    seed : int
        Seed of all draws.
    shots : int
        Rows a known kind that were asked for, training and validation together.
    contamination : float
        Share of ``train`` that is contaminants, as asked for.
    n_references : int
        References a test domain that were asked for.
    balanced : bool
        Whether ``test_of`` draws as many normals as anomalies.
    """

    train: NDArray[np.int64]
    contaminants: NDArray[np.int64]
    labelled: NDArray[np.int64]
    validation: NDArray[np.int64]
    calibration: NDArray[np.int64]
    calibration_references: NDArray[np.int64]
    references: NDArray[np.int64]
    test: NDArray[np.int64]
    test_kind_codes: NDArray[np.int16]
    kind_names: tuple[str, ...]
    held_out_kind: str | None
    known_kinds: tuple[str, ...]
    seed: int
    shots: int
    contamination: float
    n_references: int
    balanced: bool

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def test_kinds(self) -> tuple[str, ...]:
        """The kinds of anomalies that the test set holds, sorted."""
        present = np.bincount(self.test_kind_codes, minlength=len(self.kind_names)) > 0
        return tuple(name for name, found in zip(self.kind_names[1:], present[1:], strict=True) if found)

    @property
    def normals_key(self) -> str:
        """A digest of the rows that a method without labels is fitted and calibrated on.

        Splits with the same key need only one fit of such a method: for one seed, and no contamination or
        one from all kinds, all held-out kinds share it.
        """
        digest = hashlib.blake2b(digest_size=16)
        for rows in (self.train, self.calibration, self.calibration_references):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
        return digest.hexdigest()

    @property
    def fit_rows(self) -> NDArray[np.int64]:
        """``train`` and ``labelled`` together, rising: the rows to give to ``fit``."""
        return np.sort(np.concatenate([self.train, self.labelled]))

    def fit_labels(self, labels: Labels) -> Labels:
        """Return the labels to fit with, one a row of ``fit_rows``; contaminants are called normal.

        Parameters
        ----------
        labels : Labels
            Of the whole table that this split was made from.

        Returns
        -------
        Labels
        """
        rows = self.fit_rows
        taken = labels.take(rows)
        if len(self.contaminants) == 0:
            return taken
        hidden = np.isin(rows, self.contaminants)
        y = np.where(hidden, np.int8(NORMAL), taken.y).astype(np.int8)
        kinds = np.where(hidden, NORMAL_KIND, taken.kinds)
        return Labels(y, kinds, taken.domains, taken.groups)

    def test_of(self, kind: str) -> NDArray[np.int64]:
        """Return the test rows on which detection of one kind is judged: normals and that kind.

        Parameters
        ----------
        kind : str
            One of ``test_kinds``.

        Returns
        -------
        int64 array
            Rising. Balanced: as many normals as anomalies, the more frequent ones thinned by seed (the same
            rows at every call). Natural: all of both.

        Raises
        ------
        LabelError
            If the test set has no row of that kind.
        """
        if kind not in self.test_kinds:
            have = ", ".join(map(repr, self.test_kinds)) or "none"
            raise LabelError(f"Split: the test set has no rows of kind {kind!r}; it has {have}.")
        anomalies = self.test[self.test_kind_codes == self.kind_names.index(kind)]
        normals = self.test[self.test_kind_codes == 0]
        if self.balanced:
            rng = generator(self.seed, "balance", kind)
            n = min(len(normals), len(anomalies))
            normals = rng.choice(normals, n, replace=False)
            anomalies = rng.choice(anomalies, n, replace=False)
        return np.sort(np.concatenate([normals, anomalies]))
