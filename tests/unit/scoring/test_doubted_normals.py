"""The list of training normals that may be anomalies."""

from __future__ import annotations

import numpy as np

from unseen.scoring.suspects import Suspects


def test_the_most_doubtful_come_first_and_the_fence_counts_them():
    doubts = np.array([1.0, 2.0, 9.0, 1.5, 8.0, 1.2, 1.8])
    found = Suspects.of(np.arange(10, 17), doubts)
    assert found.rows[:3].tolist() == [12, 14, 11]
    # quartiles 1.35 and 5.0: the fence lies at 10.475
    assert found.n_believed == 0
    assert Suspects.of(np.arange(7), doubts, fence=0.5).believed.tolist() == [2, 4]


def test_equal_doubts_believe_everything():
    found = Suspects.of(np.arange(4), np.ones(4))
    assert found.n_believed == 0
    assert found.rows.tolist() == [0, 1, 2, 3]
