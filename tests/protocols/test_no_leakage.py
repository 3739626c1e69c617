"""Property tests of the splits: whatever the table, no row and no group has two duties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen.errors import LabelError
from unseen.protocols import Split, leave_one_kind_out
from unseen.types import Labels

PARTS = (
    "train",
    "labelled",
    "validation",
    "calibration",
    "calibration_references",
    "references",
    "test",
)
DUTY = {"train": 0, "labelled": 0, "validation": 1, "calibration": 2, "calibration_references": 3}
KINDS = np.array(["normal", "a", "b", "c"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[Labels, np.ndarray | None]:
    """Labels with random kinds, domains, groups, unlabelled rows, and perhaps a test file."""
    n = draw(st.integers(12, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = rng.choice(KINDS, n, p=[0.6, 0.2, 0.15, 0.05])
    unlabelled = rng.random(n) < draw(st.sampled_from([0.0, 0.1]))
    y = np.where(unlabelled, -1, (kinds != "normal").astype(int)).astype(np.int8)
    kinds = np.where(unlabelled, "", kinds)
    n_domains = draw(st.integers(0, 6))
    domains = rng.integers(0, n_domains + 1, n).astype(str) if n_domains else np.full(n, "")
    if draw(st.booleans()):
        domains = np.where(rng.random(n) < 0.2, "", domains)
    groups = None
    style = draw(st.sampled_from(["none", "free", "in kind", "in domain"]))
    if style != "none":
        groups = rng.integers(0, draw(st.integers(2, 40)), n).astype(str)
        if style == "in kind":
            groups = np.char.add(np.char.add(kinds, "/"), groups)
        if style == "in domain":
            groups = np.char.add(np.char.add(domains, "/"), groups)
        groups = np.where(rng.random(n) < 0.05, "", groups)
    test_rows = np.arange(n) >= n * 0.6 if draw(st.booleans()) else None
    return Labels(y, kinds, domains, groups), test_rows


def options() -> st.SearchStrategy[dict[str, object]]:
    """Arguments of the protocol, hostile ones included."""
    return st.fixed_dictionaries(
        {
            "shots": st.integers(0, 8),
            "seeds": st.lists(st.integers(0, 1000), min_size=1, max_size=2, unique=True),
            "max_normals": st.one_of(st.none(), st.integers(1, 40)),
            "balanced": st.booleans(),
            "contamination": st.sampled_from([0.0, 0.0, 0.05, 0.2]),
            "contaminants": st.sampled_from(["known", "known", "held-out", "all"]),
            "references": st.sampled_from([0, 1, 3]),
            "reference_order": st.sampled_from([None, "first", "random"]),
            "calibration_fraction": st.sampled_from([0.0, 0.2, 0.5]),
            "validation_fraction": st.sampled_from([0.0, 0.3, 0.5]),
            "domain_split": st.sampled_from([None, False]),
        }
    )


def _splits(table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]) -> list[Split]:
    labels, test_rows = table
    try:
        return leave_one_kind_out(labels, test_rows=test_rows, **chosen)  # type: ignore[arg-type]
    except LabelError:
        return []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_duties_are_disjoint_and_hold_the_right_rows(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    labels, test_rows = table
    for split in _splits(table, chosen):
        parts = {name: getattr(split, name) for name in PARTS}
        everything = np.concatenate(list(parts.values()))
        assert len(np.unique(everything)) == len(everything)
        assert np.all(labels.y[everything] >= 0)
        for rows in parts.values():
            assert rows.dtype == np.int64
            assert np.all(np.diff(rows) > 0)
            assert not rows.flags.writeable
        clean = np.setdiff1d(split.train, split.contaminants)
        assert len(split.train) > 0
        for rows in (clean, split.calibration, split.calibration_references, split.references):
            assert np.all(labels.y[rows] == 0)
        assert np.all(labels.y[split.labelled] == 1)
        assert np.all(labels.y[split.contaminants] == 1)
        assert np.all(np.isin(split.contaminants, split.train))
        expected = np.array(split.kind_names)[split.test_kind_codes]
        assert np.array_equal(expected, labels.kinds[split.test])
        if test_rows is not None:
            assert np.all(test_rows[split.test])
            assert np.all(test_rows[split.references])
            assert not np.any(
                test_rows[np.setdiff1d(everything, np.r_[split.test, split.references, split.contaminants])]
            )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_held_out_kind_is_absent_from_everything_but_test(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    labels, _ = table
    for split in _splits(table, chosen):
        assert split.held_out_kind in split.test_kinds
        assert split.held_out_kind not in split.known_kinds
        for name in PARTS[:-1]:
            rows = getattr(split, name)
            if name == "train" and chosen["contaminants"] != "known":
                rows = np.setdiff1d(rows, split.contaminants)
            assert not np.any(labels.kinds[rows] == split.held_out_kind), name
        if chosen["contaminants"] == "held-out":
            assert np.all(labels.kinds[split.contaminants] == split.held_out_kind)
        assert np.all(split.fit_labels(labels).kinds != split.held_out_kind)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_groups_never_straddle(table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]) -> None:
    labels, test_rows = table
    if labels.groups is None:
        return
    for split in _splits(table, chosen):
        duty_of: dict[tuple[str, bool], int] = {}
        for name in PARTS:
            duty = DUTY.get(name, PARTS.index(name) + 10)
            for row in getattr(split, name):
                group = str(labels.groups[row])
                key = (group, test_rows is not None and bool(test_rows[row]))
                if group:
                    assert duty_of.setdefault(key, duty) == duty, (name, group)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_named_domains_are_never_on_both_sides(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    labels, test_rows = table
    named_normals = set(np.unique(labels.domains[labels.normal])) - {""}
    if test_rows is not None or chosen["domain_split"] is False or len(named_normals) < 2:
        return
    for split in _splits(table, chosen):
        spared = split.contaminants  # anomalies of test domains may be asked into the training normals
        fitted = np.setdiff1d(np.concatenate([getattr(split, n) for n in PARTS[:5]]), spared)
        tested = np.concatenate([split.references, split.test])
        both = set(labels.domains[fitted]) & set(labels.domains[tested])
        assert both <= {""}
        for domain in set(labels.domains[split.references]):
            assert np.sum(labels.domains[split.references] == domain) <= chosen["references"]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_shots_and_sizes_are_as_asked(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    labels, _ = table
    for split in _splits(table, chosen):
        drawn = np.concatenate([split.labelled, split.validation[labels.y[split.validation] == 1]])
        kinds, counts = np.unique(labels.kinds[drawn], return_counts=True)
        assert np.all(counts <= chosen["shots"])
        assert tuple(kinds) == split.known_kinds
        if chosen["max_normals"] is not None:
            assert len(split.train) <= chosen["max_normals"]
        asked = float(chosen["contamination"])  # type: ignore[arg-type]
        assert abs(len(split.contaminants) - asked * len(split.train)) <= 0.5 + 1e-9
        if chosen["calibration_fraction"]:
            assert len(split.calibration) > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_splits_depend_on_the_seed_alone(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    first, second = _splits(table, chosen), _splits(table, chosen)
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in (*PARTS, "contaminants"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
    if chosen["contamination"] == 0:
        for seed in {split.seed for split in first}:
            assert len({split.normals_key for split in first if split.seed == seed}) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), options())
def test_test_of_one_kind_is_balanced_when_asked(
    table: tuple[Labels, np.ndarray | None], chosen: dict[str, object]
) -> None:
    labels, _ = table
    for split in _splits(table, chosen):
        n_normal = int(np.sum(labels.y[split.test] == 0))
        assert n_normal > 0
        for kind in split.test_kinds:
            rows = split.test_of(kind)
            n_kind = int(np.sum(labels.kinds[split.test] == kind))
            expected = (min(n_normal, n_kind),) * 2 if chosen["balanced"] else (n_normal, n_kind)
            assert (int(np.sum(labels.y[rows] == 0)), int(np.sum(labels.kinds[rows] == kind))) == expected
            assert len(rows) == sum(expected)
            assert np.all(np.isin(rows, split.test))
            assert np.array_equal(rows, split.test_of(kind))
        with pytest.raises(LabelError, match="no rows of kind"):
            split.test_of("never seen")


def test_a_held_out_contaminant_is_drawn_once() -> None:
    kinds = np.array(["normal"] * 24 + ["a"] * 7 + ["b"] * 4)
    labels = Labels((kinds != "normal").astype(np.int8), kinds, np.full(len(kinds), ""), None)
    for seed in range(20):
        splits = leave_one_kind_out(
            labels,
            shots=0,
            seeds=[seed],
            contamination=0.2,
            contaminants="held-out",
            calibration_fraction=0.0,
            held_out_kinds=["a"],
        )
        for split in splits:
            assert len(np.unique(split.train)) == len(split.train)
            assert not np.isin(split.contaminants, split.test).any()
