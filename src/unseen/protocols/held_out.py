"""Leave one kind out: the honest estimate of how well kinds that nobody labelled will be caught.

For each seed and each kind of anomaly, that kind is absent from everything but the test set, while a few rows
(*shots*) of every other kind are known. Where no kinds are named there is nothing to leave out;
:func:`know_every_kind` then measures how well labels of the one kind are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import check_int
from unseen.errors import LabelError
from unseen.protocols.contamination import contaminate
from unseen.protocols.drawing import IndexArray, generator
from unseen.protocols.duties import (
    NOBODY,
    TEST,
    TRAINING,
    VALIDATION,
    Duties,
    Rows,
    assign_normals,
    describe_rows,
)
from unseen.protocols.options import Contaminants, Options, ReferenceOrder
from unseen.protocols.splits import Split
from unseen.types import BoolArray, Labels

_OWNER = "leave_one_kind_out"
_KNOWING = "know_every_kind"
_NO_KIND = -2
"""A code that no row has: unlabelled rows have -1."""


def leave_one_kind_out(
    labels: Labels,
    *,
    shots: int,
    seeds: Sequence[int],
    test_rows: ArrayLike | None = None,
    max_normals: int | None = None,
    balanced: bool = True,
    contamination: float = 0.0,
    contaminants: Contaminants = "all",
    references: int = 0,
    reference_order: ReferenceOrder | None = None,
    held_out_kinds: Sequence[str] | None = None,
    validation_fraction: float = 0.3,
    calibration_fraction: float = 0.2,
    test_fraction: float = 0.3,
    domain_split: bool | None = None,
    new_domains: Sequence[str] | None = None,
) -> list[Split]:
    """Make one split for each seed and each held-out kind.

    Every draw depends on the seed (and the kind's name) alone. At one seed, and without contamination, all
    held-out kinds share the same normals in every duty, and a kind's training shots are the same wherever it
    is known. Rows of one group never have two duties (training on normals, on shots and on contaminants is
    one duty); rows whose group has another duty are left out. Unlabelled rows are never used.

    Parameters
    ----------
    labels : Labels
        Of the whole table; with an official test file, of both files one after the other.
    shots : int
        Labelled rows of each known kind, training and validation together; fewer where a kind has fewer.
    seeds : sequence of int
        One set of splits for each.
    test_rows : bool array-like of shape (n_rows,) or None
        Which rows are the official test file. They are the test set; groups and domains with the same name in
        both files are different ones. None: the test set is drawn from the table.
    max_normals : int or None
        Most normals to train on (drawn by seed); those held back are thinned in proportion.
    balanced : bool
        Whether ``Split.test_of`` gives as many normals as anomalies.
    contamination : float in [0, 0.5]
        This share of the training normals is replaced by anomalies that pass for normal. Those leave the test
        set. Validation and calibration normals stay clean.
    contaminants : {"all", "known", "held-out"}
        The kinds they are drawn from, in natural proportion: anomalies of the training side that are not
        shots, then, if these do not suffice, up to half of each kind's test rows. With ``"all"`` rows of the
        held-out kind sit among the training normals too, without a label, since whoever gathers normals
        cannot leave out a kind that nobody knows; the held-out kind is then absent from labels, validation
        and calibration, and not from ``train``. All held-out kinds of a seed share their contaminants.
        ``"known"`` leaves the held-out kind out of ``train`` as well: nothing has ever met it.
        ``"held-out"`` takes it alone.
    references : int
        Normals of each test domain that are set aside as its references and leave the test set, with their
        groups; a domain with fewer gives all. 0 runs through the same code.
    reference_order : {"first", "random"} or None
        The first normals of a domain in row order (time), or drawn by seed. None: first where domains are
        named, drawn where the whole test set is one domain.
    held_out_kinds : sequence of str or None
        None: every kind with test rows, in turn, whose absence leaves another kind to label (if ``shots`` >
        0).
    validation_fraction : float in [0, 1)
        Share of the shots, and of the held-back normals, that goes to validation (rounded; at least one shot
        is left to train on). The other held-back normals are for calibration.
    calibration_fraction : float in [0, 1)
        Share of the training side's normals that is held back, for validation and calibration. Where domains
        take part whole training domains are held back (at least one, if there are two), with ``references``
        of each as ``calibration_references``. 0: nothing is held back.
    test_fraction : float in (0, 1)
        Without ``test_rows``: share of the rows (groups, domains) that the test gets. Anomalies of the
        training side that nothing uses are tested on too.
    domain_split : bool or None
        Without ``test_rows``: whether domains are kept whole, so that test domains are new. None: where the
        normals have two or more named domains.
    new_domains : sequence of str or None
        The test domains by name, instead of by seed.

    Returns
    -------
    list of Split
        Seed by seed, and within a seed by kind.

    Raises
    ------
    LabelError
        If there are no normals or no anomalies, a held-out kind has no test rows, no kind is left to label,
        or there are too few rows, groups or domains.
    ParameterError
        If an argument is outside what is allowed.
    """
    options = Options(
        shots, max_normals, balanced, contamination, contaminants, references, reference_order,
        validation_fraction, calibration_fraction, test_fraction, domain_split, new_domains,
    )  # fmt: skip
    options.check(_OWNER)
    rows = _described(labels, test_rows, options)
    splits = []
    for seed in seeds:
        check_int(_OWNER, "seeds", seed, minimum=0)
        duties = assign_normals(_OWNER, rows, options, seed)
        for kind in _held_out(rows, duties, held_out_kinds, options):
            splits.append(_split(rows, duties, options, seed, kind))
    return splits


def know_every_kind(
    labels: Labels,
    *,
    shots: int,
    seeds: Sequence[int],
    test_rows: ArrayLike | None = None,
    max_normals: int | None = None,
    balanced: bool = False,
    validation_fraction: float = 0.3,
    calibration_fraction: float = 0.2,
    test_fraction: float = 0.3,
) -> list[Split]:
    """Make one split for each seed in which every kind is known and none is held out.

    This is the setting of tables that say no more than normal or anomalous. It tells nothing about kinds that
    nobody has labelled; use :func:`leave_one_kind_out` for those wherever kinds are named.

    Parameters
    ----------
    labels : Labels
        Of the whole table; with an official test file, of both files one after the other.
    shots : int
        Labelled rows of each kind, training and validation together; fewer where a kind has fewer.
    seeds : sequence of int
        One split for each.
    test_rows, max_normals, validation_fraction, calibration_fraction, test_fraction
        As for :func:`leave_one_kind_out`.
    balanced : bool
        Whether ``Split.test_of`` gives as many normals as anomalies; by default all test rows are used.

    Returns
    -------
    list of Split
        Seed by seed, with ``held_out_kind=None``.

    Raises
    ------
    LabelError
        If there are no normals or no anomalies, or too few to test on.
    ParameterError
        If an argument is outside what is allowed.
    """
    options = Options(
        shots, max_normals, balanced, 0.0, "known", 0, None,
        validation_fraction, calibration_fraction, test_fraction, None, None,
    )  # fmt: skip
    options.check(_KNOWING)
    rows = _described(labels, test_rows, options, _KNOWING)
    splits = []
    for seed in seeds:
        check_int(_KNOWING, "seeds", seed, minimum=0)
        duties = assign_normals(_KNOWING, rows, options, seed)
        splits.append(_split(rows, duties, options, seed, None))
    return splits


def _described(labels: Labels, test_rows: ArrayLike | None, options: Options, who: str = _OWNER) -> Rows:
    if not labels.normal.any():
        raise LabelError(f"{who}: needs normal rows, got none; check which kind name(s) mean normal.")
    if not labels.anomaly.any():
        raise LabelError(f"{who}: needs anomalies to test on, but every labelled row is normal.")
    official: BoolArray | None = None
    if test_rows is not None:
        given = np.asarray(test_rows)
        if given.shape != (len(labels),) or given.dtype != np.bool_:
            raise LabelError(f"{who}: test_rows must hold one bool a row, got shape {given.shape}.")
        official = given
        for side, name in ((~official, "training"), (official, "test")):
            if not np.any(labels.normal & side):
                raise LabelError(f"{who}: the {name} file has no normal rows.")
        if not np.any(labels.anomaly & official):
            raise LabelError(f"{who}: the test file has no anomalies.")
    return describe_rows(who, labels, official, options)


def _held_out(rows: Rows, duties: Duties, asked: Sequence[str] | None, options: Options) -> list[str]:
    """The kinds to hold out in turn."""
    testable = (rows.kind_codes > 0) & (duties.test | duties.surplus)
    testable &= np.isin(duties.owner[rows.groups], (NOBODY, TEST))
    codes = np.unique(rows.kind_codes[testable])
    possible = [rows.kind_names[code] for code in codes]
    for kind in asked or ():
        if kind not in rows.kind_names[1:]:
            have = ", ".join(map(repr, rows.kind_names[1:]))
            raise LabelError(f"{_OWNER}: held-out kind {kind!r} is not in the table; it has {have}.")
        if kind not in possible:
            raise LabelError(f"{_OWNER}: held-out kind {kind!r} has no rows that can be tested on.")
    chosen = possible if asked is None else [str(kind) for kind in asked]
    if not chosen:
        raise LabelError(f"{_OWNER}: no kind of anomaly has rows that can be tested on.")
    if options.shots == 0:
        return chosen
    labelable = {rows.kind_names[code] for code in np.unique(rows.kind_codes[~duties.test]) if code > 0}
    useful = [kind for kind in chosen if labelable - {kind}]
    if not useful or (asked is not None and len(useful) < len(chosen)):
        kind = next(kind for kind in chosen if kind not in useful)
        raise LabelError(
            f"{_OWNER}: with {kind!r} held out no kind is left to label; use shots=0 or give more kinds."
        )
    return useful


def _split(rows: Rows, duties: Duties, options: Options, seed: int, held_out: str | None) -> Split:
    held_out_code = _NO_KIND if held_out is None else rows.kind_names.index(held_out)
    owner = duties.owner.copy()
    spare = rows.groups[duties.surplus & (rows.kind_codes == held_out_code)]
    owner[spare[owner[spare] == NOBODY]] = (
        TEST  # no shot may take a group that the held-out kind is tested in
    )
    labelled, validation = _shots(rows, duties, options, seed, held_out_code, owner)
    used = np.concatenate([labelled, validation])
    spoken_for = used
    if options.contamination > 0 and options.contaminants == "all":
        # Shots of the held-out kind stay out, too, so that all held-out kinds have the same contaminants.
        anywhere = _shots(rows, duties, options, seed, _NO_KIND, duties.owner.copy())
        spoken_for = np.concatenate([used, *anywhere])
    train, contaminants = contaminate(_OWNER, rows, duties, options, seed, held_out_code, owner, spoken_for)
    known = np.unique(rows.kind_codes[used])
    test = (duties.test & (rows.kind_codes >= 0)) | duties.surplus
    test &= np.isin(owner[rows.groups], (NOBODY, TEST))
    tested = np.flatnonzero(test)
    if held_out is None and not np.any(rows.kind_codes[tested] > 0):
        raise LabelError(f"{_KNOWING}: no anomaly is left to test on; use fewer shots.")
    if held_out is not None and not np.any(rows.kind_codes[tested] == held_out_code):
        raise LabelError(
            f"{_OWNER}: no row of held-out kind {held_out!r} is left to test on; use less contamination."
        )
    return Split(
        train=train,
        contaminants=contaminants,
        labelled=np.sort(labelled),
        validation=np.sort(np.concatenate([duties.validation, validation])),
        calibration=duties.calibration,
        calibration_references=duties.calibration_references,
        references=duties.references,
        test=tested,
        test_kind_codes=rows.kind_codes[tested],
        kind_names=rows.kind_names,
        held_out_kind=held_out,
        known_kinds=tuple(rows.kind_names[code] for code in known),
        seed=seed,
        shots=options.shots,
        contamination=options.contamination,
        n_references=options.references,
        balanced=options.balanced,
    )


def _shots(
    rows: Rows, duties: Duties, options: Options, seed: int, held_out_code: int, owner: NDArray[np.int8]
) -> tuple[IndexArray, IndexArray]:
    """Draw the labelled anomalies of every known kind; their groups become owned in ``owner``."""
    rounded = math.floor(options.validation_fraction * options.shots + 0.5)
    n_validation = min(rounded, max(options.shots - 1, 0))
    drawn: dict[int, list[IndexArray]] = {TRAINING: [], VALIDATION: []}
    usable = (rows.kind_codes > 0) & ~duties.test
    kinds = [code for code in range(1, len(rows.kind_names)) if code != held_out_code and options.shots]
    # All kinds choose their training rows before any chooses validation rows, so the order does not matter.
    for duty, n_wanted in ((TRAINING, options.shots - n_validation), (VALIDATION, n_validation)):
        for code in kinds:
            rng = generator(seed, f"shots {duty}", rows.kind_names[code])
            mine = np.flatnonzero(usable & (rows.kind_codes == code))
            first = mine[duties.held[mine] == (duty == VALIDATION)]
            others = mine[duties.held[mine] != (duty == VALIDATION)] if duty == VALIDATION else mine[:0]
            candidates = np.concatenate([rng.permutation(first), rng.permutation(others)])
            taken = np.concatenate([np.empty(0, dtype=np.int64), *drawn[TRAINING]])
            free = np.isin(owner[rows.groups[candidates]], (NOBODY, duty)) & ~np.isin(candidates, taken)
            drawn[duty].append(candidates[free][:n_wanted])
        for chosen in drawn[duty]:
            owner[rows.groups[chosen]] = duty
    empty = np.empty(0, dtype=np.int64)
    return np.concatenate([empty, *drawn[TRAINING]]), np.concatenate([empty, *drawn[VALIDATION]])
