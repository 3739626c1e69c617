"""Which pictures taken for normal look odd to the others."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors.images import PaDiM, Spade
from unseen.detectors.images.inputs import labels_of
from unseen.detectors.images.looking import Seeing, rotated
from unseen.detectors.images.odd_pictures import OddPictures, odd_pictures
from unseen.errors import LabelError
from unseen.nn.patches.pictures import ArrayPictures

from .conftest import SHARED, Pictures, draw

DIRTY = (4, 11)


def ranked(
    X: list[np.ndarray],
    y: np.ndarray,
    *,
    domains: list[str] | None = None,
    groups: list[int] | None = None,
    owner: type = PaDiM,
) -> OddPictures:
    detector = owner(**SHARED)
    labels = labels_of(detector, X, len(X), y, None, domains, groups)
    return odd_pictures(detector, ArrayPictures("test", X), labels)


def dirtied(world: Pictures, n_normals: int = 22) -> list[np.ndarray]:
    """Normals with two defective pictures among them."""
    X = list(world.X[:n_normals])
    for place, row in enumerate(DIRTY):
        X[row] = world.X[n_normals + place]
    return X


@pytest.fixture(scope="module")
def world() -> Pictures:
    return draw(5, 22, 6)


def test_defects_come_first_and_the_maps_show_them(world):
    found = ranked(dirtied(world), np.zeros(22))
    assert set(found.suspects.rows[:2].tolist()) == set(DIRTY)
    assert found.suspects.n_believed >= 2
    assert found.maps.shape == (22, 8, 8)
    for place, row in enumerate(found.suspects.rows[:2].tolist()):
        mask = world.masks[22 + DIRTY.index(row)].reshape(8, 4, 8, 4).mean(axis=(1, 3)) > 0.9
        assert found.maps[place][mask].mean() > 3 * np.median(found.maps[place])


def test_the_detector_says_only_how_pictures_are_seen(world):
    X = dirtied(world)
    first, second = ranked(X, np.zeros(22)), ranked(X, np.zeros(22), owner=Spade)
    np.testing.assert_array_equal(first.suspects.rows, second.suspects.rows)
    np.testing.assert_array_equal(first.maps, second.maps)


def test_labelled_anomalies_are_not_ranked(world):
    X = dirtied(world) + world.X[24:]
    found = ranked(X, np.repeat([0, 1], [22, 4]))
    assert sorted(found.suspects.rows.tolist()) == list(range(22))
    assert set(found.suspects.rows[:2].tolist()) == set(DIRTY)


def test_parts_at_any_angle_are_compared_with_turned_ones():
    """Without turned copies every picture but its own angle is odd; with them the defects are."""
    random = np.random.default_rng(0)
    plain = draw(6, 22, 2)
    X = [rotated(image[None], 90.0 * random.integers(4))[0] for image in dirtied(plain)]
    found = ranked(X, np.zeros(22))
    assert set(found.suspects.rows[:2].tolist()) == set(DIRTY)


def test_each_domain_is_compared_with_its_own(world):
    dark = draw(7, 22, 2, level=20.0)
    X = dirtied(world) + list(dark.X[:22])
    found = ranked(X, np.zeros(44), domains=["bright"] * 22 + ["dark"] * 22)
    assert set(found.suspects.rows[:2].tolist()) == set(DIRTY)


def test_pictures_of_one_group_do_not_vouch_for_each_other(world):
    """A defective part photographed four times."""
    X = list(world.X[:22])
    for row in range(4):
        X[row] = np.clip(world.X[22].astype(int) + row - 2, 0, 255).astype(np.uint8)
    tied = ranked(X, np.zeros(22), groups=[0] * 4 + list(range(1, 19)))
    assert set(tied.suspects.rows[:4].tolist()) == {0, 1, 2, 3}
    alone = ranked(X, np.zeros(22))
    assert tied.suspects.doubts[3] > alone.suspects.doubts[alone.suspects.rows.tolist().index(0)]


def test_many_pictures_are_compared_in_parts(world, monkeypatch):
    monkeypatch.setattr("unseen.detectors.images.odd_pictures.MOST_BYTES", 1)
    monkeypatch.setattr("unseen.detectors.images.odd_pictures._FEWEST", 12)
    held = []
    real = Seeing.all_looks

    def all_looks(self, pictures, *further):
        held.append(len(pictures))
        return real(self, pictures, *further)

    monkeypatch.setattr(Seeing, "all_looks", all_looks)
    X = dirtied(world)
    found = ranked(X, np.zeros(22))
    assert sorted(held)[:2] == [11, 11]
    assert sorted(found.suspects.rows.tolist()) == list(range(22))
    assert set(found.suspects.rows[:2].tolist()) == set(DIRTY)
    assert (np.diff(found.suspects.doubts) <= 0).all()
    for place, row in enumerate(found.suspects.rows[:2].tolist()):
        mask = world.masks[22 + DIRTY.index(row)].reshape(8, 4, 8, 4).mean(axis=(1, 3)) > 0.9
        assert found.maps[place][mask].mean() > 3 * np.median(found.maps[place])


def test_a_single_normal_is_refused(world):
    with pytest.raises(LabelError, match="at least two normals"):
        ranked([world.X[0], world.X[23]], np.array([0, 1]))
