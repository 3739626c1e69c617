"""Holding rows back for calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import ParameterError
from unseen.scoring import hold_back
from unseen.scoring.holding_back import group_codes
from unseen.types import Labels


def _labels(kinds: list[str] | np.ndarray, groups: list[str] | np.ndarray | None = None) -> Labels:
    names = np.asarray(kinds, dtype=np.str_)
    y = np.where(names == "", -1, np.where(names == "normal", 0, 1)).astype(np.int8)
    return Labels(
        y, names, np.full(len(names), ""), None if groups is None else np.asarray(groups, dtype=np.str_)
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["normal", "normal", "a", "b", ""]), max_size=80),
    st.floats(0, 0.9),
    st.integers(0, 5),
)
def test_counts_without_groups(kinds: list[str], fraction: float, seed: int) -> None:
    labels = _labels(kinds)
    held = hold_back(labels, fraction, seed)
    assert held.dtype == np.bool_
    assert not held[labels.y == -1].any()
    n_normals = int(labels.normal.sum())
    if fraction == 0 or n_normals < 2:
        assert not held.any()
        return
    wanted = math.floor(fraction * n_normals + 1e-9)
    assert held[labels.normal].sum() == min(max(wanted, 1), n_normals - 1)
    for kind in ("a", "b"):
        of_kind = labels.kinds == kind
        assert held[of_kind].sum() == math.floor(fraction * of_kind.sum() + 1e-9)
        assert not of_kind.any() or (of_kind & ~held).any()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["normal", "normal", "a", "b", ""]), st.sampled_from(["", *"pqrstuvw"])),
        min_size=1,
        max_size=80,
    ),
    st.floats(0.01, 0.9),
    st.integers(0, 5),
)
def test_groups_stay_whole_and_every_sort_stays_in_the_fit(
    rows: list[tuple[str, str]], fraction: float, seed: int
) -> None:
    kinds, groups = zip(*rows, strict=True)
    labels = _labels(list(kinds), list(groups))
    held = hold_back(labels, fraction, seed)
    for group in set(groups) - {""}:
        assert len(set(held[np.array(groups) == group])) == 1
    for kind in set(kinds) - {""}:
        assert not held[labels.kinds == kind].all()
    if held.any():
        assert held[labels.normal].any()
    codes = group_codes(labels.groups, len(labels))
    if len(np.unique(codes[labels.normal])) >= 2 and not np.isin(labels.kinds, ["a", "b"]).any():
        assert held.any()


@pytest.mark.parametrize("seed", range(5))
def test_kinds_take_no_more_normals_along_than_were_to_go(seed: int) -> None:
    """Each of 20 groups has 50 normals, each of 10 kinds lies in two of them; a fifth of the normals goes."""
    kinds, groups = [], []
    for group in range(20):
        kinds += ["normal"] * 50 + [f"kind {group // 2}"] * (10 if group % 2 else 2)
        groups += [f"group {group}"] * (60 if group % 2 else 52)
    kinds += ["kind 0"] * 2  # these lie in a group without normals
    groups += ["apart"] * 2
    labels = _labels(kinds, groups)
    held = hold_back(labels, 0.2, seed)
    assert held[labels.normal].sum() == 200
    largest = [group for group in range(20) if group % 2]
    assert not held[np.isin(labels.groups, [f"group {group}" for group in largest])].any()


def test_the_draw_depends_on_the_seed_alone() -> None:
    labels = _labels(["normal"] * 50 + ["a"] * 10)
    np.testing.assert_array_equal(hold_back(labels, 0.2, 1), hold_back(labels, 0.2, 1))
    assert np.any(hold_back(labels, 0.2, 1) != hold_back(labels, 0.2, 2))


def test_whole_shares_survive_rounding() -> None:
    # .29 * 100 is 28.999999999999996 in floats
    assert hold_back(_labels(["normal"] * 100), 0.29, 0).sum() == 29


def test_a_giant_group_is_not_held_back_when_small_ones_do() -> None:
    groups = ["big"] * 90 + [f"g{i}" for i in range(10)]
    held = hold_back(_labels(["normal"] * 100, groups), 0.1, 0)
    assert not held[:90].any()
    assert held.sum() == 10


def test_nothing_is_held_when_no_normal_can_be() -> None:
    labels = _labels(["normal"] * 5 + ["a"] * 10, ["one"] * 5 + [""] * 10)
    assert not hold_back(labels, 0.3, 0).any()


def test_group_codes_keep_unnamed_rows_apart() -> None:
    codes = group_codes(np.array(["x", "", "y", "x", ""]), 5)
    assert codes[0] == codes[3]
    assert len(set(codes.tolist())) == 4
    assert sorted(set(codes.tolist())) == [0, 1, 2, 3]
    np.testing.assert_array_equal(group_codes(None, 3), [0, 1, 2])


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(ParameterError, match="fraction"):
        hold_back(_labels(["normal"]), 1.0, 0)
    with pytest.raises(ParameterError, match="seed"):
        hold_back(_labels(["normal"]), 0.5, -1)
