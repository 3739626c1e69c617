"""The files of finished trials: ``parts/<key>.json`` and, beside it, ``parts/<key>.npz`` with the scores.

The JSON file is written last, so a trial whose JSON file is there is complete. The key is a hash of all that
the outcome depends on, so a part of another configuration is never taken for this one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unseen.errors import ReadError
from unseen.evaluation.files import read_json, write_json
from unseen.evaluation.gallery import GalleryPicture, unpack_pictures
from unseen.evaluation.measure import ScoredTrial
from unseen.evaluation.results import ResultRow
from unseen.evaluation.trials import PART_SCHEMA, Trial
from unseen.pipeline.staging import staged
from unseen.protocols import Split
from unseen.types import ANOMALY, NORMAL, BoolArray, Labels

PARTS = "parts"
"""The folder of the parts, under that of the results."""


@dataclass(frozen=True)
class Part:
    """The scores of one finished trial.

    Attributes
    ----------
    detector : str
        Name of the detector.
    held_out_kind : str or None
        The kind held out.
    seed : int
        Seed of the split.
    split : dict
        What else tells the split from others: shots, references, contamination, known kinds.
    scores : float64 array of shape (n_test,)
        Raw scores of the test rows.
    p_values : float64 array of shape (n_test,)
        Split-conformal p-values of the test rows.
    y : int8 array of shape (n_test,)
        0 normal, 1 anomaly, -1 unlabelled.
    kind_names : tuple of str
        The kinds that occur among the test rows.
    kind_codes : int32 array of shape (n_test,)
        Kind of each test row, as a position in ``kind_names``.
    judged : bool array of shape (n_test,)
        The rows that the held-out kind's metrics are over (balanced, if the split is).
    rows : int64 array of shape (n_test,)
        Row number of each test row in the evaluated table.
    n_calibration : int
        Normals behind the p-values.
    threshold, false_alarm_threshold : float
        The threshold of precision and recall, and the one for the false-alarm rate.
    stage1_scores, stage2_scores : float64 array of shape (n_test,) or None
        Scores before and after the detector's second stage, if it has one.
    latent : float32 array of shape (n_sample, n_latent) or None
        Latent positions of a sample of the test rows, if the detector has a latent space.
    latent_rows : int64 array of shape (n_sample,) or None
        Which test rows those are.
    pictures : tuple of GalleryPicture
        A few test pictures; empty for tables.
    """

    detector: str
    held_out_kind: str | None
    seed: int
    split: dict[str, Any]
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]
    y: NDArray[np.int8]
    kind_names: tuple[str, ...]
    kind_codes: NDArray[np.int32]
    judged: BoolArray
    rows: NDArray[np.int64]
    n_calibration: int
    threshold: float
    false_alarm_threshold: float
    stage1_scores: NDArray[np.float64] | None
    stage2_scores: NDArray[np.float64] | None
    latent: NDArray[np.float32] | None
    latent_rows: NDArray[np.int64] | None
    pictures: tuple[GalleryPicture, ...] = ()

    @property
    def normal(self) -> BoolArray:
        """Test rows that are normal, shape (n_test,)."""
        return np.equal(self.y, NORMAL)

    def of_kind(self, kind: str) -> BoolArray:
        """Return which test rows are anomalies of a kind.

        Parameters
        ----------
        kind : str
            Its name.

        Returns
        -------
        bool array of shape (n_test,)
            All False for a kind that does not occur.
        """
        if kind not in self.kind_names:
            return np.zeros(len(self.y), dtype=np.bool_)
        return np.equal(self.y, ANOMALY) & np.equal(self.kind_codes, self.kind_names.index(kind))


def write_part(
    folder: Path,
    trial: Trial,
    rows: list[ResultRow],
    scored: ScoredTrial,
    labels: Labels,
    pictures: Mapping[str, NDArray[Any]],
) -> None:
    """Write the two files of a finished trial, each atomically.

    Parameters
    ----------
    folder : Path
        The ``parts`` folder; must exist.
    trial : Trial
        What was run.
    rows : list of ResultRow
        Its results.
    scored : ScoredTrial
        Its scores and calibration.
    labels : Labels
        Of the whole table.
    pictures : mapping of str to array
        What only some detectors have: ``stage1_scores``, ``stage2_scores``, ``latent``,
        ``latent_rows``, and what :func:`unseen.evaluation.gallery.pack_pictures` gives.
    """
    test = trial.split.test
    names, codes = np.unique(labels.kinds[test], return_inverse=True)
    arrays: dict[str, NDArray[Any]] = {
        "scores": scored.scores,
        "p_values": scored.p_values,
        "y": labels.y[test],
        "kind_names": names,
        "kind_codes": codes.astype(np.int32),
        "judged": _judged(trial.split),
        "rows": test.astype(np.int64),
        **pictures,
    }
    with staged(folder / f"{trial.key}.npz") as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)
    facts = {
        "threshold": rows[0]["threshold"] if rows else None,
        "false_alarm_threshold": scored.calibration.threshold,
        "n_calibration": len(scored.calibration.normal_scores),
    }
    content = {
        "schema": PART_SCHEMA,
        "key": trial.key,
        "config": trial.config,
        "calibration": facts,
        "rows": rows,
    }
    write_json(folder / f"{trial.key}.json", content)


def finished_rows(folder: Path, key: str) -> list[ResultRow] | None:
    """Return the rows of a finished trial, or None if it has to be run.

    Parameters
    ----------
    folder : Path
        The ``parts`` folder.
    key : str
        Key of the trial.

    Returns
    -------
    list of ResultRow or None
        None also if a file is damaged: the trial is then run again and the file replaced.
    """
    if not (folder / f"{key}.json").is_file():
        return None
    try:
        read_part(folder, key)
        return cast(list[ResultRow], read_json(folder / f"{key}.json", "a finished trial")["rows"])
    except ReadError:
        return None


def read_part(folder: Path, key: str) -> Part:
    """Read the scores of a finished trial.

    Parameters
    ----------
    folder : Path
        The ``parts`` folder.
    key : str
        Key of the trial: ``part`` of a result row.

    Returns
    -------
    Part

    Raises
    ------
    ReadError
        If a file is missing, damaged or of another version.
    """
    path = folder / f"{key}.npz"
    facts = read_json(folder / f"{key}.json", "a finished trial")
    try:
        if facts["schema"] != PART_SCHEMA or facts["key"] != key:
            raise ReadError(f"{folder / key}.json: is of another version or trial; evaluate again.")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _part(facts, arrays)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ReadError(
            f"{path}: the scores of a trial cannot be read: {error!r}; evaluate again."
        ) from error


def _part(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Part:
    split, calibration = facts["config"]["split"], facts["calibration"]
    return Part(
        detector=facts["config"]["detector"],
        held_out_kind=split["held_out_kind"],
        seed=int(split["seed"]),
        split=split,
        scores=arrays["scores"],
        p_values=arrays["p_values"],
        y=arrays["y"],
        kind_names=tuple(str(name) for name in arrays["kind_names"]),
        kind_codes=arrays["kind_codes"],
        judged=arrays["judged"],
        rows=arrays["rows"],
        n_calibration=int(calibration["n_calibration"]),
        threshold=_number(calibration["threshold"]),
        false_alarm_threshold=_number(calibration["false_alarm_threshold"]),
        stage1_scores=arrays.get("stage1_scores"),
        stage2_scores=arrays.get("stage2_scores"),
        latent=arrays.get("latent"),
        latent_rows=arrays.get("latent_rows"),
        pictures=tuple(unpack_pictures(arrays)),
    )


def _judged(split: Split) -> BoolArray:
    kind = split.held_out_kind
    rows = split.test if kind is None or kind not in split.test_kinds else split.test_of(kind)
    return np.isin(split.test, rows)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
