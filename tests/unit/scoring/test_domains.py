"""Calibration on whole domains."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InputError
from unseen.scoring.calibration import Calibration
from unseen.scoring.domains import MOST_OF_A_DOMAIN, balanced_over_domains, guaranteed_on_new_domains


def test_order_statistics_by_hand():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 20.0])
    domains = np.array(["a"] * 4 + ["b"] * 2)
    assert balanced_over_domains(scores, domains).tolist() == [1, 2, 3, 4, 10, 10, 20, 20]


def test_domains_have_the_same_say():
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(size=5_000), 10 + random.normal(size=50)])
    balanced = balanced_over_domains(scores, np.repeat(["large", "small"], [5_000, 50]))
    assert len(balanced) == 2 * MOST_OF_A_DOMAIN
    assert np.mean(balanced > 5) == 0.5


def test_guarantee_by_hand():
    assert guaranteed_on_new_domains(22, 0.01) == pytest.approx(1.22 / 23)
    assert guaranteed_on_new_domains(1, 0.0) == 0.5


def test_the_guarantee_holds_for_exchangeable_domains():
    """Domains differ in level and width; a fresh one is flagged no more often than the bound says."""
    random = np.random.default_rng(1)
    n_domains, rates = 9, []
    for _ in range(400):
        level, width = random.normal(size=n_domains + 1) * 2, random.gamma(2.0, size=n_domains + 1)
        rows = level[:, None] + width[:, None] * random.normal(size=(n_domains + 1, 60))
        names = np.repeat([f"d{i}" for i in range(n_domains)], 60)
        found = Calibration.from_scores(
            rows[:-1].ravel(), np.zeros(n_domains * 60), false_alarm_rate=0.05, domains=names
        )
        rates.append(found.flags(rows[-1]).mean())
    bound = guaranteed_on_new_domains(n_domains, 0.05)
    assert found.guaranteed_false_alarm_rate == pytest.approx(bound, abs=1e-3)
    assert 0.04 < np.mean(rates) <= bound


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match="one domain a score"):
        balanced_over_domains([1.0, 2.0], ["a"])
    with pytest.raises(InputError, match="one domain a score"):
        balanced_over_domains([], [])
