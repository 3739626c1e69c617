"""Intervals over domains: by hand, against DeLong where every row is a domain, and their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from unseen.metrics import auroc, delong_interval
from unseen.metrics.over_domains import (
    auroc_over_domains,
    equal_voices,
    judge_domains,
    medians_over_domains,
    recall_over_domains,
)


def judged(normals, anomalies, flagged=None):
    (scores, names), (odd, theirs) = normals, anomalies
    domains = np.unique(np.concatenate([names, theirs]))
    flags = np.zeros(len(odd), dtype=bool) if flagged is None else np.asarray(flagged)
    return judge_domains(
        (np.asarray(scores, float), np.asarray(names)),
        (np.asarray(odd, float), np.asarray(theirs)),
        flags,
        domains=domains,
    )


def test_wins_are_counted_domain_by_domain():
    part = judged(([0, 1, 2], ["a", "a", "b"]), ([1, 3, 0.5], ["a", "b", "b"]), [False, True, True])
    np.testing.assert_array_equal(part.wins, [[1.5, 0.0], [2 + 1, 1 + 0]])
    np.testing.assert_array_equal(part.anomalies, [1, 2])
    np.testing.assert_array_equal(part.normals, [2, 1])
    np.testing.assert_array_equal(part.flagged, [0, 2])
    assert auroc_over_domains([part]).estimate == pytest.approx(5.5 / 9)
    assert recall_over_domains([part]).estimate == pytest.approx(2 / 3)


def test_domains_of_one_row_give_delong():
    random = np.random.default_rng(0)
    normals, anomalies = random.normal(size=60), random.normal(size=40) + 1
    part = judged((normals, [f"n{i}" for i in range(60)]), (anomalies, [f"a{i}" for i in range(40)]))
    y, scores = np.repeat([0, 1], [60, 40]), np.concatenate([normals, anomalies])
    found, plain = auroc_over_domains([part]), delong_interval(y, scores)
    assert found.estimate == pytest.approx(auroc(y, scores))

    def width(interval):
        return math.log(interval.high / (1 - interval.high)) - math.log(interval.low / (1 - interval.low))

    assert width(found) / width(plain) == pytest.approx(t.ppf(0.975, 39) / 1.959964, rel=1e-5)


def test_the_variance_by_hand():
    """Two domains; a = (-1/6, 1/6) and b = (1/6, -1/6): 2 · 1/18 + 2 · 1/18 - 2 · 2 · 1/18 = 0."""
    part = judged(([0, 2], ["a", "b"]), ([1, 1, 3], ["a", "a", "b"]))
    # areas of the anomalies: 1/2, 1/2, 1; of the normals: 1 and 1/3; A = 2/3
    a = np.array([2 * (0.5 - 2 / 3), 1 - 2 / 3]) / 3
    b = np.array([1 - 2 / 3, 1 / 3 - 2 / 3]) / 2
    variance = 2 * np.sum(a**2) + 2 * np.sum(b**2) + 2 * 2 * np.sum(a * b)
    found = auroc_over_domains([part], confidence=0.5)
    half = t.ppf(0.75, 1) * math.sqrt(variance) / (2 / 3 * 1 / 3)
    assert found.high == pytest.approx(1 / (1 + math.exp(-(math.log(2) + half))))
    assert found.low == pytest.approx(1 / (1 + math.exp(-(math.log(2) - half))))


def test_rows_of_one_domain_are_one_voice():
    """A hundred copies of each row change nothing: they are of the same domains."""
    random = np.random.default_rng(1)
    names = np.array([f"d{i}" for i in range(8)])
    normals, anomalies = random.normal(size=8), random.normal(size=8) + 1
    once = auroc_over_domains([judged((normals, names), (anomalies, names))])
    often = auroc_over_domains(
        [judged(*(((np.repeat(v, 100), np.repeat(names, 100))) for v in (normals, anomalies)))]
    )
    np.testing.assert_allclose(once, often)


def test_a_kind_of_one_domain_says_nothing_about_others():
    names = np.array(["a", "b", "c"])
    part = judged((np.arange(3.0), names), (np.full(50, 1.5), np.full(50, "a")), np.ones(50, dtype=bool))
    assert auroc_over_domains([part])[1:] == (0.0, 1.0)
    low, high = recall_over_domains([part])[1:]
    assert low == pytest.approx(0.025)
    assert high == 1.0


@pytest.mark.parametrize("n_domains", [6, 20])
def test_the_interval_covers_what_new_domains_reach(n_domains):
    """Scores of a domain move together; DeLong's interval over rows misses most of the time."""
    random = np.random.default_rng(2)
    truth = 0.5 * math.erfc(
        -1.0 / math.sqrt(2 * 2) / math.sqrt(2)
    )  # Φ(1 / √(2 · 2)): moved by domain and by row
    names = np.repeat([f"{i:02d}" for i in range(n_domains)], 30)
    covered, by_rows = [], []
    for _ in range(150):
        of_normals, of_anomalies = random.normal(size=(2, n_domains))
        normals = np.repeat(of_normals, 30) + random.normal(size=len(names))
        anomalies = np.repeat(of_anomalies, 30) + random.normal(size=len(names)) + 1.0
        found = auroc_over_domains([judged((normals, names), (anomalies, names))])
        covered.append(found.low <= truth <= found.high)
        plain = delong_interval(np.repeat([0, 1], len(names)), np.concatenate([normals, anomalies]))
        by_rows.append(plain.low <= truth <= plain.high)
    assert np.mean(covered) > 0.88
    assert np.mean(by_rows) < 0.5


