"""The guarded score of the anomaly aware VAE: max(E₁, E₂ / g)."""

import numpy as np
import pytest

from unseen.detectors.anomaly_aware_vae import AnomalyAwareVAE, guarded_error


def test_guarded_error_by_hand() -> None:
    before = np.array([1.0, 4.0, 2.0])
    after = np.array([1.5, 30.0, 6.0])
    np.testing.assert_allclose(guarded_error(before, after, 3.0), [1.0, 10.0, 2.0])


@pytest.fixture
def fitted() -> tuple[AnomalyAwareVAE, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    normals = draw.normal(size=(400, 6)).astype(np.float32)
    anomalies = (draw.normal(size=(20, 6)) + np.array([4, 0, 0, 0, 0, 0])).astype(np.float32)
    detector = AnomalyAwareVAE(epochs=4, awareness_epochs=4, lambda_max=1.0, calibration_fraction=0)
    X = np.concatenate([normals, anomalies])
    detector.fit(X, np.r_[np.zeros(400), np.ones(20)])
    return detector, normals, anomalies


def test_nearly_all_training_normals_keep_the_score_of_stage_one(
    fitted: tuple[AnomalyAwareVAE, np.ndarray, np.ndarray],
) -> None:
    detector, normals, _anomalies = fitted
    moved = detector.decision_function(normals) > detector.stage1_scores(normals) * (1 + 1e-6)
    assert 0 < moved.mean() <= 0.0125


def test_contributions_sum_to_the_guarded_score(
    fitted: tuple[AnomalyAwareVAE, np.ndarray, np.ndarray],
) -> None:
    detector, normals, anomalies = fitted
    rows = np.concatenate([normals, anomalies])
    np.testing.assert_allclose(
        detector.explain(rows).sum(axis=1), detector.decision_function(rows), rtol=1e-4
    )


def test_without_labels_the_score_is_that_of_stage_one() -> None:
    normals = np.random.default_rng(0).normal(size=(200, 4))
    detector = AnomalyAwareVAE(epochs=2, calibration_fraction=0).fit(normals)
    np.testing.assert_array_equal(detector.decision_function(normals), detector.stage1_scores(normals))
