"""A page of the training pictures to look at first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseen.pipeline.heat_maps import fitted_size, overlay, resize_levels
from unseen.pipeline.staging import staged
from unseen.pipeline.suspect_pictures import SuspectPictures, suspect_pictures_sentence
from unseen.pixels import resize_image
from unseen.reports import wording
from unseen.reports.html import data_uri, environment, jpeg

FEWEST_SHOWN = 24
MOST_SHOWN = 120
"""The page shows the pictures that are believed odd, at least 24 and at most 120."""

_LONGEST_SIDE = 224


@dataclass(frozen=True)
class SuspectCard:
    """A picture as the page shows it: data URIs, and what is said below them."""

    image: str
    overlay: str
    rank: int
    name: str
    category: str
    score: str
    believed: bool


def write_suspect_page(suspects: SuspectPictures, out: Path) -> Path:
    """Write a self-contained page of pictures taken for good, the oddest one first.

    Parameters
    ----------
    suspects : SuspectPictures
        What :func:`unseen.pipeline.suspect_pictures.find_suspect_pictures` found.
    out : Path
        The page, written atomically.

    Returns
    -------
    Path
        ``out``.
    """
    count = min(len(suspects.images), MOST_SHOWN, max(FEWEST_SHOWN, suspects.n_believed))
    html = (
        environment()
        .get_template("suspects.html.j2")
        .render(
            sentence=suspect_pictures_sentence(suspects.to_json()),
            cards=[_card(suspects, place) for place in range(count)],
            n_checked=len(suspects.images),
            n_believed=suspects.n_believed,
            several=len(set(suspects.images.labels.domains.tolist())) > 1,
        )
    )
    with staged(out) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return out


def _card(suspects: SuspectPictures, place: int) -> SuspectCard:
    picture = suspects.images[place]
    size = fitted_size(picture.shape[0], picture.shape[1], _LONGEST_SIDE)
    small = resize_image(picture, size)
    shown = overlay(small, resize_levels(suspects.levels[place], size))
    path = suspects.images.path(place)
    return SuspectCard(
        image=data_uri(jpeg(small), "jpeg"),
        overlay=data_uri(jpeg(shown), "jpeg"),
        rank=place + 1,
        name=wording.printable(f"{path.parent.name}/{path.name}", 60),
        category=wording.printable(str(suspects.images.labels.domains[place]), 40),
        score=f"{suspects.scores[place]:.1f}",
        believed=place < suspects.n_believed,
    )
