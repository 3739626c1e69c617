"""What is known about one picture before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseen.types import NORMAL_KIND, UNNAMED_DOMAIN

TRAIN, VALIDATION, TEST, NO_SPLIT = "train", "validation", "test", ""


@dataclass(frozen=True)
class ImageItem:
    """One picture of a folder.

    Attributes
    ----------
    path : Path
        Its file.
    kind : str
        ``"normal"``, the name of its defect, or ``""`` if it is not known.
    domain : str
        The category (product, organ) that it shows.
    split : str
        ``"train"``, ``"validation"``, ``"test"``, or ``""`` where the layout has no splits.
    masks : tuple of Path
        Files of its defect's regions; none if it is normal or not masked.
    group : str
        Pictures with the same group must not be split (slices of one patient); ``""``: on its own.
    """

    path: Path
    kind: str = NORMAL_KIND
    domain: str = UNNAMED_DOMAIN
    split: str = NO_SPLIT
    masks: tuple[Path, ...] = ()
    group: str = ""
