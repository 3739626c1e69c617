"""Which pictures are references, which are labelled, and which are judged.

The references of seed s are the normals ``s K`` to ``(s + 1) K - 1`` of the target's training part, in the
order of their paths. In folders without a training part they come from all normals; no reference of any seed
is judged then. With all normals as references (K left out) every second one of such a folder is judged
instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.checks import check_int
from unseen.data.images.items import TEST, TRAIN
from unseen.errors import InputError
from unseen.evaluation.image_material import ImageMaterial
from unseen.pipeline.image_folders import by_name
from unseen.protocols import Split
from unseen.types import NORMAL_KIND, BoolArray


@dataclass(frozen=True)
class ImageProtocol:
    """What is drawn for an evaluation on pictures.

    Attributes
    ----------
    references : tuple of int or None
        Normal pictures of the target that a detector is given; None: all.
    seeds : int
        How many sets of references. With all normals there is one set, and so one seed.
    shots : tuple of int
        Labelled anomalies of each known kind: of the target's other kinds or, where there are sources, of
        the sources' kinds (0: all of them, up to ``source_pictures``).
    source_pictures : int
        Most normals and most anomalies of each source category to train on.
    """

    references: tuple[int | None, ...] = (None,)
    seeds: int = 3
    shots: tuple[int, ...] = (0,)
    source_pictures: int = 60

    def check(self) -> None:
        """Raise ParameterError if a value is outside what is allowed."""
        for count in self.references:
            if count is not None:
                check_int("evaluate", "references", count, minimum=1)
        for count in self.shots:
            check_int("evaluate", "shots", count, minimum=0)
        check_int("evaluate", "seeds", self.seeds, minimum=1)
        check_int("evaluate", "source_pictures", self.source_pictures, minimum=2)


def image_splits(material: ImageMaterial, protocol: ImageProtocol) -> list[Split]:
    """Return the splits of an evaluation on pictures: one a category, setting, seed and kind.

    Parameters
    ----------
    material : ImageMaterial
        The pictures; rows of the splits are places in it.
    protocol : ImageProtocol
        What is drawn.

    Returns
    -------
    list of Split
        ``train`` and ``labelled`` are what a detector is fitted on, ``references`` what it is adapted to.
        Without sources ``train`` is the references. All splits of one category, setting and seed have the
        same test pictures.

    Raises
    ------
    InputError
        If a category has too few normal pictures for the references asked for.
    """
    protocol.check()
    return [
        split
        for category in material.categories
        for count in protocol.references
        for seed in range(1 if count is None else protocol.seeds)
        for shots in protocol.shots
        for split in _splits(material, protocol, category, count, seed, shots)
    ]


def _splits(
    material: ImageMaterial, protocol: ImageProtocol, category: str, count: int | None, seed: int, shots: int
) -> Iterator[Split]:
    labels = material.labels
    here = labels.domains == category
    references, normals = _normals(material, here, category, protocol, count, seed)
    anomalies = here & labels.anomaly & _judged_part(material, here)
    kinds = sorted(set(labels.kinds[anomalies].tolist()))
    transfer = bool(material.source.any())
    spared = {} if transfer else {kind: _draw(labels.kinds == kind, anomalies, shots, seed) for kind in kinds}
    taken = np.concatenate([np.zeros(0, dtype=np.int64), *spared.values()])
    test = np.setdiff1d(np.concatenate([normals, np.flatnonzero(anomalies)]), taken)
    names = (NORMAL_KIND, *kinds)
    train, of_sources = _source_rows(material, protocol, shots, seed) if transfer else (references, taken[:0])
    for held_out in kinds:
        known = tuple(kind for kind in kinds if kind != held_out and len(spared.get(kind, ())))
        labelled = [spared[kind] for kind in known]
        yield Split(
            train=np.sort(train).astype(np.int64),
            contaminants=np.zeros(0, dtype=np.int64),
            labelled=np.sort(np.concatenate([of_sources, *labelled])).astype(np.int64),
            validation=np.zeros(0, dtype=np.int64),
            calibration=np.zeros(0, dtype=np.int64),
            calibration_references=np.zeros(0, dtype=np.int64),
            references=np.sort(references).astype(np.int64),
            test=test.astype(np.int64),
            test_kind_codes=np.array([names.index(kind) for kind in labels.kinds[test]], dtype=np.int16),
            kind_names=names,
            held_out_kind=held_out,
            known_kinds=known,
            seed=seed,
            shots=shots,
            contamination=0.0,
            n_references=len(references),
            balanced=False,
        )


def _normals(
    material: ImageMaterial,
    here: BoolArray,
    category: str,
    protocol: ImageProtocol,
    count: int | None,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The references, and the normals that are judged."""
    images, normal = material.images, here & material.labels.normal
    has_parts = bool((images.splits[here] == TRAIN).any())
    pool = by_name(images, normal & (images.splits == TRAIN) if has_parts else normal)
    judged = by_name(images, normal & (images.splits == TEST))
    if count is None:
        references = pool if has_parts else pool[::2]
        return references, judged if has_parts else pool[1::2]
    needed = count * protocol.seeds
    if len(pool) < needed + (0 if has_parts else 1):
        raise InputError(
            f"evaluate: {protocol.seeds} seeds of {count} references need {needed} good pictures"
            f"{'' if has_parts else ' and some to judge'}, but the category {category!r} has {len(pool)}"
            f"{' in its training part' if has_parts else ''}; ask for fewer."
        )
    return pool[seed * count : (seed + 1) * count], judged if has_parts else pool[needed:]


def _judged_part(material: ImageMaterial, here: BoolArray) -> BoolArray:
    """Pictures of the test part, or all where there are no parts."""
    splits = material.images.splits
    if not np.isin(splits[here], [TRAIN, TEST]).any():
        return here
    return np.asarray(splits == TEST)


def _draw(of_kind: BoolArray, anomalies: BoolArray, count: int, seed: int) -> NDArray[np.int64]:
    """Draw labelled pictures of a kind, at most all but one of them."""
    rows = np.flatnonzero(of_kind & anomalies)
    draw = np.random.default_rng([seed, len(rows)])
    return np.sort(draw.permutation(rows)[: min(count, max(0, len(rows) - 1))]).astype(np.int64)


def _source_rows(
    material: ImageMaterial, protocol: ImageProtocol, shots: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Normals and labelled anomalies of the sources, so many of each category."""
    labels = material.labels
    draw = np.random.default_rng([seed, 1])
    normals: list[NDArray[np.int64]] = []
    anomalies: list[NDArray[np.int64]] = []
    for name in np.unique(labels.domains[material.source]):
        here = labels.domains == name
        normals.append(_some(here & labels.normal, protocol.source_pictures, draw))
        for kind in np.unique(labels.kinds[here & labels.anomaly]) if shots else ():
            anomalies.append(_some(here & labels.anomaly & (labels.kinds == kind), shots, draw))
        if not shots:
            anomalies.append(_some(here & labels.anomaly, protocol.source_pictures, draw))
    return _joined(normals), _joined(anomalies)


def _some(wanted: BoolArray, most: int, draw: np.random.Generator) -> NDArray[np.int64]:
    return draw.permutation(np.flatnonzero(wanted))[:most].astype(np.int64)


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
