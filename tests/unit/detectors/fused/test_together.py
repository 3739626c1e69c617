"""Many kinds: how they are left out several at a time, and judged apart."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import UnseenDetector
from unseen.detectors.fused import training
from unseen.detectors.fused.likeness import JudgedLikeness, choose_likeness
from unseen.detectors.fused.together import MOST_FITS, judged_apart, left_out_together


def test_up_to_twelve_kinds_are_left_out_by_themselves():
    names = np.array([f"kind {i:02d}" for i in range(MOST_FITS)])
    kinds = np.repeat(names, 3)
    np.testing.assert_array_equal(left_out_together(kinds, 0), np.repeat(np.arange(MOST_FITS), 3))
    assert [name for name, _ in judged_apart(kinds[:3], 3)] == ["kind 00"]


def test_more_kinds_share_fits_and_the_frequent_ones_do_not():
    kinds = np.repeat([f"kind {i:03d}" for i in range(60)], [50] * MOST_FITS + [2] * (60 - MOST_FITS))
    fits = left_out_together(kinds, 0)
    assert len(np.unique(fits)) == MOST_FITS
    assert all(len(np.unique(fits[kinds == kind])) == 1 for kind in np.unique(kinds))
    assert len(np.unique(fits[: 50 * MOST_FITS])) == MOST_FITS
    assert [len(np.unique(kinds[fits == fit])) for fit in range(MOST_FITS)] == [5] * MOST_FITS
    np.testing.assert_array_equal(fits, left_out_together(kinds, 0))


def test_rare_kinds_of_a_fit_are_judged_together_and_every_row_once():
    kinds = np.array(["b", "a", "b", "d", "b", "c", "d"])
    found = judged_apart(kinds, 3)
    assert [name for name, _ in found] == ["b", "a and 2 more"]
    np.testing.assert_array_equal(found[0][1], kinds == "b")
    np.testing.assert_array_equal(sum(rows.astype(int) for _, rows in found), np.ones(7))
    assert [rows.tolist() for _, rows in judged_apart(kinds[1:2], 3)] == [[True]]


def left_out(names: list[str], novelty: list[float], *, drifted: bool) -> JudgedLikeness:
    """300 normals around 0, and 40 rows of each kind, whose likeness is far below that of normals."""
    random = np.random.default_rng(3)
    y = np.arange(300 + 40 * len(names)) >= 300
    values = np.concatenate([np.zeros(300), np.repeat(novelty, 40)]) + random.normal(size=len(y))
    likeness = np.concatenate([np.zeros(300), np.full(40 * len(names), -8.0)]) + random.normal(size=len(y))
    return JudgedLikeness("kind", "", drifted, y, values[:, None], likeness, np.repeat(names, 40))


def others() -> list[JudgedLikeness]:
    """Labelled rows left out that gain by labels, and normals alone."""
    random = np.random.default_rng(4)
    y = np.arange(360) >= 300
    likeness = np.where(y, 5.0, 0.0) + random.normal(size=360)
    values = random.normal(size=(360, 1)) + y[:, None]
    nothing = JudgedLikeness(
        "nothing", "", False, y[:300], values[:300], likeness[:300], np.zeros(0, dtype=np.str_)
    )
    return [nothing, JudgedLikeness("part", "part 0", False, y, values, likeness, np.full(60, "a"))]


def test_kinds_of_one_fit_are_judged_as_if_each_had_its_own():
    names, novelty = ["a", "b", "c", "d", "e"], [0.5, 1.0, 2.0, 3.0, 4.0]
    together = [left_out(names, novelty, drifted=drifted) for drifted in (False, True)]
    apart = []
    for item in together:
        for i, name in enumerate(names):
            rows = np.r_[np.arange(300), 300 + 40 * i + np.arange(40)]
            parts = (item.y[rows], item.placed[rows], item.likeness[rows])
            apart.append(JudgedLikeness("kind", name, item.drifted, *parts, np.full(40, name)))
    one, other = (choose_likeness(items + others(), np.ones(1)) for items in (together, apart))
    assert (one.name, one.kinds) == (other.name, tuple(names))
    assert other.kinds == tuple(names)
    np.testing.assert_array_equal(one.novelty, other.novelty)
    np.testing.assert_array_equal(one.fused, other.fused)


@pytest.mark.parametrize("n_domains", [0, 4])
def test_the_fits_of_a_fit_do_not_grow_with_the_number_of_kinds(n_domains, monkeypatch):
    """Each fit of labelled rows knows none of the kinds that it is judged by, and all others."""
    random = np.random.default_rng(0)
    n_kinds = 40
    names = [f"kind {i:02d}" for i in range(n_kinds)]
    X = np.concatenate(
        [random.normal(size=(300, 4)), np.repeat(random.normal(size=(n_kinds, 4)), 32, axis=0)]
    )
    kinds = np.repeat(["normal", *names], [300] + [32] * n_kinds)
    domains = np.array([f"d{i % n_domains}" for i in range(len(X))]) if n_domains else None
    taught_kinds = []
    learn = training.learn_labels

    def counted(normals, anomalies, kinds, **options):
        taught_kinds.append(len(np.unique(kinds)))
        return learn(normals, anomalies, kinds, **options)

    monkeypatch.setattr(training, "learn_labels", counted)
    detector = UnseenDetector(n_trees=5, n_jobs=1).fit(X, kinds, domains=domains)
    n_modes = 2 if n_domains else 1
    assert len(detector.modes_) == n_modes
    assert len(taught_kinds) <= n_modes * (3 * (MOST_FITS + 4) + 1)
    assert set(taught_kinds) <= {n_kinds, n_kinds - 3, n_kinds - 4}
    assert sorted(detector.choices_["plain"]["kinds"]) == names
    assert len(detector.choices_["plain"]["fused"]) == n_kinds
