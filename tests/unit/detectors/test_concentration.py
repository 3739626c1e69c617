"""Contaminants that come in a crowd are found, and leaving them out gives detection back."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import DETECTORS
from unseen.detectors.concentration import concentrated_scores, kept_after_trimming
from unseen.errors import ParameterError
from unseen.metrics.ranking import auroc

TRIMMING = ["k-nearest-neighbours", "mahalanobis", "isolation-forest"]


def crowded(share: float, seed: int = 0, n_rows: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Normals around zero, and a tight crowd away from them that passes for normal."""
    rng = np.random.default_rng(seed)
    n_bad = int(share * n_rows)
    X = rng.normal(size=(n_rows, 6))
    X[:n_bad] = 4 + 0.2 * rng.normal(size=(n_bad, 6))
    order = rng.permutation(n_rows)
    return X[order].astype(np.float32), (np.arange(n_rows) < n_bad)[order]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_a_crowd_scores_highest(share: float) -> None:
    X, bad = crowded(share)
    scores = concentrated_scores(X, 0)
    assert auroc(bad.astype(np.int8), scores) > 0.99


def test_no_half_vouches_for_itself() -> None:
    X, _ = crowded(0.1)
    halves = np.arange(len(X)) % 2 == 0
    whole = concentrated_scores(X, 0, halves=halves)
    assert whole.shape == (len(X),)
    np.testing.assert_array_equal(whole, concentrated_scores(X, 0, halves=halves))
    assert not np.array_equal(whole, concentrated_scores(X, 0, halves=~halves))


@pytest.mark.parametrize("trim", [0.0, None])
def test_nothing_is_left_out_unless_asked(trim: float | None) -> None:
    assert kept_after_trimming(crowded(0.1)[0], trim, 0).all()


def test_a_share_is_left_out_and_auto_finds_it() -> None:
    X, bad = crowded(0.2)
    keep = kept_after_trimming(X, 0.25, 0)
    assert np.sum(~keep) == 200
    assert not np.any(bad & keep)
    auto = kept_after_trimming(X, "auto", 0)
    assert np.sum(~auto & bad) > 0.9 * bad.sum()
    assert np.sum(~auto & ~bad) < 0.05 * len(X)


def test_few_rows_stay() -> None:
    assert kept_after_trimming(np.zeros((3, 2), dtype=np.float32), "auto", 0).all()
    assert concentrated_scores(np.ones((1, 2)), 0).tolist() == [0.5]


@pytest.mark.parametrize("name", TRIMMING)
def test_trimming_gives_detection_back(name: str) -> None:
    X, _ = crowded(0.2)
    rng = np.random.default_rng(9)
    fresh = np.concatenate([rng.normal(size=(200, 6)), 4 + 0.2 * rng.normal(size=(100, 6))])
    y = (np.arange(300) >= 200).astype(np.int8)
    found = {
        trim: auroc(y, DETECTORS[name](trim=trim, calibration_fraction=0.0).fit(X).decision_function(fresh))
        for trim in (None, 0.25, "auto")
    }
    assert min(found[0.25], found["auto"]) > 0.99
    assert found[None] < found[0.25]


@pytest.mark.parametrize("name", TRIMMING)
@pytest.mark.parametrize("trim", ["some", 0.6, -0.1, True])
def test_a_wrong_trim_is_refused(name: str, trim: object) -> None:
    with pytest.raises(ParameterError, match="trim"):
        DETECTORS[name](trim=trim).fit(np.zeros((20, 2)))  # type: ignore[call-arg]


def test_a_rare_domain_is_not_suspected_as_a_whole() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(600, 5))
    domains = np.where(np.arange(600) < 60, "rare", "usual")
    X[:60] += 4
    bad = np.zeros(600, dtype=np.int8)
    bad[100:130] = 1
    X[100:130, 0] += 7
    X = X.astype(np.float32)
    pooled = concentrated_scores(X, 0)
    apart = concentrated_scores(X, 0, domains=domains)
    assert auroc(bad, apart) > 0.95 > auroc(bad, pooled) + 0.03
    assert abs(np.median(apart[:60]) - np.median(apart[60:])) < 1e-12
