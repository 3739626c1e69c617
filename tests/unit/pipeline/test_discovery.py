"""Benjamini and Hochberg over a stream equals the one over all p-values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unseen.pipeline.discovery import PValueCounts
from unseen.scoring.conformal import benjamini_hochberg


@given(
    ranks=st.lists(st.integers(1, 50), min_size=1, max_size=300),
    rate=st.floats(0.01, 0.9),
    parts=st.integers(1, 5),
)
def test_equals_the_selection_from_all_p_values(ranks: list[int], rate: float, parts: int) -> None:
    p_values = np.array(ranks) / 50
    counts = PValueCounts()
    for part in np.array_split(p_values, parts):
        counts.add(part)
    limit = counts.limit(rate)
    selected = np.zeros(len(p_values), dtype=bool) if limit is None else p_values <= limit
    np.testing.assert_array_equal(selected, benjamini_hochberg(p_values, rate))


def test_nothing_counted_selects_nothing() -> None:
    assert PValueCounts().limit(0.1) is None
