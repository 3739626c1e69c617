"""Values against annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

import numpy as np
import pytest
from numpy.typing import NDArray

from unseen.persistence.hints import matches
from unseen.types import BoolArray, FloatArray, IntArray, StrArray

FITS = [
    (1, int),
    (1, float),
    (1.5, float),
    (True, bool),
    ("a", str),
    (None, None),
    (None, Union[int, str, None]),  # noqa: UP007
    (3, int | None),
    ("x", Literal["x", "y"]),
    (np.zeros(2, np.float32), FloatArray),
    (np.zeros(2), NDArray[np.float64]),
    (np.zeros(2, np.int64), IntArray),
    (np.array(["a"]), StrArray),
    (np.zeros(2, bool), BoolArray),
    ({"a": np.zeros(1)}, dict[str, NDArray[np.float64]]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ([1, 2], list[int]),
    ((1, 2), Sequence[int]),
    ({"a": 1}, Mapping[str, int]),
    (object(), Any),
]
DOES_NOT = [
    (True, int),
    (False, float),
    (1, bool),
    (1.0, int),
    ("1", int),
    (None, int),
    ("z", Literal["x", "y"]),
    (np.zeros(2), NDArray[np.float32]),
    (np.zeros(2), IntArray),
    (np.zeros(2), StrArray),
    ([0.0], FloatArray),
    ({"a": 1}, dict[str, str]),
    ({1: "a"}, dict[str, str]),
    ((1,), tuple[int, str]),
    ([1], tuple[int, ...]),
    ((1,), list[int]),
    ("ab", Sequence[str]),
    ([1], dict[str, int]),
]


@pytest.mark.parametrize(("value", "hint"), FITS, ids=range(len(FITS)))
def test_fits(value, hint):
    assert matches(value, hint)


@pytest.mark.parametrize(("value", "hint"), DOES_NOT, ids=range(len(DOES_NOT)))
def test_does_not_fit(value, hint):
    assert not matches(value, hint)
