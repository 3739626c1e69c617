"""A detector of pictures with what its fit was made from and the scale of its heat maps."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from unseen.data.images import ImageSet
from unseen.detectors.catalogue import IMAGE_DETECTORS
from unseen.detectors.images import BaseImageDetector
from unseen.errors import LabelError, ModelFormatError
from unseen.pipeline.heat_maps import MapScale
from unseen.scoring.calibration import Calibration
from unseen.types import UNNAMED_DOMAIN, BoolArray, StrArray

DEFAULT_IMAGE_DETECTOR = "nearest-neighbour-patches"
"""The detector of pictures that is used where none is named."""

DEFAULT_IMAGE_SETTINGS: dict[str, Any] = {"score": "residual-norm", "rotations": "auto"}
"""Its parameters where nobody sets them; docs/image_detectors.md has what they were chosen on."""

_SCALE_PICTURES = 16
_SCALE_DOMAIN = "pictures that set the scale of maps"


@dataclass(frozen=True)
class ImageFitSummary:
    """What a fit on pictures was made from and what it promises.

    Attributes
    ----------
    detector : str
        Name in the catalogue.
    layout : str
        How the folder was laid out.
    image_size : tuple of (int, int)
        Height and width that pictures are brought to.
    categories : dict of str to int
        Normal pictures learned from, by category.
    kinds : dict of str to int
        Labelled anomalies learned from, by kind; empty for detectors that learn from normals alone.
    calibration : dict of str to dict
        For all pictures together (``""``) and, where there are several, each category:
        ``n`` (normals compared with), ``smallest_p``, ``threshold``, ``guaranteed_false_alarm_rate``.
    false_alarm_rate : float
        Share of normals that may be flagged, as asked for.
    reference_use : str
        What the detector does with references.
    notes : tuple of str
        What was noticed on the way.
    seconds : float
        Time the fit took.
    suspects : dict or None
        Good pictures that look odd to the others: ``n_checked``, ``n_believed``, ``share``,
        ``first_pictures``. None: not asked for.
    """

    detector: str
    layout: str
    image_size: tuple[int, int]
    categories: dict[str, int]
    kinds: dict[str, int]
    calibration: dict[str, dict[str, float]]
    false_alarm_rate: float
    reference_use: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    suspects: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the summary as values that JSON can hold."""
        return {**asdict(self), "notes": list(self.notes), "image_size": list(self.image_size)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a summary from ``to_json``.

        Parameters
        ----------
        values : mapping
            Its values; keys it does not know are left out.

        Returns
        -------
        ImageFitSummary
        """
        names = {item.name for item in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        size = known["image_size"]
        return cls(**{**known, "notes": tuple(known.get("notes", ())), "image_size": (size[0], size[1])})


@dataclass(frozen=True)
class ScoredPictures:
    """Scores of some pictures.

    Attributes
    ----------
    score : float64 array of shape (n,)
        Anomaly score; higher = more anomalous.
    p_value, smallest_p : float64 array of shape (n,)
        p-value, and the smallest that the picture's category allows; NaN where nothing is calibrated.
    threshold : float64 array of shape (n,)
        Score above which each is flagged; NaN where nothing is calibrated.
    maps : float32 array of shape (n, height, width)
        Where each picture is how anomalous.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    smallest_p: NDArray[np.float64]
    threshold: NDArray[np.float64]
    maps: NDArray[np.float32]


class ImageModel:
    """A fitted detector of pictures, the scale of its heat maps and what the fit said.

    Parameters
    ----------
    detector : BaseImageDetector
        Fitted.
    scale : MapScale
        Of the heat maps.
    summary : ImageFitSummary
        What the fit was made from.
    """

    def __init__(self, detector: BaseImageDetector, scale: MapScale, summary: ImageFitSummary) -> None:
        self.detector = detector
        self.scale = scale
        self.summary = summary

    @classmethod
    def fit(cls, images: ImageSet, detector: BaseImageDetector, *, notes: Sequence[str] = ()) -> ImageModel:
        """Fit a clone of a detector and set the scale of its maps on normal pictures.

        Parameters
        ----------
        images : ImageSet
            Normal pictures, and labelled anomalies for detectors that learn from them.
        detector : BaseImageDetector
            Unfitted.
        notes : sequence of str
            What else the summary should say.

        Returns
        -------
        ImageModel

        Raises
        ------
        InputError
            If a picture or parameter cannot be used.
        """
        started = time.perf_counter()
        fitted: BaseImageDetector = clone(detector)
        learned = images if fitted.uses_labels else images.take(images.labels.normal)
        fitted.fit(learned)
        scale = map_scale(fitted, learned.take(learned.labels.normal))
        noticed = [*images.notes, *notes]
        summary = _summary(fitted, learned, noticed, time.perf_counter() - started)
        return cls(fitted, scale, summary)

    def adapt(self, references: ImageSet) -> ImageModel:
        """Return a model for new products, from a few normal pictures of them; this one stays as it is.

        Pictures of one category become the references of every picture that has none of its own category.
        Pictures of several categories become the references of those.

        Parameters
        ----------
        references : ImageSet
            Pictures known to be normal.

        Returns
        -------
        ImageModel
            Nothing is trained again; its maps have a scale from these references.

        Raises
        ------
        LabelError
            If one is labelled as an anomaly.
        """
        labels = references.labels
        if labels.anomaly.any():
            first = references.path(int(np.flatnonzero(labels.anomaly)[0]))
            raise LabelError(
                f"adapt: references must be normal, but {first} is labelled as an anomaly "
                f"({int(labels.anomaly.sum())} such pictures); leave them out."
            )
        names = labels.domains
        if len(set(names.tolist())) == 1 and str(names[0]) not in self.detector.domain_memories_:
            names = np.full(len(names), UNNAMED_DOMAIN)
        adapted = self.detector.adapt(references, domains=names)
        counts = {**self.summary.categories, **_counts(labels.domains)}
        values = {**self.summary.to_json(), "categories": counts, "calibration": _calibrations(adapted)}
        return ImageModel(adapted, map_scale(adapted, references), ImageFitSummary.from_json(values))

    def domains_of(self, images: ImageSet) -> StrArray:
        """Return the domain by which each picture is judged: its category if that has references, else "".

        Parameters
        ----------
        images : ImageSet
            The pictures.

        Returns
        -------
        str array of shape (n_images,)
        """
        known = np.isin(images.labels.domains, list(self.detector.domain_memories_))
        return np.where(known, images.labels.domains, UNNAMED_DOMAIN).astype(np.str_)

    def calibration_of(self, domain: str) -> Calibration | None:
        """Return what p-values and thresholds of a domain rest on; None if it has a single reference.

        Parameters
        ----------
        domain : str
            As ``domains_of`` gives it.

        Returns
        -------
        Calibration or None
        """
        return _calibration_of(self.detector, domain)

    def score(self, images: ImageSet) -> ScoredPictures:
        """Score pictures that fit into memory.

        Parameters
        ----------
        images : ImageSet
            The pictures.

        Returns
        -------
        ScoredPictures
        """
        domains = self.domains_of(images)
        scores, maps = self.detector.score_and_explain(images, domains=domains)
        p_values, smallest, thresholds = (np.full(len(scores), np.nan) for _ in range(3))
        for name in np.unique(domains):
            calibration = self.calibration_of(str(name))
            if calibration is not None:
                rows = domains == name
                p_values[rows] = calibration.p_values(scores[rows])
                smallest[rows], thresholds[rows] = calibration.smallest_p, calibration.threshold
        return ScoredPictures(scores, p_values, smallest, thresholds, np.asarray(maps, dtype=np.float32))

    def to_state(self) -> dict[str, Any]:
        """Return everything but the detector as JSON values."""
        return {"summary": self.summary.to_json(), "scale": [self.scale.low, self.scale.high]}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], detector: object) -> ImageModel:
        """Rebuild a model from ``to_state`` and its detector.

        Parameters
        ----------
        values : mapping
            The JSON values.
        detector : BaseImageDetector
            The fitted detector.

        Returns
        -------
        ImageModel

        Raises
        ------
        ModelFormatError
            If the detector is one of tables.
        """
        if not isinstance(detector, BaseImageDetector):
            raise ModelFormatError("the model mixes a detector of tables with a summary of pictures.")
        low, high = (float(value) for value in values["scale"])
        return cls(detector, MapScale(low, high), ImageFitSummary.from_json(values["summary"]))


