"""Moments of few rows of very many columns: the same as those that make the whole covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen.detectors import UnseenDetector
from unseen.detectors.baselines.mahalanobis import RIDGE, floored, inverse, shrunk_covariance
from unseen.detectors.fused import evidence, moments
from unseen.detectors.fused.checking import check_mode
from unseen.detectors.fused.evidence import learn_labels, most_apart
from unseen.detectors.fused.moments import Moments, WideMoments, fit_moments, ledoit_wolf_share
from unseen.persistence import load, save


def rows_of(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Rows that move along a few directions, not about 0; one column is constant."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_rows, 4)) @ random.normal(size=(4, n_features))
    rows += 0.3 * random.normal(size=rows.shape) + 5.0
    rows[:, 0] = 1.0
    return rows


def both(monkeypatch: pytest.MonkeyPatch, rows: np.ndarray) -> tuple[Moments, WideMoments]:
    plain = fit_moments(rows)
    monkeypatch.setattr(moments, "WIDE", 2)
    wide = fit_moments(rows)
    assert isinstance(plain, Moments)
    assert isinstance(wide, WideMoments)
    return plain, wide


@pytest.mark.parametrize("n_rows", [1, 2, 30, 49])
def test_wide_moments_are_those_of_the_whole_covariance(n_rows, monkeypatch):
    rows, new = rows_of(n_rows, 50), rows_of(7, 50, seed=1)
    plain, wide = both(monkeypatch, rows)
    np.testing.assert_allclose(wide.distances(new), plain.distances(new), rtol=1e-7)
    np.testing.assert_allclose(wide.contributions(new).sum(axis=1), plain.distances(new) ** 2, rtol=1e-7)
    expected = plain.contributions(new)
    np.testing.assert_allclose(wide.contributions(new), expected, atol=1e-9 * np.abs(expected).max())
    together = wide.distances(new)
    alone = [float(wide.distances(new[i : i + 1])[0]) for i in range(len(new))]
    np.testing.assert_allclose(alone, together, rtol=1e-9)


def test_references_are_weighed_into_wide_moments_as_into_others(monkeypatch):
    rows, references, new = rows_of(30, 50), rows_of(6, 50, seed=2) + 0.5, rows_of(7, 50, seed=1)
    plain, wide = both(monkeypatch, rows)
    expected, found = plain.blended(references, 8.0), wide.blended(references, 8.0)
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.distances(new), expected.distances(new), rtol=1e-7)


def test_rows_that_are_all_alike_have_a_floor(monkeypatch):
    plain, wide = both(monkeypatch, np.ones((5, 8)))
    new = np.arange(8.0)[None]
    np.testing.assert_allclose(wide.distances(new), np.linalg.norm(new - 1.0))
    np.testing.assert_allclose(wide.distances(new), plain.distances(new))


def test_directions_without_variance_are_held_up_by_the_floor():
    rows = np.zeros((40, 60))
    rows[:, 0] = np.tile([-1.0, 1.0], 20)  # nothing to shrink: all rows lie along one direction
    found = moments.wide_moments(np.zeros(60), 0.0, rows / np.sqrt(40))
    covariance = floored(rows.T @ rows / 40)
    new = np.random.default_rng(0).normal(size=(3, 60))
    expected = np.sqrt(np.einsum("ij,ij->i", new @ inverse(covariance), new))
    assert found.variance == pytest.approx(RIDGE / 60)
    np.testing.assert_allclose(found.distances(new), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5), (20, 50), (50, 20)])
def test_shrinkage_is_that_of_ledoit_and_wolf(shape):
    rows = rows_of(*shape)
    centred = rows - rows.mean(axis=0)
    share, mean_variance = ledoit_wolf_share(centred)
    empirical = centred.T @ centred / len(rows)
    expected = shrunk_covariance(rows, "ledoit-wolf")
    np.testing.assert_allclose(
        (1 - share) * empirical + share * mean_variance * np.eye(shape[1]), expected, rtol=1e-9, atol=1e-12
    )


def test_trees_on_very_many_columns_grow_on_those_in_which_a_kind_lies_apart(monkeypatch):
    monkeypatch.setattr(evidence, "_MOST_COLUMNS", 6)
    random = np.random.default_rng(3)
    normals, anomalies = random.normal(size=(300, 40)), random.normal(size=(24, 40))
    kinds = np.repeat(["a", "b"], [20, 4])
    anomalies[:20, 31] += 9.0
    anomalies[20:, 8] -= 9.0
    columns = most_apart(normals, anomalies, kinds)
    assert len(columns) == 6
    assert {8, 31} <= set(columns.tolist())
    assert (np.diff(columns) > 0).all()
    cues = np.zeros((324, 1))
    labelled = learn_labels(
        (normals, cues[:300]), (anomalies, cues[300:]), kinds, n_trees=10, seed=0, n_jobs=1, boosted=True
    )
    assert labelled.boosted is not None
    for trees in (labelled.boosted, labelled.forest):
        split = set(trees.features[np.isfinite(trees.cuts)].tolist())
        assert {8, 31} <= split <= set(columns.tolist())
    rows = np.concatenate([np.concatenate([normals, anomalies]), cues], axis=1).astype(np.float32)
    found = labelled.boosted.log_odds(rows)
    assert np.mean(found[:300] < found[300:].min()) > 0.98
    shares = labelled.forest.probability(rows)
    assert np.mean(shares[:300] < shares[300:].min()) > 0.98
    np.testing.assert_allclose(
        labelled.forest.credits(rows).sum(axis=1),
        shares - labelled.forest.shares[labelled.forest.roots].mean(),
    )


def test_a_detector_of_very_many_columns_scores_as_with_whole_covariances(tmp_path, monkeypatch):
    random = np.random.default_rng(4)
    mixing = random.normal(size=(5, 1_200)) * 0.5
    odd = np.zeros(1_200)
    odd[::60] = 2.5

    def drawn(n: int, shift: np.ndarray | float = 0.0) -> np.ndarray:
        return random.normal(size=(n, 5)) @ mixing + random.normal(size=(n, 1_200)) + shift

    X = np.concatenate([drawn(150), drawn(8, 2 * odd)])
    y = np.repeat([0, 1], [150, 8])
    detector = UnseenDetector(n_trees=5, n_jobs=1).fit(X, y)
    normals = detector.modes_[0].normals
    assert isinstance(normals.plain, WideMoments)
    assert isinstance(normals.ranked, WideMoments)
    rows = np.concatenate([drawn(60), drawn(60, odd)])
    scores = detector.decision_function(rows)
    with monkeypatch.context() as patched:
        patched.setattr(moments, "WIDE", 10_000)
        whole = UnseenDetector(n_trees=5, n_jobs=1).fit(X, y)
    assert isinstance(whole.modes_[0].normals.plain, Moments)
    np.testing.assert_allclose(scores, whole.decision_function(rows), rtol=1e-6)
    np.testing.assert_allclose(detector.decision_function(rows[70:71]), scores[70:71], rtol=1e-6)
    adapted = detector.adapt(drawn(10))
    assert np.isfinite(adapted.decision_function(rows)).all()
    for fitted in (detector, adapted):
        again = load(save(fitted, tmp_path / f"model {id(fitted)}"))
        np.testing.assert_array_equal(again.decision_function(rows), fitted.decision_function(rows))
    found = detector.reasons(rows[60:61])
    assert np.isin(np.argsort(-found.contributions[0])[:3], np.flatnonzero(odd)).all()
    assert isinstance(normals.plain, WideMoments)
    for wrong in ({"lower": normals.plain.lower[:3]}, {"mean": np.zeros(3)}, {"variance": 0.0}):
        damaged = replace(normals, plain=replace(normals.plain, **wrong))
        with pytest.raises(ValueError, match=r"moments (are of other features|have no variance)"):
            check_mode(replace(detector.modes_[0], normals=damaged), 1_200)
    check_mode(detector.modes_[0], 1_200)
