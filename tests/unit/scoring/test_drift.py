"""The measure of drift against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from unseen.errors import InputError
from unseen.scoring.drift import measure_drift


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    p = np.random.default_rng(0).beta(2.0, 3.0, size=200)
    found = measure_drift(p, n_calibration=1000, rate=0.1)
    assert found.distance == pytest.approx(kstest(p, "uniform").statistic)
    assert found.flagged == np.mean(p <= 0.1)
    assert found.drifted


def test_uniform_p_values_rarely_count_as_drifted():
    random = np.random.default_rng(1)
    drifted = [measure_drift(random.random(300), n_calibration=10**6).drifted for _ in range(200)]
    assert 0.01 < np.mean(drifted) < 0.12


@pytest.mark.parametrize("p_values", [[], [0.5, 1.5], [-0.1]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(InputError, match="p_values"):
        measure_drift(p_values, n_calibration=10)
