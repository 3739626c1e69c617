"""Which pictures are references, which are labelled, and which are judged.

The references of seed s are the normals ``s K`` to ``(s + 1) K - 1`` of the target's training part, in the
order of their paths. In folders without a training part they come from all normals; no reference of any seed
is judged then. With all normals as references (K left out) every second one of such a folder is judged
instead.

Contaminants are anomalies of all kinds that take the place of references and pass for normal. They are taken
as they are and are tested on at no level; of no kind more than half is spared for that. A lower level is part
of a higher one, so that all levels have the same test pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.checks import check_int, check_real
from unseen.data.images.items import TEST, TRAIN
from unseen.errors import InputError, LabelError, ParameterError
from unseen.evaluation.image_material import ImageMaterial
from unseen.pipeline.image_folders import by_name
from unseen.protocols import Split
from unseen.types import NORMAL_KIND, BoolArray, StrArray


@dataclass(frozen=True)
class ImageProtocol:
    """What is drawn for an evaluation on pictures.

    Attributes
    ----------
    references : tuple of int or None
        Normal pictures of the target that a detector is given; None: all.
    seeds : int
        How many sets of references. With all normals there is one set, and so one seed, unless contaminants
        are drawn.
    shots : tuple of int
        Labelled anomalies of each known kind: of the target's other kinds or, where there are sources, of
        the sources' kinds (0: all of them, up to ``source_pictures``).
    source_pictures : int
        Most normals and most anomalies of each source category to train on.
    contamination : tuple of float
        Shares of the target's normal pictures that are replaced by anomalies, each >= 0 and < 1.
    """

    references: tuple[int | None, ...] = (None,)
    seeds: int = 3
    shots: tuple[int, ...] = (0,)
    source_pictures: int = 60
    contamination: tuple[float, ...] = (0.0,)

    def check(self) -> None:
        """Raise ParameterError if a value is outside what is allowed."""
        for count in self.references:
            if count is not None:
                check_int("evaluate", "references", count, minimum=1)
        for count in self.shots:
            check_int("evaluate", "shots", count, minimum=0)
        check_int("evaluate", "seeds", self.seeds, minimum=1)
        check_int("evaluate", "source_pictures", self.source_pictures, minimum=2)
        for level in self.contamination:
            check_real("evaluate", "contamination", level, minimum=0, maximum=1, open_maximum=True)

    def n_seeds(self, count: int | None) -> int:
        """Return how many draws there are.

        Parameters
        ----------
        count : int or None
            Normal pictures that a detector is given; None: all.

        Returns
        -------
        int
        """
        return 1 if count is None and not any(self.contamination) else self.seeds


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
    LabelError
        If it has too few anomalies for the contamination asked for.
    ParameterError
        If there are both sources and contamination.
    """
    protocol.check()
    if material.source.any() and any(protocol.contamination):
        raise ParameterError(
            "evaluate: contamination replaces good pictures of the target, and with sources there are few of "
            "them; leave out one of the two."
        )
    return [
        split
        for category in material.categories
        for count in protocol.references
        for seed in range(protocol.n_seeds(count))
        for shots in protocol.shots
        for level in protocol.contamination
        for split in _splits(material, protocol, category, count, seed, shots, level)
    ]


def _splits(
    material: ImageMaterial,
    protocol: ImageProtocol,
    category: str,
    count: int | None,
    seed: int,
    shots: int,
    level: float,
) -> Iterator[Split]:
    labels = material.labels
    here = labels.domains == category
    references, normals = _normals(material, here, category, protocol, count, seed)
    anomalies = here & labels.anomaly & _judged_part(material, here)
    kinds = sorted(set(labels.kinds[anomalies].tolist()))
    transfer = bool(material.source.any())
    spared = {} if transfer else {kind: _draw(labels.kinds == kind, anomalies, shots, seed) for kind in kinds}
    taken = np.concatenate([np.zeros(0, dtype=np.int64), *spared.values()])
    hidden = _contaminants(labels.kinds, np.setdiff1d(np.flatnonzero(anomalies), taken), seed)
    most = _share(max(protocol.contamination), references)
    if len(hidden) < most:
        raise LabelError(
            f"evaluate: contamination {max(protocol.contamination):g} of {len(references)} good pictures of "
            f"{category!r} needs {most} anomalies, but only {len(hidden)} can be spared; lower it or shots."
        )
    test = np.concatenate([normals, np.flatnonzero(anomalies)])
    test = np.setdiff1d(test, np.concatenate([taken, hidden[:most]]))
    contaminants = np.sort(hidden[: _share(level, references)])
    replaced = np.random.default_rng([seed, 3]).permutation(references)
    references = np.concatenate([replaced[len(contaminants) :], contaminants])
    names = (NORMAL_KIND, *kinds)
    train, of_sources = _source_rows(material, protocol, shots, seed) if transfer else (references, taken[:0])
    for held_out in kinds:
        known = tuple(kind for kind in kinds if kind != held_out and len(spared.get(kind, ())))
        labelled = [spared[kind] for kind in known]
        yield Split(
            train=np.sort(train).astype(np.int64),
            contaminants=contaminants,
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
            contamination=level,
            n_references=len(references),
            balanced=False,
        )


def _share(level: float, references: NDArray[np.int64]) -> int:
    """So many references are replaced at a level."""
    return math.floor(level * len(references) + 0.5)


def _contaminants(kinds: StrArray, anomalies: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Anomalies that can be spared, half of each kind at most, in the order in which they are taken."""
    draw = np.random.default_rng([seed, 2])
    spared = [np.zeros(0, dtype=np.int64)]
    for kind in np.unique(kinds[anomalies]):
        rows = draw.permutation(anomalies[kinds[anomalies] == kind])
        spared.append(rows[: len(rows) // 2])
    return draw.permutation(np.concatenate(spared)).astype(np.int64)


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
