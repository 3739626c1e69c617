"""Labels lift rows, and only a share of the false alarms is theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen.detectors.fused.lift import Exceedance, Lift, Raise, exceedance_of, shallowest
from unseen.metrics.ranking import auroc


def test_depths_are_read_off_quantiles_and_grow_evenly_beyond():
    """A thousand evenly spaced normals: hand-computed shares and mean excess."""
    found = exceedance_of(np.arange(1000.0), 1e-3)
    np.testing.assert_allclose(found.depth(np.array([-5.0, 0.0])), 0.0)
    np.testing.assert_allclose(found.depth(np.array([499.5])), np.log(2), atol=0.01)
    last = 0.98 * 999
    np.testing.assert_allclose([found.values[-1], found.depths[-1]], [last, np.log(50)])
    excess = np.mean(np.arange(980.0, 1000.0) - last)
    assert found.tail == pytest.approx(excess)
    np.testing.assert_allclose(found.depth(np.array([last + 3 * excess])), np.log(50) + 3)
    depths = np.linspace(0.0, 9.0, 50)
    np.testing.assert_allclose(found.depth(found.value(depths)), depths, atol=1e-9)


def test_of_equal_normals_the_share_that_reaches_them_counts():
    found = exceedance_of(np.repeat([0.0, 1.0], [600, 400]), 0.3)
    np.testing.assert_allclose(found.depth(np.array([0.0, 1.0])), [0.0, -np.log(0.4)], atol=0.1)
    assert found.tail == 0.3
    constant = exceedance_of(np.full(10, 7.0), 0.5)
    np.testing.assert_allclose(constant.depth(np.array([6.0, 7.0, 8.0])), [0.0, 0.0, 2.0])


def test_few_normals_say_nothing_of_rare_values():
    """Of four, the second highest is about the last knot: two fifths."""
    found = exceedance_of(np.array([0.0, 1.0, 2.0, 3.0]), 1.0)
    assert found.depths[-1] == pytest.approx(-np.log(0.4))
    assert found.values[-1] == pytest.approx(0.6 * 3)
    assert exceedance_of(np.zeros(1), 1.0).depths.tolist() == [0.0]


def test_the_shallowest_of_several_sorts_of_normals_counts():
    narrow, wide = exceedance_of(np.arange(1000.0), 1.0), exceedance_of(np.arange(0.0, 4000.0, 4.0), 1.0)
    other = exceedance_of(np.r_[np.zeros(900), np.arange(900.0, 1000.0)], 1.0)
    values = np.linspace(-10.0, 9000.0, 200)
    for found in ([narrow, wide], [wide, narrow, other], [narrow, other]):
        expected = np.min([own.depth(values) for own in found], axis=0)
        np.testing.assert_allclose(shallowest(found).depth(values), expected, atol=0.08)
        shallowest(found).check()


def normal_lift(share: float) -> Lift:
    normals = np.random.default_rng(0).normal(size=(2, 20_000))
    return Lift(share, *(exceedance_of(values, 1e-3) for values in normals))


def test_a_row_ranks_by_the_smaller_of_two_p_values():
    """Hand-computed: with a share of .2 a likeness that 1 % of normals reach ranks like a novelty of 4 %."""
    lift = normal_lift(0.2)
    z = {0.01: 2.326, 0.04: 1.751}
    novelty = np.array([-3.0, 0.0, 1.0, 2.5])
    raised = lift.raised(novelty, np.full(4, z[0.01]))
    np.testing.assert_allclose(novelty + raised, np.maximum(novelty, z[0.04]), atol=0.05)
    np.testing.assert_array_equal(lift.raised(novelty, np.full(4, -1.0)), 0.0)
    rising = lift.raised(np.zeros(50), np.linspace(1.0, 30.0, 50))
    assert (np.diff(rising) > 0).all()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("likeness", ["independent", "of the least novel", "of normals alone"])
def test_misses_of_a_kind_without_labels_grow_by_a_factor_at_most(share, likeness):
    """Whatever labels say of normals and of the kind: independent of novelty, or the worst for it."""
    random = np.random.default_rng(1)
    lift = normal_lift(share)
    normals, kind = random.normal(size=20_000), random.normal(size=5_000) + 2.0
    of_normals, of_kind = random.normal(size=20_000), random.normal(size=5_000)
    if likeness == "of the least novel":
        of_normals[np.argsort(normals)] = np.sort(of_normals)[::-1]
    if likeness != "independent":
        of_kind[:] = -9.0
    y = np.repeat([False, True], [20_000, 5_000])
    novelty, told = np.concatenate([normals, kind]), np.concatenate([of_normals, of_kind])
    alone = 1 - auroc(y, novelty)
    fused = 1 - auroc(y, novelty + lift.raised(novelty, told))
    assert alone > 0.05
    assert fused <= alone / (1 - share) * 1.02
    if likeness == "of normals alone":
        assert fused > alone


def test_what_is_added_is_a_softened_ramp_with_an_end():
    added = Raise(3.0, 2.0, 10.0).raised(np.zeros(4), np.array([-50.0, 3.0, 4.0, 500.0]))
    ramp = 2 * np.log1p(np.exp([0.0, 1.0]))
    np.testing.assert_allclose(added, [0.0, *(10 * (1 - np.exp(-ramp / 10))), 10.0], atol=1e-12)


def test_damaged_parts_are_refused():
    lift = normal_lift(0.3)
    lift.check()
    found = lift.novelty
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="no share"):
            replace(lift, share=share).check()
    for values, depths in (
        (found.values[::-1], found.depths),
        (found.values, found.depths[::-1]),
        (found.values[1:], found.depths),
        (found.values[:0], found.depths[:0]),
        (np.array([np.nan]), np.zeros(1)),
        (np.zeros(1), np.array([np.nan])),
        (np.r_[found.values[:-1], np.inf], found.depths),
    ):
        with pytest.raises(ValueError, match=r"do not rise|no numbers"):
            replace(lift, novelty=Exceedance(values, depths, 1.0)).check()
    for tail in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="no length"):
            replace(lift, likeness=replace(found, tail=tail)).check()
    for damaged in (
        Raise(float("nan"), 1.0, 1.0),
        Raise(0.0, 1.0, 0.0),
        Raise(0.0, 1.0, float("inf")),
        Raise(0.0, -1.0, 1.0),
    ):
        with pytest.raises(ValueError, match="no end"):
            damaged.check()