def test_fits_are_weighed_by_their_anomalies():
    one = judged(([0.0, 1.0], ["a", "b"]), ([2.0], ["a"]))
    other = judged(([0.0, 1.0], ["c", "d"]), ([0.5, 0.5, 0.5], ["c", "d", "d"]))
    assert auroc_over_domains([one, other]).estimate == pytest.approx((1 + 3 * 0.5) / 4)


def test_medians_are_resampled_over_domains():
    random = np.random.default_rng(3)
    names = np.repeat([f"{i:02d}" for i in range(12)], 20)
    moved = np.repeat(random.normal(size=12), 20)
    normals = random.normal(size=240)
    kinds = [
        [judged((normals, names), (random.normal(size=240) + moved + 1, names), moved > 0)],
        [judged((normals, names), (random.normal(size=240) + moved + 1, names), moved > 0)],
    ]
    (low, high), (least, most) = medians_over_domains(kinds, n_draws=300, seed=1)
    middle = np.median([auroc_over_domains(parts).estimate for parts in kinds])
    assert low < middle < high
    assert 0.05 < high - low < 0.5
    assert least < np.mean(moved > 0) < most
    same = [[judged((np.zeros(4), list("abcd")), (np.ones(4), list("abcd")), np.ones(4, dtype=bool))]]
    assert medians_over_domains(same, n_draws=20) == ((1.0, 1.0), (1.0, 1.0))


def test_a_kind_that_is_not_drawn_is_left_out_of_the_median():
    names = list("abcdefgh")
    normals = (np.arange(8.0), names)
    everywhere = [judged(normals, (np.full(8, 9.0), names))]
    in_one = [judged(normals, (np.array([-1.0]), ["a"]))]
    (low, high), _ = medians_over_domains([everywhere, in_one], n_draws=200)
    assert (low, high) == (0.5, 1.0)


def test_equal_voices_by_hand():
    """Areas 1.5 / 2 and 0 for the anomaly of a, 3 / 4 and 1 / 2 for those of b: their mean is a half."""
    part = judged(([0, 1, 2], ["a", "a", "b"]), ([1, 3, 0.5], ["a", "b", "b"]), [False, True, True])
    equal = equal_voices(part)
    np.testing.assert_allclose(equal.wins, [[0.75, 0.0], [0.75, 0.5]])
    assert auroc_over_domains([equal]).estimate == pytest.approx(0.5)
    assert recall_over_domains([equal]).estimate == pytest.approx(0.5)


def test_a_domain_without_rows_has_no_voice():
    part = judged(([0, 2], ["a", "b"]), ([1, 1, 3], ["b", "b", "c"]))
    equal = equal_voices(part)
    np.testing.assert_array_equal(equal.anomalies, [0, 1, 1])
    np.testing.assert_array_equal(equal.normals, [1, 1, 0])
    assert auroc_over_domains([equal]).estimate == pytest.approx((1 + 0 + 1 + 1) / 4)


def test_copies_of_the_rows_of_one_domain_move_nothing_where_voices_are_equal():
    random = np.random.default_rng(2)
    names = np.array([f"d{i}" for i in range(6)])
    normals, anomalies = random.normal(size=6), random.normal(size=6) + 1
    times = np.where(names == "d3", 50, 1)
    once = judged((normals, names), (anomalies, names))
    often = judged(*((np.repeat(values, times), np.repeat(names, times)) for values in (normals, anomalies)))
    np.testing.assert_allclose(
        auroc_over_domains([equal_voices(often)]), auroc_over_domains([equal_voices(once)])
    )
    assert auroc_over_domains([often]).estimate != pytest.approx(auroc_over_domains([once]).estimate)
