"""How well score maps show where defects are: pixel AUROC, pixel F1-max, per-region overlap (PRO).

All pictures of a set are judged together, at thresholds that they share. A pixel is anomalous where the mask
is True. Regions are the connected parts of a mask, over edges and corners (8 neighbours).

- Pixel AUROC: the chance that a defect pixel scores above a normal one.
- Pixel F1-max: the largest F1 of pixels at any threshold. Large defects weigh more.
- PRO: every region counts the same, whatever its size. At each threshold the covered share of a region is
  averaged over regions; the mean of that over false-positive rates of 0 to .3 is the figure
  (P. Bergmann, M. Fauser, D. Sattlegger, C. Steger, "Uninformed Students", CVPR 2020).

**Memory and exactness.** By default the figures are exact: every distinct score is a threshold, and the
scores of all pixels are kept, 4 bytes each (100 pictures of 448 x 448: 80 MB). With ``bins`` nothing is kept
but counts: scores are cut to so many classes, equally fine relative to their size (the leading bits of the
floating-point number, sign and exponent included), which needs no range beforehand. Pixels of one class count
as tied, so a figure is off by at most half the share of the pixels in the classes where both sorts meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from unseen.checks import check_int, check_real
from unseen.errors import InputError, LabelError
from unseen.metrics.levels import area_under_pro, area_under_roc, largest_f1
from unseen.metrics.pixel_scores import MAX_BINS, CountedPixels, KeptPixels, joint_levels
from unseen.types import NORMAL_KIND, BoolArray

_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


class Localisation(NamedTuple):
    """How well maps show defects.

    Attributes
    ----------
    auroc : float in [0, 1]
        Over pixels.
    f1 : float in [0, 1]
        Largest F1 over pixels.
    f1_threshold : float
        Flag pixels with a score above this to reach it.
    pro : float in [0, 1]
        Mean per-region overlap up to the largest false-positive rate.
    n_images : int
        Pictures that were judged.
    n_regions : int
        Defect regions in them.
    """

    auroc: float
    f1: float
    f1_threshold: float
    pro: float
    n_images: int
    n_regions: int


class LocalisationMeter:
    """Collects score maps and masks, one picture at a time, and judges them.

    Parameters
    ----------
    max_false_positive_rate : float in (0, 1]
        PRO is averaged up to here.
    bins : int or None
        None: exact. Else the number of score classes, a power of two up to 2**24; 2**20 (8 bytes each for a
        kind of pixel) tells scores apart that differ by .02 %.

    Raises
    ------
    ParameterError
        If an argument is out of range.
    """

    def __init__(self, *, max_false_positive_rate: float = 0.3, bins: int | None = None) -> None:
        self.max_false_positive_rate = check_real(
            self,
            "max_false_positive_rate",
            max_false_positive_rate,
            minimum=0.0,
            maximum=1.0,
            open_minimum=True,
        )
        self.bins = None if bins is None else check_int(self, "bins", bins, minimum=2, maximum=MAX_BINS)
        self._pixels: dict[str, KeptPixels | CountedPixels] = {}

    def add(self, mask: ArrayLike, scores: ArrayLike, kind: str = "anomaly") -> None:
        """Take in one picture.

        Parameters
        ----------
        mask : bool array-like of shape (height, width)
            True on the defect; all False for a normal picture.
        scores : float array-like of shape (height, width)
            Higher = more anomalous.
        kind : str
            The defect's kind. A picture whose mask is empty counts as normal, whatever this says.

        Raises
        ------
        InputError
            If the shapes differ, the scores hold NaN, or the mask is not boolean.
        """
        defect, values = _checked(mask, scores)
        weights, n_regions = region_weights(defect)
        name = kind if n_regions else NORMAL_KIND
        if name not in self._pixels:
            self._pixels[name] = KeptPixels() if self.bins is None else CountedPixels(self.bins)
        normal = values[~defect] if n_regions else values.ravel()
        self._pixels[name].add(normal, values[defect], weights, n_regions)

    def overall(self) -> Localisation:
        """Return the figures over all pictures.

        Raises
        ------
        LabelError
            If no picture has a defect, or no pixel is normal.
        """
        return self._judge(list(self._pixels))

    def by_kind(self) -> dict[str, Localisation]:
        """Return the figures of each kind: its pictures together with the normal ones.

        Raises
        ------
        LabelError
            If no pixel is normal.
        """
        kinds = sorted(kind for kind in self._pixels if kind != NORMAL_KIND)
        normal = [NORMAL_KIND] if NORMAL_KIND in self._pixels else []
        return {kind: self._judge([kind, *normal]) for kind in kinds}

    def _judge(self, names: list[str]) -> Localisation:
        parts = [self._pixels[name] for name in names]
        n_regions = sum(part.n_regions for part in parts)
        if n_regions == 0:
            raise LabelError("LocalisationMeter: no picture has a defect in its mask.")
        if not any(part.n_normal for part in parts):
            raise LabelError("LocalisationMeter: no pixel is normal.")
        levels = joint_levels(parts)
        f1, threshold = largest_f1(levels)
        return Localisation(
            auroc=area_under_roc(levels),
            f1=f1,
            f1_threshold=threshold,
            pro=area_under_pro(levels, self.max_false_positive_rate),
            n_images=sum(part.n_images for part in parts),
            n_regions=n_regions,
        )


def pixel_auroc(masks: Iterable[ArrayLike], score_maps: Iterable[ArrayLike]) -> float:
    """Return the area under the ROC curve over all pixels of all pictures.

    Parameters
    ----------
    masks : iterable of bool arrays of shape (height, width)
        True on defects.
    score_maps : iterable of float arrays of the same shapes
        Higher = more anomalous.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    InputError
        If shapes or numbers differ, or scores are NaN; LabelError if there is no defect or no normal pixel.
    """
    return localisation(masks, score_maps).auroc


def pixel_f1_max(masks: Iterable[ArrayLike], score_maps: Iterable[ArrayLike]) -> tuple[float, float]:
    """Return the largest F1 over all pixels of all pictures, and its threshold (flag: score > threshold).

    Parameters
    ----------
    masks, score_maps
        As for :func:`pixel_auroc`.

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    InputError
        As for :func:`pixel_auroc`.
    """
    result = localisation(masks, score_maps)
    return result.f1, result.f1_threshold


def pro(
    masks: Iterable[ArrayLike], score_maps: Iterable[ArrayLike], *, max_false_positive_rate: float = 0.3
) -> float:
    """Return the mean per-region overlap for false-positive rates up to a limit.

    Parameters
    ----------
    masks, score_maps
        As for :func:`pixel_auroc`.
    max_false_positive_rate : float in (0, 1]
        The limit.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    InputError
        As for :func:`pixel_auroc`.
    """
    return localisation(masks, score_maps, max_false_positive_rate=max_false_positive_rate).pro


def localisation(
    masks: Iterable[ArrayLike],
    score_maps: Iterable[ArrayLike],
    *,
    max_false_positive_rate: float = 0.3,
    bins: int | None = None,
) -> Localisation:
    """Return all figures at once, for the price of one.

    Parameters
    ----------
    masks, score_maps
        As for :func:`pixel_auroc`.
    max_false_positive_rate, bins
        As for :class:`LocalisationMeter`, which also gives the figures of each kind.

    Returns
    -------
    Localisation

    Raises
    ------
    InputError
        As for :func:`pixel_auroc`.
    """
    meter = LocalisationMeter(max_false_positive_rate=max_false_positive_rate, bins=bins)
    try:
        for mask, scores in zip(masks, score_maps, strict=True):
            meter.add(mask, scores)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError("localisation: there must be one mask a score map.") from error
    return meter.overall()


def region_weights(mask: BoolArray) -> tuple[NDArray[np.float64], int]:
    """Return 1 / (pixels of its region) of each defect pixel, row by row, and the number of regions.

    Parameters
    ----------
    mask : bool array of shape (height, width)
        True on defects.

    Returns
    -------
    tuple of (float64 array of shape (n_defect_pixels,), int)
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.empty(0), 0
    box = mask[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(box.any(axis=0))
    box = box[:, columns[0] : columns[-1] + 1]
    labelled, n_regions = ndimage.label(box, structure=_NEIGHBOURS)
    region = labelled[box] - 1
    return (1.0 / np.bincount(region))[region], int(n_regions)


def _checked(mask: ArrayLike, scores: ArrayLike) -> tuple[BoolArray, NDArray[Any]]:
    defect, values = np.asarray(mask), np.asarray(scores)
    if defect.dtype != np.bool_:
        raise InputError(f"LocalisationMeter: a mask must be boolean, got {defect.dtype}; compare it with 0.")
    if defect.ndim != 2 or values.shape != defect.shape:
        raise InputError(
            f"LocalisationMeter: mask and scores must have one shape (height, width), got {defect.shape} "
            f"and {values.shape}; bring the map to the size of the mask."
        )
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if np.isnan(np.min(values, initial=np.inf)):
        raise InputError("LocalisationMeter: scores must not be NaN.")
    return defect, values
