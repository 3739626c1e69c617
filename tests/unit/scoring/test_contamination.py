"""The number of believed anomalies: none among plain normals, the heap where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.scoring.contamination import estimate_contamination


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("law", ["uniform", "normal", "exponential"])
def test_plain_normals_hold_next_to_nothing(law: str, seed: int) -> None:
    scores = getattr(np.random.default_rng(seed), law)(size=3000)
    found = estimate_contamination(scores)
    assert not found.heap
    assert found.share < 0.02


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
def test_a_heap_far_up_is_counted(share: float) -> None:
    rng = np.random.default_rng(0)
    n_bad = int(share * 2000)
    scores = np.r_[rng.normal(0, 1, 2000 - n_bad), rng.normal(6, 0.5, n_bad)]
    found = estimate_contamination(scores)
    assert found.count == pytest.approx(n_bad, abs=25)
    assert found.share == found.count / 2000
    assert found.count == np.sum(scores > found.threshold)


def test_scattered_extremes_are_counted_beyond_the_fence() -> None:
    rng = np.random.default_rng(1)
    scores = np.r_[rng.uniform(0, 1, 500), [1e3, 1e5, 1e7]]
    found = estimate_contamination(scores)
    assert (found.count, found.heap) == (3, False)


def test_units_and_offset_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    scores = np.r_[rng.normal(0, 1, 900), rng.normal(7, 0.5, 100)]
    counts = {estimate_contamination(a * scores + b).count for a, b in ((1, 0), (1e-6, 0), (1e3, -50))}
    assert len(counts) == 1


def test_half_of_the_rows_are_no_second_heap() -> None:
    rng = np.random.default_rng(3)
    scores = np.r_[rng.normal(0, 1, 500), rng.normal(8, 1, 500)]
    assert estimate_contamination(scores).count == 0


@pytest.mark.parametrize("scores", [np.zeros(100), np.arange(5.0), np.empty(0)])
def test_nothing_is_said_of_equal_or_few_scores(scores: np.ndarray) -> None:
    found = estimate_contamination(scores)
    assert (found.count, found.share, found.threshold) == (0, 0.0, float("inf"))
