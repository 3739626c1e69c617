"""The part of a split that does not depend on the held-out kind: who gets the normals.

First whole units (groups, or domains with the groups that link them) go to the test, then others are held
back, the rest is trained on. Every group then has one *owner*, and no row is used against its group's owner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unseen.errors import LabelError
from unseen.protocols.drawing import IndexArray, domain_units, draw_rows, draw_units, generator, share_of
from unseen.protocols.options import Options
from unseen.scoring.holding_back import group_codes
from unseen.types import UNNAMED_DOMAIN, BoolArray, Labels

NOBODY, TRAINING, VALIDATION, CALIBRATION, REFERENCES, TEST = range(6)


@dataclass(frozen=True)
class Rows:
    """What a protocol knows about the table, independent of the seed.

    Attributes
    ----------
    kind_codes : int16 array of shape (n_rows,)
        -1 unlabelled, 0 normal, then positions in ``kind_names``.
    kind_names : tuple of str
        ``"normal"`` and the sorted kinds.
    groups : int64 array of shape (n_rows,)
        Which rows stay together; with a test file, rows of the two files never share a code.
    domains : str array of shape (n_rows,)
        Domain of each row.
    domain_units : int64 array of shape (n_rows,) or None
        Rows that stay together where domains do; None if domains play no part.
    official_test : bool array of shape (n_rows,) or None
        Rows of the official test file.
    """

    kind_codes: NDArray[np.int16]
    kind_names: tuple[str, ...]
    groups: IndexArray
    domains: NDArray[np.str_]
    domain_units: IndexArray | None
    official_test: BoolArray | None

    @property
    def normal(self) -> BoolArray:
        """The normal rows."""
        return np.asarray(self.kind_codes == 0, dtype=np.bool_)

    @property
    def named(self) -> BoolArray:
        """The rows whose domain is named."""
        return np.asarray(self.domains != UNNAMED_DOMAIN, dtype=np.bool_)


@dataclass(frozen=True)
class Duties:
    """Who gets which normals at one seed, and which anomalies may go where.

    Attributes
    ----------
    train, validation, calibration, calibration_references, references : int64 arrays
        Normals of each duty, rising.
    owner : int8 array of shape (n_groups,)
        The duty of each group, ``NOBODY`` where no normal decides it.
    test : bool array of shape (n_rows,)
        Rows on the test side.
    held : bool array of shape (n_rows,)
        Rows on the held-back side.
    surplus : bool array of shape (n_rows,)
        Anomalies on the training side that may be tested on if nothing else uses them.
    """

    train: IndexArray
    validation: IndexArray
    calibration: IndexArray
    calibration_references: IndexArray
    references: IndexArray
    owner: NDArray[np.int8]
    test: BoolArray
    held: BoolArray
    surplus: BoolArray


def describe_rows(owner: str, labels: Labels, test_rows: BoolArray | None, options: Options) -> Rows:
    """Turn labels into codes, and decide whether domains stay together.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    labels : Labels
        Of the whole table.
    test_rows : bool array of shape (n_rows,) or None
        Rows of the official test file.
    options : Options
        Checked arguments.

    Returns
    -------
    Rows

    Raises
    ------
    LabelError
        If domains are asked for that the normals do not have.
    """
    n_rows = len(labels)
    kinds, inverse = np.unique(labels.kinds[labels.anomaly], return_inverse=True)
    codes = np.full(n_rows, -1, dtype=np.int16)
    codes[labels.normal] = 0
    codes[labels.anomaly] = inverse.reshape(-1).astype(np.int16) + 1
    groups = group_codes(labels.groups, n_rows)
    units = None
    if _uses_domains(owner, labels, test_rows, options):
        units = domain_units(labels.domains, labels.groups)
    if test_rows is not None:  # a group, or domain, means something inside its own file only
        groups = groups + np.where(test_rows, int(groups.max()) + 1, 0)
        units = None if units is None else units + np.where(test_rows, int(units.max()) + 1, 0)
    return Rows(codes, ("normal", *map(str, kinds)), groups, labels.domains, units, test_rows)


def _uses_domains(owner: str, labels: Labels, test_rows: BoolArray | None, options: Options) -> bool:
    asked = options.domain_split is True or options.new_domains is not None
    if test_rows is not None:
        if asked:
            raise LabelError(f"{owner}: with a test file its domains are the new ones; drop new_domains.")
        return bool(np.any(labels.domains[labels.normal & test_rows] != UNNAMED_DOMAIN))
    names = set(np.unique(labels.domains[labels.normal]).tolist()) - {UNNAMED_DOMAIN}
    missing = sorted(set(options.new_domains or ()) - names)
    if missing:
        raise LabelError(f"{owner}: no normal row has the domain {missing[0]!r} of new_domains.")
    if asked and len(names) < 2:
        raise LabelError(f"{owner}: a split by domain needs normals of 2 named domains, got {len(names)}.")
    return len(names) >= 2 and options.domain_split is not False


def assign_normals(owner: str, rows: Rows, options: Options, seed: int) -> Duties:
    """Give every normal its duty at one seed.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    rows : Rows
        The table.
    options : Options
        Checked arguments.
    seed : int
        Seed of the draws.

    Returns
    -------
    Duties

    Raises
    ------
    LabelError
        If there are too few normals, groups or domains for what was asked.
    """
    test = _test_side(rows, options, seed)
    normal = rows.normal
    if not np.any(normal & test) or not np.any(normal & ~test):
        lacking = "training" if np.any(normal & test) else "testing"
        raise LabelError(
            f"{owner}: {int(normal.sum())} normal rows are too few to part (none is left for {lacking}); "
            "give more normals, groups or domains."
        )
    held = _held_side(owner, rows, options, test, seed)
    train = np.flatnonzero(normal & ~test & ~held)
    kept = np.flatnonzero(normal & held)
    n_groups = int(rows.groups.max()) + 1
    duty = np.full(n_groups, NOBODY, dtype=np.int8)
    duty[rows.groups[test]] = TEST
    duty[rows.groups[train]] = TRAINING
    calibration_references = np.empty(0, dtype=np.int64)
    if rows.domain_units is not None and _whole_domains(rows, test):
        calibration_references = _first_of_each_domain(rows, kept, options, seed)
        kept = _without_mates(kept, calibration_references, rows.groups)
    validation, calibration = _part_held(owner, rows, options, kept, seed)
    references = _test_references(owner, rows, options, test, seed)
    for members, owned_by in (
        (validation, VALIDATION),
        (calibration, CALIBRATION),
        (calibration_references, REFERENCES),
        (references, REFERENCES),
    ):
        duty[rows.groups[members]] = owned_by
    surplus = (rows.kind_codes > 0) & ~test
    if rows.official_test is not None:
        surplus[:] = False
    elif rows.domain_units is not None:
        surplus &= ~rows.named
    train = np.sort(_thin(train, options.max_normals, generator(seed, "max normals")))
    return Duties(
        train, validation, calibration, calibration_references, references, duty, test, held, surplus
    )


def _test_side(rows: Rows, options: Options, seed: int) -> BoolArray:
    if rows.official_test is not None:
        return rows.official_test
    units, eligible = rows.groups, rows.kind_codes >= 0
    share = options.test_fraction
    if rows.domain_units is not None:
        units = rows.domain_units
        eligible = eligible & ~(rows.normal & ~rows.named)
        if options.new_domains is not None:
            share = 0.0
    rng = generator(seed, "test side")
    test = draw_units(
        units, rows.kind_codes, eligible, normal_share=share, anomaly_share=options.test_fraction, rng=rng
    )
    if options.new_domains is not None:
        chosen = np.unique(units[np.isin(rows.domains, list(options.new_domains))])
        test |= np.isin(units, chosen)
    return test


def _whole_domains(rows: Rows, test: BoolArray) -> bool:
    """Whether the training side has two or more named domains, so that whole ones can be held back."""
    if rows.domain_units is None:
        return False
    return len(np.unique(rows.domain_units[rows.normal & rows.named & ~test])) >= 2


def _held_side(owner: str, rows: Rows, options: Options, test: BoolArray, seed: int) -> BoolArray:
    if options.calibration_fraction == 0:
        return np.zeros(len(test), dtype=np.bool_)
    units, eligible = rows.groups, (rows.kind_codes >= 0) & ~test
    if rows.domain_units is not None and _whole_domains(rows, test):
        units = rows.domain_units
        eligible = eligible & ~(rows.normal & ~rows.named)
    held = ~test & draw_units(
        units,
        rows.kind_codes,
        eligible,
        normal_share=options.calibration_fraction,
        anomaly_share=options.validation_fraction,
        rng=generator(seed, "held side"),
    )
    if not np.any(rows.normal & held):
        raise LabelError(
            f"{owner}: no normals can be held back for calibration (the training side has "
            f"{int((rows.normal & ~test).sum())} in one group); give more or use calibration_fraction=0."
        )
    return held


def _part_held(
    owner: str, rows: Rows, options: Options, kept: IndexArray, seed: int
) -> tuple[IndexArray, IndexArray]:
    """Divide the held-back normals, by group, into validation and calibration."""
    if len(kept) == 0:
        if options.calibration_fraction > 0:
            raise LabelError(
                f"{owner}: the held-back domains have no normals beyond {options.references} references; "
                "ask for fewer references or use calibration_fraction=0."
            )
        return kept, kept
    if options.max_normals is not None:
        ratio = options.calibration_fraction / (1 - options.calibration_fraction)
        kept = _thin(kept, max(math.floor(options.max_normals * ratio), 1), generator(seed, "max held"))
    groups = generator(seed, "validation side").permutation(np.unique(rows.groups[kept]))
    chosen = groups[: share_of(len(groups), options.validation_fraction)]
    mine = np.isin(rows.groups[kept], chosen)
    return np.sort(kept[mine]), np.sort(kept[~mine])


def _test_references(owner: str, rows: Rows, options: Options, test: BoolArray, seed: int) -> IndexArray:
    candidates = np.flatnonzero(rows.normal & test)
    references = _first_of_each_domain(rows, candidates, options, seed)
    if len(_without_mates(candidates, references, rows.groups)) == 0:
        raise LabelError(
            f"{owner}: {options.references} references a domain leave no normal of another group to test on; "
            "ask for fewer references or leave the groups out."
        )
    return references


def _first_of_each_domain(rows: Rows, candidates: IndexArray, options: Options, seed: int) -> IndexArray:
    """Take the references of each named domain, or of all rows as one domain where domains play no part."""
    if options.references == 0:
        return np.empty(0, dtype=np.int64)
    by_domain = rows.domain_units is not None
    order: Literal["first", "random"] = options.reference_order or ("first" if by_domain else "random")
    if by_domain:
        candidates = candidates[rows.named[candidates]]
    if order == "random":
        candidates = draw_rows(candidates, len(candidates), rows.groups, generator(seed, "references"))
    if not by_domain:
        return np.sort(candidates[: options.references])
    _, domain = np.unique(rows.domains[candidates], return_inverse=True)
    by_name = np.argsort(domain.reshape(-1), kind="stable")
    sorted_domain = domain.reshape(-1)[by_name]
    starts = np.searchsorted(sorted_domain, sorted_domain, side="left")
    early = np.arange(len(by_name)) - starts < options.references
    return np.sort(candidates[by_name[early]])


def _without_mates(rows: IndexArray, taken: IndexArray, groups: IndexArray) -> IndexArray:
    """Return the rows whose group has no member among those taken."""
    return rows[~np.isin(groups[rows], groups[taken])]


def _thin(members: IndexArray, most: int | None, rng: np.random.Generator) -> IndexArray:
    """Return at most so many rows, drawn by seed."""
    if most is None or len(members) <= most:
        return members
    return rng.choice(members, most, replace=False)