def map_scale(detector: BaseImageDetector, normals: ImageSet) -> MapScale:
    """Set the scale of maps: each half of some normals is mapped by a memory of the other half.

    A single picture is compared with its mirror image.

    Parameters
    ----------
    detector : BaseImageDetector
        Fitted.
    normals : ImageSet
        Normal pictures; the first few are used.

    Returns
    -------
    MapScale
    """
    some = normals.take(np.unique(np.linspace(0, len(normals) - 1, _SCALE_PICTURES).astype(np.int64)))
    parts: list[BoolArray] = [np.arange(len(some)) % 2 == half for half in (0, 1)]
    maps = []
    for references, judged in (parts, parts[::-1]):
        if not judged.any() or not references.any():
            continue
        maps.append(_maps_against(detector, some.take(references), some.take(judged)))
    if not maps:
        maps.append(_maps_against(detector, [np.ascontiguousarray(some[0][:, ::-1])], some))
    return MapScale.from_normals(np.concatenate(maps))


def _maps_against(detector: BaseImageDetector, references: Any, judged: ImageSet) -> NDArray[np.float32]:
    names = np.full(len(references), _SCALE_DOMAIN)
    uncalibrated = copy.copy(detector)
    uncalibrated.calibration_folds = 0
    other = uncalibrated.adapt(references, domains=names)
    return other.score_maps(judged, domains=np.full(len(judged), _SCALE_DOMAIN))


