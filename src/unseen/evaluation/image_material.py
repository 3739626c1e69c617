"""The pictures of an evaluation: targets and, if there are any, sources, as one set with one numbering."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.data.images import ImageSet, concat_images
from unseen.errors import InputError, LabelError, ReadError
from unseen.types import NORMAL_KIND, BoolArray, Json, Labels

SOURCE_PREFIX = "source: "
"""What the domain of a source category begins with, so that no target shares it."""


@dataclass(frozen=True)
class ImageMaterial:
    """The pictures of an evaluation.

    Attributes
    ----------
    images : ImageSet
        All pictures, those of the sources last.
    labels : Labels
        Their labels; kinds are named ``category/kind`` where several categories are judged.
    source : bool array of shape (n_images,)
        Which pictures are of sources.
    categories : tuple of str
        The categories that are judged.
    """

    images: ImageSet
    labels: Labels
    source: BoolArray
    categories: tuple[str, ...]


def gather_images(targets: Sequence[ImageSet], sources: Sequence[ImageSet] = ()) -> ImageMaterial:
    """Join targets and sources, and check that they are apart.

    Parameters
    ----------
    targets : sequence of ImageSet
        What detectors are judged on.
    sources : sequence of ImageSet
        What they are trained on beforehand.

    Returns
    -------
    ImageMaterial

    Raises
    ------
    InputError
        If a picture is both target and source, two targets share a category, or a category lacks labelled
        defects or normal pictures.
    """
    _check_apart(targets, sources)
    images = concat_images([*targets, *sources])
    n_targets = sum(len(item) for item in targets)
    source = np.arange(len(images)) >= n_targets
    domains = np.array(
        [SOURCE_PREFIX + name if of else name for name, of in zip(images.labels.domains, source, strict=True)]
    )
    categories = tuple(dict.fromkeys(domains[:n_targets].tolist()))
    kinds = images.labels.kinds
    if len(categories) > 1:
        named = [
            kind if kind in (NORMAL_KIND, "") or of else f"{domain}/{kind}"
            for kind, domain, of in zip(kinds.tolist(), domains.tolist(), source.tolist(), strict=True)
        ]
        kinds = np.array(named, dtype=np.str_)
    labels = Labels(images.labels.y, kinds, domains, images.labels.groups)
    for name in categories:
        _check_category(name, labels)
    return ImageMaterial(images, labels, source, categories)


def _check_apart(targets: Sequence[ImageSet], sources: Sequence[ImageSet]) -> None:
    seen: set[str] = set()
    for images in targets:
        names = set(images.labels.domains.tolist())
        if names & seen:
            raise InputError(
                f"evaluate: two folders hold a category {min(names & seen)!r}; rename one of them."
            )
        seen |= names
    judged = {images.path(i).resolve() for images in targets for i in range(len(images))}
    for images in sources:
        for place in range(len(images)):
            if images.path(place).resolve() in judged:
                raise InputError(
                    f"evaluate: {images.path(place)} is in a source and in the target; nothing of the target "
                    "but its references may be seen before scoring."
                )


def _check_category(name: str, labels: Labels) -> None:
    here = labels.domains == name
    if not (here & labels.anomaly).any():
        raise LabelError(
            f"evaluate: the category {name!r} has no labelled defects, so there is nothing to measure "
            "detection on; give folders of defects beside the good one."
        )
    if not (here & labels.normal).any():
        raise LabelError(f"evaluate: the category {name!r} has no good pictures.")


def fingerprint_of_images(material: ImageMaterial) -> str:
    """Return a hash of the content of every picture and mask, and of what is known about them.

    Parameters
    ----------
    material : ImageMaterial
        The pictures; each file is read once.

    Returns
    -------
    str

    Raises
    ------
    ReadError
        If a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    labels = material.labels
    for place, item in enumerate(material.images.items):
        known = (labels.kinds[place], labels.domains[place], item.split, str(material.source[place]))
        digest.update("\x1f".join([material.images.key(place), *map(str, known)]).encode())
        for mask in item.masks:
            try:
                digest.update(hashlib.blake2b(mask.read_bytes(), digest_size=16).digest())
            except OSError as error:
                raise ReadError(f"{mask} cannot be read ({error.strerror}).") from error
    return digest.hexdigest()


def describe_images(material: ImageMaterial, digest: str) -> dict[str, Json]:
    """Return what the results say about the pictures.

    Parameters
    ----------
    material : ImageMaterial
        The pictures.
    digest : str
        Their fingerprint.

    Returns
    -------
    dict
    """
    judged = ~material.source
    kinds, counts = np.unique(material.labels.kinds[judged], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    sources = np.unique(material.labels.domains[material.source])
    about: dict[str, Json] = {
        "pictures": True,
        "n_rows": int(judged.sum()),
        "n_domains": len(material.categories),
        "categories": list(material.categories),
        "kinds": {str(kinds[i]) or "(unlabelled)": int(counts[i]) for i in order.tolist()},
        "fingerprint": digest,
        "notes": list(material.images.notes),
    }
    if len(sources):
        about["sources"] = [str(name).removeprefix(SOURCE_PREFIX) for name in sources]
        about["n_source_rows"] = int(material.source.sum())
    return about
