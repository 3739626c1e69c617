"""Pictures in the report: the worst misses, the worst false alarms, random hits, and the pixel figures."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from unseen.evaluation import Part, Results, read_part
from unseen.evaluation.gallery import GROUPS, GalleryPicture, Group
from unseen.pipeline.heat_maps import heat_map
from unseen.reports import wording
from unseen.reports.entries import Entry
from unseen.reports.html import data_uri, jpeg
from unseen.reports.tables import Line, cells_of

EACH = 6
"""Pictures of a group that are shown of each detector."""

_TITLES: dict[Group, tuple[str, str]] = {
    "miss": ("Worst misses", "defects with the lowest scores, flagged or not"),
    "false alarm": ("Worst false alarms", "good pictures with the highest scores, flagged or not"),
    "hit": ("Random others", "defects drawn at random from the rest"),
}

PIXEL_METRICS = (
    ("pixel_auroc", "Pixel AUROC", "the chance that a defect pixel scores above a normal one"),
    ("pro", "PRO", "mean share of each defect region that is covered, up to 30 % of normal pixels marked"),
    ("pixel_f1_max", "Pixel F1", "largest F1 over pixels at any threshold"),
)


@dataclass(frozen=True)
class Shown:
    """A picture as the page shows it: data URIs (the mask may be missing) and what is said below it."""

    image: str
    mask: str
    heat: str
    name: str
    kind: str
    score: str
    p_value: str
    flagged: bool


@dataclass(frozen=True)
class Strip:
    """Pictures of one group."""

    title: str
    remark: str
    pictures: tuple[Shown, ...]


@dataclass(frozen=True)
class Gallery:
    """The strips of one detector."""

    entry: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class PixelTable:
    """One pixel figure of every detector on every kind."""

    title: str
    remark: str
    lines: tuple[Line, ...]


def pixel_tables(entries: Sequence[Entry], kinds: Sequence[str]) -> list[PixelTable]:
    """Return a table a pixel figure; none for results of tables, or where no defect has a mask.

    Parameters
    ----------
    entries : sequence of Entry
        The columns.
    kinds : sequence of str
        The lines, held out.

    Returns
    -------
    list of PixelTable
    """
    found = []
    for metric, title, remark in PIXEL_METRICS:
        if not any(isinstance(row.get(metric), float) for entry in entries for row in entry.rows):
            continue
        per_kind = [entry.per_kind("held-out", metric) for entry in entries]
        lines = [
            Line(wording.printable(kind), "", cells_of([of.get(kind) for of in per_kind])) for kind in kinds
        ]
        found.append(PixelTable(title, remark, tuple(lines)))
    return found


def galleries(entries: Sequence[Entry], parts: Path, *, most: int = 3) -> list[Gallery]:
    """Return the pictures that were kept of the first detectors.

    Parameters
    ----------
    entries : sequence of Entry
        Detectors in their settings, the best first.
    parts : Path
        Folder of the parts.
    most : int
        Detectors to show.

    Returns
    -------
    list of Gallery
        Empty for results of tables.
    """
    found = []
    for entry in entries[:most]:
        keys = [row["part"] for row in entry.held_out() if row["seed"] == 0 and row.get("part")]
        present = [read_part(parts, key) for key in dict.fromkeys(keys) if (parts / f"{key}.json").is_file()]
        strips = [strip for group in GROUPS if (strip := _strip(group, present)) is not None]
        if strips:
            found.append(Gallery(entry.label, tuple(strips)))
    return found


def is_of_pictures(results: Results) -> bool:
    """Return whether results are about pictures rather than rows of tables."""
    return bool(results.dataset.get("pictures"))


def _strip(group: Group, parts: Sequence[Part]) -> Strip | None:
    """The most telling pictures of a group over the parts of all kinds, each picture once."""
    kept: dict[str, tuple[float, Part, GalleryPicture]] = {}
    for part in parts:
        for picture in part.pictures:
            if picture.group == group:
                kept.setdefault(f"{part.rows[picture.place]}", (_margin(part, picture), part, picture))
    if not kept:
        return None
    order = sorted(kept.values(), key=_merit(group))
    title, remark = _TITLES[group]
    return Strip(title, remark, tuple(_shown(part, picture) for _, part, picture in order[:EACH]))


def _margin(part: Part, picture: GalleryPicture) -> float:
    """The share of test normals that score below a picture: comparable between categories."""
    normals = part.scores[part.normal]
    return float(np.mean(normals < part.scores[picture.place]))


def _merit(group: Group) -> Callable[[tuple[float, Part, GalleryPicture]], tuple[float, float]]:
    sign = -1.0 if group == "false alarm" else 1.0

    def order(item: tuple[float, Part, GalleryPicture]) -> tuple[float, float]:
        margin, part, picture = item
        if group == "hit":
            return (float(part.rows[picture.place] * 2_654_435_761 % 2**32), 0.0)
        return (sign * margin, sign * float(part.scores[picture.place]))

    return order


def _shown(part: Part, picture: GalleryPicture) -> Shown:
    place = picture.place
    kind = part.kind_names[int(part.kind_codes[place])]
    levels = np.asarray(Image.open(io.BytesIO(picture.levels)), dtype=np.float32) / np.float32(255)
    return Shown(
        image=data_uri(picture.image, "jpeg"),
        mask=data_uri(picture.mask, "png") if picture.mask else "",
        heat=data_uri(jpeg(heat_map(levels)), "jpeg"),
        name=wording.printable(picture.name, 40),
        kind=wording.printable(kind, 40),
        score=f"{part.scores[place]:.4g}",
        p_value=f"{part.p_values[place]:.2g}",
        flagged=bool(part.scores[place] > part.false_alarm_threshold),
    )