def _calibration_of(detector: BaseImageDetector, domain: str) -> Calibration | None:
    if domain in detector.domain_memories_:
        return detector.domain_calibrations_.get(domain)
    return detector.calibration_


def _summary(
    detector: BaseImageDetector, learned: ImageSet, notes: Sequence[str], seconds: float
) -> ImageFitSummary:
    labels = learned.labels
    size = detector.image_size
    name = next(name for name, owner in IMAGE_DETECTORS.items() if owner is type(detector))
    return ImageFitSummary(
        detector=name,
        layout=learned.layout,
        image_size=(size, size) if isinstance(size, int) else (size[0], size[1]),
        categories=_counts(labels.domains[labels.normal]),
        kinds=_counts(labels.kinds[labels.anomaly]),
        calibration=_calibrations(detector),
        false_alarm_rate=float(detector.false_alarm_rate),
        reference_use=detector.reference_use,
        notes=tuple(dict.fromkeys(notes)),
        seconds=seconds,
    )


def _calibrations(detector: BaseImageDetector) -> dict[str, dict[str, float]]:
    found = {UNNAMED_DOMAIN: _calibration_of(detector, UNNAMED_DOMAIN)}
    found |= {name: detector.domain_calibrations_.get(name) for name in detector.domain_memories_}
    return {
        name: {
            "n": float(len(item.normal_scores)),
            "smallest_p": float(item.smallest_p),
            "threshold": float(item.threshold),
            "guaranteed_false_alarm_rate": float(item.guaranteed_false_alarm_rate),
        }
        for name, item in found.items()
        if item is not None
    }


def _counts(names: StrArray) -> dict[str, int]:
    values, counts = np.unique(names, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}
